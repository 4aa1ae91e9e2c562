"""What one decision of dedup, or one note about a person, does to a board."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.common.clock import Micros
from services.common.events import Decision, EnrichedFeedback, Event
from services.common.values import placer
from services.segmenter.domain import enrichment
from services.segmenter.domain.board import BoardState, Operation
from services.segmenter.domain.cards import PersonCard, plain_card
from services.segmenter.domain.demand import Turn, turn
from services.segmenter.domain.mentions import Asked, words_of
from services.segmenter.domain.quotes import excerpt
from services.segmenter.domain.recency import DAY
from services.segmenter.domain.wishes import wish, wishes_of, wishes_to_tell
from services.segmenter.domain.work import Cause

EFFECTIVE = frozenset({"linked", "unlinked", "merged", "unmerged", "moved", "split"})
"""The decisions that change who stands behind what."""

Rows = Mapping[str, EnrichedFeedback]
"""The last enriched record by feedback id."""


SaidRows = Mapping[str, Sequence[EnrichedFeedback]]
"""What was published out of a store that is lost, by feedback id and in the order of the versions."""


class IncompleteDecisionError(ValueError):
    """A decision lacks what its type promises, or speaks of feedback that was never linked."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An enriched record that what follows is built on, and that is not published: it was, out of a store that is lost."""

    row: EnrichedFeedback


@dataclass(frozen=True, slots=True)
class Changed:
    """An idea's demand is another one. A state: told once a batch, as it is then; of what it was only so much is kept."""

    idea_id: str
    version: int
    people: int
    mentions: int


_CHANGED = placer(Changed, ["idea_id", "version", "people", "mentions"])


@dataclass(slots=True)
class Decided:
    """What followed from one input: what the log keeps, and what is published."""

    operations: list[Operation] = field(default_factory=list)
    facts: list[Event | Kept | Changed] = field(default_factory=list)


def rows_needed(state: BoardState, feedback_id: str | None, cards: Iterable[PersonCard]) -> dict[str, int]:
    """Return, by feedback id, the log positions of the enriched records that an input may have to repeat with a change."""
    needed: dict[str, int] = {}
    mention = state.mentions.get(feedback_id or "")
    if feedback_id is not None and mention is not None and mention.row:
        needed[feedback_id] = mention.row
    for card in cards:
        if card.known or card.pointer is not None:
            needed |= {name: m.row for name, m in state.waiting(card.person_id) if (card.known_since or 0) - m.ingested_at <= DAY}
        needed |= wishes_to_tell(state, card)
    return needed


def is_news(state: BoardState, decision: Decision, said: SaidRows) -> bool:
    """Tell whether *decision* leads to an enriched record that the lost store did not publish any more."""
    feedback_id, mention = decision.feedback_id or "", state.mentions.get(decision.feedback_id or "")
    if decision.type not in ("linked", "moved", "split") and not (decision.type == "unlinked" and _is_retraction(decision)):
        return False
    if mention is None and decision.type != "linked":
        return False
    version = 0 if mention is None else mention.enrichment_version
    return not any(row.enrichment_version > version for row in said.get(feedback_id, ()))


def _is_retraction(decision: Decision) -> bool:
    return "retract" in f"{decision.method} {decision.reason}"


