"""What one input does to a person: the facts that follow from it, for the outside and for other workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeGuard

import orjson

from services.common.clock import Micros
from services.common.events import Event, PersonEvent, PersonSegments, SegmenterWork, SegmentTransition
from services.common.ids import make_id
from services.segmenter.domain.cards import AccountCard
from services.segmenter.domain.definition import Definition, Held
from services.segmenter.domain.facts import Facts
from services.segmenter.domain.inputs import DueMoment, PersonInput, cause_of, happened_at, is_stale, state_of, take_in
from services.segmenter.domain.person import PersonState, Said, Why, next_card
from services.segmenter.domain.work import Cause


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Takes a row out of a compacted topic."""

    topic: str
    record_key: str
    partition: str


Fact: TypeAlias = Event | Tombstone


@dataclass(frozen=True, slots=True)
class World:
    """What the evaluation of a person needs beside its own state."""

    definition: Definition
    accounts: Mapping[str, AccountCard]
    """The cards that could be read; an account that is missing here is not known yet."""


def apply(state: PersonState, received: PersonInput, world: World) -> list[Fact] | None:
    """Change *state* by one input and return the facts that follow; None where the input says nothing new.

    That counts as applied all the same: what is stale now must not be news when it is delivered again after, say, an erasure.
    Moments at which time alone changed a membership are made up for first, each as of its own moment: so it makes no difference
    whether a tick or the next event comes first.
    """
    facts = list(_owed(state, world))
    if is_stale(state, received):
        state.position += 1
        return facts or None
    before = _Before(state)
    as_of = max(happened_at(received), state.evaluated_at)
    if _says_where_alone(received):
        state.position += 1
        take_in(state, received)
    else:
        facts += _catch_up(state, world, as_of)
        state.position += 1
        if not isinstance(received, DueMoment):
            take_in(state, received)
            facts += _evaluated(state, world, _why(received, as_of))
    cause_id = getattr(received, "event_id", None) or getattr(received, "work_id", None) or f"{state.person_id}/{state.position}"
    facts += before.news(state, Cause(state.workspace, cause_id, as_of), _told(received))
    return facts


def recall(state: PersonState, received: PersonEvent | SegmenterWork, world: World) -> list[Fact]:
    """Change *state*, of a store that is new, by an input that the lost one may have seen; return the notes to boards that follow.

    Nothing else comes of it: what was never said of the state that this leads to comes out as one change with the next ``apply``.
    """
    state.position += 1
    if is_stale(state, received):
        return []
    before = _Before(state)
    take_in(state, received)
    reason = _why(received, max(happened_at(received), state.evaluated_at))
    reconcile(state, world, reason)
    cause_id = received.event_id if isinstance(received, PersonEvent) else received.work_id
    return list(before.news_to_boards(state, Cause(state.workspace, cause_id, reason.as_of), _told(received)))


def reconcile(state: PersonState, world: World, reason: Why) -> None:
    """Evaluate a person of whom only what was said and a part of the inputs is known yet, and hold it against what was said."""
    said = state.said = state.said or Said()
    state.segments, state.since, state.row = dict(said.memberships()) or None, dict(said.since), said.row
    _evaluate(state, state.together(), world, reason.as_of)
    if state.card.version <= (highest := said.highest(reason.as_of)):
        state.card = replace(state.card, version=highest + 1)
    said.why = reason
    said.differs = any(True for _ in _unsaid(copy(state), said, world))


def _owed(state: PersonState, world: World) -> Iterator[Fact]:
    """Yield what was never said of what a new store holds; once."""
    said, state.said = state.said, None
    if said is not None:
        state.epoch = said.last_transition
        yield from _unsaid(state, said, world)


def _unsaid(state: PersonState, said: Said, world: World) -> Iterator[Fact]:
    why = said.why
    if why is None:
        return
    if said.row is not None and said.row[1] != world.definition.version:
        why = replace(why, cause="definition", cause_id=None)
    if state.segments is not None:
        yield from _transitions(state, said.memberships(), world, why)
    yield from _row(state, state.together(), said.row_segments, world)


def _why(received: PersonEvent | SegmenterWork, as_of: Micros) -> Why:
    if isinstance(received, PersonEvent):
        return Why(cause_of(received), received.event_id, received.occurred_at, as_of)
    return Why(cause_of(received), received.cause_id, received.created_at, as_of)


def _catch_up(state: PersonState, world: World, as_of: Micros) -> Iterator[Fact]:
    """Evaluate what a new definition or the passing of time changed up to *as_of*."""
    if state.card.known and state.card.definition != world.definition.version:
        yield from _evaluated(state, world, Why("definition", None, as_of, as_of))
    while state.next_check_at is not None and state.next_check_at <= as_of:
        moment = state.next_check_at
        yield from _evaluated(state, world, Why("time", None, moment, moment))


def _evaluated(state: PersonState, world: World, why: Why) -> Iterator[Fact]:
    """Evaluate the person anew; yield transitions and row."""
    facts, previous = state.together(), state.segments
    _evaluate(state, facts, world, why.as_of, why.occurred_at if why.cause in ("activity", "attribute") else None)
    if state.segments is not None and state.segments is not previous:
        yield from _transitions(state, previous or {}, world, why)
    yield from _row(state, facts, previous, world)


