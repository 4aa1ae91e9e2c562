"""The decisions of one event in the making: each holds as soon as it is made, so that the next one sees it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from services.common.events import BoardEvent, Decision, DecisionType
from services.common.values import filler, maker, placer
from services.dedup.domain.board import Board
from services.dedup.domain.calibration import Census
from services.dedup.domain.doubts import Pair
from services.dedup.domain.entry import Entry, PersonPointer, Seen
from services.dedup.domain.index import Units
from services.dedup.domain.states import changed_ideas
from services.dedup.domain.votes import Vote

_DECISION = maker(Decision)
_ENTRY = placer(
    Entry,
    (
        *("board", "position", "event_id", "origin", "decisions", "ideas"),
        *("seen", "persons", "census", "erased", "undone", "vector"),
    ),
)
_OF_EVENT = ("workspace", "board", "event_id", "occurred_at", "ingested_at")
_LINKED = filler(
    Decision,
    (*_OF_EVENT, "feedback_id", "revision", "person_id", "source", "external_id", "text", "language", "url", "actor"),
    ("type", "decision_id", "sequence", "idea_id", "root_id", "rating", "method", "score", "threshold", "candidates_json", "origin"),
)
_OPENED = filler(
    Decision, _OF_EVENT, ("type", "decision_id", "sequence", "idea_id", "root_id", "title", "method", "score", "threshold", "origin")
)


class Draft:
    """What *event*, read at *origin*, establishes on *board*, so far."""

    _seen: tuple[str, int, Vote | None] | None = None
    _persons: PersonPointer | None = None
    _undone: str | None = None
    _vector: bytes | None = None
    _census: Census | None = None
    _erased: str | None = None

    def __init__(self, board: Board, event: BoardEvent, origin: str) -> None:
        self.board = board
        self.event = event
        self._origin = origin
        self._decisions: list[Decision | Callable[[], Decision]] = []

    def decide(self, kind: DecisionType, *, vector: Units | None = None, **fields: Any) -> None:
        """Establish one decision; *fields* are those of ``Decision`` that its type needs, *vector* is as in ``Board.apply``."""
        sequence = self.board.sequence + 1
        idea_id = fields.get("idea_id")
        if idea_id is not None and "root_id" not in fields and (kind == "opened" or idea_id in self.board.ideas):
            fields["root_id"] = self.board.root_of(idea_id)
        decision = _DECISION(
            decision_id=self.board.decision_id(sequence),
            type=kind,
            workspace=self.event.workspace,
            board=self.event.board,
            sequence=sequence,
            event_id=self.event.event_id,
            origin=self._origin,
            **{"occurred_at": self.event.occurred_at, "ingested_at": self.event.ingested_at, **fields},
        )
        self.board.apply(decision, vector)
        self._decisions.append(decision)

    def open(self, idea_id: str, title: str, *why: Any) -> None:
        """Open an idea for the event's text; *why* are method, score and threshold."""
        board = self.board
        sequence = board.sequence + 1
        decision = _OPENED(
            self.event, "opened", board.decision_id(sequence), sequence, idea_id, board.root_of(idea_id), title, *why, self._origin
        )
        board.apply(decision)
        self._decisions.append(decision)

    def link(self, idea_id: str, *why: Any, vector: Units | None = None, row: int | None = None) -> None:
        """Link the event's text to *idea_id*; *why* are method, score, threshold and what gives the candidates.

        *vector* is as in ``Board.apply``, *row* as in ``Board.link``.

        It holds at once; the decision that says so is drawn up when the draft is finished.
        """
        board = self.board
        board.sequence = sequence = board.sequence + 1
        root_id = board.link(self.event, idea_id, vector, row=row)
        self._decisions.append(partial(self._linked, sequence, idea_id, root_id, *why))

    def _linked(self, sequence: int, idea_id: str, root_id: str, *why: Any) -> Decision:
        event, (*scored, shown) = self.event, why
        rating = event.rating
        if rating is not None and not math.isfinite(rating):
            rating = None  # JSON, which the log is kept in, has no other numbers
        made: Decision = _LINKED(
            event, "linked", self.board.decision_id(sequence), sequence, idea_id, root_id, rating, *scored, shown(), self._origin
        )
        return made

    def keep(self, vector: Units | np.ndarray[Any, np.dtype[np.float32]]) -> None:
        """Let the log hold *vector* (L2-normalised): a decision of this event needs it."""
        self._vector = np.ascontiguousarray(vector, "<f4").tobytes()

    def calibrate(self, census: Census) -> None:
        """Establish what was counted on the board: its threshold goes by it from now on."""
        self._census = census
        self.board.calibration.take(census)

    def see(self, feedback_id: str, revision: int, vote: Vote | None = None) -> None:
        """Establish the newest revision of a piece of feedback, and what it is a vote for."""
        self._seen = feedback_id, revision, vote
        self.board.see(feedback_id, revision, vote)

    def point_person(self, pointer: PersonPointer) -> None:
        """Establish whom a person counts as."""
        self._persons = pointer
        self.board.point_person(pointer)

    def erase(self, person_id: str) -> None:
        """Establish that a person's words are gone."""
        self._erased = person_id
        self.board.erase(person_id)

    def undo(self, event_id: str) -> list[tuple[Pair, str]]:
        """Establish that the command *event_id* counts no longer; return what that says of suggestions, see ``Board.undo``."""
        self._undone = event_id
        return self.board.undo(event_id, self.event.event_id)

    def finish(self) -> Entry:
        """Close the board's next entry and return it."""
        board, event = self.board, self.event
        entry = _ENTRY(
            board.key,
            board.position + 1,
            event.event_id,
            self._origin,
            tuple([one if isinstance(one, Decision) else one() for one in self._decisions]),
            changed_ideas(board, event.ingested_at),
            None if self._seen is None else Seen(*self._seen),
            self._persons,
            self._census,
            self._erased,
            self._undone,
            self._vector,
        )
        board.close(entry)
        return entry
