"""A board in cells: the same log gives the same cells, whatever was asked in between; what is found is scored exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dedup.domain import cells
from services.dedup.domain.index import Index, in_units

_DIMENSIONS = 64
_STEPS = st.lists(st.tuples(st.sampled_from(["add", "add", "add", "remove"]), st.integers(0, 40), st.booleans()), min_size=30, max_size=90)


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Cut boards of a few texts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "FROM", 20)
        patch.setattr(cells, "_PROBED", 3)
        patch.setattr(cells, "_LIKELY", 8)
        yield


def _texts(seed: int, count: int, groups: int = 6) -> list[Any]:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((groups, _DIMENSIONS))[rng.integers(groups, size=count)] + 0.5 * rng.standard_normal((count, _DIMENSIONS))
    return [in_units(vector.astype(np.float32)) for vector in vectors / np.linalg.norm(vectors, axis=1, keepdims=True)]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=_STEPS)
def test_the_same_log_gives_the_same_cells(seed: int, steps: list[tuple[str, int, bool]]) -> None:
    texts = _texts(seed, len(steps) + 5)
    live, folded = Index(_DIMENSIONS), Index(_DIMENSIONS)
    for _ in range(41):
        live.open()
        folded.open()
    rows: list[int] = []
    for text, (step, number, asked) in zip(texts, steps, strict=False):
        if asked:
            live.query(text, 5)
        if step == "remove" and rows:
            row = rows.pop(number % len(rows))
            live.remove(row)
            folded.remove(row)
        elif step == "add":
            rows.append(live.add(number, text))
            assert folded.add(number, text) == rows[-1]

    for text in texts[-5:]:
        found = live.query(text, 5)
        assert found == folded.query(text, 5)
        every = {match.slot: match for match in live.query(text, 41, exhaustive=True)}
        assert all(every[match.slot] == match for match in found)
        assert live.is_cut or found == live.query(text, 5, exhaustive=True)


def test_the_nearest_idea_is_seldom_missed() -> None:
    texts = _texts(3, 900, groups=40)
    index = Index(_DIMENSIONS)
    for text in texts[:800]:
        index.add(index.open(), text)
    assert index.is_cut

    found = [index.query(text, 1) == index.query(text, 1, exhaustive=True) for text in texts[800:]]

    assert sum(found) >= 85


def test_a_row_that_went_and_came_back_is_found_where_it_is_now() -> None:
    texts = _texts(5, 60)
    index = Index(_DIMENSIONS)
    rows = [index.add(index.open(), text) for text in texts[:40]]
    for row in rows[:20]:
        index.remove(row)
    for slot, text in enumerate(texts[40:]):
        index.add(slot, text)

    for slot, text in enumerate(texts[40:]):
        best = index.query(text, 1)[0]
        assert best.score == pytest.approx(1.0, abs=1e-3)
        assert best.slot == slot
