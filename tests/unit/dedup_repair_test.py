"""A pass gathers as average linkage of drawn texts would, bit for bit whatever the chunks, and takes its own pointers back, only those."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.events import BoardEvent, Decision
from services.dedup.domain import families, neighbours
from services.dedup.domain.board import Board
from services.dedup.domain.calibration import Calibration
from services.dedup.domain.decide import decide
from services.dedup.domain.entry import Entry, read_entry
from services.dedup.domain.index import SCALE, Units, in_units
from services.dedup.domain.linkage import Linkage
from services.dedup.domain.policy import Policy
from services.dedup.domain.repair import repair_of
from tests.fakes_dedup import BOARDS, DIMENSIONS, WORKSPACE, FakeEncoder, command, idea_name, submitted
from tests.unit.dedup_lossless_test import picture
from tests.unit.dedup_undo_test import words

_SEEDS = st.integers(0, 10_000)


def _vectors(seed: int, count: int, dimensions: int = 24) -> Units:
    rng = np.random.default_rng(seed)
    around = rng.standard_normal((5, dimensions))[rng.integers(5, size=count)] + rng.standard_normal((count, dimensions)) * 0.7
    units = (around / np.linalg.norm(around, axis=1, keepdims=True)).astype(np.float32) * np.float32(0.999)
    return np.stack([in_units(one) for one in units])


@settings(max_examples=40, deadline=None)
@given(seed=_SEEDS, count=st.integers(1, 30), pull=st.integers(0, 3))
def test_drawing_follows_its_formula_whatever_the_chunks(seed: int, count: int, pull: int) -> None:
    units = _vectors(seed, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_CHUNK", 7)
        in_chunks = neighbours.drawn(units, pull)

    at_once = neighbours.drawn(units, pull)

    assert at_once.tobytes() == in_chunks.tobytes()
    rows = units.astype(np.float64) / SCALE
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -1)
    for place, own in enumerate(rows):
        nearest = np.argsort(-cosines[place], kind="stable")[: min(8, count - 1)]
        weights = np.maximum(cosines[place, nearest], 0) * pull / max(len(nearest), 1)
        total = own + weights @ rows[nearest]
        assert np.allclose(total / np.linalg.norm(total), at_once[place] / np.linalg.norm(at_once[place]), atol=2e-3)


@settings(max_examples=60, deadline=None)
@given(seed=_SEEDS, count=st.integers(2, 16), threshold=st.floats(-0.2, 0.9), bound=st.integers(1, 16))
def test_linkage_joins_the_best_pair_again_and_again(seed: int, count: int, threshold: float, bound: int) -> None:
    units = _vectors(seed, count)
    rng = np.random.default_rng(seed)
    bonds = rng.integers(bound, size=count).tolist() if bound < 16 else list(range(count))
    apart = (rng.random((count, count)) < 0.1) & (np.array(bonds)[:, None] != bonds)
    apart |= apart.T
    linkage = Linkage(units, np.arange(count), [1] * count, apart.copy(), bonds)
    rows = units.astype(np.float64)
    clusters = {place: [place] for place in range(count)}

    for step in linkage.steps(threshold):
        families = _families(clusters, bonds)
        scores = {
            (one, other): round(float((rows[first] @ rows[second].T).mean()) / SCALE**2, 6)
            for one, first in clusters.items()
            for other, second in clusters.items()
            if one < other and not apart[np.ix_(families[one], families[other])].any()
        }
        assert step.score == pytest.approx(max(scores.values()), abs=2e-6)
        assert scores[min(step.child, step.parent), max(step.child, step.parent)] == pytest.approx(step.score, abs=2e-6)
        assert len(clusters[step.child]) <= len(clusters[step.parent])
        clusters[step.parent] += clusters.pop(step.child)

    assert [sorted(found) for found in linkage.members if found] == [sorted(found) for found in clusters.values()]
    assert linkage.scores.max() < threshold
    families = _families(clusters, bonds)
    assert not any(apart[np.ix_(family, family)].any() for family in families.values())
    alike = {(one, other) for one in clusters for other in clusters if linkage.bonds[one] == linkage.bonds[other]}
    assert alike == {(one, other) for one in clusters for other in clusters if families[one] == families[other]}


def _families(clusters: dict[int, list[int]], bonds: list[int]) -> dict[int, list[int]]:
    """Return the groups of each cluster and of all that are bound to it, through whatever they were joined to."""
    families = {place: set(groups) for place, groups in clusters.items()}
    for _ in clusters:
        for place, family in families.items():
            reached = {bonds[group] for group in family}
            others = (other for other in families.values() if reached & {bonds[group] for group in other})
            families[place] = family.union(*others)
    return {place: sorted(family) for place, family in families.items()}


_EIGHT = [f"{topic} please today now again{end}" for topic in ("dark mode", "pdf export") for end in ("", " soon", " quick", " fast")]


class _Room:
    """A board at a threshold of its own, whose passes come when they are asked for."""

    def __init__(self) -> None:
        self.board = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
        self.log: list[Entry] = []
        self.board.calibration.next_at = 10_000
        self.at(0.99)
        self._place = 0

    def at(self, threshold: float) -> None:
        self.board.calibration = Calibration.at(threshold)
        self.board.calibration.next_at = 10_000

    def say(self, *texts: str) -> list[Decision]:
        return [made for text in texts for made in self._decide(submitted(self._next(), text, person=f"p{self._place}"))]

    def order(self, name: str, **fields: Any) -> list[Decision]:
        return self._decide(command(self._next(), name, **fields))

    def look_over(self, text: str, monkeypatch: pytest.MonkeyPatch, threshold: float) -> list[tuple[str, str | None, str | None]]:
        """Let a pass at *threshold* come with the next text."""
        monkeypatch.setattr("services.dedup.domain.calibration.threshold_of", lambda _census, _by: threshold)
        self.board.calibration.next_at = 0
        made = self.say(text)
        return [(one.type, one.idea_id, one.other_idea_id) for one in made if one.method == "repair" and one.type != "suggested"]

    def _next(self) -> int:
        self._place += 1
        return self._place

    def _decide(self, event: BoardEvent) -> list[Decision]:
        self.log.append(decide(self.board, event, f"o/0/{self._place}", lambda text: FakeEncoder().encode([text])[0]))
        return list(self.log[-1].decisions)


def test_a_pass_takes_back_the_pointer_of_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    room = _Room()
    room.say("dark mode please today now again", "dark mode please today now again soon")
    merged = room.look_over("logo", monkeypatch, 0.76)
    assert merged == [("merged", idea_name(2), idea_name(1))]

    assert room.look_over("zoom", monkeypatch, 0.98) == [("unmerged", idea_name(2), idea_name(1))]

    assert room.board.root_of(idea_name(2)) == idea_name(2)
    assert (idea_name(2), idea_name(1)) not in room.board.kept_apart
    assert room.look_over("pdf", monkeypatch, 0.76) == merged


@pytest.mark.parametrize("how", ["merge", "accept"])
def test_a_pass_takes_back_nothing_that_a_human_wished(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    room = _Room()
    room.say("dark mode please today now again", "dark mode please today now again soon")
    if how == "merge":
        room.order("merge", idea_id=idea_name(2), other_idea_id=idea_name(1))
    else:
        room.board.suggestions[idea_name(2), idea_name(1)] = "open"
        assert room.look_over("logo", monkeypatch, 0.76) == [("merged", idea_name(2), idea_name(1))]
        assert [made.type for made in room.order("accept", idea_id=idea_name(2), other_idea_id=idea_name(1))] == ["accepted"]

    assert room.look_over("zoom", monkeypatch, 0.98) == []
    assert room.board.root_of(idea_name(2)) == idea_name(1)


@pytest.mark.parametrize("was_asked", [True, False])
def test_a_merge_of_what_a_pass_merged_already_is_a_human_word_from_then_on(was_asked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    room = _Room()
    room.say("dark mode please today now again", "dark mode please today now again soon")
    assert room.look_over("logo", monkeypatch, 0.76) == [("merged", idea_name(2), idea_name(1))]
    wish, said_of = {"idea_id": idea_name(1), "other_idea_id": idea_name(2)}, (idea_name(2), idea_name(1))
    if not was_asked:
        room.board.suggestions.clear()
        said_of = said_of[::-1]

    said = room.order("merge", **wish)

    assert [(made.type, made.idea_id, made.other_idea_id) for made in said] == [("accepted", *said_of)]
    assert room.order("merge", **wish) == []
    assert room.look_over("zoom", monkeypatch, 0.98) == []

    undone = room.order("undo", idea_id=idea_name(1), undone_event_id=said[0].event_id)
    assert [(made.type, made.idea_id, made.other_idea_id, made.method) for made in undone] == [("suggested", *said_of, "undo")]
    assert room.board.suggestions[said_of] == "open"
    assert room.look_over("pdf", monkeypatch, 0.98) == [("unmerged", idea_name(2), idea_name(1))]


def test_a_suggestion_that_was_accepted_and_unmerged_can_be_accepted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    room = _Room()
    room.say("dark mode please today now again", "dark mode please today now again soon")
    pair = {"idea_id": idea_name(2), "other_idea_id": idea_name(1)}
    room.board.suggestions[idea_name(2), idea_name(1)] = "open"
    room.order("accept", **pair)
    room.order("unmerge", **pair)

    assert [made.type for made in room.order("accept", **pair)] == ["merged"]
    assert room.order("accept", **pair) == []
    assert room.look_over("logo", monkeypatch, 0.999) == []


_HANDS = st.lists(st.tuples(st.sampled_from(("merge", "accept", "pass", "pass")), st.integers(1, 8), st.integers(1, 8)), max_size=14)


@settings(max_examples=60, deadline=None)
@given(steps=_HANDS)
def test_what_a_human_took_for_one_is_one_after_whatever_passes(steps: list[tuple[str, int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        room = _Room()
        room.say(*_EIGHT)
        wished: list[tuple[str, str]] = []
        for kind, one, other in steps:
            pair = idea_name(one), idea_name(other)
            if kind == "pass":
                room.look_over(f"logo {one}", patch, (0.5, 0.7, 0.8, 0.99)[other % 4])
            elif one != other:
                if kind == "accept" and pair[::-1] not in room.board.suggestions:
                    room.board.suggestions.setdefault(pair, "open")
                assert "refused" not in {made.type for made in room.order(kind, idea_id=pair[0], other_idea_id=pair[1])}
                wished.append(pair)
            assert [pair for pair in wished if len({*map(room.board.root_of, pair)}) > 1] == []


_KINDS = ("merge", "unmerge", "accept", "dismiss", "undo", "undo", "pass", "pass")
_ACTS = st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(1, 8), st.integers(1, 8)), max_size=20)


@settings(max_examples=60, deadline=None)
@given(steps=_ACTS)
def test_a_folded_board_goes_on_as_the_one_that_decided(steps: list[tuple[str, int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        room = _Room()
        room.say(*_EIGHT)
        done: list[str] = []
        for kind, one, other in steps:
            if kind == "pass":
                room.look_over(f"logo {one}", patch, (0.5, 0.7, 0.8, 0.99)[other % 4])
            elif kind == "undo":
                room.order(kind, idea_id=idea_name(one), undone_event_id=done[(8 * one + other) % len(done)] if done else None)
            else:
                room.order(kind, idea_id=idea_name(one), other_idea_id=idea_name(other))
            if kind != "pass" and room.log[-1].decisions:
                done.append(room.log[-1].event_id)
        folded = _Room().board
        for entry in room.log:
            folded.fold(read_entry(entry.board, entry.position, entry.body(), entry.vector))

        assert (picture(folded), words(folded)) == (picture(room.board), words(room.board))
        for threshold in (0.99, 0.7):
            found, again = repair_of(room.board, threshold, 0.5), repair_of(folded, threshold, 0.5)
            assert again == found
            assert [pair.member for pair in again.left] == [pair.member for pair in found.left]


def test_an_owner_who_wants_no_merges_keeps_those_that_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    room = _Room()
    room.say("dark mode please today now again", "dark mode please today now again soon")
    assert room.look_over("logo", monkeypatch, 0.76) != []
    room.board.policy = Policy(auto_merge=False)

    assert room.look_over("zoom", monkeypatch, 0.98) == []
    assert room.board.root_of(idea_name(2)) == idea_name(1)


def test_a_pass_is_bounded_and_looks_at_the_largest_and_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "MOST_GROUPS", 4)
    monkeypatch.setattr(families, "MOST_ROWS", 4)
    room = _Room()
    room.at(0.999)
    room.say("dark mode", "export pdf", "crash", "billing", "logo", "zoom")
    room.order("merge", idea_id=idea_name(3), other_idea_id=idea_name(2))

    groups = families.groups_of(room.board)

    assert [group.held for group in groups] == [idea_name(place) for place in (2, 2, 5, 6)]
    assert sum(len(group.rows) for group in groups) <= 4
    assert [group.ideas for group in groups] == [(idea_name(place),) for place in (2, 3, 5, 6)]
    assert repair_of(room.board, 1.1, 1.0).merges == []


def test_what_a_human_joined_is_gathered_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """What says the same as one of two ideas that a human joined finds that one: their mean would be half as like to it."""
    room = _Room()
    room.say("dark mode please today now again", "export table pdf file print sheet")
    room.order("merge", idea_id=idea_name(2), other_idea_id=idea_name(1))
    room.say("export table pdf file print sheet soon")

    assert room.look_over("logo", monkeypatch, 0.76) == [("merged", idea_name(4), idea_name(1))]


def test_what_was_kept_apart_from_one_stays_apart_from_what_a_human_joined_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    room = _Room()
    room.say("dark mode please today now again", "export table pdf file print sheet")
    room.say("export table pdf file print sheet soon")
    room.order("merge", idea_id=idea_name(2), other_idea_id=idea_name(1))
    room.board.kept_apart[idea_name(3), idea_name(1)] = None

    assert room.look_over("logo", monkeypatch, 0.76) == []


def test_a_pass_asks_again_with_the_score_of_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    room = _Room()
    room.say("dark mode please today now again", "dark mode please today now again soon")
    pair = idea_name(2), idea_name(1)
    room.board.suggestions[pair], room.board.scores[pair] = "open", 0.1

    room.look_over("logo", monkeypatch, 0.9)

    assert room.board.suggestions[pair] == "open"
    assert room.board.scores[pair] > 0.8
    assert pair in room.board.fresh
    assert pair[::-1] not in room.board.suggestions


def test_of_very_many_ideas_that_a_human_joined_one_group_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "_MOST_BONDS", 2)
    room = _Room()
    room.say("dark mode", "export pdf", "crash", "billing")
    for place in (3, 2):
        room.order("merge", idea_id=idea_name(place), other_idea_id=idea_name(1))

    groups = families.groups_of(room.board)

    assert [(group.held, len(group.ideas), group.size) for group in groups] == [(idea_name(1), 3, 3), (idea_name(4), 1, 1)]
