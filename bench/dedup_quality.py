"""Measures how well dedup's own decisions gather the texts of labelled boards, beside other ways of clustering them.

    python -m bench.dedup_quality FILE... [--answers N] [--seeds 3] [--json] [--vectors FOLDER] [--baselines]
                                          [--leave-one-out [--fit-also FILE]...] [--precision P]...

Each board is decided text by text in a seeded shuffle, past only, and judged as it stands after the last text. With ``--answers N`` a
moderator, who knows the labels, looks in N times, evenly spread over the stream, and answers the question on top of the board's list:
yes where most texts of both ideas have one label. FILE holds one JSON object a line: ``id``, ``text``, ``label``.

With ``--leave-one-out`` each board is calibrated by coefficients that were fitted to the others (``bench.dedup_fit``; needs scikit-learn):
what a board has to expect that nobody has seen. ``--fit-also`` names boards that are fitted to and not judged. With ``--precision`` boards
are judged, too, whose owners ask for that share of right joins ("false" is what is left of it).
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.dedup_fit import cut_out, fitted
from bench.labelled import Quality, Text, Vectors, encoded, mean, quality, read_board
from services.common import ids
from services.common.events import BoardEvent
from services.common.settings import load_settings
from services.dedup.domain.board import Board
from services.dedup.domain.calibration import Calibration, Coefficients
from services.dedup.domain.decide import decide
from services.dedup.domain.policy import BALANCED, Policy
from services.dedup.domain.questions import questions
from services.dedup.offline import open_encoder
from services.dedup.settings import DedupSettings

_WORKSPACE, _BOARD = "bench", "board"
_ORACLE_THRESHOLDS = np.arange(0.30, 1.0, 0.02)
_PRIOR_TEXTS = 20

Way = Callable[[Sequence[Text], Vectors, Coefficients | None], Quality]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the process's exit status."""
    asked = _asked(arguments)
    encoder = open_encoder(load_settings(DedupSettings))
    ways: dict[str, Way] = {"every text its own idea": lambda items, *_: _judge(items, [item.id for item in items])}
    if asked.baselines:
        ways["agglomerative, centred, the board's best threshold"] = _agglomerative
    for answers in dict.fromkeys([0, asked.answers]):
        ways[f"dedup, {answers} answers" if answers else "dedup"] = partial(_dedup, answers=answers)
    for precision in asked.precision:
        ways[f"dedup, precision {precision}"] = partial(_dedup, policy=Policy(precision))
    found: dict[str, dict[str, Quality]] = {way: {} for way in ways}
    boards = {file: read_board(file) for file in [*asked.files, *asked.fit_also]}
    vectors = {file: encoded(items, encoder, asked.vectors) for file, items in boards.items()}
    by = _left_out(boards, vectors) if asked.leave_one_out else {}
    for file in asked.files:
        for way, cluster in ways.items():
            shuffles = [_shuffled(boards[file], seed) for seed in range(asked.seeds)]
            found[way][file.stem] = mean([cluster(items, vectors[file], by.get(file)) for items in shuffles])
    for judged in found.values():
        judged["macro"] = mean(list(judged.values()))
    _print(found, as_json=asked.json)
    return 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.dedup_quality", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--answers", type=int, default=0, help="of a moderator, a board")
    parser.add_argument("--seeds", type=int, default=3, help="shuffles to average over")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--vectors", type=Path, help="keep and reuse the vectors of each board here")
    parser.add_argument("--leave-one-out", action="store_true", help="calibrate each board by what fits the others")
    parser.add_argument("--fit-also", type=Path, action="append", default=[], metavar="FILE", help="fit to this board, too")
    parser.add_argument("--precision", type=float, action="append", default=[], metavar="P", help="of a board's owner")
    parser.add_argument("--baselines", action="store_true", help="also batch clustering with an oracle's threshold; needs scikit-learn")
    return parser.parse_args(arguments)


def _shuffled(items: Sequence[Text], seed: int) -> list[Text]:
    return random.Random(seed).sample(items, len(items))


def _judge(items: Sequence[Text], found: Sequence[str]) -> Quality:
    return quality([item.label for item in items], found)


def _left_out(boards: Mapping[Path, Sequence[Text]], vectors: Mapping[Path, Vectors]) -> dict[Path, Coefficients]:
    """Return the coefficients that fit all boards but each one."""
    cuts = {file: cut_out(str(file), items, vectors[file]) for file, items in boards.items()}
    return {file: fitted([cut for other in boards if other != file for cut in cuts[other]]) for file in boards}


