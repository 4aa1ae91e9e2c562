"""Who turned out to be whom, read from the store with a few calls for many persons."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from services.notifier.domain.audience import Audience, root_of
from services.notifier.domain.families import family_of
from services.notifier.domain.person import Person
from services.notifier.ports import BoardStore, PersonStore


async def audiences_of(store: PersonStore, person_ids: Collection[str]) -> Mapping[str, Audience]:
    """Return, for each of *person_ids*, all the persons whose pointers end where theirs do."""
    known = await _with_targets(store, person_ids)
    roots = {person_id: root_of(person_id, known) for person_id in person_ids}
    members: dict[str, dict[str, Person]] = {root: {root: known.get(root, Person(person_id=root))} for root in roots.values()}
    belongs = {root: root for root in members}
    frontier: Collection[str] = list(members)
    while frontier:
        found = [person for person in await store.followers(frontier) if person.person_id not in belongs]
        for person in found:
            assert person.pointer is not None
            root = belongs[person.person_id] = belongs[person.pointer.into or ""]
            members[root][person.person_id] = person
        frontier = [person.person_id for person in found]
    gathered = {root: Audience(root, _in_order(persons)) for root, persons in members.items()}
    return {person_id: gathered[root] for person_id, root in roots.items()}


async def families_of(store: BoardStore, ideas: Collection[str]) -> Mapping[str, str]:
    """Return, for each of *ideas*, the idea that stands for its family; a single one is a family without a question to the store."""
    if len(ideas) < 2:
        return {idea: idea for idea in ideas}
    into: dict[str, str] = {}
    frontier = set(ideas)
    while frontier:
        found = await store.unions(frontier)
        into |= found
        frontier = set(found.values()) - into.keys()
    return {idea: family_of(idea, into) for idea in ideas}


async def _with_targets(store: PersonStore, person_ids: Collection[str]) -> Mapping[str, Person]:
    known: dict[str, Person] = {}
    asked: set[str] = set()
    frontier = set(person_ids)
    while frontier:
        found = await store.persons(frontier)
        known |= found
        asked |= frontier
        frontier = {p.pointer.into for p in found.values() if p.pointer is not None and p.pointer.into is not None} - asked
    return known


def _in_order(persons: Mapping[str, Person]) -> Sequence[Person]:
    return [persons[person_id] for person_id in sorted(persons)]
