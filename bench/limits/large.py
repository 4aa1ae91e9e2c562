"""Records just below and above what is allowed: through, or a dead letter that says why; nothing stands still."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from aiokafka.errors import MessageSizeTooLargeError, RecordTooLargeError

from bench.limits.figures import Bar, Found
from bench.limits.made import WORKSPACE
from bench.limits.rig import PARTITIONS, Rig
from services.common.records import Output
from services.console.letters import read_letters

_OVERHEAD = 256
_WAIT_SECONDS = 60.0
_TEXT_LIMIT = 20_000
_STUCK, _THROUGH, _BURIED, _REFUSED = range(4)


async def large_records(folder: Path, size: int) -> Found:
    """Ingest, with records around *size* bytes, the largest that is allowed; each with a small one behind it in its partition.

    Of each is told what became of it: 1 went through, 2 became a dead letter, 3 was refused by the broker, 0 stands still.
    """
    found = Found("records around the largest size that is allowed", size)
    cases = {
        "a feedback record just below it": _padded("under", size - _OVERHEAD),
        "garbage just below it": b"{" + b"x" * (size - _OVERHEAD - 1),
        "a feedback record just above it": _padded("over", size + 1),
        "garbage just above it": b"{" + b"x" * size,
        "garbage of one and a half times its size": b"{" + b"x" * (size * 3 // 2),
        "a text just below its limit": _text("longest", _TEXT_LIMIT),
        "a text just above its limit": _text("too-long", _TEXT_LIMIT + 1),
    }
    async with Rig(folder, max_record_bytes=2 * size) as rig:
        service = await rig.start("ingest")
        for number, (what, value) in enumerate(cases.items()):
            fate = found.figures[what] = await _fate(rig, number, value)
            found.bars.append(Bar(f"{what}: stuck", float(fate == _STUCK), 0))
        found.figures["ingest: RSS MiB, peak"] = service.usage().peak_mib
        for letter in await read_letters(rig.cluster, bodies=False):
            found.figures[f"{letter.reason}: bytes kept of {letter.original}"] = letter.size or 0
    return found


async def _fate(rig: Rig, number: int, value: bytes) -> int:
    """Publish *value* and a small good record behind it in the same partition; return what became of it."""
    place = ("feedback.raw", number % PARTITIONS)
    events, letters = await _end(rig, "board.events"), await rig.letters()
    try:
        [offset] = await rig.cluster.put(place, [Output(place[0], b"k", value, b"k")])
    except (MessageSizeTooLargeError, RecordTooLargeError):
        return _REFUSED
    await rig.cluster.put(place, [Output(place[0], b"k", _text(f"after-{number}", 10), b"k")])
    deadline = time.monotonic() + _WAIT_SECONDS
    while (await rig.cluster.committed("groundswell-ingest", [place]))[place] < offset + 2:
        if time.monotonic() > deadline:
            return _STUCK
        await asyncio.sleep(0.1)
    if await rig.letters() > letters:
        return _BURIED
    return _THROUGH if await _end(rig, "board.events") >= events + 2 else _STUCK


async def _end(rig: Rig, topic: str) -> int:
    return sum((await rig.cluster.ends([topic])).values())


def _padded(name: str, size: int) -> bytes:
    """Return a good record of *size* bytes, most of them in a field that nobody reads."""
    value = {"id": name, "workspace": WORKSPACE, "board": "b", "text": "Dark mode", "padding": ""}
    return json.dumps(value | {"padding": "x" * (size - len(json.dumps(value)))}).encode()


def _text(name: str, characters: int) -> bytes:
    return json.dumps({"id": name, "workspace": WORKSPACE, "board": "b", "text": "é" * characters}, ensure_ascii=False).encode()
