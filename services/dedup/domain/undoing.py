"""Taking a command back: the decisions that lead from what stands to what would stand without it."""

from __future__ import annotations

from typing import Any

from services.common.events import BoardEvent, DecisionType
from services.dedup.domain.board import Board
from services.dedup.domain.draft import Draft
from services.dedup.domain.following import votes_beside
from services.dedup.domain.methods import UNDO
from services.dedup.domain.texts import ERASED_TITLE

_ANSWERED: dict[str, DecisionType] = {"open": "suggested", "accepted": "accepted", "dismissed": "dismissed"}
"""What is said of a suggestion whose state is so again."""


def undone_by(board: Board, event: BoardEvent) -> str | None:
    """Return the command in force on *board* that *event* undoes; None where it undoes nothing."""
    target = event.undone_event_id
    if event.command != UNDO or target is None or not board.acts.knows(target):
        return None
    return target if board.acts.is_in_force(target) else None


def undo(draft: Draft, target: str) -> None:
    """Take the command *target*, which is in force, back."""
    for (idea, other), state in draft.undo(target):
        _say(draft, _ANSWERED[state], target, idea_id=idea, other_idea_id=other)
    _unpoint(draft, target)
    _place(draft, target)
    _point(draft, target)
    for idea, (title, by) in draft.board.acts.titles():
        if draft.board.ideas[idea].title != (title or ERASED_TITLE):
            _say(draft, "renamed", target, idea_id=idea, title=title or ERASED_TITLE, person_id=by or None)


def _unpoint(draft: Draft, target: str) -> None:
    board, wanted = draft.board, draft.board.acts.pointers()
    for child, parent in list(board.merges.pointers()):
        if wanted.get(child) != parent:
            _say(draft, "unmerged", target, idea_id=child, other_idea_id=parent, root_id=child)


def _place(draft: Draft, target: str) -> None:
    """Bring what commands moved to where it belongs now, and with it the votes that came to it there."""
    board = draft.board
    places = dict(board.acts.places())
    for feedback, idea in places.items():
        link = board.links.get(feedback)
        if link is None or link.idea_id == idea:
            continue
        for name in [feedback, *(vote for vote in votes_beside(board, feedback) if vote not in places)]:
            link = board.links[name]
            said = {"feedback_id": name, "revision": board.links.revision_of(name), "person_id": link.person_id}
            _say(draft, "moved", target, idea_id=idea, other_idea_id=link.idea_id, **said)


def _point(draft: Draft, target: str) -> None:
    board = draft.board
    for child, parent in board.acts.pointers().items():
        if board.merges.parent(child) is None:
            _say(draft, "merged", target, idea_id=child, other_idea_id=parent, root_id=board.root_of(parent))


def _say(draft: Draft, kind: DecisionType, target: str, **fields: Any) -> None:
    draft.decide(kind, method=UNDO, reason=target, actor=draft.event.actor, source=draft.event.source, **fields)
