"""What the quality bench measures is what ``groundswell try`` writes, and so what the service does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.dedup_quality import gathered
from bench.labelled import Text, read_board
from services.common.paths import ROOT
from services.console import offline
from services.dedup.ports import Vectors
from tests.fakes_dedup import FakeEncoder

_BOARD = ROOT / "bench" / "boards" / "lumora.jsonl"


class _TopicEncoder(FakeEncoder):
    """Hears the label in half of what is said, so that ideas are large enough for questions and passes, and some are wrong."""

    def __init__(self, items: Iterable[Text]) -> None:
        super().__init__()
        self._labels = {item.text: item.label for item in items}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one row a text."""
        heard = super().encode([self._labels.get(text, text) for text in texts])
        mixed = heard + 0.8 * super().encode(texts)
        rows: Vectors = (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)
        return rows


@pytest.mark.parametrize("answers", [0, 20])
def test_try_takes_the_decisions_that_the_bench_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: int) -> None:
    items = read_board(_BOARD)
    encoder = _TopicEncoder(items)
    monkeypatch.setattr(offline, "open_encoder", lambda _settings: encoder)
    file, labels = tmp_path / "board.jsonl", tmp_path / "labels.jsonl"
    _write(file, ({"id": item.id, "text": item.text} for item in items))
    _write(labels, ({"id": item.id, "label": item.label} for item in items))

    tried = dict(offline.cluster_file(file, "lumora", "product", labels if answers else None, answers).labels)
    measured = gathered(items, {item.text: encoder.encode([item.text])[0] for item in items}, answers=answers)

    assert _groups(items, measured) == _groups(items, [tried[item.id] for item in items])
    assert 1 < len(set(measured)) < len(items) - 50


def _write(file: Path, rows: Iterable[dict[str, str]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _groups(items: Iterable[Text], ideas: Iterable[str]) -> set[frozenset[str]]:
    found: dict[str, set[str]] = {}
    for item, idea in zip(items, ideas, strict=True):
        found.setdefault(idea, set()).add(item.id)
    return {frozenset(group) for group in found.values()}
