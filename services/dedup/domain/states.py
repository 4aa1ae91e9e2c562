"""``ideas``: the present state of each idea that an event has changed."""

from __future__ import annotations

from services.common.clock import Micros
from services.common.events import Idea
from services.common.values import placer
from services.dedup.domain.board import Board
from services.dedup.domain.ideas import Told, told_of_one, week_of
from services.dedup.domain.portrait import Portrait, draw, is_due, of_places

_IDEA = placer(
    Idea,
    (
        *("idea_id", "workspace", "board", "version", "root_id", "title", "status", "people", "mentions", "first_seen", "last_seen"),
        *("updated_at", "merged_ideas", "release_id", "release_name", "quote", "keywords", "trend", "recent_people", "earlier_people"),
    ),
)
_BLANK = Portrait("", (), 0)


def changed_ideas(board: Board, at: Micros) -> tuple[Idea, ...]:
    """Return the states of the ideas that *board* has touched, in the order in which they were opened; *at* is their moment of change."""
    touched = list(board.touched)
    if len(touched) == 1:  # as of most events
        return (_told(board, touched[0], at, _version(board, touched[0]), *_draw(board, touched[0])),)
    touched.sort(key=lambda idea_id: board.ideas[idea_id].slot)
    drawn = [_draw(board, idea_id) for idea_id in touched]  # all, before any is told
    return tuple([_told(board, idea_id, at, _version(board, idea_id), *of) for idea_id, of in zip(touched, drawn, strict=True)])


def idea_state(board: Board, idea_id: str, at: Micros, version: int) -> Idea:
    """Return the state of one idea: a root counts its family, one that was merged away its own links."""
    return _told(board, idea_id, at, version, _counted(board, idea_id), portrait_of(board, idea_id) or _BLANK)


def portrait_of(board: Board, idea_id: str) -> Portrait | None:
    """Return the portrait of an idea as it was last published."""
    idea = board.ideas[idea_id]
    found, only = idea.portrait, idea.only
    if isinstance(found, bytes):
        return None if only is None else of_places(found, board.wordings.text(only.row))
    return found


def _told(board: Board, idea_id: str, at: Micros, version: int, told: Told, portrait: Portrait) -> Idea:  # noqa: PLR0917
    idea = board.ideas[idea_id]
    return _IDEA(
        idea_id,
        board.workspace,
        board.board,
        version,
        board.root_of(idea_id),
        idea.title,
        idea.standing.status,
        told.people,
        told.mentions,
        idea.opened_at if told.first is None else told.first,
        idea.opened_at if told.last is None else told.last,
        at,
        0 if board.merges.is_alone(idea_id) else sum(1 for _ in board.merges.below(idea_id)) - 1,
        idea.standing.release_id,
        idea.standing.release_name,
        portrait.quote or None,
        " ".join(portrait.keywords) or None,
        told.trend,
        told.recent,
        told.earlier,
    )


def _counted(board: Board, idea_id: str) -> Told:
    only, this_week = board.ideas[idea_id].only, week_of(board.latest)
    if only is not None and board.merges.is_alone(idea_id):
        return told_of_one(only, this_week)
    return (board.family(idea_id) if board.root_of(idea_id) == idea_id else board.own(idea_id)).told(this_week)


def _draw(board: Board, idea_id: str) -> tuple[Told, Portrait]:
    """Return what is told of an idea, and its portrait, drawn anew if that is due."""
    idea, told = board.ideas[idea_id], _counted(board, idea_id)
    if idea_id not in board.changed and not is_due(idea.portrait, told.mentions):
        return told, portrait_of(board, idea_id) or _BLANK
    only = idea.only
    if only is not None and told.mentions == 1:
        rows = [only.row] if only.row >= 0 else []
    elif board.root_of(idea_id) == idea_id:
        rows = board.rows_below(idea_id)
    else:
        rows = sorted({link.row for link in idea.links.values() if link.row >= 0})
    return told, draw(board.index, board.wordings, board.vocabulary, rows, ideas=len(board.slots), mentions=told.mentions)


def _version(board: Board, idea_id: str) -> int:
    """Return a version above the last: two of its people joining changes an idea without a decision, which takes no sequence."""
    return max(board.ideas[idea_id].version + 1, board.touched[idea_id])
