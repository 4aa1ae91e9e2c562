"""What a new store is given back: what was published, then the inputs as far as they have been read, and nothing comes out of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from services.common.codec import Codec
from services.common.errors import Fenced, MalformedRecord, TransientError
from services.common.events import (
    Account,
    Decision,
    EnrichedFeedback,
    IdeaDemand,
    PersonEvent,
    PersonSegments,
    SegmenterWork,
    SegmentTransition,
)
from services.common.logs import get_logger
from services.common.outcome import Emit
from services.common.records import Received, Record
from services.common.store import OpenStore
from services.segmenter.handler.accounts import Accounts
from services.segmenter.handler.boards import Boards
from services.segmenter.handler.recalled_people import RecalledPeople
from services.segmenter.handler.said import SaidFeedback, keep_demands, keep_void
from services.segmenter.ports import Stores

log = get_logger(__name__)

INPUTS = (Account.TOPIC, PersonEvent.TOPIC, Decision.TOPIC)
_LEFT_OUT_AT_MOST = 10
"""Where more of them fail the fault is not theirs, and a store that misses them must not be used."""

_Take = Callable[[Sequence[Received[Any]]], Awaitable[Any]]


class Memory:
    """Completes a store that is new, all of it before any input is handled.

    The inputs are read here too, and once more afterwards as their group begins again: then each is a redelivery, whose facts come out
    as far as they were never published, and whose states come out as they are now. Handled only then, in whatever order their
    partitions come, everybody would pass through states in which nobody ever was, and so would the topics.
    """

    def __init__(self, store: OpenStore[Stores], accounts: Accounts, people: RecalledPeople, boards: Boards, codec: Codec) -> None:
        self._said = store.port.said
        self._birth = store.birth
        self._takes: dict[str, tuple[Callable[[Record], Any], _Take]] = {
            EnrichedFeedback.TOPIC: (codec.optional_decoder(EnrichedFeedback), self._feedback),
            SegmentTransition.TOPIC: (codec.optional_decoder(SegmentTransition), people.transitions),
            PersonSegments.TOPIC: (codec.optional_decoder(PersonSegments), people.rows),
            IdeaDemand.TOPIC: (codec.optional_decoder(IdeaDemand), self._demands),
            SegmenterWork.TOPIC: (lambda _: None, self._notes),
            Account.TOPIC: (codec.optional_decoder(Account), accounts.states),
            PersonEvent.TOPIC: (codec.optional_decoder(PersonEvent), people.events),
            Decision.TOPIC: (codec.optional_decoder(Decision), self._decisions),
        }
        self._people = people
        self._boards = boards
        self._left_out = 0
        self._note = codec.frame_decoder(SegmenterWork)

    @property
    def topics(self) -> Sequence[str]:
        """What the service publishes, then what it reads: accounts before the people in them, and people before what they ask for."""
        return tuple(self._takes)

    async def recall(self, topic: str, records: Sequence[Record]) -> None:
        """Take in *records* of *topic*; what cannot be read is left to the handlers, which set it aside.

        Raises:
            TransientError: The store does not answer, or another worker completes the same one.
        """
        if await self._birth.is_born():
            raise TransientError("another worker has completed the store")
        decode, take = self._takes[topic]
        batch = []
        for record in records:
            try:
                batch.append(Received(record, decode(record)))
            except MalformedRecord as error:
                log.warning("not_recalled", topic=topic, partition=record.partition, offset=record.offset, reason=error.reason)
        try:
            if batch:
                await self._take(topic, take, batch)
        except Fenced as error:
            raise TransientError("another worker completes the same store") from error

    async def _take(self, topic: str, take: _Take, batch: Sequence[Received[Any]]) -> None:
        """Take *batch* in, but for an input that kills us: its handler is there for that, and dead-letters it at the third death."""
        try:
            await take(batch)
        except (TransientError, Fenced):
            raise
        except Exception as error:
            if topic not in INPUTS:
                raise
            if len(batch) > 1:
                for received in batch:
                    await self._take(topic, take, [received])
                return
            self._left_out += 1
            if self._left_out > _LEFT_OUT_AT_MOST:
                raise
            place = batch[0].record
            log.error("left_out", topic=topic, partition=place.partition, offset=place.offset, why=type(error).__name__)

    async def _feedback(self, batch: Sequence[Received[EnrichedFeedback | None]]) -> None:
        rows = [r.event for r in batch if r.event is not None]
        await SaidFeedback(self._said).keep(rows)
        await keep_demands(self._said, {row.partition_key(): 1 for row in rows})

    async def _decisions(self, batch: Sequence[Received[Decision | None]]) -> None:
        outputs = [output for outcome in await self._boards.recall(batch) if isinstance(outcome, Emit) for output in outcome.outputs]
        notes = [self._note(output.value) for output in outputs if output.topic == SegmenterWork.TOPIC and output.value is not None]
        await self._people.notes([note for note in notes if note.type == "person_on_board"])

    async def _demands(self, batch: Sequence[Received[IdeaDemand | None]]) -> None:
        versions: defaultdict[str, int] = defaultdict(int)
        for received in batch:
            if (row := received.event) is not None:
                versions[row.partition_key()] = max(versions[row.partition_key()], row.version)
        await keep_demands(self._said, versions)

    async def _notes(self, batch: Sequence[Received[None]]) -> None:
        await keep_void(self._said, {r.record.partition: r.record.offset for r in batch})
