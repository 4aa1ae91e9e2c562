"""``ideas.demand``: a tally as the record that others read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import orjson

from services.common.events import IdeaDemand
from services.segmenter.domain.board import BoardState
from services.segmenter.domain.definition import UNKNOWN
from services.segmenter.domain.enrichment import segments_json
from services.segmenter.domain.quotes import Quote, Rank
from services.segmenter.domain.recency import DAY
from services.segmenter.domain.requests import velocity
from services.segmenter.domain.significance import Share, chance_of_more, lift
from services.segmenter.domain.tally import Cell, Tally, View

SIGNIFICANT = 0.05
"""A share that chance gives less often, all comparisons of the board considered, is over-represented."""
_MOST_QUOTES = 20

Turn: TypeAlias = tuple[str, int]


def turn(state: BoardState, idea_id: str) -> Turn:
    """Return what differs whenever an idea's demand does: its root, and which change of the board's counts was its last."""
    return state.root(idea_id), state.counts.tally(idea_id).turn


def demand(state: BoardState, idea_id: str, place: tuple[str, str]) -> IdeaDemand:
    """Return the demand of an idea on the board *place* (workspace, board) as of the board's last input.

    How fast it grows, and what it is held against, are as of that input, too; another idea's demand does not repeat this one's.
    """
    tally = state.counts.tally(idea_id)
    cells, comparisons = list(tally.each()), state.counts.comparisons()
    people, accounts, mentions, mrr_cents = tally.total.numbers()
    recent, earlier = velocity(tally.total.days, state.at // DAY)
    segments, over = _segments(state, tally, cells, comparisons)
    return IdeaDemand(
        idea_id=idea_id,
        workspace=place[0],
        board=place[1],
        version=state.version,
        root_id=state.root(idea_id),
        people=people,
        accounts=accounts,
        mentions=mentions,
        mrr_cents=mrr_cents,
        segments_json=orjson.dumps(segments).decode(),
        updated_at=state.at,
        recent_mentions=recent,
        earlier_mentions=earlier,
        board_people=state.counts.crowd.people,
        comparisons=comparisons,
        over_represented=" ".join(name for _, name in sorted(over)),
        quotes_json=orjson.dumps(list(_quotes(state, tally, cells))).decode(),
        definition_version=state.definition.version,
    )


def _segments(
    state: BoardState, tally: Tally, cells: Sequence[tuple[int, str, Cell]], comparisons: int
) -> tuple[dict[str, dict[str, Any]], list[tuple[float, str]]]:
    """Return the cells of every scheme that has any, and the chance and the name of each segment that is over-represented."""
    found: dict[str, dict[str, Any]] = {}
    over: list[tuple[float, str]] = []
    crowd, today, people, names = state.counts.crowd, state.at // DAY, tally.total.people, state.definition.names
    for place, segment, cell in cells:
        scheme = names[place]
        told = _counts(cell, today)
        if segment != UNKNOWN:
            idea, all_of_it = Share(cell.people, people), crowd.cells[place][segment]
            rest = Share(all_of_it - cell.people, crowd.people - people)
            chance = chance_of_more(idea, rest)
            adjusted = min(1.0, chance * comparisons)
            ratio = lift(idea, rest)
            told["lift"] = None if ratio is None else round(ratio, 3)
            told["p"], told["p_adjusted"] = _short(chance), _short(adjusted)
            if adjusted < SIGNIFICANT:
                over.append((chance, f"{scheme}={segment}"))
        found.setdefault(scheme, {})[segment] = told
    return found, over


def _counts(cell: Cell, today: int) -> dict[str, Any]:
    people, accounts, mentions, mrr_cents = cell.numbers()
    recent, earlier = velocity(cell.days, today)
    return {
        "people": people,
        "accounts": accounts,
        "mentions": mentions,
        "mrr_cents": mrr_cents,
        "recent_mentions": recent,
        "earlier_mentions": earlier,
    }


def _short(chance: float) -> float:
    """Return a probability to three digits: more would tell machines apart, not ideas."""
    return chance if chance == 1.0 else float(f"{chance:.3g}")


def _quotes(state: BoardState, tally: Tally, cells: Iterable[tuple[int, str, Cell]]) -> Iterator[dict[str, Any]]:
    """Yield the best words of all and of each segment, the best first, each once, with the segments of whoever said them."""
    speakers = _Speakers(state, tally)
    ranks: set[Rank | None] = {tally.total.best.first(tally.total.people, lambda rank: speakers[rank] is not None)}
    for place, segment, cell in cells:
        likely = cell.best.likely(cell.people)
        view = None if likely is None else speakers[likely]
        is_best = view is not None and view.segments[place] == segment  # as mostly; `first` would be asked for each segment
        ranks.add(likely if is_best else cell.best.first(cell.people, partial(speakers.are_in, place, segment)))
    for rank in sorted(rank for rank in ranks if rank is not None)[:_MOST_QUOTES]:
        said, view = state.mentions[rank[2]].quote, speakers[rank]
        assert isinstance(said, Quote), "it counts, so it is there"
        assert view is not None, "somebody said it"
        yield {
            "feedback_id": rank[2],
            "text": said.text,
            "source": said.source,
            "occurred_at": said.occurred_at,
            "account_id": view.account_id,
            "segments": orjson.Fragment(segments_json(state.definition.names, view.segments)),
        }


class _Speakers(dict[Rank, View | None]):
    """Who said the quotes of a tally, each looked for once: the same one is often the best of several segments."""

    def __init__(self, state: BoardState, tally: Tally) -> None:
        super().__init__()
        self._state = state
        self._tally = tally

    def __missing__(self, rank: Rank) -> View | None:
        view = self[rank] = self._state.speaker(rank, self._tally)
        return view

    def are_in(self, place: int, segment: str, rank: Rank) -> bool:
        """Tell whether who said the quote of *rank* is in *segment* of the scheme at *place*."""
        view = self[rank]
        return view is not None and view.segments[place] == segment
