"""Scores are exact: no bit of them depends on batch, order, history or the shape of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dedup.domain import foresight
from services.dedup.domain.index import Index, in_units
from services.dedup.domain.rows import Coarse, Rests

LAW = settings(max_examples=60, deadline=None)
_DIMENSIONS = 96
_SEEDS = st.integers(0, 2**32 - 1)


def _vectors(seed: int, count: int) -> Any:
    """Return *count* unit vectors in a few loose groups, so that some of them resemble each other."""
    rng = np.random.default_rng(seed)
    groups = rng.standard_normal((3, _DIMENSIONS))
    vectors = groups[rng.integers(3, size=count)] + rng.standard_normal((count, _DIMENSIONS)) * rng.choice([0.05, 0.5, 1.0], (count, 1))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _naive(vectors: Any, slots: list[int], text: Any) -> dict[int, float]:
    """Score *text* as the formula reads, in float64 on the vectors as they were given."""
    vectors, text = vectors.astype(np.float64), text.astype(np.float64)
    mean = vectors.sum(axis=0) / (20 + len(vectors))

    def cosine(vector: Any) -> float:
        return float((text - mean) @ (vector - mean) / np.linalg.norm(text - mean) / np.linalg.norm(vector - mean))

    members = {slot: [vector for vector, its in zip(vectors, slots, strict=True) if its == slot] for slot in set(slots)}
    return {slot: (cosine(np.mean(rows, axis=0)) + max(map(cosine, rows))) / 2 for slot, rows in members.items()}


@LAW
@given(seed=_SEEDS, slots=st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_scores_are_those_of_the_formula(seed: int, slots: list[int]) -> None:
    vectors = _vectors(seed, len(slots) + 1)
    index = Index(_DIMENSIONS)
    for _ in range(7):
        index.open()
    for vector, slot in zip(vectors, slots, strict=False):
        index.add(slot, in_units(vector))

    matches = index.query(in_units(vectors[-1]), 7)

    assert _naive(vectors[:-1], slots, vectors[-1]) == pytest.approx({match.slot: match.score for match in matches}, abs=5e-3)
    assert sorted((match.score for match in matches), reverse=True) == [match.score for match in matches]


@LAW
@given(
    seed=_SEEDS,
    steps=st.lists(st.tuples(st.sampled_from(["add", "add", "add", "remove"]), st.integers(0, 5), st.booleans()), max_size=50),
)
def test_bits_do_not_depend_on_how_an_index_came_to_be(seed: int, steps: list[tuple[str, int, bool]]) -> None:
    vectors = [in_units(vector) for vector in _vectors(seed, len(steps) + 1)]
    live, folded = Index(_DIMENSIONS), Index(_DIMENSIONS)
    for _ in range(6):
        live.open()
        folded.open()
    rows: list[int] = []
    for vector, (step, number, asked) in zip(vectors, steps, strict=False):
        if step == "remove" and rows:
            row = rows.pop(number % len(rows))
            live.remove(row)
            folded.remove(row)
        elif step == "add":
            if asked:
                live.query(vector, 5)
            rows.append(live.add(number, vector))
            folded.add(number, vector)

    one, other = live.query(vectors[-1], 6), folded.query(vectors[-1], 6)

    assert one == other


@LAW
@given(
    seed=_SEEDS,
    steps=st.lists(st.tuples(st.sampled_from(["add", "add", "add", "remove"]), st.integers(0, 30), st.booleans()), max_size=80),
    best=st.integers(1, 5),
)
def test_looking_through_by_bounds_leaves_no_better_idea_out(seed: int, steps: list[tuple[str, int, bool]], best: int) -> None:
    vectors = [in_units(vector) for vector in _vectors(seed, len(steps) + 1)]
    index = Index(_DIMENSIONS)
    slots = [index.open() for _ in range(31)]
    rows: list[int] = []
    for vector, (step, number, asked) in zip(vectors, steps, strict=False):
        if step == "remove" and rows:
            index.remove(rows.pop(number % len(rows)))
        elif step == "add":
            rows.append(index.add(slots[number], vector))
        if asked:  # bounds go by what was seen then
            index.query(vector, best)

    everything = index.query(vectors[-1], len(slots))

    assert everything[:best] == index.query(vectors[-1], best)
    assert {match.slot for match in everything} == {index.slot_of(row) for row in rows}


@LAW
@given(
    seed=_SEEDS,
    steps=st.lists(st.tuples(st.sampled_from(["add", "add", "query", "remove"]), st.integers(0, 9)), max_size=60),
    order=st.permutations(range(8)),
)
def test_what_was_foreseen_changes_nothing(seed: int, steps: list[tuple[str, int]], order: list[int]) -> None:
    vectors = _vectors(seed, len(steps) + 8)
    coming = vectors[len(steps) :]
    foreseeing, other = Index(_DIMENSIONS), Index(_DIMENSIONS)
    for _ in range(10):
        foreseeing.open()
        other.open()
    rows: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foresight, "_FEWEST_ROWS", 1)
        foreseeing.expect(coming)
        for vector, (step, number) in zip(vectors, steps, strict=False):
            if step == "add":
                rows.append(foreseeing.add(number, in_units(vector)))
                assert other.add(number, in_units(vector)) == rows[-1]
            elif step == "remove" and rows:
                row = rows.pop(number % len(rows))
                foreseeing.remove(row)
                other.remove(row)
            elif step == "query":
                text = in_units(coming[order[number % 8]])
                assert other.query(text, 3) == foreseeing.query(text, 3)
        for place in order:
            assert other.query(in_units(coming[place]), 10) == foreseeing.query(in_units(coming[place]), 10)


@LAW
@given(
    seed=_SEEDS,
    steps=st.lists(st.tuples(st.sampled_from(["add", "add", "change", "ask"]), st.integers(0, 39)), max_size=60),
    expected=st.integers(0, 8),
)
def test_packed_rows_give_the_same_dot_products(seed: int, steps: list[tuple[str, int]], expected: int) -> None:
    rng = np.random.default_rng(seed)
    rows, texts = rng.integers(-128, 128, (60, _DIMENSIONS)).astype(np.int8), rng.integers(-128, 128, (8, _DIMENSIONS)).astype(np.int8)
    seer, used = foresight.Foresight(), 1
    with pytest.MonkeyPatch.context() as patch:
        for name, small in (("_BLOCK", 8), ("_MOST_STALE", 2), ("_FEWEST_ROWS", 6), ("_MOST_PACKED", 40)):
            patch.setattr(foresight, name, small)
        seer.expect(list(texts[:expected]))
        for step, number in [*steps, *(("ask", place) for place in range(8))]:
            if step == "add" and used < len(rows):
                used += 1
                seer.changed(used - 1)
            elif step == "change":
                rows[number % used] = rng.integers(-128, 128, _DIMENSIONS)
                seer.changed(number % used)
            elif step == "ask":
                text = texts[number % 8]
                assert (rows[:used].astype(int) @ text.astype(int) == seer.dots(text, rows[:used])).all()


@LAW
@given(seed=_SEEDS, count=st.integers(1, 20))
def test_texts_that_are_expected_are_what_they_are_alone(seed: int, count: int) -> None:
    vectors = [*_vectors(seed, count), np.eye(1, _DIMENSIONS, dtype=np.float32)[0]]
    together = Coarse.of_each(np.stack([in_units(vector) for vector in vectors]))

    for one, vector in zip(together, vectors, strict=True):
        other = Coarse(in_units(vector))
        for name in Coarse.__slots__:
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


@LAW
@given(seed=_SEEDS, spread=st.sampled_from([0.001, 0.01, 0.1]), count=st.integers(2, 40))
def test_bounds_hold_where_all_texts_are_near_the_mean(seed: int, spread: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal(_DIMENSIONS) + spread * rng.standard_normal((count + 1, _DIMENSIONS))
    units = [in_units((vector / np.linalg.norm(vector) * 0.9999).astype(np.float32)) for vector in vectors]
    index = Index(_DIMENSIONS)
    for vector in units[:-1]:
        index.add(index.open(), vector)

    everything = index.query(units[-1], count)

    assert everything[:2] == index.query(units[-1], 2)


@LAW
@given(seed=_SEEDS, dimensions=st.integers(1, 9), rows=st.lists(st.integers(0, 7), min_size=1, max_size=30))
def test_rests_are_kept_whatever_was_there_before(seed: int, dimensions: int, rows: list[int]) -> None:
    rng, rests, expected = np.random.default_rng(seed), Rests(dimensions), np.zeros((8, dimensions))
    for row in rows:
        step = int(rng.choice([1, 4, 15, 16, 17]))
        rest = rng.integers(-(step // 2), step // 2 + 1, dimensions).astype(np.int8)
        if rng.random() < 0.2:
            rests.clear(row)
            expected[row] = 0
        else:
            rests.put(row, rest, step)
            expected[row] = rest
    assert (expected == rests.of(np.arange(8))).all()
    assert (expected[rows] == rests.of(np.array(rows))).all()


@LAW
@given(seed=_SEEDS, count=st.integers(1, 60))
def test_two_bytes_a_component_hold_a_vector_exactly(seed: int, count: int) -> None:
    vectors = [in_units(vector) for vector in _vectors(seed, count)]
    vectors.append(in_units(np.eye(1, _DIMENSIONS, dtype=np.float32)[0]))
    index = Index(_DIMENSIONS)
    for vector in vectors:
        row = index.add(index.open(), vector)
        assert (index.vector(row) == vector).all()
    units, *_ = index.seen_from_the_mean(index.live_rows())
    assert (units == np.array(vectors)).all()


@LAW
@given(seed=_SEEDS, order=st.permutations(range(12)))
def test_bits_do_not_depend_on_the_order_of_texts(seed: int, order: list[int]) -> None:
    vectors = [in_units(vector) for vector in _vectors(seed, 13)]

    def scores(places: list[int]) -> dict[int, tuple[float, float, float]]:
        index = Index(_DIMENSIONS)
        for _ in range(4):
            index.open()
        for place in places:
            index.add(place % 4, vectors[place])
        return {match.slot: (match.score, match.centroid, match.member) for match in index.query(vectors[-1], 4)}

    assert scores(list(range(12))) == scores(order)


def test_a_removed_text_leaves_no_trace() -> None:
    vectors = [in_units(vector) for vector in _vectors(7, 20)]
    index = Index(_DIMENSIONS)
    slots = [index.open() for _ in range(5)]
    for place, vector in enumerate(vectors[:12]):
        index.add(slots[place % 5], vector)
    expected = index.query(vectors[-1], 5)

    rows = [index.add(slots[place % 5], vector) for place, vector in enumerate(vectors[12:19])]
    for row in rows:
        index.remove(row)

    assert expected == index.query(vectors[-1], 5)


def test_dot_products_are_whole_numbers_whatever_computes_them() -> None:
    units = np.array([in_units(vector) for vector in _vectors(3, 700)])
    exact = units.astype(np.int64) @ units[0].astype(np.int64)

    for rows in (1, 2, 3, 7, 64, 255, 700):
        assert (exact[:rows] == (units[:rows] @ units[0])).all()
    assert (exact == (np.asfortranarray(units) @ units[0])).all()
    assert (exact == (units @ units[:5].T)[:, 0]).all()


def test_of_equal_ideas_the_oldest_is_best() -> None:
    vector = in_units(_vectors(1, 1)[0])
    index = Index(_DIMENSIONS)
    for slot in [index.open() for _ in range(3)]:
        index.add(slot, vector)

    assert [match.slot for match in index.query(vector, 5)] == [0, 1, 2]


def test_ideas_without_a_text_match_nothing() -> None:
    vector = in_units(_vectors(1, 1)[0])
    index = Index(_DIMENSIONS)
    index.open()

    assert index.query(vector, 5) == ()
    index.remove(index.add(0, vector))
    assert index.query(vector, 5) == ()


@pytest.mark.parametrize("bad", [np.full(_DIMENSIONS, 1.0), np.full(_DIMENSIONS, np.nan), np.full(_DIMENSIONS, np.inf)])
def test_a_vector_that_would_not_be_exact_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="normalised"):
        in_units(bad.astype(np.float32))
