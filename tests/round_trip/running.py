"""The same records through the running stack, its services killed while they come: judged from topics alone."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from services.common.events import BoardEvent, Decision, PersonEvent
from services.common.records import Output, Record
from services.console.board import decoded, in_order
from services.console.cluster import Cluster, Tail
from services.console.context import codec
from services.console.lag import measure_from
from services.console.publishing import chunks
from tests.e2e.harness import StackProcess
from tests.round_trip.judging import States, differing, take, wrongly_linked
from tests.round_trip.making import Said, mixed
from tests.round_trip.replaying import FILES, final

_QUIET_SECONDS = 1_800.0
_LOOK_AGAIN_SECONDS = 1.0
_VICTIMS = ("ingest", "dedup", "segmenter", "notifier")


def through_stack(count: int, seed: int, kills: int) -> tuple[list[str], str]:
    """Return the pieces that differ between the running stack, fed thrice in random order, and the replay in this process."""
    dice = random.Random(seed)
    once = [one for piece in mixed(count, dice) for one in piece]
    noisy = once * 3
    dice.shuffle(noisy)
    with tempfile.TemporaryDirectory(prefix="groundswell-round-trip-") as name:
        folder = Path(name)
        expected, _ = asyncio.run(final(folder, once))
        os.environ["GROUNDSWELL_CHANNELS_FILE"] = str(_channels_file(folder))
        began = time.monotonic()
        with StackProcess(folder / "stack") as stack:
            events, decisions, letters = asyncio.run(_fed(stack, noisy, kills, dice))
            took, starts = time.monotonic() - began, stack.starts()
    left: States = {}
    for event in events:
        take(left, event)
    wrong = wrongly_linked(decisions, expected)
    told = f"{len(noisy):,} records published in {took:.0f} s with starts {starts}; {len(events):,} events, {len(decisions):,} decisions"
    differs = [*(f"refused: {reason}" for reason in letters), *differing(left, expected), *(f"link of {key}" for key in wrong)]
    return differs, f"{told}, dead letters {dict(letters)}; {len(expected):,} states"


def _channels_file(folder: Path) -> Path:
    channels = [channel for file in FILES for channel in yaml.safe_load(file.read_text())["channels"]]
    path = folder / "channels.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "channels": channels}))
    return path


async def _fed(
    stack: StackProcess, noisy: Sequence[Said], kills: int, dice: random.Random
) -> tuple[list[BoardEvent | PersonEvent], list[Decision], Counter[str]]:
    async with stack.opened() as (cluster, tail):
        keys = [str(dice.randrange(1_000)).encode() for _ in noisy]
        outputs = [Output(one.topic, key, one.value, key) for one, key in zip(noisy, keys, strict=True)]
        batches = list(chunks(outputs))
        victims = {(turn + 1) * len(batches) // (kills + 1): _VICTIMS[turn % len(_VICTIMS)] for turn in range(kills)}
        for number, batch in enumerate(batches):
            await cluster.publish(batch)
            if number in victims:
                await _progress(cluster, tail)
                stack.kill(victims[number])
        await _quiet(cluster, tail)
        records = {topic: tail.records[topic] for topic in ("board.events", "people.events", "board.decisions", "ingest.deadletter")}
    events: list[BoardEvent | PersonEvent] = [
        *decoded(codec(), BoardEvent, records["board.events"]),
        *decoded(codec(), PersonEvent, records["people.events"]),
    ]
    return events, in_order(decoded(codec(), Decision, records["board.decisions"])), Counter(map(_reason, records["ingest.deadletter"]))


def _reason(letter: Record) -> str:
    return dict(letter.headers).get("__connect.errors.exception.class.name", b"?").decode()


async def _progress(cluster: Cluster, tail: Tail) -> None:
    lag = sum(entry.lag for entry in await measure_from(cluster, tail))
    sys.stderr.write(f"lag {lag:,}\n")


async def _quiet(cluster: Cluster, tail: Tail) -> None:
    deadline = time.monotonic() + _QUIET_SECONDS
    while True:
        lag = sum(entry.lag for entry in await measure_from(cluster, tail))
        if lag == 0:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"after {_QUIET_SECONDS:.0f} s {lag:,} records are behind")
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
