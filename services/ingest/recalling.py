"""What ingest gives a new store back: its own events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from services.common.codec import Codec
from services.common.errors import MalformedRecord
from services.common.events import Account, BoardEvent, PersonEvent
from services.common.logs import get_logger
from services.common.records import Record
from services.ingest.domain.ledger import Ledger
from services.ingest.domain.recalling import Published, bindings_named, erased_by, persons_named, recall, subjects_named
from services.ingest.domain.rows import Person, Subject
from services.ingest.ports import Contended, Memory

log = get_logger(__name__)

_Decode: TypeAlias = Callable[[Record], Published | None]

_ATTEMPTS = 20
"""Of one batch, while other workers that found the store new do the same work."""


class EventRecall:
    """See ``services.common.ports.Recall``. Raw topics are kept for days; what became of them is kept for ever."""

    def __init__(self, memory: Memory, codec: Codec) -> None:
        self._memory = memory
        self._decoders: Mapping[str, _Decode] = {
            PersonEvent.TOPIC: codec.optional_decoder(PersonEvent),
            Account.TOPIC: codec.optional_decoder(Account),
            BoardEvent.TOPIC: codec.optional_decoder(BoardEvent),
        }

    @property
    def topics(self) -> Sequence[str]:
        """Return all that ingest publishes; persons first, so that a pointer is there before the boards that know of it."""
        return tuple(self._decoders)

    async def recall(self, topic: str, records: Sequence[Record]) -> None:
        """Take in *records*; what was erased is forgotten.

        Raises:
            TransientError: The store does not answer, or others write the same rows all the time.
        """
        events = self._events(topic, records)
        for attempt in range(1, _ATTEMPTS + 1):
            ledger = await self._gather(events)
            for event in events:
                recall(ledger, event)
            try:
                await self._memory.save(ledger.changes())
            except Contended:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _events(self, topic: str, records: Sequence[Record]) -> list[Published]:
        events = []
        for record in records:
            try:
                event = self._decoders[topic](record)
            except MalformedRecord as error:
                log.error("not_an_event", topic=topic, partition=record.partition, offset=record.offset, reason=error.reason)
                continue
            if event is not None:
                events.append(event)
        return events

    async def _gather(self, events: Sequence[Published]) -> Ledger:
        aliases, keys, people = bindings_named(events), subjects_named(events), persons_named(events)
        bound, known, found, erased = await asyncio.gather(
            self._memory.bindings(aliases),
            self._memory.subjects(keys),
            self._memory.persons(people),
            self._memory.bindings_of(erased_by(events)),
        )
        return Ledger(
            {key: bound.get(key) for key in aliases} | {binding.key: binding for binding in erased},
            {key: known.get(key) or Subject(key) for key in keys},
            {key: found.get(key) or Person(key) for key in people},
        )
