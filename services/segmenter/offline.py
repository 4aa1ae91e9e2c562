"""The service's own decisions about people without its broker and store, for ``groundswell segments``.

population = fold(person_events, accounts, decisions)
population.memberships(definition, as_of, held)   # {person id: {scheme: segment}}
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.common.clock import Micros
from services.common.events import Account, Decision, PersonEvent
from services.segmenter.domain.cards import AccountCard
from services.segmenter.domain.definition import UNKNOWN, Definition, Held
from services.segmenter.domain.facts import Facts, together
from services.segmenter.domain.inputs import EVENTS, is_stale, take_in
from services.segmenter.domain.mentions import Asked, words_of
from services.segmenter.domain.person import PersonState, new_person
from services.segmenter.domain.pointers import end
from services.segmenter.domain.tally import Part, Tally, View, empty_tally

__all__ = ["ALL_IDEAS", "Human", "Population", "fold"]

ALL_IDEAS = ""
"""No idea has this id."""


@dataclass(frozen=True, slots=True)
class Human:
    """One human: all persons that were joined, as one."""

    person_id: str
    facts: Facts
    account: AccountCard | None
    """None where the person has none, or nobody knows it yet."""

    @property
    def is_known(self) -> bool:
        """Whether anybody has a profile."""
        return self.facts.profile is not None

    @property
    def account_id(self) -> str | None:
        """The account that the profile names."""
        return None if self.facts.profile is None else self.facts.profile.account_id

    @property
    def mrr_cents(self) -> int:
        """The revenue of the account."""
        return 0 if self.account is None else self.account.mrr_cents

    def variables(self) -> dict[str, Any]:
        """Return the CEL variable ``account``."""
        return {} if self.account is None else self.account.variables()


@dataclass(slots=True)
class Population:
    """Everybody of a workspace, as of the last event."""

    humans: dict[str, Human] = field(default_factory=dict)
    """By person id; whoever was joined into another is not among them."""
    pointers: dict[str, str] = field(default_factory=dict)
    links: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Feedback id → person id and root idea."""
    accounts: dict[str, AccountCard] = field(default_factory=dict)

    def human(self, person_id: str) -> str:
        """Return whom *person_id* was joined into, or itself."""
        return end(person_id, self.pointers.get)

    def memberships(self, definition: Definition, as_of: Micros, held: Mapping[str, Held]) -> dict[str, dict[str, str]]:
        """Return the segments of every human as of a moment; *held* are the memberships before, by person id."""
        found = {}
        for human in self.humans.values():
            if human.is_known:
                before = held.get(human.person_id, Held())
                found[human.person_id] = definition.evaluate_person(human.facts, human.variables(), as_of, before).segments
            else:
                found[human.person_id] = definition.unknown()
        return found

    def demand(self, memberships: Mapping[str, Mapping[str, str]], schemes: Iterable[str]) -> dict[str, Tally]:
        """Return the demand of each root idea, its cells in the order of *schemes*, recounted from the links.

        Under ``ALL_IDEAS`` stands that of all of them together: whoever asks for several things counts once.
        """
        names = tuple(schemes)
        tallies: defaultdict[str, Tally] = defaultdict(lambda: empty_tally(len(names)))
        for person_id, root in self.links.values():
            name = self.human(person_id)
            human, segments = self.humans.get(name), memberships.get(name, {})
            view = View(tuple(segments.get(scheme, UNKNOWN) for scheme in names), None if human is None else human.account_id)
            for idea in (root, ALL_IDEAS):
                tallies[idea].count(name, view, self._mrr, Part(1, ()))
        return dict(tallies)

    def _mrr(self, account_id: str) -> int:
        card = self.accounts.get(account_id)
        return 0 if card is None else card.mrr_cents


def fold(events: Iterable[PersonEvent], accounts: Iterable[Account], decisions: Iterable[Decision]) -> Population:
    """Return what the service knows after *events*, each person's in their order, and *decisions*, each board's in its sequence."""
    states = _states(events)
    links, parents = _links(decisions, states)
    newest: dict[str, Account] = {}
    for account in accounts:
        if account.account_id not in newest or newest[account.account_id].version < account.version:
            newest[account.account_id] = account
    cards = {account_id: AccountCard.of(account) for account_id, account in newest.items()}
    pointers = {person_id: state.pointer for person_id, state in states.items() if state.pointer is not None}
    families: defaultdict[str, list[tuple[str, Facts]]] = defaultdict(list)
    for person_id, state in states.items():
        families[end(person_id, pointers.get)].append((person_id, state.own))
    population = Population(pointers=pointers, accounts=cards)
    for person_id, family in families.items():
        facts = together(family)
        account_id = None if facts.profile is None else facts.profile.account_id
        population.humans[person_id] = Human(person_id, facts, cards.get(account_id or ""))
    population.links = {feedback_id: (person_id, end(idea_id, parents.get)) for feedback_id, (person_id, idea_id) in links.items()}
    return population


def _states(events: Iterable[PersonEvent]) -> dict[str, PersonState]:
    states: dict[str, PersonState] = {}
    seen: set[str] = set()
    for event in events:
        if event.type not in EVENTS or event.event_id in seen:
            continue
        seen.add(event.event_id)
        state = states.setdefault(event.person_id, new_person(event.person_id, event.workspace))
        if not is_stale(state, event):
            state.position += 1
            take_in(state, event)
    return states


def _links(decisions: Iterable[Decision], states: dict[str, PersonState]) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """Return person and idea of each piece of linked feedback, and where ideas point; note in *states* what each person asks for."""
    links: dict[str, tuple[str, str]] = {}
    texts: dict[str, tuple[Micros, str]] = {}
    parents: dict[str, str] = {}
    for decision in decisions:
        feedback, idea = decision.feedback_id, decision.idea_id
        match decision.type:
            case "linked" if feedback and idea and decision.person_id:
                links[feedback] = (decision.person_id, idea)
                texts[feedback] = (decision.occurred_at, decision.text or "")
            case "moved" | "split" if feedback in links and feedback and idea:
                links[feedback] = (links[feedback][0], idea)
            case "unlinked" if feedback:
                links.pop(feedback, None)
            case "merged" if idea and decision.other_idea_id:
                parents[idea] = decision.other_idea_id
            case "unmerged" if idea:
                parents.pop(idea, None)
            case _:
                pass
    for person_id, feedback, wish in _wishes(links, texts):
        state = states.setdefault(person_id, new_person(person_id, person_id.partition(":")[0]))
        state.own.ask(feedback, wish)
    return links, parents


def _wishes(links: Mapping[str, tuple[str, str]], texts: Mapping[str, tuple[Micros, str]]) -> Iterator[tuple[str, str, Asked]]:
    for feedback, (person_id, idea) in links.items():
        yield person_id, feedback, Asked(texts[feedback][0], idea, words_of(texts[feedback][1]))
