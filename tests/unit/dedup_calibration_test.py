"""A board finds its own threshold, repairs what it finds to be one, and learns from answers; all of it is a function of its log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.events import BoardEvent, Decision
from services.dedup.domain import calibration
from services.dedup.domain.board import Board
from services.dedup.domain.calibration import NEVER, START, Calibration, Census, threshold_of
from services.dedup.domain.decide import decide
from services.dedup.domain.entry import Entry, read_entry
from services.dedup.domain.index import Index, in_units
from services.dedup.domain.questions import questions
from services.dedup.domain.sample import take_census
from tests.fakes_dedup import (
    BOARDS,
    DIMENSIONS,
    WORKSPACE,
    FakeEncoder,
    MemoryBoardLog,
    command,
    event_of,
    handle_all,
    handler_on,
    received,
    submitted,
)

LAW = settings(max_examples=60, deadline=None)
_WORDS = ("dark", "mode", "export", "pdf", "crash", "start", "billing", "logo", "theme", "zoom")
_TEXTS = st.lists(st.lists(st.sampled_from(_WORDS), min_size=1, max_size=4).map(" ".join), min_size=8, max_size=40)
_ANSWERS = st.lists(st.sampled_from(["accept", "dismiss", "unmerge", ""]), min_size=40, max_size=40)
_CUTS = st.lists(st.integers(1, 79), max_size=6)


@pytest.fixture(autouse=True)
def _early_censuses() -> Iterator[None]:
    """Boards this small would never see one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "FIRST_TEXTS", 4)
        yield


def _history(texts: Sequence[str], answers: Sequence[str]) -> list[BoardEvent]:
    """Return a history in which a human answers what the board has just asked, or takes back what it merged."""
    board = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
    events: list[BoardEvent] = []
    for place, text in enumerate(texts):
        entry = _decide(board, events, submitted(2 * place, text, person=f"p{place}"))
        pairs = questions(board) if answers[place] != "unmerge" else _merged(entry.decisions)
        if answers[place] and pairs:
            one, other = pairs[0]
            _decide(board, events, command(2 * place + 1, answers[place], idea_id=one, other_idea_id=other))
    return events


def _merged(decisions: Sequence[Decision]) -> list[tuple[str, str]]:
    return [(made.idea_id or "", made.other_idea_id or "") for made in decisions if made.type == "merged"]


def _decide(board: Board, events: list[BoardEvent], event: BoardEvent) -> Entry:
    events.append(event)
    return decide(board, event, f"o/0/{len(events)}", lambda text: FakeEncoder().encode([text])[0])


@LAW
@given(texts=_TEXTS, answers=_ANSWERS, cuts=_CUTS)
def test_restarts_change_no_byte_of_a_calibrated_board(texts: list[str], answers: list[str], cuts: list[int]) -> None:
    records = received(_history(texts, answers))
    one, many = MemoryBoardLog(), MemoryBoardLog()
    edges = sorted({0, len(records), *(cut for cut in cuts if cut < len(records))})

    expected = handle_all(handler_on(one), [records])
    actual = [outcome for start, stop in pairwise(edges) for outcome in handle_all(handler_on(many), [records[start:stop]])]

    assert expected == actual
    assert one.rows == many.rows


@LAW
@given(texts=_TEXTS, answers=_ANSWERS)
def test_a_folded_board_knows_what_the_deciding_one_knew(texts: list[str], answers: list[str]) -> None:
    decided, folded = (Board(WORKSPACE, BOARDS[0], DIMENSIONS) for _ in range(2))
    for event in _history(texts, answers):
        entry = _decide(decided, [], event)
        folded.fold(read_entry(entry.board, entry.position, entry.body(), entry.vector))

    assert decided.calibration.threshold == folded.calibration.threshold
    assert decided.calibration.next_at == folded.calibration.next_at
    assert (decided.scores, decided.kept_apart, decided.suggestions) == (folded.scores, folded.kept_apart, folded.suggestions)
    assert (decided.fresh, questions(decided)) == (folded.fresh, questions(folded))


@LAW
@given(texts=_TEXTS, answers=_ANSWERS)
def test_a_question_is_about_two_families_that_nobody_kept_apart_and_asked_once(texts: list[str], answers: list[str]) -> None:
    board = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
    for event in _history(texts, answers):
        _decide(board, [], event)
        asked = [frozenset(map(board.root_of, pair)) for pair in questions(board)]
        assert len(asked) == len(set(asked))
        assert all(len(roots) == 2 for roots in asked)
        assert not set(asked) & {frozenset(map(board.root_of, pair)) for pair in board.kept_apart}


def test_where_things_are_said_again_the_last_pass_is_asked_about_first() -> None:
    """What an earlier pass found scores as ideas did that have grown since."""
    board = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
    for place, text in enumerate(("dark mode", "export pdf", "crash start", "billing")):
        _decide(board, [], submitted(place, text, person=f"p{place}"))
    board.calibration = Calibration.at(0.6)
    names = list(board.ideas)
    earlier, later = (names[1], names[0]), (names[3], names[2])
    board.suggestions.update({earlier: "open", later: "open"})
    board.scores.update({earlier: 0.59, later: 0.53})

    assert questions(board) == [earlier, later]
    board.fresh[later] = None
    assert questions(board) == [later, earlier]
    board.calibration = Calibration.at(0.8)
    board.scores.update({earlier: 0.75, later: 0.79})
    assert questions(board) == [earlier, later]


