"""What became of each release: how many asked, how many heard, and why the others did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from services.common.events import NotificationOutcome
from services.console.board import decoded, final_outcomes
from services.console.cluster import Cluster
from services.console.context import codec

_ENDS = {
    "sent": "reached",
    "delivered": "reached",
    "already_told": "reached",
    "pending": "waiting",
    "deferred": "waiting",
    "bounced": "bounced",
    "failed": "failed",
    "opted_out": "opted out",
    "unreachable": "unreachable",
}
_WEIGHT = ("reached", "waiting", "bounced", "failed", "opted out", "unreachable")
"""A person with several alerts of a release counts once, by the first of these; those whose requests are all gone do not count."""


@dataclass(frozen=True, slots=True)
class ReleaseSummary:
    """People by what became of them; they add up to *asked*."""

    workspace: str
    release_id: str
    asked: int
    reached: int
    waiting: int
    bounced: int
    failed: int
    opted_out: int
    unreachable: int

    def counts(self) -> dict[str, int]:
        """Return how many people, by what became of them."""
        return {name: number for name, number in asdict(self).items() if name not in ("workspace", "release_id")}


async def read_releases(cluster: Cluster, workspace: str) -> list[ReleaseSummary]:
    """Return the releases of *workspace* that anyone was to be told of, those that most people asked for first."""
    records = await cluster.read(("notifications.log",))
    outcomes = final_outcomes(decoded(codec(), NotificationOutcome, records["notifications.log"])).values()
    return summaries(outcome for outcome in outcomes if outcome.workspace == workspace)


def summaries(outcomes: Iterable[NotificationOutcome]) -> list[ReleaseSummary]:
    """Return what became of each release; *outcomes* holds the last one of each alert."""
    ends: dict[tuple[str, str], dict[str, str]] = {}
    for outcome in outcomes:
        end = _ENDS.get(outcome.outcome)
        if end is not None:
            people = ends.setdefault((outcome.workspace, outcome.release_id), {})
            people[outcome.person_id] = min(end, people.get(outcome.person_id, end), key=_WEIGHT.index)
    found = []
    for (workspace, release), people in ends.items():
        counts = Counter(people.values())
        found.append(ReleaseSummary(workspace, release, len(people), *(counts[end] for end in _WEIGHT)))
    return sorted(found, key=lambda summary: (-summary.asked, summary.release_id))
