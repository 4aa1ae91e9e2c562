"""A moderator's answers, given beforehand, to a board that is clustered without the service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from services.common import ids
from services.common.events import BoardEvent
from services.dedup.domain.board import Board
from services.dedup.domain.questions import questions

Adviser: TypeAlias = Callable[[Board, BoardEvent], Iterator[BoardEvent]]
"""Yields the commands that follow upon an event that the board has taken in; it sees what each one did before it yields the next."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether two pieces of feedback, by their ids in their channel, ask for the same."""

    one: str
    other: str
    same: bool


def by_pairs(answers: Sequence[Answer]) -> Adviser:
    """Return an adviser that gives each answer as soon as both of its texts are on the board.

    What is the same is accepted where it was suggested, else merged, even if a pass did so already; what is not is dismissed, unmerged, or
    split, as it stands.
    """
    waiting: dict[str, list[Answer]] = {}
    for answer in answers:
        waiting.setdefault(answer.one, []).append(answer)
        waiting.setdefault(answer.other, []).append(answer)
    feedback: dict[str, str] = {}

    def advise(board: Board, event: BoardEvent) -> Iterator[BoardEvent]:
        if event.external_id is None or event.feedback_id is None or event.type != "submitted":
            return
        feedback[event.external_id] = event.feedback_id
        for number, answer in enumerate(waiting.get(event.external_id, ())):
            one, other = feedback.get(answer.one), feedback.get(answer.other)
            if one is not None and other is not None and one != other:
                wish = _wish(board, one, other, answer.same)
                if wish is not None:
                    yield _command(event, f"answer-{number}", **wish)

    return advise


def by_labels(labels: Mapping[str, str], *, asked: int, texts: int) -> Adviser:
    """Return an adviser that answers the question on top of the board's list, *asked* times, evenly spread over *texts* texts.

    *labels* say of feedback, by its id in its channel, what it asks for; an idea's label is that of most of its texts. A question about
    ideas of which nothing is known is passed over.
    """
    known: dict[str, str] = {}
    seen = 0

    def advise(board: Board, event: BoardEvent) -> Iterator[BoardEvent]:
        nonlocal seen
        if event.type != "submitted" or event.external_id is None or event.feedback_id is None:
            return
        if event.external_id in labels:
            known[event.feedback_id] = labels[event.external_id]
        seen += 1
        for number in range((seen - 1) * asked // texts, seen * asked // texts):
            for one, other in questions(board):
                first, second = _label(board, one, known), _label(board, other, known)
                if first is not None and second is not None:
                    yield _command(event, f"answer-{number}", command=_said(first == second), idea_id=one, other_idea_id=other)
                    break

    return advise


def _said(same: bool) -> str:
    return "accept" if same else "dismiss"


def _wish(board: Board, one: str, other: str, same: bool) -> dict[str, str] | None:
    first, second = board.idea_of(one), board.idea_of(other)
    if first is None or second is None or (same and first == second):
        return None
    apart = board.root_of(first) != board.root_of(second)
    roots = {board.root_of(first), board.root_of(second)}
    asked = next((known for known in board.suggestions if {board.root_of(idea) for idea in known} == roots), None)
    if apart and asked is not None:
        return {"command": _said(same), "idea_id": asked[0], "other_idea_id": asked[1]}
    if same:
        return {"command": "merge", "idea_id": first, "other_idea_id": second}
    if apart:
        return None
    if first != second:
        return {"command": "unmerge", "idea_id": first, "other_idea_id": second}
    return {"command": "split", "idea_id": first, "feedback_id": other}


def _label(board: Board, idea_id: str, known: Mapping[str, str]) -> str | None:
    """Return the label of most of an idea's whole family; of equals that of the earliest text."""
    family = board.merges.below(board.root_of(idea_id))
    counts = Counter(known[feedback] for member in family for feedback in board.ideas[member].links if feedback in known)
    return counts.most_common(1)[0][0] if counts else None


def _command(event: BoardEvent, name: str, **fields: str) -> BoardEvent:
    return BoardEvent(
        event_id=ids.event_id(event.workspace, event.event_id, name),
        type="commanded",
        workspace=event.workspace,
        board=event.board,
        source="answers",
        occurred_at=event.occurred_at,
        ingested_at=event.ingested_at,
        origin=event.origin,
        actor="moderator",
        **fields,  # type: ignore[arg-type]
    )