def _evaluate(state: PersonState, facts: Facts, world: World, as_of: Micros, news_at: Micros | None = None) -> None:
    _choose_account(state, facts, world)
    state.next_check_at = None
    if state.pointer is None and facts.profile is not None:
        account = {} if state.account is None else state.account.variables()
        found = world.definition.evaluate_person(facts, account, as_of, Held(state.segments or {}, state.since), news_at)
        state.segments, state.since, state.next_check_at = found.segments, found.since, found.next_check_at
    elif state.pointer is None and state.segments is not None:
        state.segments = world.definition.unknown()
    state.evaluated_at = as_of
    state.card = next_card(state, facts, world.definition.version)


def _choose_account(state: PersonState, facts: Facts, world: World) -> None:
    account_id = None if facts.profile is None else facts.profile.account_id
    known = [card for card in (state.account, world.accounts.get(account_id or "")) if card is not None and card.account_id == account_id]
    state.account = max(known, key=lambda card: card.version, default=None)


def _transitions(state: PersonState, previous: Mapping[str, str], world: World, why: Why) -> Iterator[Fact]:
    epoch = [state.epoch] if state.epoch else []
    for scheme, segment in (state.segments or {}).items():
        if previous.get(scheme) != segment:
            yield SegmentTransition(
                transition_id=make_id(state.workspace, "transition", state.person_id, scheme, str(state.card.version), *epoch),
                workspace=state.workspace,
                person_id=state.person_id,
                scheme=scheme,
                segment=segment,
                cause=why.cause,
                definition_version=world.definition.version,
                occurred_at=why.occurred_at,
                evaluated_at=why.as_of,
                previous_segment=previous.get(scheme),
                cause_id=why.cause_id,
            )


def _row(state: PersonState, facts: Facts, previous: Mapping[str, str] | None, world: World) -> Iterator[Fact]:
    """Yield the row of ``people.segments`` if it changed, a tombstone where there is none any more."""
    if state.pointer is not None or facts.profile is None or state.segments is None:
        if state.row is not None:
            state.row = None
            yield Tombstone(PersonSegments.TOPIC, state.person_id, state.person_id)
        return
    row = (facts.profile.account_id, world.definition.version)
    if row == state.row and state.segments == previous:
        return
    state.row = row
    yield PersonSegments(
        person_id=state.person_id,
        workspace=state.workspace,
        version=state.card.version,
        segments_json=orjson.dumps(state.segments).decode(),
        primary_segment=state.segments[world.definition.primary],
        definition_version=world.definition.version,
        evaluated_at=state.evaluated_at,
        account_id=facts.profile.account_id,
    )


def _says_where_alone(received: PersonInput) -> TypeGuard[SegmenterWork]:
    """Tell whether an input only says on which board the person asks: then no membership is looked at, as of whatever moment.

    When a board's news comes has nothing to do with the person's own order, so no transition's moment may depend on it.
    """
    return isinstance(received, SegmenterWork) and received.type == "person_on_board" and "wishes" not in state_of(received)


def _told(received: PersonInput) -> dict[str, int]:
    """Return which version of the card a board knows already that announces the person."""
    if isinstance(received, SegmenterWork) and received.type == "person_on_board":
        return {str(state_of(received)["board"]): received.version}
    return {}


class _Before:
    """What others knew of a person before an input, so that they hear of what changed and of nothing else."""

    def __init__(self, state: PersonState) -> None:
        self._version = state.card.version
        self._pointer = state.pointer
        self._family = {name: version for name, (version, _) in state.family().items()}
        facts = state.together()
        self._boards = frozenset(facts.boards)
        self._account = None if facts.profile is None else facts.profile.account_id

    def news(self, state: PersonState, cause: Cause, told: Mapping[str, int]) -> Iterator[Fact]:
        """Yield the notes to boards, to the person that this one follows, and to its account."""
        facts = state.together()
        yield from self.news_to_boards(state, cause, told)
        yield from self._family_news(state, cause)
        account_id = None if facts.profile is None else facts.profile.account_id
        if account_id is not None and account_id != self._account:
            version = 0 if state.account is None else state.account.version
            yield cause.person_in_account(account_id, state.person_id, version)

    def news_to_boards(self, state: PersonState, cause: Cause, told: Mapping[str, int]) -> Iterator[Fact]:
        """Yield the notes to boards; *told* has the versions that some know already."""
        changed = state.card.version > self._version
        for board in state.together().boards:
            concerned = changed or board in told or board not in self._boards
            if concerned and state.card.version > told.get(board, 0):
                yield cause.person_changed(board, state.card)

    def _family_news(self, state: PersonState, cause: Cause) -> Iterator[Fact]:
        moved = state.pointer != self._pointer
        if moved and self._pointer is not None:
            yield cause.family_changed(self._pointer, state.person_id, state.position, {})
        family = state.family()
        if state.pointer is not None and (moved or {name: version for name, (version, _) in family.items()} != self._family):
            yield cause.family_changed(state.pointer, state.person_id, state.position, family)
