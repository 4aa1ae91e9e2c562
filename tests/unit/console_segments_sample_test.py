"""The ready-made schemes on the bundled sample: ingest's own decisions, then the segmenter's, then what the console says of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from services.common.errors import MalformedRecord
from services.common.events import Account, BoardEvent, Decision, PersonEvent
from services.common.ids import decision_id
from services.common.paths import EXAMPLES
from services.common.records import Record
from services.common.settings import load_settings
from services.console.segments.evidence import TOPICS, Evidence
from services.ingest.channels import load_channels
from services.ingest.decoding import decoders
from services.ingest.domain.deciding import decide
from services.ingest.domain.inputs import Arrival
from services.ingest.offline import empty_ledger
from services.ingest.settings import IngestSettings
from services.segmenter.domain.definition import UNKNOWN
from services.segmenter.domain.loading import NO, load_definition
from services.segmenter.offline import fold
from tests.unit.segmenter_world import CODEC, DAY

SAMPLE = EXAMPLES / "lumora"
BACKGROUND = ("accounts.raw", "people.raw", "activity.raw")
END = 1_795_219_200_000_000
"""2026-11-21, the day after the sample's last activity."""
EMPTY = {
    "company_size": set(), "engagement": set(), "industry": {"other"}, "lifecycle": {"churned"}, "needs": {"run_workshops"},
    "psychographic": {"visual", "verbal", "guessed", "first_to_try", "wait_and_see"}, "region": {"europe", "elsewhere"},
    "rfm": {"at_risk", "cannot_lose", "newcomers"}, "value_tier": {"growing", "strategic", "costly"},
}  # fmt: skip
"""By file, what nobody of the sample is in: nobody answered a survey, no account says what it paid a year ago."""


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    settings = load_settings(IngestSettings)
    reading = decoders(load_channels(settings.channels_file), CODEC.schemas, settings.text_limit)
    ledger, events, accounts, decisions = (
        empty_ledger(),
        list[PersonEvent](),
        list[Account](),
        list[Decision](),
    )
    for topic in (*BACKGROUND, *sorted(path.stem for path in SAMPLE.glob("feedback.raw*.jsonl"))):
        for number, line in enumerate((SAMPLE / f"{topic}.jsonl").read_bytes().split(b"\n")):
            record = Record(topic, 0, number, END // 1000, None, line)
            try:
                [verdict] = decide(ledger, [(reading[topic](record), Arrival.of(record))])
            except MalformedRecord:
                continue
            for event in verdict if isinstance(verdict, tuple) else ():
                if isinstance(event, PersonEvent):
                    events.append(event)
                elif isinstance(event, Account):
                    accounts.append(event)
                elif isinstance(event, BoardEvent) and event.feedback_id and event.text and event.person_id:
                    decisions.append(_linked(event, len(decisions) + 1))
    empty = Evidence.of(CODEC, {topic: [] for topic in TOPICS}, "lumora")
    return Evidence(fold(events, accounts, decisions), {}, empty.history, {}, {}, events, accounts, decisions)


def _linked(event: BoardEvent, sequence: int) -> Decision:
    """Return the link of a piece of feedback to an idea of its own: what people ask for is in their words."""
    return Decision(
        decision_id=decision_id("lumora", "product", sequence), type="linked", workspace="lumora", board="product", sequence=sequence,
        event_id=event.event_id, occurred_at=event.occurred_at, ingested_at=event.ingested_at, idea_id=f"i{sequence}",
        feedback_id=event.feedback_id, person_id=event.person_id, text=event.text,
    )  # fmt: skip


@pytest.mark.parametrize("path", sorted((EXAMPLES / "segments").glob("*.yaml")), ids=lambda path: path.stem)
def test_each_ready_made_scheme_sorts_the_sample(path: Path, evidence: Evidence) -> None:
    definition = load_definition(path)
    found = evidence.population.memberships(definition, END, {})
    known = [segments for person_id, segments in found.items() if evidence.population.humans[person_id].is_known]
    assert len(known) == 124
    nobody = set()
    for scheme in definition.schemes:
        sizes = Counter(segments[scheme.name] for segments in known)
        assert sizes[UNKNOWN] == 0
        assert sum(sizes.values()) == 124
        named = scheme.name.partition(".")[2] if scheme.group else ""
        nobody |= {named or segment for segment in scheme.texts() if not sizes[segment] and segment not in (NO, scheme.default)}
    assert nobody == EMPTY[path.stem]


def test_strangers_are_unknown_in_every_scheme(evidence: Evidence) -> None:
    definition = load_definition(EXAMPLES / "segments" / "lifecycle.yaml")
    found = evidence.population.memberships(definition, END + 9 * DAY, {})
    strangers = [p for p, human in evidence.population.humans.items() if not human.is_known]
    assert strangers
    assert {found[p]["lifecycle"] for p in strangers} == {UNKNOWN}
