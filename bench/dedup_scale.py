"""Measures a very large board: what it costs to look for a text and to add it, what memory it takes, and how much is missed.

    python -m bench.dedup_scale [--ideas 1000000] [--queries 1000] [--compared 100] [--noise 0.7]

The vectors are made up: topics that have subtopics, as texts have, each text its own idea; a tenth of what is looked for repeats an idea in
other words (*noise* times as long as the text itself), the rest is new. ``Index`` alone is measured, which holds all vectors; ``--board``
folds whole ideas from the log of a ``Board`` instead. Recall is the share of the exhaustive search's best ideas, and of its
best five, that the cells give. Exits with 1 where a figure misses its bar.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.dedup_speed import Row, _both, _decide, _event, _resident
from services.common.events import Decision, Idea
from services.dedup.domain.board import Board
from services.dedup.domain.entry import Entry, Seen, read_entry
from services.dedup.domain.index import Index, in_units
from services.dedup.domain.repair import repair_of
from services.dedup.domain.sample import take_census

_DIMENSIONS = 384
_TOPICS, _SUBTOPICS = 200, 40
_CHUNK = 2_000
_SEED = 7
_TOLD = 50_000


class Made:
    """Vectors of unit length: a topic, a subtopic, and something of their own."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(_SEED)
        self._topics = self._rng.standard_normal((_TOPICS, _DIMENSIONS), np.float32)
        self._subtopics = self._rng.standard_normal((_TOPICS, _SUBTOPICS, _DIMENSIONS), np.float32)

    def texts(self, count: int) -> NDArray[np.float32]:
        """Return so many new texts, one a row."""
        topics, subtopics = self._rng.integers(_TOPICS, size=count), self._rng.integers(_SUBTOPICS, size=count)
        own = self._rng.standard_normal((count, _DIMENSIONS), np.float32)
        return _unit(self._topics[topics] + 0.8 * self._subtopics[topics, subtopics] + own)

    def again(self, texts: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
        """Return *texts* in other words."""
        return _unit(texts + noise * _unit(self._rng.standard_normal(texts.shape, np.float32)))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def measured(ideas: int, queries: int, compared: int, noise: float) -> list[Row]:
    """Return what an index of so many ideas costs."""
    made, index = Made(), Index(_DIMENSIONS)
    kept: list[NDArray[np.float32]] = []
    slowest, started = 0.0, time.process_time()
    for start in range(0, ideas, _CHUNK):
        chunk = made.texts(min(_CHUNK, ideas - start))
        kept.append(chunk[:: max(ideas // queries, 1)])
        for text in chunk:
            began = time.perf_counter()
            index.add(index.open(), in_units(text))
            slowest = max(slowest, time.perf_counter() - began)
    built = (time.process_time() - started) / ideas * 1e6
    asked = np.concatenate([made.again(np.concatenate(kept)[: queries // 10], noise), made.texts(queries - queries // 10)])
    asked = asked[np.random.default_rng(_SEED).permutation(len(asked))]
    looked, assigned = [], []
    for text in asked:
        units, began = in_units(text), time.perf_counter()
        index.query(units, 5)
        looked.append((time.perf_counter() - began) * 1e6)
        index.add(index.open(), units)
        assigned.append((time.perf_counter() - began) * 1e6)
    repeats = made.again(np.concatenate(kept)[-compared:], noise)
    first, five = _recall(index, repeats)
    fresh, fresh_five = _recall(index, made.texts(compared))
    return [
        Row(f"look for a text among {ideas:,} ideas, median, us", statistics.median(looked)),
        Row("look for it and add it, median, us", statistics.median(assigned)),
        Row("look for it and add it, 99th percentile, us", float(np.percentile(assigned, 99)), 5_000, 5_000),
        Row("a text added, all cuts included, CPU us", built),
        Row("the slowest of them: a cut, ms", slowest * 1e3),
        *_shares(first, five, fresh, fresh_five),
        Row("resident memory, MB", _resident() / 1e6, 2_000, 2_000),
        Row("load of the machine", os.getloadavg()[0]),
    ]


def _shares(first: float, five: float, fresh: float, fresh_five: float) -> list[Row]:
    return [
        Row("repeats: best idea found, % of exhaustive", 100 * first),
        Row("repeats: best five found, % of exhaustive", 100 * five),
        Row("new texts: best idea found, % of exhaustive", 100 * fresh),
        Row("new texts: best five found, % of exhaustive", 100 * fresh_five),
    ]


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _recall(index: Index, texts: NDArray[np.float32]) -> tuple[float, float]:
    first = five = 0
    for text in texts:
        units = in_units(text)
        found = [match.slot for match in index.query(units, 5)]
        every = [match.slot for match in index.query(units, 5, exhaustive=True)]
        first += found[:1] == every[:1]
        five += len(set(found) & set(every))
    return first / len(texts), five / len(texts) / 5


def on_board(ideas: int, queries: int, compared: int, noise: float) -> list[Row]:
    """Return what a whole board of so many ideas costs, all that is kept of their people, texts and states included.

    It is folded from its log, as a worker does when it starts: each text opened an idea. Then texts are decided.
    """
    made, board, before = Made(), Board("bench", "board", _DIMENSIONS), _resident()
    folding, kept = _filled(board, made, ideas, max(ideas // queries, 1))
    filled, works = _resident(), list[Callable[[], object]]()
    asked = np.concatenate([made.again(kept[: queries // 10], noise), made.texts(queries - queries // 10)])
    asked = asked[np.random.default_rng(_SEED).permutation(len(asked))]
    for number, text in enumerate(asked, start=ideas):
        event = _event(number, f"text {number} of the board that is measured")
        works.append(partial(_decide, board, event, text))
    assigned, spent = _both(works)
    resident = _resident()
    repeats, fresh = made.again(kept[-compared:], noise), made.texts(compared)
    found = [*_recall(board.index, repeats), *_recall(board.index, fresh)]
    began = time.process_time()
    repair_of(board, board.bands.merge, board.bands.suggest)
    repaired = time.process_time() - began
    return [
        Row(f"assign a text among {ideas:,} ideas, median, us", statistics.median(assigned)),
        Row("assign a text, 99th percentile, us", float(np.percentile(assigned, 99)), 5_000, 5_000),
        Row("the same by CPU time, median, us", statistics.median(spent)),
        Row("the same by CPU time, 99th percentile, us", float(np.percentile(spent, 99))),
        Row("read an event of the log and fold it, all cuts included, CPU us", folding / ideas * 1e6),
        Row("memory an idea, bytes", (filled - before) / ideas),
        Row("resident memory, MB", resident / 1e6, 2_000, 2_000),
        *_shares(*found),
        Row("a repair pass, CPU ms", repaired * 1e3),
        Row("the most memory that was ever resident, exhaustive looks and the pass included, MB", _peak() / 1e6),
        Row("load of the machine", os.getloadavg()[0]),
    ]


def _filled(board: Board, made: Made, ideas: int, every: int) -> tuple[float, NDArray[np.float32]]:
    """Fold so many ideas; return the CPU seconds that it took, and one text of *every*."""
    folding, kept = 0.0, []
    for start in range(0, ideas, _CHUNK):
        texts = made.texts(min(_CHUNK, ideas - start))
        kept.append(texts[::every].copy())
        for number, text in enumerate(texts, start=start):
            folding += _folded(board, number, text)
        if start % _TOLD == 0:
            print(f"{len(board.slots):,} ideas, {_resident() / 1e6:,.0f} MB", file=sys.stderr, flush=True)
    return folding, np.concatenate(kept)


def _folded(board: Board, number: int, text: NDArray[np.float32]) -> float:
    """Let *text* open an idea; return the CPU seconds that it takes to read that from the log and to fold it."""
    entry = _opened(board, number)
    body, vector = entry.body(), text.tobytes()
    began = time.process_time()
    board.fold(read_entry(entry.board, entry.position, body, vector))
    spent = time.process_time() - began
    if len(board.index) >= board.calibration.next_at:
        board.calibration.take(take_census(board.index))
    return spent


def _opened(board: Board, number: int) -> Entry:
    """Return the log's next entry, as ``decide`` makes it of a text that resembles nothing."""
    event = _event(number, f"text {number} of the board that is measured")
    idea, sequence = board.idea_id(event.event_id), board.sequence
    of: dict[str, Any] = {"workspace": "bench", "board": "board", "event_id": event.event_id, "occurred_at": number, "ingested_at": number}
    score: dict[str, Any] = {
        "idea_id": idea,
        "root_id": idea,
        "method": "semantic",
        "score": 0.1,
        "threshold": 0.64,
        "origin": event.origin,
    }
    said: dict[str, Any] = {name: getattr(event, name) for name in ("feedback_id", "person_id", "source", "external_id", "text")}
    opened = Decision(decision_id=board.decision_id(sequence + 1), type="opened", sequence=sequence + 1, title=event.text, **of, **score)
    linked = Decision(
        decision_id=board.decision_id(sequence + 2), type="linked", sequence=sequence + 2, candidates_json="[]", **of, **score, **said
    )
    state = Idea(
        idea_id=idea, workspace="bench", board="board", version=sequence + 2, root_id=idea, title=event.text or "", status="open",
        people=1, mentions=1, first_seen=number, last_seen=number, updated_at=number, quote=event.text, keywords="measured board text that",
        trend="new", recent_people=1,
    )  # fmt: skip
    seen = Seen(event.feedback_id or "", 0)
    return Entry(
        board=board.key, position=board.position + 1, event_id=event.event_id, origin=event.origin, decisions=(opened, linked),
        ideas=(state,), seen=seen,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.dedup_scale", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ideas", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--compared", type=int, default=100, help="texts that are looked for exhaustively, too")
    parser.add_argument("--noise", type=float, default=0.7)
    parser.add_argument("--board", action="store_true", help="whole ideas, not their vectors alone")
    asked = parser.parse_args(arguments)
    of_board = on_board if asked.board else measured
    rows = of_board(asked.ideas, asked.queries, asked.compared, asked.noise)
    print("\n".join(row.line() for row in rows))
    return 0 if all(row.holds() for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
