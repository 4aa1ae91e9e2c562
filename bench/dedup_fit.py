"""Fits the coefficients of dedup's calibration (``services/dedup/domain/calibration.py``) from labelled boards, and leaves each one out.

    python -m bench.dedup_fit FILE... --vectors FOLDER

Boards are cut out of each FILE: prefixes of shuffles, and such in which no label is said more than a few times. On each the best
threshold is looked for among those that a pass over the whole board would gather by, in steps of .02 up to "never", and the middle of the
range that is nearly as good is what the census's three numbers are fitted to by weighted least squares; boards that do not care which
weigh little. Printed are the coefficients of all boards and without each, and the mean loss of B³-F1 against the best on the one left out.
Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.labelled import Text, Vectors, encoded, quality, read_board
from services.common.settings import load_settings
from services.dedup.domain import calibration
from services.dedup.domain.calibration import NEVER, Calibration, Census, Coefficients
from services.dedup.domain.index import SCALE, Floats, Index, in_units
from services.dedup.domain.neighbours import around_mean, drawn
from services.dedup.domain.sample import sample, take_census
from services.dedup.offline import open_encoder
from services.dedup.settings import DedupSettings

_PREFIXES = (60, 90, 130, 200, 300, 500, 800, 1200, 3000)
_THINNED = ((150, 1), (150, 2), (300, 4), (500, 2), (500, 8), (900, 3))
"""Texts, and how often a label may be said."""
_SHUFFLES = 3
_GRID = tuple(round(0.38 + 0.02 * step, 2) for step in range(31))
_NEARLY = 0.03
"""Thresholds that lose so little are as good as the best."""
_NARROW = 0.06


@dataclass(frozen=True)
class Cut:
    """A board that was cut out of a labelled one, and its B³-F1 by threshold; the last one is "never"."""

    source: str
    census: Census
    scores: NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit and print; return the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.dedup_fit", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--vectors", type=Path, help="keep and reuse the vectors of each board here")
    asked = parser.parse_args(arguments)
    encoder = open_encoder(load_settings(DedupSettings))
    cuts: list[Cut] = []
    for file in asked.files:
        items = read_board(file)
        vectors = encoded(items, encoder, asked.vectors)
        cuts += cut_out(file.stem, items, vectors)
    _report("all boards", fitted(cuts), cuts)
    for file in asked.files:
        coefficients = fitted([cut for cut in cuts if cut.source != file.stem])
        _report(f"without {file.stem}", coefficients, [cut for cut in cuts if cut.source == file.stem])
    return 0


def cut_out(source: str, items: Sequence[Text], vectors: Vectors) -> list[Cut]:
    """Return the boards that are cut out of *items*, the labelled board *source*."""
    return [_cut(source, part, vectors) for part in _parts(items)]


def fitted(cuts: Sequence[Cut]) -> Coefficients:
    """Return the coefficients that fit the best thresholds of *cuts*; every source weighs the same."""
    per_source = Counter(cut.source for cut in cuts)
    rows, targets, weights = [], [], []
    for cut in cuts:
        target, weight = _target(cut.scores)
        rows.append([1.0, *calibration.numbers_of(cut.census)])
        targets.append(target)
        weights.append(weight / per_source[cut.source])
    root = np.sqrt(np.array(weights))
    found = np.linalg.lstsq(np.array(rows) * root[:, None], np.array(targets) * root, rcond=None)[0]
    return Coefficients(*(round(float(one), 3) for one in found))


def _target(scores: NDArray[np.float64]) -> tuple[float, float]:
    good = np.flatnonzero(scores >= scores.max() - _NEARLY)
    low, high = _level(int(good[0])), _level(int(good[-1]))
    return (low + high) / 2, (_NARROW + high - low) ** -0.5


def _level(place: int) -> float:
    return _GRID[place] if place < len(_GRID) else NEVER


def _parts(items: Sequence[Text]) -> Iterator[list[Text]]:
    sizes = dict.fromkeys(min(size, len(items)) for size in _PREFIXES)
    for seed in range(_SHUFFLES):
        shuffled = random.Random(seed).sample(items, len(items))
        yield from (shuffled[:size] for size in sizes)
        for size, most in _THINNED:
            yield _thinned(shuffled, size, most)


def _thinned(items: Sequence[Text], size: int, most: int) -> list[Text]:
    said: Counter[str] = Counter()
    kept: list[Text] = []
    for item in items:
        said[item.label] += 1
        if said[item.label] <= most and len(kept) < size:
            kept.append(item)
    return kept


def _cut(source: str, items: Sequence[Text], vectors: Vectors) -> Cut:
    index = Index(len(next(iter(vectors.values()))))
    first = {item.text: item for item in reversed(items)}
    texts = [item for item in items if first[item.text] is item]
    for item in texts:
        index.add(index.open(), in_units(vectors[item.text]))
    seen = sample(index, index.live_rows())
    units = around_mean(seen, index.mean())
    trees = {pull: _tree(drawn(units, pull)) for pull in (0, Calibration.at(calibration.LEAST).pull)}
    labels = [item.label for item in texts]
    scores = [_score(labels, trees, level) for level in _GRID]
    alone = quality(labels, [str(place) for place in range(len(labels))]).f1
    return Cut(source, take_census(index), np.array([*scores, alone]))


def _tree(units: NDArray[np.float32]) -> Floats:
    hierarchy = importlib.import_module("scipy.cluster.hierarchy")
    squareform = importlib.import_module("scipy.spatial.distance").squareform
    distances = np.clip(1.0 - (units @ units.T) / (SCALE * SCALE), 0.0, 2.0).astype(np.float64)
    np.fill_diagonal(distances, 0.0)
    tree: Floats = hierarchy.linkage(squareform(distances, checks=False), "average")
    return tree


def _score(labels: Sequence[str], trees: dict[int, Floats], level: float) -> float:
    """Return the B³-F1 of a pass over the whole board whose threshold is *level*."""
    found = Calibration.at(level)
    hierarchy = importlib.import_module("scipy.cluster.hierarchy")
    cut = hierarchy.fcluster(trees[found.pull], 1.0 - level - found.penalty, "distance")
    return quality(labels, [str(idea) for idea in cut]).f1


def _report(name: str, coefficients: Coefficients, cuts: Sequence[Cut]) -> None:
    losses: dict[str, list[float]] = {}
    for cut in cuts:
        level = calibration.threshold_of(cut.census, coefficients)
        place = len(_GRID) if level >= 1.0 else int(np.argmin(np.abs(np.array(_GRID) - level)))
        losses.setdefault(cut.source, []).append(float(cut.scores.max() - cut.scores[place]))
    shown = ", ".join(f"{source} {np.mean(loss):.3f}" for source, loss in losses.items())
    print(f"{name:28} {coefficients.constant} {coefficients.third} {coefficients.closed} {coefficients.around}  loss: {shown}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
