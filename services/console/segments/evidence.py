"""What the topics say about people and their segments, as far as reports look at it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.common.clock import Micros
from services.common.codec import Codec
from services.common.events import Account, Decision, EnrichedFeedback, Idea, PersonEvent, PersonSegments, SegmentTransition
from services.common.records import Record
from services.console.board import decoded, in_order, latest_feedback, newest
from services.console.cluster import Cluster
from services.console.context import codec
from services.console.segments.history import History
from services.segmenter.domain.definition import Held
from services.segmenter.offline import Population, fold

TOPICS = (
    "people.events", "accounts", "board.decisions", "people.segments", "people.transitions", "feedback.enriched", "ideas",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evidence:
    """One workspace at one moment."""

    population: Population
    rows: Mapping[str, PersonSegments]
    """The present row of each person."""
    history: History
    feedback: Mapping[str, EnrichedFeedback]
    """The newest enrichment of each piece of feedback."""
    titles: Mapping[str, str]
    """By idea id."""
    events: list[PersonEvent]
    accounts: list[Account] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    """In order."""

    @classmethod
    def of(cls, codec: Codec, records: Mapping[str, list[Record]], workspace: str) -> Evidence:
        """Return what *records* of ``TOPICS`` say about *workspace*."""
        events = [event for event in decoded(codec, PersonEvent, records["people.events"]) if event.workspace == workspace]
        accounts = [account for account in decoded(codec, Account, records["accounts"]) if account.workspace == workspace]
        decisions = [d for d in in_order(decoded(codec, Decision, records["board.decisions"])) if d.workspace == workspace]
        transitions = [t for t in decoded(codec, SegmentTransition, records["people.transitions"]) if t.workspace == workspace]
        feedback = [row for row in decoded(codec, EnrichedFeedback, records["feedback.enriched"]) if row.workspace == workspace]
        ideas = newest(decoded(codec, Idea, records["ideas"]))
        return cls(
            fold(events, accounts, decisions),
            _present(codec, records["people.segments"], workspace),
            History.of(transitions, events),
            latest_feedback(feedback),
            {idea_id: idea.title for idea_id, idea in ideas.items() if idea.workspace == workspace},
            events,
            accounts,
            decisions,
        )

    def segments(self) -> dict[str, dict[str, str]]:
        """Return the published memberships of each person."""
        return {person_id: json.loads(row.segments_json) for person_id, row in self.rows.items()}

    def held(self) -> dict[str, Held]:
        """Return the published memberships with the moments since when they hold, as an evaluation looks at them."""
        since: defaultdict[str, dict[str, Micros]] = defaultdict(dict)
        for change in self.history.changes:
            since[change.person_id][change.scheme] = change.evaluated_at
        return {person_id: Held(segments, since.get(person_id, {})) for person_id, segments in self.segments().items()}


def _present(codec: Codec, records: list[Record], workspace: str) -> dict[str, PersonSegments]:
    """Return the rows that a reader of the compacted topic sees: the last of each key, none where that is a tombstone."""
    rows: dict[bytes | None, PersonSegments | None] = {}
    decode = codec.optional_decoder(PersonSegments)
    for record in records:
        row = decode(record)
        before = rows.get(record.key)
        if row is None or before is None or before.version <= row.version:
            rows[record.key] = row
    return {row.person_id: row for row in rows.values() if row is not None and row.workspace == workspace}


async def read_evidence(cluster: Cluster, workspace: str) -> Evidence:
    """Return what lies in the topics now. All of it is held in memory."""
    return Evidence.of(codec(), await cluster.read(TOPICS), workspace)
