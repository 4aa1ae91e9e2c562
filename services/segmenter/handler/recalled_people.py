"""Persons of a store that is new: what was said of them, then their own events, and nothing of it is published."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.events import PersonEvent, PersonSegments, SegmentTransition
from services.common.records import Received
from services.segmenter.domain.changes import recall
from services.segmenter.domain.inputs import EVENTS
from services.segmenter.domain.person import Members
from services.segmenter.domain.recall import recall_row, recall_transition
from services.segmenter.domain.work import Cause
from services.segmenter.handler.accounts import Accounts
from services.segmenter.handler.facts import dump
from services.segmenter.handler.people import People, Person
from services.segmenter.ports import Documents, Entry


class RecalledPeople:
    """Brings persons to where their logs end, before anybody is evaluated for the outside.

    Whoever was joined tells the person it follows right here and not by a note: evaluated without the other half, a person would be
    said to have left segments that it never left. Repeating anything changes nothing; accounts have to be known before.
    """

    def __init__(self, people: People, documents: Documents, accounts: Accounts) -> None:
        self._people = people
        self._documents = documents
        self._accounts = accounts
        self._first: dict[int, int] = {}
        """The offset of the first transition that is left, by partition; rows lie in the partitions of the same number."""

    async def transitions(self, batch: Sequence[Received[SegmentTransition | None]]) -> None:
        """Take in records of ``people.transitions``."""
        changes = [r.event for r in batch if r.event is not None]
        people = await self._people.load({change.person_id: change.workspace for change in changes})
        world = await self._people.world(people, ())
        for received in batch:
            self._first.setdefault(received.record.partition, received.record.offset)
        for change in changes:
            recall_transition(people[change.person_id].state, change, world)
        await self._save(people)

    async def rows(self, batch: Sequence[Received[PersonSegments | None]]) -> None:
        """Take in records of ``people.segments``."""
        rows = [((r.record.key or b"").decode(), self._first.get(r.record.partition, 0) > 0, r.event) for r in batch]
        people = await self._people.load({person_id: person_id.partition(":")[0] for person_id, _, _ in rows})
        world = await self._people.world(people, ())
        for person_id, is_trimmed, row in rows:
            recall_row(people[person_id].state, row, world, is_trimmed=is_trimmed)
        await self._save(people)

    async def events(self, batch: Sequence[Received[PersonEvent | None]]) -> None:
        """Take in records of ``people.events``."""
        ours = [(r.record.origin, r.event) for r in batch if r.event is not None and r.event.type in EVENTS]
        people = await self._people.load({event.person_id: event.workspace for _, event in ours})
        seen = await self._documents.find([(event.person_id, event.event_id) for _, event in ours])
        world = await self._people.world(people, [event for _, event in ours])
        for origin, event in ours:
            person = people[event.person_id]
            left = {event.other_person_id if event.type in ("joined", "separated") else None, person.state.pointer}
            if (event.person_id, event.event_id) not in seen and event.event_id not in person.entries:
                recall(person.state, event, world)
                person.entries[event.event_id] = Entry(event.event_id, origin, person.state.position, dump(()))
            for former in sorted(name for name in left if name not in (None, person.state.pointer, event.person_id)):
                await self._climb(await self._tell(former, person, event, people), event, people)
            await self._climb(person, event, people)
        await self._save(people)
        await self._enroll(people)

    async def _climb(self, person: Person, event: PersonEvent, people: dict[str, Person]) -> None:
        """Let all whom *person* follows, directly or through others, know its family as it is by *event*."""
        path = {person.state.person_id}
        while person.state.pointer is not None and person.state.pointer not in path:
            path.add(person.state.pointer)
            person = await self._tell(person.state.pointer, person, event, people)

    async def _tell(self, target: str, sender: Person, event: PersonEvent, people: dict[str, Person]) -> Person:
        if target not in people:
            people |= await self._people.load({target: event.workspace})
        told = people[target]
        family = sender.state.family() if sender.state.pointer == target else {}
        known = told.state.followers.get(sender.state.person_id)
        if _versions({} if known is None else known.members) != _versions(family):
            version = max(sender.state.position, 0 if known is None else known.version + 1)
            cause = Cause(event.workspace, event.event_id, event.ingested_at)
            note = cause.family_changed(target, sender.state.person_id, version, family)
            recall(told.state, note, await self._people.world({target: told}, [note]))
        return told

    async def _save(self, people: dict[str, Person]) -> None:
        changed = [p for p in people.values() if p.state.position != (0 if p.before is None else p.before.position)]
        if changed:
            await self._documents.save([self._people.change(p.before, p.state, tuple(p.entries.values())) for p in changed])

    async def _enroll(self, people: dict[str, Person]) -> None:
        profiles = [(person_id, person.state.together().profile) for person_id, person in people.items()]
        await self._accounts.enroll(
            [(profile.account_id, name) for name, profile in profiles if profile is not None and profile.account_id is not None]
        )


def _versions(members: Members) -> dict[str, int]:
    return {name: version for name, (version, _) in members.items()}