def _dedup(items: Sequence[Text], vectors: Vectors, by: Coefficients | None, answers: int = 0, policy: Policy = BALANCED) -> Quality:
    return _judge(items, gathered(items, vectors, by, answers, policy))


def gathered(
    items: Sequence[Text], vectors: Vectors, by: Coefficients | None = None, answers: int = 0, policy: Policy = BALANCED
) -> list[str]:
    """Return the idea of each of *items*, once all of them are decided in their order; see ``main`` for *answers*."""
    board = Board(_WORKSPACE, _BOARD, len(next(iter(vectors.values()))), policy)
    board.calibration = Calibration(by)
    moderator = _Moderator(board, {_feedback(item.id): item.label for item in items})
    for place, item in enumerate(items):
        decide(board, _submitted(place, item), f"bench/0/{place}", vectors.__getitem__)
        for _ in range((place + 1) * answers // len(items) - place * answers // len(items)):
            moderator.answer()
    return [board.root_of(board.idea_of(_feedback(item.id)) or "") for item in items]


class _Moderator:
    """Knows the labels; answers one question at a time."""

    def __init__(self, board: Board, labels: dict[str, str]) -> None:
        self._board = board
        self._labels = labels
        self._answers = 0

    def answer(self) -> None:
        """Accept or dismiss the question on top of the board's list, if there is one."""
        board = self._board
        asked = questions(board)
        if not asked:
            return
        one, other = asked[0]
        self._answers += 1
        said = "accept" if self._label(one) == self._label(other) else "dismiss"
        event = _event(f"answer-{self._answers}", type="commanded", command=said, idea_id=one, other_idea_id=other, actor="moderator")
        decide(board, event, f"bench/1/{self._answers}", _no_vector)

    def _label(self, idea: str) -> str:
        """Return the label of most of the idea's whole family; of equals that of the earliest text."""
        family = self._board.merges.below(self._board.root_of(idea))
        counts = Counter(self._labels[feedback] for member in family for feedback in self._board.ideas[member].links)
        return counts.most_common(1)[0][0]


def _no_vector(text: str) -> NDArray[np.float32]:
    raise AssertionError(f"an answer encodes nothing: {text}")


def _feedback(external: str) -> str:
    return ids.feedback_id(_WORKSPACE, _BOARD, external)


def _submitted(place: int, item: Text) -> BoardEvent:
    feedback = _feedback(item.id)
    person = ids.person_id(_WORKSPACE, f"feedback:{feedback}")
    said = {"feedback_id": feedback, "external_id": item.id, "person_id": person, "text": item.text}
    return _event(f"text-{place}", type="submitted", **said)


def _event(name: str, **fields: str) -> BoardEvent:
    common = {"event_id": ids.event_id(_WORKSPACE, name, "0"), "workspace": _WORKSPACE, "board": _BOARD, "source": "bench"}
    return BoardEvent(occurred_at=0, ingested_at=0, origin=f"bench/{name}", **common, **fields)  # type: ignore[arg-type]


def _agglomerative(items: Sequence[Text], vectors: Vectors, _by: Coefficients | None) -> Quality:
    """Cluster by average linkage over the whole board at once, cut where its labels like it best: no real system could."""
    cluster = importlib.import_module("sklearn.cluster").AgglomerativeClustering
    rows = np.vstack([vectors[item.text] for item in items])
    rows = rows - rows.sum(axis=0) / (_PRIOR_TEXTS + len(rows))
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3)
    distances = np.clip(1 - rows @ rows.T, 0, 2)
    cuts = (
        cluster(n_clusters=None, metric="precomputed", linkage="average", distance_threshold=1 - least).fit(distances).labels_
        for least in _ORACLE_THRESHOLDS
    )
    return max((_judge(items, [str(idea) for idea in cut]) for cut in cuts), key=lambda one: one.f1)


def _print(found: dict[str, dict[str, Quality]], *, as_json: bool) -> None:
    if as_json:
        json.dump({way: {board: dataclasses.asdict(one) for board, one in boards.items()} for way, boards in found.items()}, sys.stdout)
        print()
        return
    print(f"{'':20} {'B³ P':>6} {'R':>6} {'F1':>6} {'pair':>6} {'ARI':>6} {'V':>6} {'false':>6} {'miss':>6} {'ideas':>6}")
    for way, boards in found.items():
        print(way)
        for board, one in boards.items():
            shares = (one.precision, one.recall, one.f1, one.pair_f1, one.ari, one.v, one.false_merges, one.misses)
            print(f"  {board:18} {' '.join(f'{share:6.3f}' for share in shares)} {one.clusters:6.0f}")


if __name__ == "__main__":
    sys.exit(main())
