"""Dead letters, published again: where to, under which name, and what is remembered of it.

``deadletters.replays`` holds one record when a replay of a letter begins and one when the broker has confirmed it, so that nobody replays a
letter twice without knowing. Both outlive the letter, which is kept for a shorter time.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from services.common.codec import Codec
from services.common.deadletter import REPLAY
from services.common.errors import MalformedRecord
from services.common.events import ALL_EVENTS
from services.common.kafka import partition_of
from services.common.ports import Partition
from services.common.records import Header, Output, Record
from services.common.topics import TopicContract
from services.console.cluster import Cluster
from services.console.failures import CommandFailed, ExitCode
from services.console.letters import Letter, scan_letters
from services.console.topics import wanted_topics

REPLAYS = "deadletters.replays"
_ERRORS = "__connect.errors."
_CHUNK = 100
_HOUR_MS = 3_600_000
_SPARE_HOURS = 24
"""A record of an old moment must have at least so long to be read before its topic deletes it."""
_EVENTS = {event.TOPIC: event for event in ALL_EVENTS}


@dataclass(frozen=True, slots=True)
class Replay:
    """What is remembered of one replay of one letter."""

    replay_id: str
    """Shared by all letters of one command; a header of each record that it published."""
    letter: str
    to: str
    """``topic/partition`` that it was published to, and ``/offset`` once that is known."""
    state: Literal["begun", "confirmed"]
    """``begun`` alone: the command ended before the broker's answer, so the record may or may not be there."""
    at_ms: int


async def read_replays(cluster: Cluster) -> dict[str, list[Replay]]:
    """Return the replays of each letter by its id, oldest first."""
    found: dict[str, dict[str, Replay]] = defaultdict(dict)
    for record in (await cluster.read([REPLAYS]))[REPLAYS]:
        replay = _replay_of(record)
        if replay is not None:
            found[replay.letter][replay.replay_id] = replay
    return {letter: list(replays.values()) for letter, replays in found.items()}


async def replay_letters(cluster: Cluster, codec: Codec, letters: Collection[str]) -> str:
    """Publish the originals of *letters* (ids) again, each to where it came from, and return the replay's id.

    Key, bytes and headers are the original's; added are how often it failed and where it comes from (``groundswell.replay.*``). So is
    the original's moment, unless its topic would soon delete so old a record: then the record is of now, and a header keeps the moment.

    Raises:
        CommandFailed: A letter does not tell where it came from, or that topic is gone; nothing was published.
        KafkaError: The broker did not confirm; what had begun is remembered as such.
    """
    wanted = frozenset(letters)
    counts = await cluster.topics()
    await _refuse_homeless(cluster, wanted, counts)
    replay_id = f"replay-{uuid.uuid4().hex[:12]}"
    contracts = wanted_topics()
    async for found in scan_letters(cluster, wanted=wanted.__contains__):
        for chunk in _chunks(found):
            by_place: defaultdict[Partition, list[Letter]] = defaultdict(list)
            for letter in chunk:
                by_place[letter.topic, _partition(codec, contracts, counts, letter)].append(letter)
            for place, together in by_place.items():
                await _publish(cluster, replay_id, place, together, contracts.get(place[0]))
    return replay_id


async def _refuse_homeless(cluster: Cluster, wanted: Collection[str], counts: Mapping[str, int]) -> None:
    if REPLAYS not in counts:
        raise CommandFailed(f"topic {REPLAYS} does not exist; `groundswell topics apply` creates it", ExitCode.CONFIGURATION)
    async for found in scan_letters(cluster, wanted=wanted.__contains__, bodies=False):
        for letter in found:
            if letter.left is not None:
                raise CommandFailed(
                    f"{letter.id} was too large to be kept whole: its bytes lie at {letter.original} and nowhere else", ExitCode.USAGE
                )
            if letter.partition not in range(counts.get(letter.topic, 0)):
                where = f"came from {letter.original}, which does not exist" if letter.topic else "does not tell where it came from"
                raise CommandFailed(f"{letter.id} {where}; nothing was published", ExitCode.USAGE)


async def _publish(cluster: Cluster, replay_id: str, place: Partition, letters: Sequence[Letter], contract: TopicContract | None) -> None:
    await _remember(cluster, [Replay(replay_id, x.id, f"{place[0]}/{place[1]}", "begun", _now_ms()) for x in letters])
    outputs = [Output(place[0], x.key, x.value, b"", replayed_headers(x, replay_id)) for x in letters]
    offsets = await cluster.put(place, outputs, [timestamp_of(x, contract, _now_ms()) for x in letters])
    await _remember(
        cluster,
        [
            Replay(replay_id, x.id, f"{place[0]}/{place[1]}/{offset}", "confirmed", _now_ms())
            for x, offset in zip(letters, offsets, strict=True)
        ],
    )


async def _remember(cluster: Cluster, replays: Sequence[Replay]) -> None:
    await cluster.publish([Output(REPLAYS, x.letter.encode(), json.dumps(asdict(x)).encode(), x.letter.encode()) for x in replays])


def replayed_headers(letter: Letter, replay_id: str) -> tuple[Header, ...]:
    """Return the headers of *letter*'s replay: the original's own, how often it failed, and what leads back to the letter."""
    kept = tuple(header for header in letter.headers if not header[0].startswith((_ERRORS, REPLAY)))
    return (
        *kept,
        (f"{_ERRORS}attempt", str(letter.attempt).encode()),
        (f"{REPLAY}id", replay_id.encode()),
        (f"{REPLAY}of", letter.id.encode()),
        (f"{REPLAY}timestamp", str(letter.original_ms).encode()),
    )


def timestamp_of(letter: Letter, contract: TopicContract | None, now_ms: int) -> int:
    """Return the moment (milliseconds) under which *letter* is published again.

    A topic that deletes by age would lose a record with an old moment before anybody has read it.
    """
    kept = None if contract is None or contract.cleanup == "compact" else contract.retention_hours
    if kept is not None and now_ms - letter.original_ms > max(kept - _SPARE_HOURS, 0) * _HOUR_MS:
        return now_ms
    return letter.original_ms


def _partition(codec: Codec, contracts: Mapping[str, TopicContract], counts: Mapping[str, int], letter: Letter) -> int:
    """Return where *letter*'s key belongs now, which differs from where it was once partitions were added."""
    event, contract = _EVENTS.get(letter.topic), contracts.get(letter.topic)
    if event is None or contract is None or contract.partition_by == "producer" or letter.value is None:
        return letter.partition
    try:
        key = codec.frame_decoder(event)(letter.value).partition_key()
    except MalformedRecord:
        return letter.partition
    return partition_of(key.encode(), counts[letter.topic])


def _replay_of(record: Record) -> Replay | None:
    try:
        told: dict[str, Any] = json.loads(record.value or b"")
        return Replay(**told)
    except (ValueError, TypeError):
        return None  # a stranger's


def _chunks(letters: Sequence[Letter]) -> Iterator[Sequence[Letter]]:
    for first in range(0, len(letters), _CHUNK):
        yield letters[first : first + _CHUNK]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
