"""``people.events`` → contacts, preferences and pointers; rows that waited for an address become due."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from services.common.clock import Micros
from services.common.events import PersonEvent
from services.common.outcome import Drop, Emit, Outcome
from services.common.records import Received
from services.notifier.domain.audience import Audience, Reach
from services.notifier.domain.ledger import woken
from services.notifier.domain.person import EMAIL, Person, folded, stamp_of
from services.notifier.domain.row import Row
from services.notifier.domain.telling import SECOND, Human, given_anew
from services.notifier.handler.audiences import audiences_of
from services.notifier.ports import LedgerStore, PersonStore, Store, Wake, WordStore

_DAY: Micros = 86_400 * SECOND
_CONCERN = frozenset({"profile", "contact", "preference", "joined", "separated", "erased"})


class PeopleHandler:
    """Handles what becomes known of persons."""

    def __init__(self, store: Store, late_contact_days: float, channels: Collection[Reach]) -> None:
        self._persons: PersonStore = store
        self._ledger: LedgerStore = store
        self._words: WordStore = store
        self._late: Micros = int(late_contact_days * _DAY)
        self._channels = channels

    async def handle(self, batch: Sequence[Received[PersonEvent | None]]) -> Sequence[Outcome]:
        """Take in a batch; publishes nothing.

        Raises:
            TransientError: The store does not answer.
            Fenced: Another worker owns one of the persons.
        """
        reachable: dict[str, Micros] = {}
        outcomes = await self._fold([received.event for received in batch], reachable)
        erased = {received.event.person_id for received in batch if received.event is not None and received.event.type == "erased"}
        if erased:
            await self._words.forget_quotes(erased)
        await self._wake(reachable)
        return outcomes

    async def rebuild(self, events: Sequence[PersonEvent]) -> None:
        """Take in *events* for a store that is new; rows that wait for an address are woken when these are read as input.

        Raises:
            TransientError: The store does not answer.
            Fenced: Another worker writes these persons.
        """
        await self._fold(events, {})

    async def _fold(self, events: Sequence[PersonEvent | None], reachable: dict[str, Micros]) -> list[Outcome]:
        """Store what *events* say; add to *reachable* since when those may be reached whose last contact or pointer is among them."""
        concerned = {event.person_id for event in events if event is not None and event.type in _CONCERN}
        before = await self._persons.persons(concerned) if concerned else {}
        after: dict[str, Person] = dict(before)
        outcomes: list[Outcome] = []
        for event in events:
            if event is None or event.type not in _CONCERN:
                outcomes.append(Drop("irrelevant"))
                continue
            person = after.get(event.person_id) or Person(person_id=event.person_id)
            changed = folded(person, event)
            after[event.person_id] = changed
            outcomes.append(Drop("stale") if changed is person else Emit())
            if event.type in ("contact", "joined") and _holds(changed, event):
                reachable[event.person_id] = event.ingested_at
        changes = [(before.get(who) or Person(person_id=who), now) for who, now in after.items() if now is not before.get(who)]
        await self._persons.put([(old, new) for old, new in changes if new.version > old.version])
        return outcomes

    async def _wake(self, reachable: dict[str, Micros]) -> None:
        """Make due what could not be sent to those who can be reached by now, so that no order of topics loses an alert.

        Repeated for an event that is known already: a crash may have come between the person and the rows.
        """
        audiences = await audiences_of(self._persons, reachable.keys()) if reachable else {}
        wakes = [
            Wake([person.person_id for person in audience.persons], at - self._late, at)
            for person_id, at in reachable.items()
            if self._reachable(audience := audiences[person_id], person_id)
        ]
        if wakes:
            await self._ledger.wake(wakes)
        await self._wake_failed(reachable, audiences)

    async def _wake_failed(self, reachable: Mapping[str, Micros], audiences: Mapping[str, Audience]) -> None:
        """Make due what bounced or failed at an address before they gave the present one."""
        everyone = {person.person_id: who for who, audience in audiences.items() for person in audience.persons}
        by_human: dict[str, list[Row]] = {}
        for row in await self._ledger.rows_of(everyone.keys()) if everyone else ():
            by_human.setdefault(everyone[row.alert.person_id], []).append(row)
        changes = []
        for who, rows in by_human.items():
            human, at = Human(audiences[who], rows), reachable[who]
            for row in rows:
                channel = next((road.name for road in self._channels if road.needs_address and given_anew(row, human, road)), None)
                if channel is not None and row.alert.created_at >= at - self._late:
                    changes.append((row, woken(row, channel, at)))
        if changes:
            await self._ledger.restore(changes)

    def _reachable(self, audience: Audience, person_id: str) -> bool:
        found = ((channel, audience.contact(channel.name, person_id, channel, {})) for channel in self._channels)
        return any(known is not None and channel.usable(known[1].address or "") for channel, known in found)


def _holds(person: Person, event: PersonEvent) -> bool:
    """Tell whether *event* is what is known of *person* now."""
    if event.type == "joined":
        return person.pointer is not None and person.pointer.stamp == stamp_of(event)
    contact = person.contacts.get(event.channel or EMAIL)
    return contact is not None and contact.stamp == stamp_of(event)
