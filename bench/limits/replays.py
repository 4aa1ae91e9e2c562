"""A service that reads everything again, and one whose store is gone: time and memory, with what a million records would take."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.limits.figures import Bar, Found
from bench.limits.made import Decided, Wishes, contact, person, profile, said, submitted
from bench.limits.rig import PARTITIONS, Rig
from services.common.kafka_rewind import set_back
from services.common.records import Output
from services.common.topics import load_topics
from services.console.lag import consumed_topics

_MILLION = 1_000_000
_PEAK_MIB = 1_024
_IDEAS_SHARE = 20
_PEOPLE_SHARE = 5
_BOARDS = 20


async def replay_ingest(folder: Path, size: int) -> Found:
    """Ingest, *size* pieces of feedback for twenty boards, everybody with five of them."""
    return await _replay(folder, "ingest", size, lambda _: said(Wishes(repeated=0.5).texts(size), boards=_BOARDS))


async def replay_dedup(folder: Path, size: int) -> Found:
    """Dedup, *size* pieces of feedback on twenty boards."""
    texts = Wishes(repeated=0.5).texts(size)
    events = (submitted(f"b{n % _BOARDS}", n, text, person(n // _PEOPLE_SHARE)) for n, text in enumerate(texts))
    return await _replay(folder, "dedup", size, lambda rig: rig.outputs(events))


async def replay_segmenter(folder: Path, size: int) -> Found:
    """The segmenter, *size* decisions on twenty boards, and a profile of everyone who asked."""
    people = range(size // _PEOPLE_SHARE + 1)
    return await _replay(folder, "segmenter", size, lambda rig: [*rig.outputs(profile(n) for n in people), *_decisions(rig, size)])


async def replay_notifier(folder: Path, size: int) -> Found:
    """The notifier, *size* decisions on twenty boards, and an address of everyone who asked."""
    people = range(size // _PEOPLE_SHARE + 1)
    return await _replay(folder, "notifier", size, lambda rig: [*rig.outputs(contact(n) for n in people), *_decisions(rig, size)])


def _decisions(rig: Rig, size: int) -> list[Output]:
    boards, rng = [Decided(f"b{n}") for n in range(_BOARDS)], random.Random(7)
    opened = [0] * _BOARDS
    outputs: list[Output] = []
    for number in range(size):
        place = number % _BOARDS
        board = boards[place]
        if number // _BOARDS % _IDEAS_SHARE == 0:
            outputs.append(rig.codec.output(board.opened(opened[place])))
            opened[place] += 1
        outputs.append(
            rig.codec.output(board.linked(number, person(rng.randrange(size // _PEOPLE_SHARE + 1)), rng.randrange(opened[place])))
        )
    return outputs


async def _replay(folder: Path, name: str, size: int, made: Callable[[Rig], list[Output]]) -> Found:
    found = Found(f"{name}: all again, with its store and without", size)
    async with Rig(folder) as rig:
        outputs = made(rig)
        started = time.monotonic()
        empty = _Start((await rig.start(name)).usage().cpu_seconds, time.monotonic() - started)
        started = time.monotonic()
        await rig.feed(outputs)
        await rig.drained(name)
        found.figures["first time: seconds"] = time.monotonic() - started
        found.figures["first time: CPU seconds"] = rig.services[name].usage().cpu_seconds - empty.cpu_seconds
        rig.services[name].stop()
        places = [(topic, number) for topic in consumed_topics()[name] for number in range(PARTITIONS)]
        await set_back(rig.kafka, f"groundswell-{name}", places)
        await _again(rig, found, "replay on its store", len(outputs), empty)
        rig.services[name].stop()
        for file in (folder / "data").glob(f"{name}.db*"):
            file.unlink()
        await _again(rig, found, "store deleted", len(outputs), empty)
        found.bars.append(Bar("dead letters", await rig.letters(), 0))
    return found


@dataclass(frozen=True, slots=True)
class _Start:
    """What it costs to start the service with an empty store."""

    cpu_seconds: float
    seconds: float


async def _again(rig: Rig, found: Found, what: str, records: int, empty: _Start) -> None:
    """Start the service and wait until nothing is left to be read; the cost of the start itself is left out."""
    [name] = rig.services
    before, started = await _published(rig), time.monotonic()
    service = await rig.start(name)
    await rig.drained(name)
    usage = service.usage()
    seconds, cpu_seconds = time.monotonic() - started - empty.seconds, usage.cpu_seconds - empty.cpu_seconds
    found.figures |= {
        f"{what}: seconds": seconds,
        f"{what}: CPU seconds": cpu_seconds,
        f"{what}: RSS MiB, peak": usage.peak_mib,
        f"{what}: records published": await _published(rig) - before,
        f"{what}: minutes of CPU for a million records, extrapolated": cpu_seconds * _MILLION / records / 60,
    }
    found.bars.append(Bar(f"{what}: RSS MiB, peak", usage.peak_mib, _PEAK_MIB))


async def _published(rig: Rig) -> int:
    """Return how many records of ours lie in topics that the bench does not feed."""
    topics = [topic for topic in load_topics() if not rig.fed[topic]]
    return sum((await rig.cluster.ends(topics)).values())
