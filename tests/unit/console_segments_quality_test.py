"""The quality of a scheme, a test for each thing that the practice asks of one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import fmean

import pytest

from services.common.events import SegmentTransition
from services.console.segments.cautions import QUALITIES
from services.console.segments.evidence import Evidence
from services.console.segments.history import NOBODY, History
from services.console.segments.page.report import html_report
from services.console.segments.quality import Quality, SchemeQuality, quality
from tests.unit.console_segments_world import END, eighty, person
from tests.unit.segmenter_world import DAY, START, WORKSPACE, define

_PURPOSE = "owner: a@lumora.example, goal: g, action: x"
DEFINITION = f"""
version: "7"
schemes:
  - name: plan
    rules: [{{segment: enterprise, when: account.plan == "enterprise", {_PURPOSE}}}]
    default: {{segment: free, {_PURPOSE}}}
  - name: same
    rules: [{{segment: big, when: account.mrr > 0.0, {_PURPOSE}}}]
    default: {{segment: rest, {_PURPOSE}}}
  - name: everybody
    rules: [{{segment: all, when: has(person.traits.role), {_PURPOSE}}}]
    default: {{segment: none, {_PURPOSE}}}
  - name: coin
    rules: [{{segment: heads, when: 'person.traits.coin == "heads"', {_PURPOSE}}}]
    default: {{segment: tails, {_PURPOSE}}}
  - name: field
    rules: [{{segment: tall, when: person.traits.height > 180, owner: a@lumora.example}}]
    default: short
  - name: life
    rules:
      - {{segment: gone, when: 'activity.since_last("*") >= 20', {_PURPOSE}}}
      - {{segment: busy, when: 'activity.days("*", days(28)) >= 2', {_PURPOSE}}}
    default: {{segment: quiet, {_PURPOSE}}}
  - name: fine
    rules:
{"".join(f"      - {{segment: s{n}, when: account.mrr == {n}.5, {_PURPOSE}}}{chr(10)}" for n in range(12))}
    default: {{segment: other, {_PURPOSE}}}
