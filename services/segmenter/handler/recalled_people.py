"""Persons of a store that is new: what was said of them, then their own events, and nothing of it is published."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.events import PersonEvent, PersonSegments, SegmenterWork, SegmentTransition
from services.common.records import Received
from services.segmenter.domain.changes import Fact, recall
from services.segmenter.domain.inputs import EVENTS, happened_at
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
        """Take in records of ``people.transitions``, and keep each beside its person: an erasure takes them out of their topic."""
        changes = [r.event for r in batch if r.event is not None]
        people = await self._people.load({change.person_id: change.workspace for change in changes})
        seen = await self._documents.find([(change.person_id, _input_of(change)) for change in changes])
        for received in batch:
            self._first.setdefault(received.record.partition, received.record.offset)
        for change in changes:
            person, input_id = people[change.person_id], _input_of(change)
            recall_transition(person.state, change)
            if (change.person_id, input_id) not in seen:
                person.entries[input_id] = Entry(input_id, "", person.state.position, dump([change]))
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
        ours = [(r.event.event_id, r.record.origin, r.event) for r in batch if r.event is not None and r.event.type in EVENTS]
        await self._take(ours)

    async def notes(self, notes: Sequence[SegmenterWork]) -> None:
        """Take in what boards tell of persons, before it is delivered."""
        await self._take([(note.work_id, "", note) for note in notes])

    async def _take(self, inputs: Sequence[tuple[str, str, PersonEvent | SegmenterWork]]) -> None:
        people = await self._people.load({received.person_id or "": received.workspace for _, _, received in inputs})
        seen = await self._documents.find([(received.person_id or "", input_id) for input_id, _, received in inputs])
        world = await self._people.world(people, [received for _, _, received in inputs])
        for input_id, origin, received in inputs:
            person = people[received.person_id or ""]
            is_new = (person.state.person_id, input_id) not in seen and input_id not in person.entries
            followed = person.state.pointer
            facts = recall(person.state, received, world) if is_new else []
            position = person.state.position
            facts += await self._spread(person, followed, received, people)
            if is_new:
                person.entries[input_id] = Entry(input_id, origin, position, dump(facts))
        await self._save(people)

    async def _spread(
        self, person: Person, followed: str | None, received: PersonEvent | SegmenterWork, people: dict[str, Person]
    ) -> list[Fact]:
        """Let whom *person* follows now, and whom it does not follow any more, know its family; return the notes that follow."""
        facts: list[Fact] = []
        named = received.other_person_id if isinstance(received, PersonEvent) and received.type in ("joined", "separated") else None
        for former in sorted({name for name in (followed, named) if name not in (None, person.state.pointer, person.state.person_id)}):
            told = await self._tell(former, person, received, people, facts)
            await self._climb(told, received, people, facts)
        await self._climb(person, received, people, facts)
        return facts

    async def _climb(self, person: Person, received: PersonEvent | SegmenterWork, people: dict[str, Person], facts: list[Fact]) -> None:
        """Let all whom *person* follows, directly or through others, know its family."""
        path = {person.state.person_id}
        while person.state.pointer is not None and person.state.pointer not in path:
            path.add(person.state.pointer)
            person = await self._tell(person.state.pointer, person, received, people, facts)

    async def _tell(
        self, target: str, sender: Person, received: PersonEvent | SegmenterWork, people: dict[str, Person], facts: list[Fact]
    ) -> Person:
        if target not in people:
            people |= await self._people.load({target: received.workspace})
        told = people[target]
        family = sender.state.family() if sender.state.pointer == target else {}
        known = told.state.followers.get(sender.state.person_id)
        if _versions({} if known is None else known.members) != _versions(family):
            version = max(sender.state.position, 0 if known is None else known.version + 1)
            cause = Cause(received.workspace, received.key(), happened_at(received))
            note = cause.family_changed(target, sender.state.person_id, version, family)
            facts += recall(told.state, note, await self._people.world({target: told}, [note]))
        return told

    async def _save(self, people: dict[str, Person]) -> None:
        """Save who changed, after their accounts know them: who was saved before is not looked at again after a crash."""
        changed = [p for p in people.values() if p.state.position != (0 if p.before is None else p.before.position)]
        profiles = [(p.state.person_id, p.state.together().profile) for p in changed]
        await self._accounts.enroll([(known.account_id, name) for name, known in profiles if known is not None and known.account_id])
        if changed:
            await self._documents.save([self._people.change(p.before, p.state, tuple(p.entries.values())) for p in changed])


def _input_of(change: SegmentTransition) -> str:
    """Return the id under which a change that was said stands among a person's inputs: which one led to it is not known."""
    return f"said/{change.transition_id}"


def _versions(members: Members) -> dict[str, int]:
    return {name: version for name, (version, _) in members.items()}
