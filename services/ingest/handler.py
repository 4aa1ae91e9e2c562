"""Gather, decide, remember: one batch of records of one topic."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.common.codec import Codec
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.records import Received
from services.ingest.domain.deciding import bindings_needed, decide, erased_in, persons_needed
from services.ingest.domain.inputs import Arrival, Input
from services.ingest.domain.ledger import Ledger
from services.ingest.domain.rows import Binding, Person, Subject
from services.ingest.domain.verdict import Verdict
from services.ingest.ports import Memory


class Handler:
    """Turns what was read of outside records into outcomes."""

    def __init__(self, memory: Memory, codec: Codec) -> None:
        self._memory = memory
        self._codec = codec

    async def handle(self, batch: Sequence[Received[Input]]) -> Sequence[Outcome]:
        """Return one outcome a record, once all that they rest on is stored. Safe to repeat.

        Raises:
            TransientError: The store is away, or another worker came between.
        """
        ledger = await self._gather([received.event for received in batch])
        verdicts = decide(ledger, [(received.event, Arrival.of(received.record)) for received in batch])
        await self._memory.save(ledger.changes())
        return [self._outcome(verdict) for verdict in verdicts]

    async def _gather(self, batch: Sequence[Input]) -> Ledger:
        aliases = bindings_needed(batch)
        keys = {given.subject for given in batch}
        erased = erased_in(batch)
        bound, known, forgotten = await asyncio.gather(
            self._memory.bindings(aliases), self._memory.subjects(keys), self._memory.bindings_of(erased)
        )
        bindings: dict[str, Binding | None] = {key: bound.get(key) for key in aliases}
        bindings |= {binding.key: binding for binding in forgotten}
        subjects = {key: known.get(key) or Subject(key) for key in keys}
        persons: dict[str, Person] = {}
        wanted = persons_needed(batch, bindings.values(), subjects.values())
        while wanted:  # once, and again for each pointer: a chain is as long as a human has joined it
            found = await self._memory.persons(wanted)
            persons |= {key: found.get(key) or Person(key) for key in wanted}
            wanted = {person.into for person in found.values() if person.into is not None} - persons.keys()
        return Ledger(bindings, subjects, persons)

    def _outcome(self, verdict: Verdict) -> Outcome:
        if isinstance(verdict, Drop | Reject):
            return verdict
        return Emit(tuple([self._codec.output(event) for event in verdict]))