"""


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return asyncio.run(eighty(define(tmp_path_factory.mktemp("quality"), DEFINITION)))


@pytest.fixture(scope="module")
def found(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Quality:
    definition = define(tmp_path_factory.mktemp("quality"), DEFINITION)
    return quality(evidence, definition, START + 31 * DAY, END, least=12)


def scheme(found: Quality, name: str) -> SchemeQuality:
    return next(one for one in found.schemes if one.scheme == name)


def said(found: Quality, quality_name: str) -> str:
    return "\n".join(caution.text for caution in found.warnings if caution.quality == quality_name)


def test_seven_qualities_are_named_and_judged_for_each_scheme(found: Quality) -> None:
    assert QUALITIES == ("measurable", "substantial", "accessible", "differentiable", "actionable", "stable", "comprehensive")
    judged = {one.scheme: {verdict.quality: verdict.is_good for verdict in one.verdicts} for one in found.schemes}
    assert judged["plan"] == {name: {"accessible": False, "differentiable": False}.get(name, True) for name in QUALITIES}
    assert {name: judged["field"][name] for name in QUALITIES} == {
        "measurable": False, "substantial": False, "accessible": False, "differentiable": None, "actionable": False, "stable": True,
        "comprehensive": False,
    }  # fmt: skip


def test_unknown_is_not_false_missing_field_rate(found: Quality) -> None:
    assert scheme(found, "field").missing == {"person.traits.height": 1.0}
    assert {size.segment: size.people for size in scheme(found, "field").sizes} == {"tall": 0, "short": 80}
    assert "field: 100% of people lack person.traits.height, which its rules look at" in said(found, "measurable")


def test_under_a_size_a_segment_is_too_small(found: Quality, evidence: Evidence, tmp_path: Path) -> None:
    assert "field.tall: 0 people; below 12 its numbers are chance" in said(found, "substantial")
    assert "plan" not in said(found, "substantial")
    stricter = quality(evidence, define(tmp_path, DEFINITION), START + 31 * DAY, END)
    assert "fine.s0: 0 people; below 30" in said(stricter, "substantial")


def test_an_empty_default_is_as_it_should_be(found: Quality) -> None:
    assert "everybody.none" not in said(found, "substantial")


def test_too_many_segments(found: Quality) -> None:
    assert "fine: 13 segments are hard to act on" in said(found, "actionable")


def test_near_identical_segments(found: Quality) -> None:
    assert "plan: enterprise and same: big hold nearly the same people (100%): one says nothing new" in said(found, "differentiable")


def test_segments_of_everybody(found: Quality) -> None:
    assert "everybody.all: 100% of all people; a segment of nearly everybody tells nothing" in said(found, "substantial")


def test_segments_with_no_owner_goal_or_action(found: Quality) -> None:
    assert "field.tall: no goal, no action: nobody will act on it" in said(found, "actionable")
    assert "field.short: no owner, no goal, no action: nobody will act on it" in said(found, "actionable")
    assert scheme(found, "field").purposeful == 0
    assert scheme(found, "plan").purposeful == 1


def test_coverage_and_its_trend(found: Quality) -> None:
    life = scheme(found, "life")
    assert [moment.people for moment in life.trend] == [80] * 9
    assert life.trend[-1].covered == life.covered == 1.0
    assert life.trend[0].unknown == life.unknown == 0.0
    assert scheme(found, "plan").covered == 0.5
    assert life.trend[0].at == START + 31 * DAY


def test_who_was_not_there_yet_is_not_in_the_trend(evidence: Evidence, tmp_path: Path) -> None:
    assert quality(evidence, define(tmp_path, DEFINITION), START - 9 * DAY, START - DAY).schemes[0].trend == []


def test_reachability(found: Quality) -> None:
    assert "plan.enterprise: only 0% can be told anything" in said(found, "accessible")


def test_differentiation_with_effect_sizes(found: Quality) -> None:
    plan = scheme(found, "plan")
    effects = {name: effect for name, effect in plan.effects.items() if effect is not None}
    assert {name for name, effect in effects.items() if effect.size > 0.5 and effect.chance < 0.001} >= {"wishes", "revenue", "activity"}
    assert plan.differs() is True


def test_no_difference_is_a_warning(found: Quality) -> None:
    coin = scheme(found, "coin")
    assert sorted(size.people for size in coin.sizes) == [32, 48]
    assert coin.differs() is False
    assert "coin: no difference between its segments" in said(found, "differentiable")


def test_a_difference_between_known_and_unknown_people_is_none_between_segments(found: Quality) -> None:
    assert all(effect is None for effect in scheme(found, "field").effects.values()), "one segment has nothing to differ from"


def test_overlap_matrix(found: Quality) -> None:
    assert found.overlap["plan: enterprise", "same: big"] == 40
    assert ("plan: enterprise", "plan: free") not in found.overlap
    assert found.overlap["life: gone", "plan: enterprise"] == 40


def test_migration_between_two_dates_with_causes(found: Quality) -> None:
    life = scheme(found, "life").migration
    assert dict(life.counts) == {("busy", "gone"): 40, ("quiet", "busy"): 40}
    assert life.why["busy", "gone"] == {"time": 40}
    assert life.why["quiet", "busy"] == {"activity": 40}


def test_causes_of_a_move_are_those_of_the_last_change() -> None:
    def change(number: int, before: str | None, after: str, cause: str) -> SegmentTransition:
        return SegmentTransition(
            transition_id=str(number), workspace=WORKSPACE, person_id=person(1), scheme="s", segment=after, cause=cause,  # type: ignore[arg-type]
            definition_version="1", occurred_at=number, evaluated_at=number, previous_segment=before,
        )  # fmt: skip

    history = History.of([change(1, None, "a", "attribute"), change(2, "a", "b", "activity"), change(3, "b", "c", "time")], [])
    moved = history.migration("s", 1, 3)
    assert (moved.counts, moved.why, moved.causes) == ({("a", "c"): 1}, {("a", "c"): {"time": 1}}, {"activity": 1, "time": 1})
    assert history.migration("s", 0, 1).counts == {(NOBODY, "a"): 1}


def test_stability_and_flap_rate(found: Quality) -> None:
    assert scheme(found, "life").stayed == 0.0
    assert "life: only 0% are where they were" in said(found, "stable")
    assert scheme(found, "plan").stayed == 1.0
    assert fmean(one.flaps for one in found.schemes) == 0


def test_the_page_shows_all_of_it(found: Quality) -> None:
    page = html_report(found)
    for text in (
        *QUALITIES,
        "Overlap",
        "Coverage and unknown, over time",
        "Changes by cause",
        "busy → gone: 40 (40 by time)",
        "How to read this",
    ):
        assert text in page, text
    assert "<script" not in page
