"""Measures the limits that docs/RUNBOOK.md states, one after another, and fails where a bar is missed.

    python -m bench.limits                      every limit at the size that is stated
    python -m bench.limits many-boards --size 2000

Each runs the services as processes of their own on the embedded broker and SQLite, or on the Apache Kafka that
GROUNDSWELL_TEST_BOOTSTRAP_SERVERS names (its topics are deleted!). Linux alone: memory and CPU time come from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from bench.limits import boards, bursts, large, people, replays
from bench.limits.figures import Found

Measure = Callable[[Path, int], Coroutine[Any, Any, Found]]

LIMITS: dict[str, tuple[Measure, int]] = {
    "long-board-dedup": (boards.long_board_dedup, 100_000),
    "long-board-readers": (boards.long_board_readers, 100_000),
    "many-boards": (boards.many_boards, 10_000),
    "many-boards-readers": (boards.many_boards_readers, 10_000),
    "busy-person": (people.busy_person, 50_000),
    "first-profile": (people.first_profile, 50_000),
    "wanted-idea": (people.wanted_idea, 200_000),
    "hot-board": (bursts.hot_board, 20_000),
    "burst": (bursts.burst, 1_000),
    "fat-burst": (bursts.fat_burst, 300),
    "replay-ingest": (replays.replay_ingest, 200_000),
    "replay-dedup": (replays.replay_dedup, 100_000),
    "replay-segmenter": (replays.replay_segmenter, 100_000),
    "replay-notifier": (replays.replay_notifier, 200_000),
    "large-records": (large.large_records, 1024 * 1024),
}
"""Each limit's measure and the size that is stated."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.limits", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("limits", nargs="*", metavar="LIMIT", help=", ".join(LIMITS))
    parser.add_argument("--size", type=int, help="instead of the stated one; bars are for that")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    unknown = sorted(set(asked.limits) - LIMITS.keys())
    if unknown:
        parser.error(f"no limit is called {unknown[0]}; there are {', '.join(LIMITS)}")
    holds = True
    for name in asked.limits or LIMITS:
        measure, stated = LIMITS[name]
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"limits-{name}-") as folder:
            found = asyncio.run(measure(Path(folder), asked.size or stated))
        found.figures |= {"seconds that this took": time.monotonic() - started, "load of the machine": os.getloadavg()[0]}
        holds = holds and all(bar.holds for bar in found.bars)
        print(json.dumps(found.plain()) if asked.json else "\n".join([*found.lines(), ""]), flush=True)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
