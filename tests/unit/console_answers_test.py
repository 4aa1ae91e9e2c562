"""``groundswell try --answers``: what a moderator says beforehand is obeyed as soon as the board can."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.common.events import Decision
from services.console.failures import CommandFailed
from services.console.offline import read_answers
from services.dedup.offline import cluster_events
from tests.fakes_dedup import FakeEncoder, submitted

_TEXTS = ("dark mode please", "export to pdf", "dark mode please mode dark dark mode", "night theme", "dark mode")


def _made(file: Path, text: str, *, asked: int = 20) -> tuple[dict[str, str], list[Decision]]:
    """Return the idea of each text, by its number, and what humans were heard to say."""
    file.write_text(text)
    events = [submitted(place, said) for place, said in enumerate(_TEXTS, start=1)]
    found = cluster_events(events, encoder=FakeEncoder(), adviser=read_answers(file, asked=asked, texts=len(events)))
    return dict(found.labels), [decision for decision in found.decisions if decision.actor == "moderator"]


def test_what_is_the_same_is_merged_and_what_is_not_is_split(tmp_path: Path) -> None:
    ideas, said = _made(tmp_path / "a.csv", "id,other_id,same\n1,4,yes\n1,3,no\n2,9,yes\n")

    assert ideas["1"] == ideas["4"] != ideas["3"]
    assert {decision.type for decision in said} == {"merged", "opened", "split"}


def test_an_answer_that_holds_already_says_nothing(tmp_path: Path) -> None:
    _, said = _made(tmp_path / "a.jsonl", '{"id": "1", "other_id": "3", "same": true}\n{"id": "2", "other_id": "1", "same": "no"}\n')

    assert said == []


def test_labels_answer_what_the_board_asks(tmp_path: Path) -> None:
    labels = "id,label\n1,dark\n2,pdf\n3,dark\n4,dark\n5,dark\n"
    _, nothing = _made(tmp_path / "l.csv", labels, asked=0)
    _, said = _made(tmp_path / "l.csv", labels, asked=5)

    assert nothing == []
    assert {decision.type for decision in said} <= {"accepted", "merged", "dismissed"}


@pytest.mark.parametrize("text", ["id,other_id\n1,2\n", "id,other_id,same\n1,2,perhaps\n", "id,label\n1,\n"])
def test_a_row_that_is_no_answer_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text)

    with pytest.raises(CommandFailed, match=r"a\.csv:2: an answer needs"):
        read_answers(file, asked=1, texts=1)
