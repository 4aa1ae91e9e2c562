"""``ideas.demand``: a tally as the record that others read."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from services.common.clock import Micros
from services.common.events import IdeaDemand
from services.segmenter.domain.board import BoardState
from services.segmenter.domain.tally import Cell


@dataclass(frozen=True, slots=True)
class Shown:
    """What an idea's demand says, without version and time."""

    root_id: str
    people: int
    accounts: int
    mentions: int
    mrr_cents: int
    segments_json: str


def shown(state: BoardState, idea_id: str) -> Shown:
    """Return what the demand of an idea says now."""
    tally = state.tally(idea_id)
    segments = {
        scheme.name: {segment: _numbers(cells[segment]) for segment in sorted(cells)}
        for scheme, cells in zip(state.definition.schemes, tally.cells, strict=True)
        if cells
    }
    total = tally.total
    text = orjson.dumps(segments).decode()
    return Shown(state.root(idea_id), total.people, len(total.accounts), total.mentions, total.mrr_cents, text)


def demand(now: Shown, idea_id: str, place: tuple[str, str], version: int, updated_at: Micros) -> IdeaDemand:
    """Return the record of an idea on the board *place* (workspace, board)."""
    return IdeaDemand(
        idea_id=idea_id,
        workspace=place[0],
        board=place[1],
        version=version,
        root_id=now.root_id,
        people=now.people,
        accounts=now.accounts,
        mentions=now.mentions,
        mrr_cents=now.mrr_cents,
        segments_json=now.segments_json,
        updated_at=updated_at,
    )


def _numbers(cell: Cell) -> dict[str, int]:
    return {"people": cell.people, "accounts": len(cell.accounts), "mentions": cell.mentions, "mrr_cents": cell.mrr_cents}
