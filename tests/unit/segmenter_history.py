"""Histories of a workspace at random, and what is true at their end, counted without any of the segmenter's own counting."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import orjson

from services.common.clock import Micros
from services.common.events import Account, Event, PersonEvent
from services.common.ids import account_id
from services.segmenter.domain.definition import Definition
from tests.unit.segmenter_world import START, WORKSPACE, Board, account, person_event

BOARDS = ("product", "mobile")
PEOPLE = tuple(f"{WORKSPACE}:person:{letter}" for letter in "abcdef")
ACCOUNTS = ("acme", "bolt", "cone")


@dataclass
class _Place:
    writer: Board
    links: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Person and idea by feedback."""
    parents: dict[str, str] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def root(self, idea: str) -> str:
        while idea in self.parents:
            idea = self.parents[idea]
        return idea


class History:
    """A workspace's history of *length* steps; the streams keep the order of their keys and nothing else."""

    def __init__(self, chance: random.Random, length: int) -> None:
        self._chance = chance
        self.events: list[Event] = []
        self.boards = {name: _Place(Board(name)) for name in BOARDS}
        self.accounts: dict[str, Account] = {}
        self.pointers: dict[str, str] = {}
        self.people_events: dict[str, list[PersonEvent]] = defaultdict(list)
        self._now: Micros = START
        self._number = 0
        steps = [self._link] * 6 + [self._profile] * 4 + [self._account] * 3 + [self._activity] * 2
        steps += [
            self._merge,
            self._unmerge,
            self._move,
            self._retract,
            self._revise,
            self._join,
            self._separate,
            self._answer,
            self._erase,
        ]
        for _ in range(length):
            self._now += chance.choice([1, 1_000_000, 3_600_000_000])
            chance.choice(steps)()

    def _pick(self, options: Any) -> Any:
        return self._chance.choice(sorted(options))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _board(self) -> _Place:
        return self.boards[self._pick(BOARDS)]

    def _link(self) -> None:
        place = self._board()
        feedback = f"{WORKSPACE}:feedback:{self._next()}"
        person, idea = self._pick(PEOPLE), f"{place.writer.board}-{self._chance.randrange(5)}"
        place.links[feedback] = (person, idea)
        self.events.append(place.writer.link(feedback, person, idea, self._now))

    def _retract(self) -> None:
        place = self._board()
        if place.links:
            feedback = self._pick(place.links)
            person, idea = place.links.pop(feedback)
            self._unlink(place, feedback, (person, idea), ("retraction", "retracted"))

    def _unlink(self, place: _Place, feedback: str, link: tuple[str, str], why: tuple[str, str]) -> None:
        fields = {"feedback_id": feedback, "person_id": link[0], "idea_id": link[1], "method": why[0], "reason": why[1]}
        self.events.append(place.writer.decide("unlinked", self._now, **fields))

    def _revise(self) -> None:
        place = self._board()
        if place.links:
            feedback = self._pick(place.links)
            person, idea = place.links[feedback]
            self._unlink(place, feedback, (person, idea), ("revision", "revised"))
            place.revisions[feedback] += 1
            idea = f"{place.writer.board}-{self._chance.randrange(5)}"
            place.links[feedback] = (person, idea)
            self.events.append(place.writer.link(feedback, person, idea, self._now, revision=place.revisions[feedback]))

    def _move(self) -> None:
        place = self._board()
        if place.links:
            feedback = self._pick(place.links)
            person, old = place.links[feedback]
            new = f"{place.writer.board}-{self._chance.randrange(5)}"
            place.links[feedback] = (person, new)
            fields = {"feedback_id": feedback, "person_id": person, "idea_id": new, "other_idea_id": old}
            self.events.append(place.writer.decide("moved", self._now, **fields))

    def _merge(self) -> None:
        place = self._board()
        into, idea = (place.root(f"{place.writer.board}-{self._chance.randrange(5)}") for _ in range(2))
        if into != idea:
            place.parents[idea] = into
            self.events.append(place.writer.decide("merged", self._now, idea_id=idea, other_idea_id=into))

    def _unmerge(self) -> None:
        place = self._board()
        if place.parents:
            idea = self._pick(place.parents)
            self.events.append(place.writer.decide("unmerged", self._now, idea_id=idea, other_idea_id=place.parents.pop(idea)))

    def _person(self, kind: str, person: str, **fields: Any) -> None:
        event = person_event(self._next(), kind, person, self._now, **fields)
        self.people_events[person].append(event)
        self.events.append(event)

    def _profile(self) -> None:
        company = self._chance.choice([None, *(account_id(WORKSPACE, name) for name in ACCOUNTS)])
        traits = self._chance.choice([None, '{"role":"designer"}', '{"role":null}', "[]"])
        older = self._chance.choice([0, 0, 5_000_000_000])
        self._person("profile", self._pick(PEOPLE), account_id=company, traits_json=traits, occurred_at=self._now - older)

    def _activity(self) -> None:
        self._person("activity", self._pick(PEOPLE), name="export", amount=2.0)

    def _answer(self) -> None:
        self._person("answer", self._pick(PEOPLE), name="role", answer_json=self._chance.choice(['"designer"', '"cook"']))

    def _erase(self) -> None:
        if self._chance.random() < 0.3:
            self._person("erased", self._pick(PEOPLE))

    def human(self, person: str) -> str:
        """Return whom a person was joined into, or itself."""
        while person in self.pointers:
            person = self.pointers[person]
        return person

    def _join(self) -> None:
        into, person = sorted(self.human(self._pick(PEOPLE)) for _ in range(2))
        if into != person:
            self.pointers[person] = into
            self._person("joined", person, other_person_id=into)

    def _separate(self) -> None:
        if self.pointers:
            person = self._pick(self.pointers)
            self._person("separated", person, other_person_id=self.pointers.pop(person))

    def _account(self) -> None:
        name = self._pick(ACCOUNTS)
        version = self._now - self._chance.choice([0, 0, 7_000_000_000])
        fields = {"plan": self._chance.choice([None, "enterprise", "team"]), "mrr_cents": self._chance.choice([0, 1_000, 25_050])}
        state = account(name, version, self._now, **fields)
        self.events.append(state)
        known = self.accounts.get(state.account_id)
        if known is None or known.version < version:
            self.accounts[state.account_id] = state