def test_an_answer_brings_the_next_census_forward() -> None:
    board = Calibration()
    board.take(Census(1000, 1000, 20_000, 500, 30_000, 20_000))
    assert board.next_at == 1250

    board.learn(0.5, same=False)

    assert board.next_at == 1031


@LAW
@given(texts=_TEXTS, answers=_ANSWERS)
def test_no_repair_joins_what_a_human_kept_apart_or_parts_what_one_joined(texts: list[str], answers: list[str]) -> None:
    board = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
    joined: set[tuple[str, str]] = set()
    for event in _history(texts, answers):
        apart = [pair for pair in board.kept_apart if board.root_of(pair[0]) != board.root_of(pair[1])]
        for made in _decide(board, [], event).decisions:
            if made.method == "repair" and made.type == "merged":
                assert (made.score or 0) >= (made.threshold or 0)
            elif made.type == "accepted":
                joined.add((made.idea_id or "", made.other_idea_id or ""))
        if event.type == "submitted":
            assert all(board.root_of(one) != board.root_of(other) for one, other in apart)
        elif event.command == "unmerge":
            joined = {pair for pair in joined if board.root_of(pair[0]) == board.root_of(pair[1])}
        assert all(board.root_of(one) == board.root_of(other) for one, other in joined)


@LAW
@given(texts=_TEXTS, answers=_ANSWERS)
def test_unmerging_undoes_every_repair(texts: list[str], answers: list[str]) -> None:
    board = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
    for place, event in enumerate(_history(texts, answers)):
        entry = _decide(board, [], event)
        for number, (child, parent) in enumerate(reversed(_merged(entry.decisions))):
            said = event_of(1000 * (place + 1) + number, type="commanded", command="unmerge", idea_id=child)
            undone = _decide(board, [], said).decisions
            assert [(made.type, made.idea_id, made.other_idea_id) for made in undone] == [("unmerged", child, parent)]
            assert board.root_of(child) == child


def test_a_board_of_chat_merges_sooner_than_a_board_of_tickets() -> None:
    chat = Census(texts=3000, sampled=1000, around=71_000, third=560, wedges=820_000, closed=480_000)
    tickets = Census(texts=2500, sampled=1000, around=42_000, third=375, wedges=200_000, closed=98_000)
    wishes = Census(texts=357, sampled=357, around=5_200, third=404, wedges=11_600, closed=7_700)

    assert threshold_of(chat) < 0.65
    assert threshold_of(wishes) < 0.55
    assert threshold_of(tickets) >= 0.9
    assert threshold_of(Census(0, 0, 0, 0, 0, 0)) == START


def test_a_young_board_is_surer_before_it_merges() -> None:
    """A later pass mends a miss; nothing mends a false merge."""
    shares = {"around": 150, "third": 300, "wedges": 130, "closed": 60}

    assert threshold_of(Census(50, 50, **shares)) > threshold_of(Census(200, 50, **shares)) + 0.3


def test_answers_move_the_threshold_either_way() -> None:
    lower, higher = Calibration.at(0.8), Calibration.at(0.8)
    for _ in range(10):
        lower.learn(0.75, same=True)
        higher.learn(0.85, same=False)

    assert lower.threshold < 0.8 < higher.threshold <= NEVER


def test_where_things_are_said_again_and_again_answers_only_lower_it() -> None:
    lower, same = Calibration(), Calibration()
    for _ in range(10):
        lower.learn(START - 0.05, same=True)
        same.learn(START + 0.05, same=False)

    assert lower.threshold < START == same.threshold


def test_a_census_counts_what_the_formula_counts() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((4, 64))[rng.integers(4, size=60)] + rng.standard_normal((60, 64)) * 0.8
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    index = Index(64)
    for vector in vectors:
        index.add(index.open(), in_units(vector))
    around = vectors - vectors.sum(axis=0) / 80
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    cosines = around @ around.T
    np.fill_diagonal(cosines, -1)

    census = take_census(index)

    assert [census.texts, census.sampled] == [60, 60]
    near = cosines >= calibration.NEAR
    degrees = near.sum(axis=1)
    closed = sum(int(near[one, other] and near[one, third] and near[other, third]) for one, other, third in np.ndindex(60, 60, 60))
    assert abs(int((cosines >= calibration.AROUND).sum()) - census.around) <= 8
    assert abs(int((degrees * (degrees - 1)).sum()) - census.wedges) <= census.wedges * 0.02
    assert abs(closed - census.closed) <= census.closed * 0.02
    assert abs(float(np.sort(np.sort(cosines, axis=1)[:, -3])[15]) * 1000 - census.third) <= 3


def test_a_history_of_few_words_is_repaired_and_asked_about() -> None:
    """The laws above would hold of boards that never repair anything, too."""
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(_WORDS, rng.integers(1, 4))) for _ in range(150)]
    board = Board(WORKSPACE, BOARDS[0], DIMENSIONS)

    made = [
        decision
        for place, text in enumerate(texts)
        for decision in _decide(board, [], submitted(place, text, person=f"p{place}")).decisions
    ]

    assert {"merged", "suggested"} <= {decision.type for decision in made if decision.method == "repair"}
