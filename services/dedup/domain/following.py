"""Votes go where their parents go."""

from __future__ import annotations

from collections.abc import Iterator

from services.dedup.domain.board import Board
from services.dedup.domain.draft import Draft
from services.dedup.domain.ideas import Link
from services.dedup.domain.methods import VOTE
from services.dedup.domain.votes import Vote, vote_of

_SHOWN = '[{"idea":"%s","score":1.0,"member":1.0,"nearest":"%s","parent":"%s"}]'


def place_vote(draft: Draft) -> None:
    """Link a bare "+1" to its parent's idea, with no word but its own; without the parent nobody knows yet what it wants."""
    board, event = draft.board, draft.event
    feedback, parent_id = event.feedback_id or "", event.parent_id or ""
    if event.revision <= board.links.revision_of(feedback):
        return
    draft.see(feedback, event.revision, vote_of(event))
    before = board.idea_of(feedback)
    parent = None if board.votes.hangs_on(parent_id, feedback) else board.links.get(parent_id)
    if before is not None:
        unlink(draft, feedback, event.revision, "revision", "retracted" if parent is None else "revised")
    vote = vote_of(event)
    if parent is not None and vote is not None:
        _link(draft, vote, parent)
    follow(draft, feedback, before)


def follow(draft: Draft, feedback: str, before: str | None) -> None:
    """Bring the votes for *feedback*, which was in the idea *before*, to where it is now; one that a human moved elsewhere stays there."""
    board = draft.board
    if not board.votes.has(feedback):
        return
    changed = [feedback]
    while changed:
        parent_id = changed.pop()
        parent = board.links.get(parent_id)
        if (None if parent is None else parent.idea_id) == before:
            continue
        for name, vote in board.votes.of(parent_id):
            link = board.links.get(name)
            if (None if link is None else link.idea_id) != before:
                continue
            if link is not None:
                unlink(
                    draft, name, board.links.revision_of(name, vote.said["revision"]), VOTE, "retracted" if parent is None else "revised"
                )
            if parent is not None:
                _link(draft, vote, parent)
            changed.append(name)


def votes_beside(board: Board, feedback: str) -> Iterator[str]:
    """Yield the votes for *feedback*, for those votes, and so on, as far as they are in its idea."""
    idea, waiting = board.idea_of(feedback), [feedback]
    while waiting:
        beside = [name for name, _ in board.votes.of(waiting.pop()) if board.idea_of(name) == idea]
        yield from beside
        waiting += beside


def unlink(draft: Draft, feedback: str, revision: int, method: str, reason: str) -> None:
    """Take a piece of feedback out of its idea."""
    link = draft.board.links[feedback]
    draft.decide(
        "unlinked",
        idea_id=link.idea_id,
        feedback_id=feedback,
        revision=revision,
        person_id=link.person_id,
        method=method,
        reason=reason,
    )


def _link(draft: Draft, vote: Vote, parent: Link) -> None:
    shown = _SHOWN % (parent.idea_id, parent.event_id, parent.feedback_id)
    draft.decide("linked", idea_id=parent.idea_id, method=VOTE, candidates_json=shown, **vote.said)