class Step:
    """One input's way through a board: performs what it decides, and watches whose demand changes by it."""

    def __init__(self, state: BoardState, place: tuple[str, str], at: Micros, rows: Rows, said: SaidRows) -> None:
        self._state = state
        self._place = place
        self._at = at
        self._rows = rows
        self._said = said
        self._before: dict[str, Turn | None] = {}
        self._decided = Decided()

    def decision(self, decision: Decision, cards: Sequence[PersonCard]) -> Decided:
        """Take a decision in, with the cards that could be read of the persons whom it concerns.

        Raises:
            IncompleteDecisionError: The decision cannot be understood; the board's state is as it was.
        """
        state = self._state
        mention = state.mentions.get(decision.feedback_id or "")
        if decision.idea_id is None:
            raise IncompleteDecisionError(f"a {decision.type} decision needs idea_id")
        match decision.type:
            case "linked":
                if decision.feedback_id is None or decision.person_id is None:
                    raise IncompleteDecisionError("a linked decision needs feedback_id and person_id")
                self._link(decision, decision.feedback_id, decision.person_id, decision.idea_id, cards)
            case "unlinked" | "moved" | "split":
                if decision.feedback_id is None or mention is None:
                    raise IncompleteDecisionError(f"a {decision.type} decision needs the feedback_id of linked feedback")
                if decision.type == "unlinked":
                    self._unlink(decision, decision.feedback_id)
                else:
                    self._move(decision, decision.feedback_id, decision.idea_id)
            case _:
                self._point(decision, decision.idea_id)
        self._do("decided", decision.sequence)
        return self._finished()

    def erase(self, decision: Decision) -> Decided:
        """Let go of what a piece of feedback said, whose link comes again without words: its author was erased. It still counts."""
        feedback_id, state = decision.feedback_id or "", self._state
        mention, last = state.mentions.get(feedback_id), self._rows.get(feedback_id)
        if mention is None or last is None or last.person_id != decision.person_id or (row := enrichment.erased(last)) == last:
            return self._finished()
        if mention.idea_id is not None:
            self._before[state.root(mention.idea_id)] = None
            self._tell_wishes(f"{decision.decision_id}/erased", mention.person_id, {feedback_id: wish(row)})
        self._do("forget", feedback_id)
        self._enrich(row, mention.known)
        return self._finished()

    def card(self, card: PersonCard) -> Decided:
        """Take a newer card of a person in."""
        self._learn([card])
        return self._finished()

    def _link(self, decision: Decision, feedback_id: str, person_id: str, idea_id: str, cards: Sequence[PersonCard]) -> None:
        state = self._state
        mention = state.mentions.get(feedback_id)
        if mention is not None and mention.idea_id is not None:
            self._count_out(feedback_id)
        self._learn(cards)
        if mention is not None and mention.person_id != person_id:
            self._tell_wishes(decision.decision_id, mention.person_id, {feedback_id: None})
        if state.definition.asks:
            asked = Asked(decision.occurred_at, idea_id, words_of(decision.text or ""))
            self._tell_wishes(decision.decision_id, person_id, {feedback_id: asked})
        elif not state.has_asked(person_id):
            cause = Cause(decision.workspace, decision.decision_id, self._at)
            self._decided.facts.append(cause.person_on_board(person_id, decision.board, state.card(person_id).version))
        self._before[state.root(idea_id)] = None
        written_at = min(decision.occurred_at, decision.ingested_at)
        said = [written_at, excerpt(decision.text or ""), decision.source or ""]
        self._do("link", feedback_id, person_id, idea_id, decision.ingested_at, said)
        last = self._rows.get(feedback_id)
        if last is None or enrichment.is_to_be_evaluated(state, decision, last):
            self._say(enrichment.new_row(state, decision, last), state.card(state.human(person_id)).known)
        else:
            self._say(enrichment.new_row(state, decision, last, as_then=True), state.mentions[feedback_id].known)

    def _unlink(self, decision: Decision, feedback_id: str) -> None:
        self._count_out(feedback_id)
        self._tell_wishes(decision.decision_id, self._state.mentions[feedback_id].person_id, {feedback_id: None})
        if _is_retraction(decision):
            known = self._state.mentions[feedback_id].known
            self._say(enrichment.retracted(decision, self._rows[feedback_id]), known)

    def _move(self, decision: Decision, feedback_id: str, idea_id: str) -> None:
        state = self._state
        mention = state.mentions[feedback_id]
        known = mention.known
        if mention.idea_id is not None:
            self._count_out(feedback_id)
        self._before[state.root(idea_id)] = None
        self._do("link", feedback_id, mention.person_id, idea_id, mention.ingested_at)
        row = enrichment.moved(state, decision, idea_id, self._rows[feedback_id])
        self._tell_wishes(decision.decision_id, mention.person_id, {feedback_id: wish(row)})
        self._say(row, known)

    def _point(self, decision: Decision, idea_id: str) -> None:
        state = self._state
        into = decision.other_idea_id
        if decision.type == "merged":
            if into is None:
                raise IncompleteDecisionError("a merged decision needs other_idea_id")
            self._watch({*state.members(idea_id), state.root(idea_id), state.root(into)})
            self._do("merge", idea_id, into)
        elif idea_id in state.parents:
            self._watch({*state.members(idea_id), state.root(idea_id)})
            self._do("unmerge", idea_id)

    def _tell_wishes(self, cause_id: str, person_id: str, wishes: Mapping[str, Asked | None]) -> None:
        """Tell a person's worker what the person asks for now, if any rule asks for that."""
        if self._state.definition.asks and wishes:
            cause, known = Cause(self._place[0], cause_id, self._at), self._state.card(person_id).version
            self._decided.facts.append(cause.person_on_board(person_id, self._place[1], known, wishes))

    def _count_out(self, feedback_id: str) -> None:
        idea_id = self._state.mentions[feedback_id].idea_id
        if idea_id is not None:
            self._before[self._state.root(idea_id)] = None
        self._do("unlink", feedback_id)

    def _learn(self, cards: Sequence[PersonCard]) -> None:
        """Take cards in, then repeat with memberships the feedback whose authors have got a first profile in time."""
        state = self._state
        newer = [card for card in cards if card.version > state.card(card.person_id).version]
        for card in newer:
            roots = state.roots_of_person(card.person_id)
            if card.account is not None and state.is_news_of_account(card.account):
                roots |= state.roots_of_account(card.account.account_id)
            self._watch(roots)
            wishes = wishes_of(wishes_to_tell(state, card), self._rows)
            self._do("person", plain_card(card))
            self._tell_wishes(f"{card.person_id}/{card.version}", card.person_id, wishes)
        for card in newer:
            for feedback_id, mention in list(state.waiting(card.person_id)):
                if enrichment.is_in_time(state, mention) and feedback_id in self._rows and not self._unheard(feedback_id):
                    self._enrich(enrichment.profiled(state, mention, self._rows[feedback_id]), known=True)

    def _say(self, row: EnrichedFeedback, known: bool) -> None:
        """Take the record that a decision leads to for what the lost store said of that decision, or publish it if it said nothing."""
        feedback_id = row.feedback_id
        unheard = self._unheard(feedback_id)
        heard = [said for said in unheard if said.decision_id == row.decision_id]
        if not unheard:
            self._enrich(row, known)
        elif not heard:  # it was said, but the topic does not keep it any more: a later one is still there
            self._keep(replace(row, enrichment_version=min(row.enrichment_version, unheard[0].enrichment_version - 1)), known)
        for said in heard:
            self._keep(said, enrichment.is_of_somebody_known(said))
        mention = self._state.mentions[feedback_id]
        is_waiting = mention.idea_id is not None and not mention.known and not self._unheard(feedback_id)
        if heard and is_waiting and enrichment.is_in_time(self._state, mention):
            self._enrich(enrichment.profiled(self._state, mention, heard[-1]), known=True)

    def _unheard(self, feedback_id: str) -> list[EnrichedFeedback]:
        """Return what the lost store said of a piece of feedback by decisions that were not taken in yet."""
        version = self._state.mentions[feedback_id].enrichment_version
        return [said for said in self._said.get(feedback_id, ()) if said.enrichment_version > version]

    def _keep(self, row: EnrichedFeedback, known: bool) -> None:
        self._decided.facts.append(Kept(row))
        self._do("enriched", row.feedback_id, known, row.enrichment_version)

    def _enrich(self, row: EnrichedFeedback, known: bool) -> None:
        self._decided.facts.append(row)
        self._do("enriched", row.feedback_id, known)

    def _watch(self, ideas: Iterable[str]) -> None:
        """Remember what the demand of *ideas* says before it may change."""
        for idea_id in ideas:
            if idea_id not in self._before:
                self._before[idea_id] = turn(self._state, idea_id)

    def _do(self, *operation: object) -> None:
        self._state.perform(operation)
        self._decided.operations.append(operation)

    def _finished(self) -> Decided:
        self._do("as_of", self._at)
        self._state.finish()
        self._decided.facts.extend(self._changed())
        return self._decided

    def _changed(self) -> Iterator[Changed]:
        for idea_id in sorted(self._before):
            before = self._before[idea_id]
            if before is None or before != turn(self._state, idea_id):
                total = self._state.counts.tally(idea_id).total
                yield _CHANGED(idea_id, self._state.version, total.people, total.mentions)
