"""The measures that the quality bench prints, against values worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.labelled import Text, quality, read_board


def test_measures_are_those_worked_out_by_hand() -> None:
    found = quality(["a", "a", "b", "b"], ["1", "1", "1", "2"])

    assert found.precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1) / 4)
    assert found.recall == pytest.approx(3 / 4)
    assert found.pair_f1 == pytest.approx(2 / 5)
    assert found.ari == pytest.approx(0)
    assert (found.false_merges, found.misses, found.clusters) == (0.5, 0.5, 2.0)


def test_the_labels_themselves_are_perfect() -> None:
    found = quality(["a", "b", "b", "c"], ["x", "y", "y", "z"])

    assert (found.precision, found.recall, found.f1, found.pair_f1) == (1.0, 1.0, 1.0, 1.0)
    assert found.ari == found.v == pytest.approx(1.0)
    assert (found.false_merges, found.misses, found.clusters) == (0.0, 0.0, 3.0)


def test_doing_nothing_merges_nothing_and_misses_every_repeat() -> None:
    found = quality(["a", "a", "b"], ["1", "2", "3"])

    assert (found.precision, found.false_merges, found.misses) == (1.0, 0.0, 1.0)


def test_a_file_says_which_line_is_none(tmp_path: Path) -> None:
    board = tmp_path / "board.jsonl"
    board.write_text('{"id": "1", "text": "dark mode", "label": "dark"}\n{"id": "2"}\n')

    with pytest.raises(ValueError, match=r"board\.jsonl:2: expected"):
        read_board(board)
    board.write_text('{"id": "1", "text": "dark mode", "label": "dark"}\n')
    assert [Text("1", "dark mode", "dark")] == read_board(board)
