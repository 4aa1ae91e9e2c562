"""What became of each release adds up to who asked, each person once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.common.events import NotificationOutcome, OutcomeType
from services.console.releases import summaries

_OUTCOMES: list[OutcomeType] = [
    "pending", "sent", "delivered", "bounced", "deferred", "failed", "opted_out", "unreachable", "already_told", "suppressed",
]  # fmt: skip


def outcome(alert: int, person: str, release: str, what: OutcomeType) -> NotificationOutcome:
    return NotificationOutcome(
        outcome_id=f"o{alert}", alert_id=f"a{alert}", workspace="lumora", board="product", person_id=person, idea_id="i", root_id="i",
        release_id=release, outcome=what, reason="because", attempt=1, occurred_at=alert,
    )  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["r1", "r2"]), st.sampled_from(_OUTCOMES)), max_size=30))
def test_people_add_up_and_whoever_heard_once_has_heard(alerts: list[tuple[str, str, OutcomeType]]) -> None:
    found = {summary.release_id: summary for summary in summaries(outcome(n, *alert) for n, alert in enumerate(alerts))}
    for release in ("r1", "r2"):
        mine = [(person, what) for person, of, what in alerts if of == release and what != "suppressed"]
        assert (release in found) == bool(mine)
        if mine:
            summary = found[release]
            ends = (summary.reached, summary.waiting, summary.bounced, summary.failed, summary.opted_out, summary.unreachable)
            assert sum(ends) == summary.asked == len({person for person, _ in mine})
            assert summary.reached == len({person for person, what in mine if what in ("sent", "delivered", "already_told")})


def test_the_one_that_most_people_asked_for_comes_first() -> None:
    alerts = [("a", "small", "sent"), ("a", "large", "opted_out"), ("b", "large", "bounced")]
    found = summaries(outcome(n, person, release, what) for n, (person, release, what) in enumerate(alerts))  # type: ignore[arg-type]
    assert [(summary.release_id, summary.asked, summary.opted_out, summary.bounced) for summary in found] == [
        ("large", 2, 1, 1),
        ("small", 1, 0, 0),
    ]
