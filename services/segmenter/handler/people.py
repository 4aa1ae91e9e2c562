"""Persons: their events and the notes to them, one document a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import orjson

from services.common.events import PersonEvent, PersonSegments, SegmenterWork
from services.common.outcome import Drop, Outcome
from services.common.records import Received
from services.segmenter.domain.cards import account_card
from services.segmenter.domain.changes import Fact, World, apply
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.inputs import EVENTS, DueMoment, PersonInput, state_of
from services.segmenter.domain.person import PersonState, load_person, new_person
from services.segmenter.handler.erasing import erase_person, tombstones, without_person
from services.segmenter.handler.facts import Publisher, dump
from services.segmenter.ports import Change, Document, Documents, Entry


@dataclass(slots=True)
class Person:
    """A person in hand."""

    before: Document | None
    """As it was loaded."""
    state: PersonState
    entries: dict[str, Entry] = field(default_factory=dict)
    """What was applied since, by input id."""


class People:
    """Applies what happens to persons. Each input is stored with the facts that follow, before any of them is published."""

    def __init__(
        self,
        people: Documents,
        accounts: Documents,
        definition: Definition,
        publisher: Publisher,
        partition_of: Callable[[str], int],
    ) -> None:
        self._people = people
        self._accounts = accounts
        self._definition = definition
        self._publisher = publisher
        self._partition_of = partition_of

    async def events(self, batch: Sequence[Received[PersonEvent | None]]) -> Sequence[Outcome]:
        """Handle records of ``people.events``."""
        ours = [(r.event.event_id, r.record.origin, r.event) for r in batch if r.event is not None and r.event.type in EVENTS]
        outcomes = iter(await self._apply(ours))
        return [
            next(outcomes)
            if r.event is not None and r.event.type in EVENTS
            else Drop("tombstone" if r.event is None else "no_membership_depends_on_it")
            for r in batch
        ]

    async def notes(self, batch: Sequence[Received[SegmenterWork]]) -> Sequence[Outcome]:
        """Handle notes of ``segmenter.work`` to persons."""
        return await self._apply([(r.event.work_id, r.record.origin, r.event) for r in batch])

    async def look_again(self, ids: Sequence[str], now: DueMoment) -> list[tuple[Document | None, PersonState, list[Fact]]]:
        """Decide what time or a new definition changes for persons: the document as it was, the next state, the facts.

        Nothing is saved yet.
        """
        people = await self.load(dict.fromkeys(ids, ""))
        world = await self.world(people, ())
        return [(person.before, person.state, apply(person.state, now, world) or []) for person in people.values()]

    def change(self, before: Document | None, state: PersonState, entries: Sequence[Entry]) -> Change:
        """Return the change that puts *state* in place of *before*."""
        after = Document(
            id=state.person_id,
            position=state.position,
            state=state.dump(),
            card=orjson.dumps(state.card),
            partition=self._partition_of(state.person_id),
            due_at=state.due_at(),
            definition=self._definition.version,
        )
        return Change(before, after, entries)

    async def _apply(self, inputs: Sequence[tuple[str, str, PersonEvent | SegmenterWork]]) -> list[Outcome]:
        subjects = [(_subject(received), input_id) for input_id, _, received in inputs]
        people = await self.load({person_id: received.workspace for (person_id, _), (_, _, received) in zip(subjects, inputs, strict=True)})
        seen = await self._people.find(subjects)
        world = await self.world(people, [received for _, _, received in inputs])
        forgotten: dict[str, int] = {}
        outcomes: list[Outcome] = []
        for subject, (input_id, origin, received) in zip(subjects, inputs, strict=True):
            person = people[subject[0]]
            entry = seen.get(subject) or person.entries.get(input_id)
            is_erasure = isinstance(received, PersonEvent) and received.type == "erased"
            if entry is not None:
                if is_erasure:
                    forgotten[subject[0]] = entry.position
                outcomes.append(self._publisher.again(origin, entry.origin, entry.facts, partial(_unless_older, person.state)))
                continue
            facts = apply(person.state, received, world)
            if is_erasure:
                stored = [] if subject[0] in forgotten else await self._people.history(subject[0])
                facts = [*tombstones(subject[0], [*stored, *person.entries.values()]), *(facts or ())]
                person.entries = {name: without_person(entry) for name, entry in person.entries.items()}
                forgotten[subject[0]] = person.state.position
            person.entries[input_id] = Entry(input_id, origin, person.state.position, dump(facts or ()))
            outcomes.append(Drop("stale") if facts is None else self._publisher.emit(facts))
        changes = [self.change(person.before, person.state, tuple(person.entries.values())) for person in people.values() if person.entries]
        if changes:
            await self._people.save(changes)
        for person_id, position in forgotten.items():
            await erase_person(self._people, person_id, position)
        return outcomes

    async def load(self, workspaces: Mapping[str, str]) -> dict[str, Person]:
        """Return persons, by id, with those of whom nothing is known; *workspaces* gives the workspace of each."""
        documents = await self._people.load(workspaces)
        return {
            person_id: Person(
                documents.get(person_id),
                load_person(documents[person_id].state) if person_id in documents else new_person(person_id, workspace),
            )
            for person_id, workspace in workspaces.items()
        }

    async def world(self, people: Mapping[str, Person], inputs: Sequence[PersonInput]) -> World:
        """Return what evaluating *people* needs, before and after *inputs*."""
        wanted = {account_id for person in people.values() for account_id in person.state.account_ids()}
        wanted.update(account_id for received in inputs for account_id in _accounts_in(received))
        cards = await self._accounts.cards(wanted) if wanted else {}
        return World(self._definition, {account_id: account_card(card) for account_id, card in cards.items() if card})


def _unless_older(state: PersonState, fact: Fact) -> Fact | None:
    """Return *fact*, unless it is a state of the person whose successor has been published, or is about to come again itself."""
    return None if isinstance(fact, PersonSegments) and fact.version < state.card.version else fact


def _subject(received: PersonEvent | SegmenterWork) -> str:
    return received.person_id or ""


def _accounts_in(received: PersonInput) -> Iterator[str]:
    """Yield the accounts that an input may make a person's."""
    if isinstance(received, PersonEvent):
        if received.account_id is not None:
            yield received.account_id
    elif isinstance(received, SegmenterWork) and received.type == "family_changed":
        for member in state_of(received)["members"].values():
            profile = member["facts"]["profile"]
            if profile is not None and profile["account_id"] is not None:
                yield profile["account_id"]
