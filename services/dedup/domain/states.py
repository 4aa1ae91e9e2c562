"""``ideas``: the present state of each idea that an event has changed."""

from __future__ import annotations

from services.common.clock import Micros
from services.common.events import Idea
from services.common.values import maker
from services.dedup.domain.board import Board
from services.dedup.domain.ideas import week_of
from services.dedup.domain.portrait import Portrait, draw, is_due

_IDEA = maker(Idea)


def changed_ideas(board: Board, at: Micros) -> tuple[Idea, ...]:
    """Return the states of the ideas that *board* has touched, in the order in which they were opened; *at* is their moment of change."""
    touched = sorted(board.touched, key=lambda idea_id: board.ideas[idea_id].slot)
    for idea_id in touched:
        _draw(board, idea_id)
    return tuple(idea_state(board, idea_id, at, _version(board, idea_id)) for idea_id in touched)


def idea_state(board: Board, idea_id: str, at: Micros, version: int) -> Idea:
    """Return the state of one idea: a root counts its family, one that was merged away its own links."""
    idea = board.ideas[idea_id]
    root = board.root_of(idea_id)
    tally = board.family(idea_id) if root == idea_id else board.own(idea_id)
    portrait = idea.portrait or Portrait("", (), 0)
    trend, now, before = tally.trend(week_of(board.latest))
    return _IDEA(
        idea_id=idea_id,
        workspace=board.workspace,
        board=board.board,
        version=version,
        root_id=root,
        title=idea.title,
        status=idea.status,
        people=len(tally.people),
        mentions=tally.mentions,
        first_seen=idea.opened_at if tally.first is None else tally.first,
        last_seen=idea.opened_at if tally.last is None else tally.last,
        updated_at=at,
        merged_ideas=0 if board.merges.is_alone(idea_id) else sum(1 for _ in board.merges.below(idea_id)) - 1,
        release_id=idea.release_id,
        release_name=idea.release_name,
        quote=portrait.quote or None,
        keywords=" ".join(portrait.keywords) or None,
        trend=trend,
        recent_people=now,
        earlier_people=before,
    )


def _draw(board: Board, idea_id: str) -> None:
    idea = board.ideas[idea_id]
    is_root = board.root_of(idea_id) == idea_id
    mentions = (board.family(idea_id) if is_root else board.own(idea_id)).mentions
    if idea_id not in board.changed and not is_due(idea.portrait, mentions):
        return
    rows = board.rows_below(idea_id) if is_root else sorted({link.row for link in idea.links.values() if link.row >= 0})
    idea.portrait = draw(board.index, board.wordings, board.vocabulary, rows, ideas=len(board.slots), mentions=mentions)


def _version(board: Board, idea_id: str) -> int:
    """Return a version above the last: two of its people joining changes an idea without a decision, which takes no sequence."""
    return max(board.ideas[idea_id].version + 1, board.touched[idea_id])
