"""``people.segments`` → the segments that people are in, for words that are for some of them."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.events import PersonSegments
from services.common.outcome import Drop, Emit, Outcome
from services.common.records import Received
from services.notifier.domain.person import Person, segmented, unsegmented
from services.notifier.ports import PersonStore


class SegmentsHandler:
    """Handles the present memberships of persons; publishes nothing."""

    def __init__(self, persons: PersonStore) -> None:
        self._persons = persons

    async def handle(self, batch: Sequence[Received[PersonSegments | None]]) -> Sequence[Outcome]:
        """Take in a batch; a tombstone, whose key is the person's id, leaves no segment.

        Raises:
            TransientError: The store does not answer.
            Fenced: Another worker owns one of the persons.
        """
        ids = [_person_of(received) for received in batch]
        before = await self._persons.persons(set(ids))
        after: dict[str, Person] = dict(before)
        outcomes: list[Outcome] = []
        for person_id, received in zip(ids, batch, strict=True):
            person = after.get(person_id) or Person(person_id=person_id)
            changed = unsegmented(person) if received.event is None else segmented(person, received.event)
            after[person_id] = changed
            outcomes.append(Drop("stale") if changed is person else Emit())
        changes = [(before.get(who) or Person(person_id=who), now) for who, now in after.items() if now is not before.get(who)]
        await self._persons.put([(old, new) for old, new in changes if new.version > old.version])
        return outcomes


def _person_of(received: Received[PersonSegments | None]) -> str:
    if received.event is not None:
        return received.event.person_id
    return (received.record.key or b"").decode("utf-8", "replace")
