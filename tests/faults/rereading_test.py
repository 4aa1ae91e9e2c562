"""The judge tells what ingest says anew after it has lost its store from what it should have said before."""

from __future__ import annotations

import pytest

from tests.faults.evidence import Evidence, Sample
from tests.faults.invariants import broken
from tests.faults.judge_test import frame, world


def _introduced(*positions: tuple[int, int, int], others: bool = True) -> Evidence:
    """Return a world in which a piece of feedback introduced its author, whom a record of ``people.raw`` introduced as well.

    *positions* are, in each sample, what was acknowledged of ``feedback.raw`` and ``people.raw``, and the end of ``people.events``.
    """
    sources = ("feedback.raw/0/0", "people.raw/0/0") if others else ("feedback.raw/0/0",)
    rows = [
        (f"e{number}", frame("people.events", event_id=f"e{number}", type="alias", person_id="p1", origin=source))
        for number, source in enumerate(sources)
    ]
    samples = [
        Sample({("ingest", "feedback.raw", 0): feedback, ("ingest", "people.raw", 0): people}, {("people.events", 0): end})
        for feedback, people, end in positions
    ]
    return world(topics={"people.events": rows}, samples=samples)


def test_who_is_introduced_anew_after_a_lost_store_was_not_forgotten_before() -> None:
    assert "I2" not in broken(_introduced((1, 0, 0), (0, 0, 0), (1, 1, 2)))


@pytest.mark.parametrize(
    "evidence",
    [
        _introduced((1, 0, 0), (1, 1, 2)),
        _introduced((1, 1, 0), (0, 0, 0), (1, 1, 2)),
        _introduced((1, 0, 0), (1, 0, 1), (0, 0, 1), (1, 1, 2)),
        _introduced((1, 0, 0), (0, 0, 0), (1, 1, 1), others=False),
    ],
    ids=["nothing was read again", "nobody else could have introduced them", "it came before that", "nobody else did"],
)
def test_who_is_introduced_too_late_is_found(evidence: Evidence) -> None:
    assert "I2" in broken(evidence)
