"""A person who is to be forgotten: the words go out of the board and out of its log; links and counts stay.

The board lets go of the words when it takes the erasure in (``erase``). Then the log's earlier entries are written anew without them
(``Redaction``), and the decisions that held them are published again under their keys. Folding the log with or without them leads to the
same board, so that a crash in between does no harm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from services.common.events import BoardEvent, Decision, Idea
from services.dedup.domain.board import Board
from services.dedup.domain.draft import Draft
from services.dedup.domain.entry import Entry
from services.dedup.domain.ideas import IdeaState
from services.dedup.domain.methods import UNDO, VOTE
from services.dedup.domain.portrait import quote_of, words_of
from services.dedup.domain.texts import ERASED_TITLE, text_key, title_of

_METHOD = "erasure"


def erased_by(event: BoardEvent) -> str | None:
    """Return whom *event* has forgotten; None for all other events."""
    return event.person_id if event.type == "commanded" and event.command == "erase" else None


def erase(draft: Draft) -> None:
    """Let the event's person be forgotten: the ideas that its words named are named by somebody else's, or by none."""
    board, person = draft.board, draft.event.person_id or ""
    for idea in board.slots:
        if idea.titled_by == person:
            title, by = _title_without(board, idea, person)
            draft.decide("renamed", idea_id=idea.idea_id, title=title, person_id=by, method=_METHOD)
    draft.erase(person)


def _title_without(board: Board, idea: IdeaState, person: str) -> tuple[str, str | None]:
    """Return the title that the earliest link of somebody else gives, and whose it is."""
    for link in idea.links.values():
        if link.person_id != person and link.row >= 0:
            return title_of(board.wordings.text(link.row)), link.person_id
    return ERASED_TITLE, None


class Redaction:
    """The words of one person in the log of a board: ``learn`` all entries first, then each can be had without them.

    Where it *lacks* vectors then, ``find`` is to see all entries, too: she repeated what others said before, and what is repeated after
    her may rest on her text alone.
    """

    def __init__(self, person_id: str) -> None:
        self._person = person_id
        self._words: set[str] = set()
        self._others: set[str] = set()
        self._quotes: set[str] = set()
        self._titles: defaultdict[str, set[str]] = defaultdict(set)
        self._vectors: dict[bytes, bytes] = {}
        self._repeated: set[bytes] = set()

    @property
    def lacks(self) -> bool:
        """Tell whether there are texts of hers whose vectors are not known yet."""
        return not self._repeated <= self._vectors.keys()

    def find(self, entry: Entry) -> None:
        """Take the vector of *entry*, if it is that of a text of hers."""
        for decision in entry.decisions if entry.vector is not None else ():
            if decision.type == "linked" and decision.text and text_key(decision.text) in self._repeated:
                self._vectors.setdefault(text_key(decision.text), entry.vector or b"")

    def learn(self, entry: Entry) -> None:
        """Take in what *entry* holds of the person's words."""
        for decision in entry.decisions:
            if self._names(decision, entry.decisions):
                self._titles[decision.idea_id or ""].add(decision.title or "")
            if decision.type != "linked" or not decision.text:
                continue
            if decision.person_id != self._person:
                self._others.update(words_of(decision.text))
                continue
            self._words.update(words_of(decision.text))
            self._quotes.add(quote_of(decision.text))
            if entry.vector is None:
                self._repeated.add(text_key(decision.text))
            else:
                self._vectors[text_key(decision.text)] = entry.vector

    def of_entry(self, entry: Entry) -> Entry:
        """Return *entry* without them; a vector that others' repeats of the same text rest on goes to their entry."""
        decisions = tuple(self.of_decision(decision, entry.decisions) for decision in entry.decisions)
        seen = entry.seen
        if seen is not None and seen.vote is not None:
            seen = seen._replace(vote=seen.vote.without_words_of(self._person))
        return replace(entry, decisions=decisions, seen=seen, ideas=tuple(map(self._of_idea, entry.ideas)), vector=self._vector(entry))

    def of_decision(self, decision: Decision, of_event: Iterable[Decision] = ()) -> Decision:
        """Return *decision*, one *of_event*, without them."""
        if self._says(decision):
            return replace(decision, text="", external_id=None, url=None, language=None)
        return replace(decision, title="") if self._names(decision, of_event) else decision

    def is_hers(self, decision: Decision, of_event: Iterable[Decision]) -> bool:
        """Tell whether *decision*, one *of_event*, held any of them."""
        return self._says(decision) or self._names(decision, of_event)

    def _says(self, decision: Decision) -> bool:
        return decision.type == "linked" and decision.person_id == self._person

    def _names(self, decision: Decision, of_event: Iterable[Decision]) -> bool:
        """Tell whether *decision* gives an idea a title out of them: as its first text, after another's erasure, or by an undoing."""
        if decision.type == "renamed":
            return decision.method in (_METHOD, UNDO) and decision.person_id == self._person
        if decision.type != "opened":
            return False
        first = next((one for one in of_event if one.type in ("linked", "split") and one.idea_id == decision.idea_id), None)
        return first is not None and first.person_id == self._person

    def _of_idea(self, idea: Idea) -> Idea:
        is_titled, is_quoted = idea.title in self._titles.get(idea.idea_id, ()), idea.quote in self._quotes
        is_telling = idea.keywords is not None and not (self._words - self._others).isdisjoint(idea.keywords.split())
        if not (is_titled or is_quoted or is_telling):
            return idea
        return replace(
            idea,
            title="" if is_titled else idea.title,
            quote=None if is_quoted else idea.quote,
            keywords=None if is_telling else idea.keywords,
        )

    def _vector(self, entry: Entry) -> bytes | None:
        linked = [decision for decision in entry.decisions if decision.type == "linked" and decision.method != VOTE]
        if any(self._says(decision) for decision in linked):
            return None
        if entry.vector is not None or not self._vectors:
            return entry.vector
        found = (self._vectors.get(text_key(decision.text)) for decision in linked if decision.text)
        return next((vector for vector in found if vector is not None), None)
