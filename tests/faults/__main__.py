"""``python -m tests.faults --seed N --minutes M --engine embedded|real``: runs until the minutes are over, each run with the next seed.

``--promised`` goes on until the run of runs has seen what is promised to be survived: ``PROMISED``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.common.errors import ConfigurationError
from tests.faults.campaign import Report, run
from tests.faults.surroundings import Engine, find_engines

_RUN_SECONDS = 120.0
PROMISED: Mapping[Engine, Mapping[str, int]] = {
    "real": {"process kills": 200, "broker restarts": 10, "store outages": 10, "rebalance storms": 5},
    "embedded": {"process kills": 200},
}
"""What all runs together have to have survived, by engine."""
_FAULT_OF = {"broker restarts": "broker restart", "store outages": "store away", "rebalance storms": "storm"}


@dataclass
class Totals:
    """What all runs together came to."""

    counts: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)
    """Seed → the first invariant that broke."""

    def add(self, report: Report) -> None:
        """Add one run."""
        self.injected.update(report.injected)
        self.counts["runs"] += 1
        self.counts["records"] += report.records
        self.counts["mails"] += report.mails
        self.counts["deaths"] += sum(report.deaths.values())
        self.counts["process kills"] += sum(count for how, count in report.exits.items() if how.endswith(" -9"))
        self.counts["broker restarts"] = self.injected["broker SIGTERM"] + self.injected["broker SIGKILL"]
        self.counts["broker freezes"] = self.injected["broker SIGSTOP"]
        self.counts["store outages"] = self.injected["store away"]
        self.counts["rebalance storms"] = self.injected["storm"]
        if report.broken:
            self.failed[report.seed] = next(iter(report.broken))

    def are_enough(self, promised: Mapping[str, int]) -> bool:
        """Tell whether all that was *promised* has been seen."""
        return all(self.counts[what] >= least for what, least in promised.items())

    def lacking(self, promised: Mapping[str, int]) -> list[str]:
        """Return the faults of which there were fewer than *promised*."""
        return [fault for what, fault in _FAULT_OF.items() if self.counts[what] < promised.get(what, 0)]

    def text(self) -> str:
        """Return all of it."""
        counted = ", ".join(f"{count} {what}" for what, count in self.counts.items() if count)
        broken = ", ".join(f"seed {seed} broke {name}" for seed, name in self.failed.items()) or "every invariant held in every run"
        return f"all runs together: {counted}\n  injected {dict(sorted(self.injected.items()))}\n  {broken}"


def main() -> int:
    """Run; end with 1 where a run broke an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of the first run; by default another one each time")
    parser.add_argument("--minutes", type=float, default=3.0, help="of load and faults, at least")
    parser.add_argument("--run-seconds", type=float, default=_RUN_SECONDS, help="of load and faults, in one run at most")
    parser.add_argument("--engine", choices=["embedded", "real"], default="embedded")
    parser.add_argument("--only", action="append", help="a fault by name; may be repeated")
    parser.add_argument("--promised", action="store_true", help="go on until all that is promised has been survived")
    parser.add_argument("--keep-going", action="store_true", help="go on after a run that broke an invariant")
    given = parser.parse_args()
    if given.engine == "real":
        try:
            find_engines()
        except ConfigurationError as error:
            sys.stderr.write(f"{error}\n")
            return 78
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all that was started is stopped, and its disk given back
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what its brokers suffer is said by name
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    totals = _runs(seed, given)
    sys.stdout.write(f"{totals.text()}\n")
    return 1 if totals.failed else 0


def _runs(seed: int, given: argparse.Namespace) -> Totals:
    totals = Totals()
    ends = time.monotonic() + given.minutes * 60
    while (left := ends - time.monotonic()) > 0 or (given.promised and not totals.are_enough(PROMISED[given.engine])):
        sys.stdout.write(f"seed {seed} on {given.engine}\n")
        seconds = given.run_seconds if given.promised else min(left, given.run_seconds)
        favoured = totals.lacking(PROMISED[given.engine]) if given.promised else ()
        report = asyncio.run(run(given.engine, seed, seconds, _say, only=given.only, favoured=favoured))
        totals.add(report)
        sys.stdout.write(f"{report.text()}\n")
        if report.broken:
            sys.stdout.write(f"FAILED with seed {seed}: {next(iter(report.broken))}\n")
            if not given.keep_going:
                break
        seed += 1
    return totals


def _say(line: str) -> None:
    sys.stdout.write(f"  {time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
