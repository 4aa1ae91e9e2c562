"""``python -m tests.support.engines COMMAND …``: run COMMAND on Apache Kafka and FerretDB.

What does not run yet is started, and stopped again in the end, whatever becomes of COMMAND; the addresses are in its environment.
Its exit code is COMMAND's; 78 where this machine lacks a tool, 69 where an engine does not start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

from services.common.errors import ConfigurationError, GroundswellError
from services.console.engines import daemon, ferretdb, kafka
from tests.faults.surroundings import BOOTSTRAP, MONGO_URL


def main(command: Sequence[str]) -> int:
    """Run *command* between start and stop of what it needs."""
    signal.signal(signal.SIGTERM, _interrupted)  # so that the engines are stopped then, too
    try:
        with ExitStack() as stack:
            environment = {
                BOOTSTRAP: stack.enter_context(_running("Apache Kafka", _kafka_that_runs, lambda: kafka.up(1), kafka.down)),
                MONGO_URL: stack.enter_context(_running("FerretDB", _ferretdb_that_runs, ferretdb.up, ferretdb.down)),
            }
            return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 78
    except GroundswellError as error:
        sys.stderr.write(f"{error}\n")
        return 69
    except KeyboardInterrupt:
        return 130


@contextmanager
def _running(name: str, find: Callable[[], str | None], up: Callable[[], str], down: Callable[[], int]) -> Iterator[str]:
    address = find()
    if address is not None:
        yield address
        return
    sys.stderr.write(f"starting {name} ...\n")
    address = up()
    try:
        yield address
    finally:
        down()


def _kafka_that_runs() -> str | None:
    return kafka.running() if _all_run(kafka.nodes()) else None


def _ferretdb_that_runs() -> str | None:
    return ferretdb.running() if _all_run(daemon.recall(ferretdb.HOME / "processes.json")) else None


def _all_run(processes: Sequence[daemon.Daemon]) -> bool:
    """Tell whether there are *processes* and each of them runs: the files that name them outlive a restart of the machine."""
    return bool(processes) and all(process.is_running() for process in processes)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
