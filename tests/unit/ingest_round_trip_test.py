"""A few hundred records of every kind, three times in any order: a short run of ``python -m tests.round_trip``."""

from __future__ import annotations

from tests.round_trip.__main__ import compare


def test_whatever_the_order_the_same_is_left() -> None:
    differs, told = compare(300, seed=7)
    assert differs == [], told
    assert "Emit" in told
