"""``python -m tests.faults --seed N --minutes M --engine embedded|real``: runs until the minutes are over, each run with the next seed."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import time

from services.common.errors import ConfigurationError
from tests.faults.campaign import run
from tests.faults.world import find_engines

_RUN_SECONDS = 120.0


def main() -> int:
    """Run; end with 1 after the first run that broke an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of the first run; by default another one each time")
    parser.add_argument("--minutes", type=float, default=3.0, help="of load and faults, at least")
    parser.add_argument("--engine", choices=["embedded", "real"], default="embedded")
    parser.add_argument("--only", action="append", help="a fault by name; may be repeated")
    given = parser.parse_args()
    if given.engine == "real":
        try:
            find_engines()
        except ConfigurationError as error:
            sys.stderr.write(f"{error}\n")
            return 78
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what its brokers suffer is said by name
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    ends = time.monotonic() + given.minutes * 60
    while (left := ends - time.monotonic()) > 0:
        sys.stdout.write(f"seed {seed} on {given.engine}\n")
        report = asyncio.run(run(given.engine, seed, min(left, _RUN_SECONDS), _say, only=given.only))
        sys.stdout.write(f"{report.text()}\n")
        if report.broken:
            sys.stdout.write(f"FAILED with seed {seed}: {next(iter(report.broken))}\n")
            return 1
        seed += 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"  {time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
