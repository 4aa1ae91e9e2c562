"""Mixed records of every channel, each published three times in random order with edits and deletions between, against a pure replay.

    python -m tests.round_trip [--records 10000] [--seed 1]            in process: the real reading, handler and SQLite store
    python -m tests.round_trip --stack [--kills 4]                     through the running stack, its services killed between
    python -m tests.support.engines .venv/bin/python -m tests.round_trip --stack      the same on Apache Kafka and FerretDB

What is left, by what the published events say, equals what one publication of each record in its order leaves. Ends with 1 where it does
not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.round_trip.judging import differing
from tests.round_trip.making import mixed
from tests.round_trip.replaying import final
from tests.round_trip.running import through_stack


def compare(count: int, seed: int) -> tuple[list[str], str]:
    """Return the pieces that differ between the noisy run and the replay, and what happened in both."""
    dice = random.Random(seed)
    pieces = mixed(count, dice)
    once = [one for piece in pieces for one in piece]
    noisy = once * 3
    dice.shuffle(noisy)
    with tempfile.TemporaryDirectory() as folder:
        left, counts = asyncio.run(final(Path(folder), noisy))
    with tempfile.TemporaryDirectory() as folder:
        expected, alone = asyncio.run(final(Path(folder), once))
    told = f"{len(once):,} records of {len(pieces):,} pieces; thrice: {dict(counts)}; once: {dict(alone)}; {len(expected):,} states"
    refused = [f"refused: {reason}" for reason in sorted(counts.keys() | alone.keys()) if reason not in ("Emit", "Drop")]
    return [*refused, *differing(left, expected)], told


def main() -> None:
    """Compare, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stack", action="store_true")
    parser.add_argument("--kills", type=int, default=4)
    given = parser.parse_args()
    differs, told = through_stack(given.records, given.seed, given.kills) if given.stack else compare(given.records, given.seed)
    sys.stdout.write(f"{told}; {len(differs)} differ\n")
    for key in differs[:10]:
        sys.stdout.write(f"  {key}\n")
    raise SystemExit(1 if differs else 0)


if __name__ == "__main__":
    main()
