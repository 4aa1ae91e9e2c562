"""The rate that one hot board reaches, and ten times as much."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.limits.figures import Bar, Found, in_slices
from bench.limits.made import Decided, Wishes, person, said, submitted
from bench.limits.rig import Rig
from services.common.records import Output
from services.console.embedded.stack import SERVICES

_TIMES = 10
_GROWTH_MIB = 256
_BURST_SECONDS = 15
_LONG_TEXT = 15_000
_WATCH_SECONDS = 0.5


async def hot_board(folder: Path, size: int) -> Found:
    """Each service alone, *size* events of one board as fast as it takes them: the rate of one worker."""
    found = Found("one hot board, one worker a service", size)
    texts = list(Wishes().texts(size))
    for name in SERVICES:
        home = folder / name
        home.mkdir()
        async with Rig(home) as rig:
            outputs = _input(rig, name, texts)
            await rig.start(name)
            [all_of] = await in_slices(rig, name, [outputs])
            found.figures[f"{name}: events/s"] = all_of.events / all_of.seconds
            found.figures[f"{name}: CPU us/event"] = all_of.cpu_us
            found.bars.append(Bar(f"{name}: dead letters", await rig.letters(), 0))
    found.figures["events/s of the slowest"] = min(found.figures[f"{name}: events/s"] for name in SERVICES)
    return found


def _input(rig: Rig, name: str, texts: list[str]) -> list[Output]:
    match name:
        case "ingest":
            return said(texts)
        case "dedup":
            return rig.outputs(submitted("hot", n, text, person(n // 5)) for n, text in enumerate(texts))
        case _:
            decided = Decided("hot")
            return rig.outputs(
                decided.opened(n // 20) if n % 20 == 0 else decided.linked(n, person(n // 5), n // 20) for n in range(len(texts))
            )


async def burst(folder: Path, size: int) -> Found:
    """All four services; ten times the rate that *size* events of one board go through, for a quarter of a minute."""
    return await _burst(folder, size, "burst of ten times the sustainable rate", 0)


async def fat_burst(folder: Path, size: int) -> Found:
    """The same with texts of 15,000 characters, so that bytes and not records fill the buffers."""
    return await _burst(folder, size, "the same burst with texts of 15,000 characters", _LONG_TEXT)


async def _burst(folder: Path, size: int, limit: str, characters: int) -> Found:
    found = Found(limit, size)
    async with Rig(folder) as rig:
        port, _ = rig.start_mail_sink()
        for name in SERVICES:
            await rig.start(name, GROUNDSWELL_SMTP_HOST="127.0.0.1", GROUNDSWELL_SMTP_PORT=str(port))
        texts = [
            f"{text} {'x' * max(characters - len(text), 0)}"[: characters or None] for text in Wishes().texts(size * (1 + _TIMES * 15))
        ]
        calm = said(texts[:size])
        started = time.monotonic()
        await _through(rig, calm)
        rate = size / (time.monotonic() - started)
        before = {name: rig.services[name].usage() for name in SERVICES}
        for name in SERVICES:
            rig.services[name].forget_peak()
        wave = said(texts[size : size + int(rate * _TIMES * _BURST_SECONDS)], size)
        started = time.monotonic()
        await _at_rate(rig, wave, rate * _TIMES)
        offered = time.monotonic() - started
        lag = rig.fed["feedback.raw"] - await rig.acknowledged("dedup", "board.events")
        await _through(rig, [])
        drained = time.monotonic() - started - offered
        found.figures |= {
            "events/s that go through": rate,
            "events/s offered": len(wave) / offered,
            "events in the burst": len(wave),
            "MiB in the burst": sum(len(output.value or b"") for output in wave) / 2**20,
            "events behind at its end (dedup)": lag,
            "seconds until all were through": drained,
            "events/s while draining": len(wave) / (drained + offered),
        }
        for name in SERVICES:
            usage = rig.services[name].usage()
            found.figures[f"{name}: RSS MiB before"] = before[name].rss_mib
            found.figures[f"{name}: RSS MiB, peak"] = usage.peak_mib
            found.bars.append(Bar(f"{name}: RSS MiB that the burst added at its peak", usage.peak_mib - before[name].rss_mib, _GROWTH_MIB))
        found.bars.append(Bar("dead letters", await rig.letters(), 0))
    return found


async def _at_rate(rig: Rig, outputs: list[Output], rate: float) -> None:
    """Feed *outputs*, so many a second."""
    started, sent = time.monotonic(), 0
    while sent < len(outputs):
        allowed = min(int((time.monotonic() - started) * rate) + 1, len(outputs))
        await rig.feed(outputs[sent:allowed])
        sent = max(sent, allowed)
        await asyncio.sleep(_WATCH_SECONDS / 10)


async def _through(rig: Rig, outputs: list[Output]) -> None:
    """Feed *outputs* and wait until the last service has acknowledged what follows from them."""
    await rig.feed(outputs)
    for name, topic in (
        ("ingest", "feedback.raw"),
        ("dedup", "board.events"),
        ("segmenter", "board.decisions"),
        ("notifier", "board.decisions"),
    ):
        end = rig.fed[topic] or sum((await rig.cluster.ends([topic])).values())
        while await rig.acknowledged(name, topic) < end:
            rig.services[name].check()
            await asyncio.sleep(_WATCH_SECONDS / 5)
