"""One very long board, very many boards."""

from __future__ import annotations

import random
import time
from pathlib import Path

from bench.limits.figures import Bar, Found, in_slices, split
from bench.limits.made import Decided, Wishes, person, submitted
from bench.limits.rig import Rig
from services.common.records import Output

_SLICES = 10
_PEOPLE_SHARE = 5
_IDEAS_SHARE = 20
_DEDUP_GROWTH = 5.0
_GROWTH = 1.5


async def long_board_dedup(folder: Path, size: int) -> Found:
    """Dedup on one board of *size* events: what an event costs while the board grows, and what a restart costs then."""
    found = Found("one board: dedup", size)
    async with Rig(folder) as rig:
        texts = Wishes(repeated=0.5).texts(size)
        outputs = rig.outputs(submitted("long", n, text, person(n // _PEOPLE_SHARE)) for n, text in enumerate(texts))
        await rig.start("dedup")
        slices = await in_slices(rig, "dedup", split(outputs, _SLICES))
        found.add_growth("dedup", slices, _DEDUP_GROWTH)
        found.figures["dedup: CPU us/event, highest slice"] = max(one.cpu_us for one in slices[1:])
        found.figures["dedup: RSS bytes an event"] = (slices[-1].rss_mib - slices[0].rss_mib) * 2**20 / (size - slices[0].events)
        await _restart(rig, found, "dedup", rig.outputs([submitted("long", size, "One text more", person(0))]))
        await _clean(rig, found)
    return found


async def long_board_readers(folder: Path, size: int) -> Found:
    """The segmenter and the notifier on one board of *size* decisions."""
    found = Found("one board: segmenter and notifier", size)
    async with Rig(folder) as rig:
        for name in ("segmenter", "notifier"):  # a board for each, so that its slices are its own
            decided, outputs = _decisions(rig, size, name)
            await rig.start(name)
            await rig.drained(name)
            found.add_growth(name, await in_slices(rig, name, split(outputs, _SLICES)), _GROWTH)
            await _restart(rig, found, name, rig.outputs([decided.linked(size, person(0), 0)]))
            rig.services[name].stop()
        await _clean(rig, found)
    return found


def _decisions(rig: Rig, size: int, board: str) -> tuple[Decided, list[Output]]:
    decided, rng = Decided(board), random.Random(7)
    outputs: list[Output] = []
    ideas = 0
    for number in range(size):
        if number % _IDEAS_SHARE == 0:
            outputs.append(rig.codec.output(decided.opened(ideas)))
            ideas += 1
        outputs.append(rig.codec.output(decided.linked(number, person(rng.randrange(size // _PEOPLE_SHARE + 1)), rng.randrange(ideas))))
    return decided, outputs


async def many_boards(folder: Path, size: int) -> Found:
    """Dedup on *size* boards, a quarter of which it may hold at once; each gets three texts, in turns."""
    found = Found("many boards: dedup", size)
    held = max(size // 4, 1)
    async with Rig(folder) as rig:
        texts = list(Wishes(repeated=0.9).texts(3 * size))
        outputs = rig.outputs(submitted(f"b{n % size}", n // size, texts[n], person(n % 1_000)) for n in range(3 * size))
        await rig.start("dedup", GROUNDSWELL_BOARDS_IN_MEMORY=str(held))
        slices = await in_slices(rig, "dedup", split(outputs, 3 * 4))
        found.add_growth("dedup", [slices[0], slices[0], *slices[1:]], _GROWTH + 1)
        boards = await rig.metric("dedup", "groundswell_dedup_boards")
        found.figures["dedup: boards in memory at the end"] = boards
        found.figures["dedup: RSS KiB a board in memory"] = (slices[-1].rss_mib - slices[0].rss_mib) * 1024 / max(boards, 1)
        found.bars.append(Bar("boards in memory, a batch's beside the allowed", boards, held + 500))
        await _clean(rig, found)
    return found


async def many_boards_readers(folder: Path, size: int) -> Found:
    """The segmenter and the notifier on *size* boards of three decisions each: what a board costs in memory."""
    found = Found("many boards: segmenter and notifier", size)
    async with Rig(folder) as rig:
        boards = [Decided(f"b{n}") for n in range(size)]
        outputs = rig.outputs(board.opened(0) for board in boards)
        outputs += rig.outputs(board.linked(n, person(n % 1_000), 0) for n in (0, 1) for board in boards)
        for name in ("segmenter", "notifier"):
            service = await rig.start(name)
            before = service.usage().rss_mib
            if not rig.fed:
                await rig.feed(outputs)
            started = time.monotonic()
            await rig.drained(name)
            after = service.usage()
            found.figures[f"{name}: decisions/s"] = len(outputs) / (time.monotonic() - started)
            found.figures[f"{name}: RSS MiB before"] = before
            found.figures[f"{name}: RSS MiB with all boards"] = after.rss_mib
            found.figures[f"{name}: RSS KiB a board"] = (after.rss_mib - before) * 1024 / size
            found.bars.append(Bar(f"{name}: RSS MiB with all boards", after.rss_mib, 1_024))
        await _clean(rig, found)
    return found


async def _restart(rig: Rig, found: Found, name: str, one_more: list[Output]) -> None:
    """Start the service again and wait for one event more: the board is folded from the store."""
    rig.services[name].stop()
    service = await rig.start(name)
    cpu, started = service.usage().cpu_seconds, time.monotonic()
    await rig.feed(one_more)
    await rig.drained(name)
    after = service.usage()
    found.figures[f"{name}: seconds until a restarted worker has folded the board"] = time.monotonic() - started
    found.figures[f"{name}: CPU seconds of that"] = after.cpu_seconds - cpu
    found.figures[f"{name}: RSS MiB after it"] = after.rss_mib
    found.figures[f"{name}: RSS MiB, peak of it"] = after.peak_mib


async def _clean(rig: Rig, found: Found) -> None:
    found.bars.append(Bar("dead letters", await rig.letters(), 0))
