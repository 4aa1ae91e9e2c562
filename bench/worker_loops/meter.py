"""What every compared loop shares: what it has to carry, and the meter.

All read the same topic of framed Avro, decode each record to a ``BoardEvent``, encode it again and publish it to another topic, with
the very same ``Codec``. The clock and the CPU counter of the process (all its threads) start at the first record and stop when the
last one is confirmed and committed, as far as the framework lets one know.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from dataclasses import dataclass
from typing import NoReturn

BATCH_RECORDS = 500
SESSION_MS = 6000
"""What Tansu asks for (it lets a first member wait for half of it)."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a loop has to carry from where to where."""

    bootstrap: str
    source: str
    target: str
    group: str
    events: int


class Meter:
    """Counts records between the first and the last one."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._seen = 0
        self._started: tuple[float, float] | None = None

    def count(self, records: int = 1) -> None:
        """Note that *records* are about to be decoded."""
        if self._started is None:
            self._started = (time.perf_counter(), _cpu_seconds())
        self._seen += records

    @property
    def complete(self) -> bool:
        """Whether all records have been counted."""
        return self._seen >= self._events

    def finish(self) -> NoReturn:
        """Print seconds and CPU seconds since the first record, and end the process."""
        wall, cpu = self._started or (0.0, 0.0)
        figures = {"seconds": time.perf_counter() - wall, "cpu_seconds": _cpu_seconds() - cpu, "events": self._seen}
        print(json.dumps(figures), flush=True)
        os._exit(0)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def read_job() -> Job:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "source", "target", "group"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--events", type=int, required=True)
    return Job(**vars(parser.parse_args()))