class Truth:
    """What a history adds up to."""

    def __init__(self, history: History, definition: Definition) -> None:
        self._history = history
        self._definition = definition
        self.company: dict[str, str | None] = {}
        self.memberships: dict[str, dict[str, str] | None] = {}
        """By human; None where nobody has a profile."""
        for person in PEOPLE:
            if person not in history.pointers:
                self._human(person)

    def _human(self, human: str) -> None:
        members = [person for person in PEOPLE if self._history.human(person) == human]
        profile, exports, answer = None, 0, None
        for person in members:
            own_profile, own_exports, own_answer = self._own(person)
            exports += own_exports
            if own_profile is not None and (profile is None or own_profile.occurred_at > profile.occurred_at):
                profile = own_profile
            if own_answer is not None and (answer is None or own_answer.occurred_at > answer.occurred_at):
                answer = own_answer
        if profile is None:
            self.company[human], self.memberships[human] = None, None
            return
        self.company[human] = profile.account_id
        company = self._history.accounts.get(profile.account_id or "")
        traits = orjson.loads(profile.traits_json or "{}")
        role = {"role": traits["role"]} if isinstance(traits, dict) and traits.get("role") else {}
        self.memberships[human] = self._definition.evaluate(
            {
                "person": {"traits": role},
                "account": {}
                if company is None
                else {"mrr": company.mrr_cents / 100, **({"plan": company.plan} if company.plan is not None else {})},
                "activity": {"export": {"count": exports}} if exports else {},
                "answers": {} if answer is None else {"role": orjson.loads(answer.answer_json or "null")},
            }
        )

    def _own(self, person: str) -> tuple[PersonEvent | None, int, PersonEvent | None]:
        profile, exports, answer = None, 0, None
        for event in self._history.people_events[person]:
            if event.type == "erased":
                profile, exports, answer = None, 0, None
            elif event.type == "profile" and (profile is None or event.occurred_at >= profile.occurred_at):
                profile = event
            elif event.type == "activity":
                exports += 1
            elif event.type == "answer":
                answer = event
        return profile, exports, answer

    def memberships_of_somebody(self) -> dict[str, dict[str, str]]:
        """Return the memberships of those of whom anybody has a profile."""
        return {person: segments for person, segments in self.memberships.items() if segments is not None}

    def demand(self) -> dict[str, dict[str, Any]]:
        """Return the demand of every root idea that anybody asks for."""
        found: dict[str, dict[str, Any]] = {}
        for place in self._history.boards.values():
            asked: dict[str, list[str]] = defaultdict(list)
            for person, idea in place.links.values():
                asked[place.root(idea)].append(self._history.human(person))
            for root, humans in asked.items():
                segments: dict[str, dict[str, Any]] = {}
                for scheme in self._definition.schemes:
                    groups: dict[str, list[str]] = defaultdict(list)
                    for human in humans:
                        groups[(self.memberships[human] or {}).get(scheme.name, "unknown")].append(human)
                    segments[scheme.name] = {segment: self._count(group) for segment, group in sorted(groups.items())}
                found[root] = {"root": root, **self._count(humans), "segments": segments}
        return found

    def _count(self, humans: list[str]) -> dict[str, int]:
        companies = {company for human in humans if (company := self.company[human]) is not None}
        revenue = sum(self._history.accounts[company].mrr_cents for company in companies if company in self._history.accounts)
        return {"people": len(set(humans)), "accounts": len(companies), "mentions": len(humans), "mrr_cents": revenue}
