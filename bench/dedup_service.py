"""Measures dedup end to end beside its own encoder: unique texts from the broker, decided, stored and said, in the same run.

    python -m bench.dedup_service [--texts 2000] [--rounds 5] [--boards 4]

In turns: the encoder alone, in this process, one text a call and one thread, as the service has it, with half of the texts; then the
service, a process of its own on the embedded broker and SQLite, with all of them waiting for it; then the encoder with the other half, so
that a machine that gets slower or faster meanwhile does so for both. Exits with 1 where the median of the ratios is below the bar.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.limits.figures import Bar, Found
from bench.limits.made import Wishes, person, submitted
from bench.limits.rig import Rig
from services.common.settings import load_settings
from services.console.embedded.stack import MODELS
from services.dedup.offline import open_encoder
from services.dedup.settings import DedupSettings

_OF_ENCODER = 0.8
_WARM_UP = 200


def _encoded(texts: Sequence[str]) -> tuple[float, float]:
    """Return texts/s of the encoder alone, and its CPU µs a text."""
    encoder = open_encoder(load_settings(DedupSettings).model_copy(update={"model_cache": MODELS.absolute(), "remembered_texts": 1}))
    encoder.encode(["a text to warm up with"])
    cpu, started = time.process_time(), time.perf_counter()
    for text in texts:
        encoder.encode([text])
    return len(texts) / (time.perf_counter() - started), (time.process_time() - cpu) / len(texts) * 1e6


async def _decided(folder: Path, texts: Sequence[str], boards: int) -> tuple[float, float]:
    """Return texts/s of the service, from the first record that waits to the last one acknowledged, and its CPU µs a text."""
    async with Rig(folder) as rig:
        service = await rig.start("dedup")
        events = [submitted(f"b{n % boards}", n, text, person(n)) for n, text in enumerate(texts)]
        await rig.feed(rig.outputs(events[:_WARM_UP]))
        await rig.drained("dedup")
        service.pause()
        await rig.feed(rig.outputs(events[_WARM_UP:]))
        before, started = service.usage().cpu_seconds, time.perf_counter()
        service.resume()
        await rig.drained("dedup")
        seconds, cpu = time.perf_counter() - started, service.usage().cpu_seconds - before
        if letters := await rig.letters():
            raise SystemExit(f"{letters} dead letters: the figures would mean nothing")
    count = len(texts) - _WARM_UP
    return count / seconds, cpu / count * 1e6


def measured(texts: int, rounds: int, boards: int) -> Found:
    """Measure both, in turns."""
    found = Found("dedup end to end, unique texts", texts)
    ratios: list[float] = []
    for number in range(rounds):
        wishes = [f"{text} ({place})" for place, text in enumerate(Wishes(repeated=0.0).texts(texts + _WARM_UP))]
        half = _WARM_UP + texts // 2
        before, its_cpu_before = _encoded(wishes[_WARM_UP:half])
        with tempfile.TemporaryDirectory(prefix="bench-dedup-") as folder:
            ours, cpu = asyncio.run(_decided(Path(folder), wishes, boards))
        behind, its_cpu_behind = _encoded(wishes[half:])
        bare, its_cpu = statistics.harmonic_mean([before, behind]), (its_cpu_before + its_cpu_behind) / 2
        ratios.append(ours / bare)
        found.figures |= {
            f"round {number + 1}: encoder alone, texts/s": bare, f"round {number + 1}: encoder alone, CPU us/text": its_cpu,
            f"round {number + 1}: service, texts/s": ours, f"round {number + 1}: service, CPU us/text": cpu,
            f"round {number + 1}: of the encoder's rate, %": 100 * ratios[-1],
        }  # fmt: skip
    found.bars.append(Bar("the encoder's rate, times the service's (median)", 1 / statistics.median(ratios), 1 / _OF_ENCODER))
    found.figures["load of the machine"] = os.getloadavg()[0]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 where the bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.dedup_service", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--boards", type=int, default=4)
    asked = parser.parse_args(arguments)
    if asked.texts < 2:
        parser.error("--texts: at least 2, half of them for the encoder alone before the service, half behind it")
    found = measured(asked.texts, asked.rounds, asked.boards)
    print("\n".join(found.lines()), flush=True)
    return 0 if all(bar.holds for bar in found.bars) else 1


if __name__ == "__main__":
    sys.exit(main())
