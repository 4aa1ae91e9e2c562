"""Every way of segmenting that is promised, a test each, through the service: records in, rows of ``people.segments`` out.

Single rules and edges are in segmenter_schemes_test; what is promised of re-evaluation, history and life cycle in segmenter_rows_test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from services.common.events import EnrichedFeedback, Event, IdeaDemand, PersonEvent, PersonSegments, SegmentTransition
from services.common.ids import account_id
from services.common.paths import EXAMPLES
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.loading import load_definition
from tests.unit.segmenter_world import DAY, START, WORKSPACE, Board, Segmenter, account, define, person_event, told

ANN = f"{WORKSPACE}:person:ann"
ACME = account_id(WORKSPACE, "acme")
TWO_DIMENSIONS = """
version: "{version}"
schemes:
  - name: role
    rules:
      - {{segment: lead, when: 'person.traits.role.startsWith("{lead}")'}}
    default: other
  - name: likes
    tags:
      - {{segment: export, when: 'asked.count("export") >= 1'}}
      - {{segment: voting, when: 'asked.count("vote") >= 1'}}
"""


def ready_made(name: str) -> Definition:
    return load_definition(EXAMPLES / "segments" / f"{name}.yaml")


class Ann:
    """What is told of one person, each thing with a number and a moment of its own."""

    def __init__(self, definition: Definition) -> None:
        self.segmenter = Segmenter(definition)
        self._number = 0
        self._board = Board()

    async def is_told(self, *events: Event) -> dict[str, str]:
        """Handle *events*; return where Ann is now, as the topic says."""
        await told(self.segmenter, *events)
        rows: list[PersonSegments] = self.segmenter.events(PersonSegments)
        found: dict[str, str] = orjson.loads(rows[-1].segments_json)
        return found

    def profile(self, company: str | None = None, **traits: Any) -> PersonEvent:
        return self._event("profile", account_id=company, traits_json=orjson.dumps(traits).decode())

    def acts(self, name: str, days_ago: int, amount: float | None = None) -> PersonEvent:
        return self._event("activity", name=name, occurred_at=START - days_ago * DAY, amount=amount)

    def answers(self, question: str, value: Any, confidence: float | None = None) -> PersonEvent:
        return self._event("answer", name=question, answer_json=orjson.dumps(value).decode(), confidence=confidence)

    def asks(self, text: str) -> Event:
        self._number += 1
        fields = {"feedback_id": f"f{self._number}", "person_id": ANN, "idea_id": "i1", "text": text}
        return self._board.decide("linked", START + self._number, **fields)

    def _event(self, kind: str, **fields: Any) -> PersonEvent:
        self._number += 1
        return person_event(self._number, kind, ANN, START + self._number, **fields)


async def test_demographic_by_role_and_seniority(tmp_path: Path) -> None:
    ann = Ann(define(tmp_path, TWO_DIMENSIONS.format(version=1, lead="head")))
    assert (await ann.is_told(ann.profile(role="head of design")))["role"] == "lead"
    assert (await ann.is_told(ann.profile(role="cook")))["role"] == "other"


async def test_firmographic_by_employees_and_industry_of_the_account() -> None:
    for name, segment in (("company_size", "medium"), ("industry", "services")):
        ann = Ann(ready_made(name))
        company = account("acme", 1, START, employees=60, industry="legal")
        assert (await ann.is_told(company, ann.profile(ACME)))[name] == segment
    grown = account("acme", 2, START + 9, employees=2_000, industry="legal")
    large = Ann(ready_made("company_size"))
    assert (await large.is_told(account("acme", 1, START, employees=60), large.profile(ACME), grown))["company_size"] == "enterprise"


async def test_geographic_by_country_before_the_region_of_the_account() -> None:
    ann = Ann(ready_made("region"))
    assert (await ann.is_told(account("acme", 1, START, region="EU"), ann.profile(ACME)))["region"] == "europe"
    assert (await ann.is_told(ann.profile(ACME, country="AT")))["region"] == "dach"


async def test_behavioural_by_windows_of_what_somebody_did_and_by_time_alone() -> None:
    ann = Ann(ready_made("engagement"))
    did = [ann.acts("board_opened", day) for day in range(6)] + [ann.acts("template_used", 0), ann.acts("workshop_held", 20)]
    assert (await ann.is_told(ann.profile(), *did))["engagement"] == "broad"
    ann.segmenter.clock.moment = START + 40 * DAY
    await ann.segmenter.ticks()
    assert orjson.loads(ann.segmenter.events(PersonSegments)[-1].segments_json)["engagement"] == "lapsed"


async def test_needs_based_by_answers_and_by_the_ideas_that_somebody_asks_for() -> None:
    ann = Ann(ready_made("needs"))
    assert (await ann.is_told(ann.profile(), *map(ann.asks, ("Export as PDF", "better pdf exports", "export to slides"))))["need"] == (
        "share_results"
    )
    assert (await ann.is_told(ann.answers("job", "workshops")))["need"] == "run_workshops"
    sure, guessed = Ann(ready_made("needs")), Ann(ready_made("needs"))
    assert (await sure.is_told(sure.profile(), sure.answers("job", "results", 0.9)))["need"] == "share_results"
    assert (await guessed.is_told(guessed.profile(), guessed.answers("job", "results", 0.3)))["need"] == "unstated"


async def test_value_based_by_revenue_growth_cost_and_flags() -> None:
    ann = Ann(ready_made("value_tier"))
    company = account("acme", 1, START, mrr_cents=1_000_000, traits_json='{"mrr_a_year_ago": 5000.0, "strategic": true}')
    found = await ann.is_told(company, ann.profile(ACME), *(ann.acts("support_contacted", day) for day in range(5)))
    assert (found["value_tier"], found["account_notes.growing"], found["account_notes.strategic"], found["account_notes.costly"]) == (
        "top", "yes", "yes", "yes",
    )  # fmt: skip


async def test_value_based_by_rfm_above_a_minimum_of_data() -> None:
    ann = Ann(ready_made("rfm"))
    assert (await ann.is_told(ann.profile(), *(ann.acts("board_opened", day) for day in range(2))))["rfm"] == "too-little-data"
    assert (await ann.is_told(*(ann.acts("board_opened", day) for day in range(2, 40))))["rfm"] == "champions"


async def test_psychographic_by_answers_that_are_marked_as_inferred_and_expire() -> None:
    ann = Ann(ready_made("psychographic"))
    assert (await ann.is_told(ann.profile(), ann.answers("style", "visual", 0.7)))["style"] == "guessed"
    assert (await ann.is_told(ann.answers("style", "visual")))["style"] == "visual"
    ann.segmenter.clock.moment = START + 200 * DAY
    await ann.segmenter.ticks()
    assert orjson.loads(ann.segmenter.events(PersonSegments)[-1].segments_json)["style"] == "unsurveyed"
    assert ann.segmenter.events(SegmentTransition)[-1].cause == "time"


async def test_overlap_all_memberships_and_one_primary_by_declared_order(tmp_path: Path) -> None:
    ann = Ann(define(tmp_path, TWO_DIMENSIONS.format(version=1, lead="head")))
    found = await ann.is_told(ann.profile(role="head"), ann.asks("export what we vote on"))
    assert found == {"role": "lead", "likes.export": "yes", "likes.voting": "yes"}
    assert ann.segmenter.events(PersonSegments)[-1].primary_segment == "lead"
    assert ann.segmenter.events(EnrichedFeedback)[-1].primary_segment == "lead"


async def test_definition_history_a_rollout_moves_people_and_demand_and_says_so(tmp_path: Path) -> None:
    ann = Ann(define(tmp_path, TWO_DIMENSIONS.format(version=1, lead="head")))
    await ann.is_told(ann.profile(role="chief"), ann.asks("a timer would be good"))
    ann.segmenter.definition = define(tmp_path, TWO_DIMENSIONS.format(version=2, lead="chief"))
    ann.segmenter.restart()
    await ann.segmenter.ticks()
    await ann.segmenter.drain()
    change = ann.segmenter.events(SegmentTransition)[-1]
    assert (change.previous_segment, change.segment, change.cause, change.definition_version) == ("other", "lead", "definition", "2")
    then, now = ann.segmenter.events(EnrichedFeedback)[-1], ann.segmenter.events(IdeaDemand)[-1]
    assert (then.primary_segment, then.definition_version, now.definition_version) == ("other", "1", "2")
    assert list(orjson.loads(now.segments_json)["role"]) == ["lead"]


@pytest.mark.parametrize("profile_first", [True, False])
async def test_unknown_is_not_false(*, profile_first: bool) -> None:
    ann = Ann(ready_made("company_size"))
    profile, wish = ann.profile(), ann.asks("a timer would be good")
    for event in (profile, wish) if profile_first else (wish, profile):
        await told(ann.segmenter, event)
    assert ann.segmenter.events(EnrichedFeedback)[-1].primary_segment == "unknown"
