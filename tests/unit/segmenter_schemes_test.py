"""The ready-made schemes, one test a way of segmenting that the practice knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from services.common.events import SegmentTransition
from services.common.paths import EXAMPLES, ROOT
from services.segmenter.domain.definition import Definition, Held
from services.segmenter.domain.facts import Facts
from services.segmenter.domain.loading import load_definition
from services.segmenter.domain.mentions import Asked, words_of
from services.segmenter.domain.purpose import advice
from services.segmenter.domain.recency import DAY
from tests.unit.segmenter_terms_test import NOON, acted
from tests.unit.segmenter_world import START, WORKSPACE, Segmenter, define, person_event, told

FILES = sorted((EXAMPLES / "segments").glob("*.yaml"))
ANN = f"{WORKSPACE}:person:ann"


def ready_made(name: str) -> Definition:
    return load_definition(EXAMPLES / "segments" / f"{name}.yaml")


def segments(
    name: str, facts: Facts | None = None, account: dict[str, Any] | None = None, traits: dict[str, Any] | None = None
) -> dict[str, str]:
    """Return the memberships by one of the ready-made definitions."""
    facts = facts or Facts()
    facts.learn(person_event(1, "profile", ANN, NOON, traits_json=orjson.dumps(traits or {}).decode()))
    return ready_made(name).evaluate_person(facts, account or {}, NOON, Held()).segments


def test_the_example_in_the_documentation_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "SEGMENTS.md").read_text().split("```yaml\n")[1].split("```")[0]
    assert [scheme.name for scheme in define(tmp_path, text).schemes] == ["engagement", "likes.export"]


def test_there_are_the_nine_schemes_of_the_practice() -> None:
    expected = {"company_size", "engagement", "industry", "lifecycle", "needs", "psychographic", "region", "rfm", "value_tier"}
    assert {path.stem for path in FILES} == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_ready_made_scheme_is_documented_and_of_use(path: Path) -> None:
    assert path.read_text().count("# ") >= 3
    assert "# Needs: " in path.read_text()
    assert advice(load_definition(path)) == []


@pytest.mark.parametrize(
    ("account", "segment"),
    [
        ({"employees": 1000}, "enterprise"),
        ({"employees": 249}, "medium"),
        ({"employees": 1}, "micro"),
        ({"mrr": 1.0}, "size-unknown"),
        ({}, "unknown"),
    ],
)
def test_firmographic_company_size(account: dict[str, Any], segment: str) -> None:
    assert segments("company_size", account=account)["company_size"] == segment


@pytest.mark.parametrize(
    ("industry", "segment"), [("legal", "services"), ("charity", "public_good"), ("alchemy", "other"), (None, "industry-unknown")]
)
def test_firmographic_industry(industry: str | None, segment: str) -> None:
    account = {"mrr": 0.0} if industry is None else {"industry": industry}
    assert segments("industry", account=account)["industry"] == segment


def test_demographic_role_and_seniority(tmp_path: Path) -> None:
    when = 'person.traits.role.startsWith("head") || person.traits.seniority >= 8'
    text = f"version: '1'\nschemes:\n  - name: role\n    rules: [{{segment: lead, when: '{when}'}}]\n    default: other\n"
    definition = define(tmp_path, text)
    found = []
    for traits in ({"role": "head of product"}, {"role": "cook", "seniority": 9}, {"role": "cook"}, {"seniority": 9}):
        facts = Facts()
        facts.learn(person_event(1, "profile", ANN, NOON, traits_json=orjson.dumps(traits).decode()))
        found.append(definition.evaluate_person(facts, {}, NOON, Held()).segments["role"])
    assert found == ["lead", "lead", "other", "lead"]


@pytest.mark.parametrize(
    ("country", "region", "segment"),
    [
        ("AT", "US", "dach"),
        ("NL", None, "benelux"),
        ("FR", None, "europe"),
        (None, "EU", "europe"),
        (None, "UK", "uk"),
        ("JP", "EU", "elsewhere"),
        (None, None, "region-unknown"),
    ],
)
def test_geographic_hierarchy(country: str | None, region: str | None, segment: str) -> None:
    traits = {} if country is None else {"country": country}
    assert segments("region", account={} if region is None else {"region": region}, traits=traits)["region"] == segment


def test_behavioural_engagement_and_adoption() -> None:
    regular = [("board_opened", NOON - day * DAY, None) for day in range(6)]
    broad = [*regular, ("template_used", NOON, None), ("workshop_held", NOON - 20 * DAY, None)]
    cases = [
        (broad, "broad"),
        (regular, "regular"),
        (regular[:1], "occasional"),
        ([("board_opened", NOON - 40 * DAY, None)], "lapsed"),
        ([], "never_seen"),
    ]
    assert [segments("engagement", acted(*events))["engagement"] for events, _ in cases] == [segment for _, segment in cases]
    found = segments("engagement", acted(*broad))
    assert (found["adopted.templates"], found["adopted.workshops"]) == ("yes", "yes")


def test_value_based_rfm_with_a_minimum_of_data() -> None:
    often = [("board_opened", NOON - day * DAY, None) for day in range(17)]
    assert segments("rfm", acted(*often))["rfm"] == "champions"
    assert segments("rfm", acted(*((name, at - 30 * DAY, amount) for name, at, amount in often)))["rfm"] == "cannot_lose"
    assert segments("rfm", acted(*often[:2]))["rfm"] == "too-little-data"
    assert segments("rfm", acted(*often[:5]))["rfm"] == "too-little-data"


@pytest.mark.parametrize(("mrr", "segment"), [(10_000.0, "top"), (1_100.0, "high"), (110.0, "middle"), (1.0, "low"), (0.0, "unpaid")])
def test_value_based_tiers_growth_cost_and_flags(mrr: float, segment: str) -> None:
    account = {"mrr": mrr, "traits": {"mrr_a_year_ago": mrr / 2 + 1, "strategic": True}}
    costly = acted(*(("support_contacted", NOON - day * DAY, None) for day in range(5)))
    found = segments("value_tier", costly, account)
    assert (found["value_tier"], found["account_notes.strategic"], found["account_notes.costly"]) == (segment, "yes", "yes")
    assert (found["account_notes.growing"] == "yes") is (mrr > 100)


def test_needs_based_by_answers_and_by_wishes() -> None:
    assert segments("needs", acted(answers=(("job", NOON, '"results"', None),)))["need"] == "share_results"
    assert segments("needs", acted(answers=(("job", NOON, '"results"', 0.5),)))["need"] == "unstated"
    facts = Facts()
    for number, text in enumerate(["Export as PDF", "better pdf exports", "export to slides"]):
        facts.ask(str(number), Asked(NOON, "i", words_of(text)))
    found = segments("needs", facts)
    assert (found["need"], found["theme.export"], found["theme.voting"]) == ("share_results", "yes", "no")


def test_psychographic_answers_expire_and_guesses_are_marked() -> None:
    for answer, segment in (
        (("style", NOON - DAY, '"visual"', None), "visual"),
        (("style", NOON - DAY, '"visual"', 0.7), "guessed"),
        (("style", NOON - 180 * DAY, '"visual"', None), "unsurveyed"),
    ):
        assert segments("psychographic", acted(answers=(answer,)))["style"] == segment
    assert segments("psychographic", acted(answers=(("pace", NOON, "9", 0.9),)))["pace"] == "first_to_try"


async def test_life_cycle_goes_both_ways_by_events_and_by_time_alone() -> None:
    segmenter = Segmenter(ready_made("lifecycle"))
    number = 0

    async def acts(days: range) -> None:
        nonlocal number
        for day in days:
            number += 1
            segmenter.clock.moment = START + day * DAY
            await segmenter.ticks()
            await told(segmenter, person_event(number, "activity", ANN, START + day * DAY, name="board_opened"))

    await told(segmenter, person_event(0, "profile", ANN, START - 1))
    await acts(range(10))
    segmenter.clock.moment = START + 200 * DAY
    await segmenter.ticks()
    await acts(range(200, 209))
    changes = segmenter.events(SegmentTransition)
    assert [c.segment for c in changes] == ["stalled", "new", "activated", "power", "at_risk", "churned", "activated", "power"]
    assert [c.cause for c in changes[4:6]] == ["time", "time"]
    assert changes[5].evaluated_at == START + 9 * DAY + 60 * DAY
