"""Boards: dedup's decisions and the notes about persons, one log a board."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import orjson

from services.common.beside import beside
from services.common.events import Decision, EnrichedFeedback, SegmenterWork
from services.common.ids import board_key
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.records import Output, Received
from services.common.values import placer
from services.segmenter.domain.board import BoardState
from services.segmenter.domain.cards import PersonCard, person_card
from services.segmenter.domain.decide import Changed, Decided, IncompleteDecisionError, Step, is_news, rows_needed
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.demand import demand
from services.segmenter.domain.inputs import state_of
from services.segmenter.handler.erasing import erase_words
from services.segmenter.handler.facts import Publisher, changed_ideas, dump, enriched
from services.segmenter.handler.hand import ChangedIdeas, Hand, Input, inputs_of, is_effective
from services.segmenter.handler.said import SaidFeedback, said_demands
from services.segmenter.ports import BoardEntry, Stores

_ENTRY = placer(BoardEntry, ["board", "position", "input_id", "origin", "operations", "facts"])
_PAGE = 5_000
_POINTERS = 16
"""How many persons in a row, each joined into the next, are looked up before a link; the rest is heard of by notes."""

_Told: TypeAlias = Outcome | Decided
"""What becomes of an input: what was decided is made records while it is stored."""


class Boards:
    """Applies what happens on boards, whose working states are held in memory for as long as this worker owns them."""

    def __init__(self, stores: Stores, definition: Definition, publisher: Publisher) -> None:
        self._log = stores.boards
        self._people = stores.people
        self._said = stores.said
        self._definition = definition
        self._publisher = publisher
        self._states: dict[str, BoardState] = {}
        self._left: set[str] = set()
        """Boards of which the rest is left to the handler, whatever happens: their order must stay."""

    def forget(self) -> None:
        """Let go of every board; the log has them."""
        self._states.clear()

    async def decisions(self, batch: Sequence[Received[Decision | None]]) -> Sequence[Outcome]:
        """Handle records of ``board.decisions``."""
        outcomes = iter(await self._take(inputs_of(batch)))
        return [
            next(outcomes)
            if r.event is not None and is_effective(r.event)
            else Drop("tombstone" if r.event is None else "no_demand_depends_on_it")
            for r in batch
        ]

    async def recall(self, batch: Sequence[Received[Decision | None]]) -> Sequence[Outcome]:
        """Take in records of ``board.decisions`` on a store that is new; return what will come out when they are read again.

        What was published of a board's decisions is taken over as it was, up to the first of which nothing was: from there on they are
        left to the handler, so that each fact follows the one before it.
        """
        return await self._take(inputs_of(batch), recalls=True)

    async def notes(self, batch: Sequence[Received[SegmenterWork]]) -> Sequence[Outcome]:
        """Handle notes of ``segmenter.work`` to boards."""
        return await self._take(
            [
                Input(
                    board_key(r.event.workspace, r.event.board or ""),
                    r.event.work_id,
                    r.record.origin,
                    r.event,
                    person_card(state_of(r.event)["card"]),
                )
                for r in batch
            ]
        )

    async def _take(self, inputs: Sequence[Input], *, recalls: bool = False) -> list[Outcome]:
        said = SaidFeedback(self._said)
        try:
            for board in {given.board for given in inputs} - self._states.keys():
                self._states[board] = await self._load(board)
            await said.load(name for given in inputs if self._states[given.board].is_recalled and (name := given.feedback_id) is not None)
            hand = Hand(await self._cards(inputs), await self._seen(inputs), said, recalls)
            told = [await self._one(given, place, hand) for place, given in enumerate(inputs)]
            if hand.entries:
                outcomes = await beside(self._log.append(list(hand.entries.values())), lambda: self._outcomes(inputs, hand, told))
            else:
                outcomes = self._outcomes(inputs, hand, told)
            await self._erase(inputs)
            states = [self._states[board] for board in {given.board for given in inputs}]
            await said.drop(lambda name: max((m.enrichment_version for state in states if (m := state.mentions.get(name))), default=0))
        except BaseException:
            self.forget()  # what was decided is in these states already, and may not be in the log
            raise
        return outcomes

    def _outcomes(self, inputs: Sequence[Input], hand: Hand, told: Iterable[_Told]) -> list[Outcome]:
        outcomes = [self._publisher.emit(one.facts) if isinstance(one, Decided) else one for one in told]
        if not hand.recalls:
            self._tell_demands(inputs, hand.changed, outcomes)
        return outcomes

    def _tell_demands(self, inputs: Sequence[Input], changed: ChangedIdeas, outcomes: list[Outcome]) -> None:
        """Let the last input that changed an idea's demand tell it as it is now: of a state, what lies between is of no use to anybody."""
        by_place: dict[int, list[Output]] = {}
        for (board, idea_id), place in changed.items():
            event = inputs[place].event
            row = demand(self._states[board], idea_id, (event.workspace, event.board or ""))
            by_place.setdefault(place, []).append(self._publisher.output(row))
        for place, outputs in by_place.items():
            outcome = outcomes[place]
            assert isinstance(outcome, Emit), "whoever changes a demand is not dropped"
            outcomes[place] = Emit((*outcome.outputs, *outputs))

    async def _one(self, given: Input, place: int, hand: Hand) -> _Told:
        key = (given.board, given.input_id)
        known = hand.seen.get(key) or hand.entries.get(key)
        if known is None:
            return await self._news(given, place, hand)
        outcome = self._again(given, place, hand, known)
        if given.erasure_id is None or hand.recalls:
            return outcome
        erasure = replace(given, input_id=given.erasure_id)
        known = hand.seen.get((given.board, erasure.input_id)) or hand.entries.get((given.board, erasure.input_id))
        if known is not None:
            return _both(outcome, self._again(erasure, place, hand, known))
        news = await self._news(erasure, place, hand)
        return _both(outcome, self._publisher.emit(news.facts) if isinstance(news, Decided) else news)

    def _again(self, given: Input, place: int, hand: Hand, known: BoardEntry) -> Outcome:
        outcome = self._publisher.again(given.origin, known.origin, known.facts)
        if isinstance(outcome, Emit):
            hand.changed |= {(given.board, idea_id): place for idea_id in changed_ideas(known.facts)}
        return outcome

    async def _news(self, given: Input, place: int, hand: Hand) -> _Told:
        if given.card is not None and not self._is_news(given, given.card):
            return Drop("stale")
        if hand.recalls and self._is_left(given, hand.said):
            return Drop("left")
        decided = await self._step(given, hand)
        if isinstance(decided, Reject):
            return decided
        for fact in decided.facts:
            if isinstance(fact, Changed):
                hand.changed[given.board, fact.idea_id] = place
        return decided

    def _is_left(self, given: Input, said: SaidFeedback) -> bool:
        """Tell whether an input comes after the last one of its board of which something was said."""
        if isinstance(given.event, Decision) and is_news(self._states[given.board], given.event, said.rows):
            self._left.add(given.board)
        return given.board in self._left

    async def _step(self, given: Input, hand: Hand) -> Decided | Reject:
        state = self._states[given.board]
        concerned = [given.card] if given.card is not None else _chain(given.event.person_id, hand.cards)
        needed = rows_needed(state, given.feedback_id, concerned)
        rows = await self._rows(given.board, needed, hand) if needed else {}
        if state.is_recalled:
            await hand.said.load(rows)
        step = Step(state, (given.event.workspace, given.event.board or ""), given.at, rows, hand.said.rows)
        try:
            if not isinstance(given.event, Decision):
                decided = step.card(concerned[0])
            elif given.input_id == given.event.decision_id:
                decided = step.decision(given.event, concerned)
            else:
                decided = step.erase(given.event)
        except IncompleteDecisionError as error:
            return Reject("incomplete_decision", str(error))
        hand.keep(_entry(given, state.position, decided))
        return decided

    def _is_news(self, given: Input, card: PersonCard) -> bool:
        return card.version > self._states[given.board].card(card.person_id).version

    async def _seen(self, inputs: Sequence[Input]) -> dict[tuple[str, str], BoardEntry]:
        """Return the entries of those inputs that the log may hold already: what is newer than the state cannot be in it."""
        old: dict[str, list[str]] = {}
        for given in inputs:
            sequence = given.event.sequence if isinstance(given.event, Decision) else None
            is_new = (
                sequence > self._states[given.board].sequence
                if sequence is not None
                else self._is_news(given, given.card or PersonCard(""))
            )
            if not is_new:
                old.setdefault(given.board, []).extend(name for name in (given.input_id, given.erasure_id) if name is not None)
        found: dict[tuple[str, str], BoardEntry] = {}
        for board, ids in old.items():
            found |= {(board, input_id): entry for input_id, entry in (await self._log.find(board, ids)).items()}
        return found

    async def _cards(self, inputs: Sequence[Input]) -> dict[str, PersonCard]:
        """Return the cards of those who ask, and of those whom they were joined into, as their own workers left them last."""
        cards: dict[str, PersonCard] = {}
        wanted = {d.person_id for given in inputs if isinstance(d := given.event, Decision) and d.person_id is not None}
        for _ in range(_POINTERS):
            if not wanted:
                break
            found = {name: person_card(raw) for name, raw in (await self._people.cards(wanted)).items()}
            cards |= found
            wanted = {card.pointer for card in found.values() if card.pointer is not None} - cards.keys()
        return cards

    async def _rows(self, board: str, needed: Mapping[str, int], hand: Hand) -> dict[str, EnrichedFeedback]:
        missing = {position for position in needed.values() if (board, position) not in hand.facts}
        stored = await self._log.facts(board, missing) if missing else {}
        return {name: enriched(hand.facts.get((board, at)) or stored[at], name) for name, at in needed.items()}

    async def _erase(self, inputs: Sequence[Input]) -> None:
        """Take the words of links that came without them out of what is stored."""
        boards: dict[str, set[str]] = {}
        for given in inputs:
            if given.erasure_id is not None and given.feedback_id is not None:
                boards.setdefault(given.board, set()).add(given.feedback_id)
        for board, feedback_ids in boards.items():
            await erase_words(self._log, board, feedback_ids)

    async def _load(self, board: str) -> BoardState:
        state = BoardState(self._definition, (await said_demands(self._said, [board]))[board])
        while page := await self._log.read(board, state.position, _PAGE):
            for operations in page:
                state.replay(orjson.loads(operations))
        return state


def _chain(person_id: str | None, cards: Mapping[str, PersonCard]) -> list[PersonCard]:
    """Return the cards of a person and of those whom it was joined into, one after another."""
    chain: list[PersonCard] = []
    while person_id is not None and (card := cards.get(person_id)) is not None and card not in chain:
        chain.append(card)
        person_id = card.pointer
    return chain


def _both(one: Outcome, other: Outcome) -> Outcome:
    if isinstance(one, Emit) and isinstance(other, Emit):
        return Emit((*one.outputs, *other.outputs))
    return one if isinstance(one, Emit) else other


def _entry(given: Input, position: int, decided: Decided) -> BoardEntry:
    return _ENTRY(given.board, position, given.input_id, given.origin, orjson.dumps(decided.operations), dump(decided.facts))
