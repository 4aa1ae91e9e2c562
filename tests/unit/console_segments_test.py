"""``groundswell segments``: what it reads from topics equals what the service decides; previews come true; the report's numbers."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.events import SegmentTransition
from services.console.segments.effects import Effect, cramers_v, eta_squared
from services.console.segments.evidence import TOPICS, Evidence
from services.console.segments.history import NOBODY, History
from services.console.segments.page.report import html_report
from services.console.segments.page.sankey import sankey
from services.console.segments.preview import NEW_SCHEME, preview
from services.console.segments.printing import matrix_json, preview_json, print_preview, print_quality
from services.console.segments.quality import Quality, quality
from services.segmenter.domain.definition import Definition
from services.segmenter.offline import ALL_IDEAS
from tests.unit.console_segments_world import read
from tests.unit.segmenter_history import History as Past
from tests.unit.segmenter_laws_test import LENGTHS, SEEDS, lived, present
from tests.unit.segmenter_world import CODEC, DAY, START, WORKSPACE, Board, Segmenter, account, define, person_event, told

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
ANN, BOB, CID = (f"{WORKSPACE}:person:{name}" for name in ("ann", "bob", "cid"))
NEWER = """
version: "2"
schemes:
  - name: plan
    rules:
      - {segment: enterprise, when: account.mrr > 200}
      - {segment: paying, when: account.mrr > 0}
    default: free
  - name: engagement
    rules:
      - {segment: power, when: 'activity.count("export", days(20)) >= 2', stay: 'activity.count("export") >= 2'}
    default: quiet
"""


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("new"), NEWER)


@settings(max_examples=40, deadline=None, suppress_health_check=_SLOW)
@given(seed=SEEDS, length=LENGTHS)
async def test_what_the_topics_tell_is_what_the_service_decides(definition: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    segmenter = await lived(Past(chance, length), definition, chance)
    evidence = read(segmenter)
    memberships = evidence.population.memberships(definition, START + 400 * DAY, {})
    known = {person_id: segments for person_id, segments in memberships.items() if evidence.population.humans[person_id].is_known}
    assert known == present(segmenter) == evidence.segments()
    names = [scheme.name for scheme in definition.schemes]
    demand = evidence.population.demand(memberships, names)
    demand.pop(ALL_IDEAS, None)
    published = segmenter.demand()
    assert {idea: tally.total.mentions for idea, tally in demand.items()} == {idea: row["mentions"] for idea, row in published.items()}
    for idea, row in published.items():
        cells = {name: {s: c.people for s, c in cells.items()} for name, cells in zip(names, demand[idea].cells, strict=True)}
        assert cells == {name: {s: c["people"] for s, c in segments.items()} for name, segments in row["segments"].items()}
        assert (demand[idea].total.mrr_cents, len(demand[idea].total.accounts)) == (row["mrr_cents"], row["accounts"])


@settings(max_examples=30, deadline=None, suppress_health_check=_SLOW)
@given(seed=SEEDS, length=LENGTHS)
async def test_a_preview_comes_true(definition: Definition, newer: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    segmenter = await lived(Past(chance, length), definition, chance)
    segmenter.clock.moment = START + 30 * DAY
    before = present(segmenter)
    found = preview(read(segmenter), newer, segmenter.clock.moment)
    rolled_out = Segmenter(newer, segmenter.stores, segmenter.clock, segmenter.topics, segmenter.read)
    await rolled_out.ticks()
    await rolled_out.drain()
    after = {**before, **present(rolled_out)}
    for scheme in found.schemes:
        if not scheme.is_gone:
            truth = Counter(before[p][scheme.scheme] for p in after), Counter(after[p][scheme.scheme] for p in after)
            people = {row.segment: row.people for row in scheme.rows if any(row.people)}
            assert people == {segment: (truth[0][segment], truth[1][segment]) for segment in truth[0] | truth[1]}
            moves = Counter((before[p][scheme.scheme], after[p][scheme.scheme]) for p in after)
            assert dict(moves) == dict(scheme.moves)
    names = [scheme.name for scheme in newer.schemes]
    moved = {c.person_id for c in rolled_out.events(SegmentTransition) if c.scheme in names and c.cause == "definition"}
    assert len(moved) == found.moved
    assert preview_json(found)["moved"] == found.moved


def test_a_preview_names_traits_that_nobody_has(tmp_path: Path, definition: Definition) -> None:
    evidence = Evidence.of(CODEC, {topic: [] for topic in TOPICS}, WORKSPACE)
    (sentence,) = preview(evidence, definition, START).strangers
    assert sentence.startswith("role.designer: person.traits.role: nobody has it")


async def _two_people(definition: Definition) -> Segmenter:
    segmenter, board = Segmenter(definition), Board()
    acme = account("acme", 1, mrr_cents=50_000)
    await told(segmenter, acme, person_event(1, "profile", ANN, START, account_id=acme.account_id))
    await told(
        segmenter,
        person_event(2, "profile", BOB, START + DAY, account_id=acme.account_id),
        board.link("f1", ANN, "i1"),
        board.link("f2", CID, "i1"),
    )
    for number in range(3):
        await told(segmenter, person_event(10 + number, "activity", ANN, START + (2 + number) * DAY, name="export"))
    await told(segmenter, person_event(20, "joined", BOB, START + 8 * DAY, other_person_id=ANN))
    return segmenter


async def test_memberships_are_known_as_of_any_moment(definition: Definition) -> None:
    history = read(await _two_people(definition)).history
    assert history.at(START - 1) == {}
    assert {p: s["engagement"] for p, s in history.at(START + DAY).items()} == {ANN: "quiet", BOB: "quiet"}
    assert history.at(START + 2 * DAY)[ANN]["engagement"] == "active"
    assert history.at(START + 4 * DAY)[ANN] == {"plan": "paying", "engagement": "power", "role": "other"}
    assert set(history.at(START + 8 * DAY)) == {ANN}


async def test_migration_between_two_moments_with_causes(definition: Definition) -> None:
    history = read(await _two_people(definition)).history
    found = history.migration("engagement", START, START + 9 * DAY)
    assert dict(found.counts) == {("quiet", "power"): 1}
    assert found.causes["activity"] == 2
    assert found.stayed() == 0.0
    assert dict(history.migration("engagement", START, START + 5 * DAY).counts) == {("quiet", "power"): 1, (NOBODY, "quiet"): 1}


def test_flaps_are_returns_within_a_week() -> None:
    def change(number: int, day: int, before: str, after: str) -> SegmentTransition:
        return SegmentTransition(
            transition_id=str(number), workspace=WORKSPACE, person_id=ANN, scheme="s", segment=after, cause="activity",
            definition_version="1", occurred_at=day * DAY, evaluated_at=day * DAY, previous_segment=before,
        )  # fmt: skip

    back = [change(1, 10, "a", "b"), change(2, 12, "b", "a"), change(3, 30, "a", "b"), change(4, 31, "b", "a"), change(5, 50, "a", "b")]
    history = History.of(back, [])
    assert (history.flaps("s", 0, 7 * DAY), history.flaps("s", 20 * DAY, 7 * DAY), history.flaps("t", 0, 7 * DAY)) == (2, 1, 0)


@pytest.fixture
async def report(definition: Definition) -> Quality:
    evidence = read(await _two_people(definition))
    return quality(evidence, definition, START, START + 9 * DAY, least=2)


async def test_the_report_counts_size_coverage_unknown_reach_and_missing_fields(report: Quality) -> None:
    plan, engagement, role = report.schemes
    assert report.people == 2
    assert {size.segment: size.people for size in plan.sizes} == {"enterprise": 0, "paying": 1, "free": 0, "unknown": 1}
    assert next(size for size in plan.sizes if size.segment == "paying").mrr_cents == 50_000
    assert (plan.unknown, plan.covered, role.covered) == (0.5, 0.5, 0.0)
    assert (role.missing, plan.missing) == ({"person.traits.role": 1.0}, {"account.mrr": 0.0, "account.plan": 1.0})
    assert engagement.stayed == 0.0
    assert report.overlap["plan: paying", "engagement: power"] == 1


async def test_the_report_warns(report: Quality) -> None:
    said = "\n".join(caution.text for caution in report.warnings)
    for text in (
        "plan.paying: 1 people; below 2",
        "plan: 50% of people are unknown",
        "engagement: only 0%",
        "no owner, no goal, no action",
    ):
        assert text in said
    assert "plan: paying and engagement: power hold nearly the same people" in said


async def test_the_page_is_whole_and_loads_nothing(report: Quality) -> None:
    page = html_report(report)
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)
            assert not {"src", "href"} & {name for name, _ in attrs}

    Reader().feed(page)
    assert "script" not in seen
    assert "link" not in seen
    assert "http" not in page
    assert page.count("Who moved where") == 3
    assert page.count("Effect sizes") == 3


async def test_reports_print(report: Quality, definition: Definition, newer: Definition, capsys: pytest.CaptureFixture[str]) -> None:
    print_quality(report)
    print_preview(preview(read(await _two_people(definition)), newer, START + 9 * DAY), {"i1": "An idea [x]"})
    printed = capsys.readouterr().out
    for text in ("engagement", "look at plan", "Overlap", "Nothing was changed", "role: goes away"):
        assert text in printed


def test_a_sankey_shows_every_flow_once_and_escapes_names() -> None:
    counts = {("a", "b"): 3, ("a", "<c>"): 1, ("d", "b"): 6}
    root = ET.fromstring(sankey(counts, {}))
    assert len(root.findall(".//path")) == 3
    widths = sorted(float(path.attrib["stroke-width"]) for path in root.findall(".//path"))
    assert widths[2] == pytest.approx(6 * widths[0], rel=0.01)
    assert sankey({}, {}) == ""
    assert matrix_json(counts)[0] == {"from": "a", "to": "<c>", "people": 1}
    assert NEW_SCHEME


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=60))
def test_an_association_lies_between_none_and_all(pairs: list[tuple[str, str]]) -> None:
    found = cramers_v(pairs)
    assert found is None or (0 <= found.size <= 1 and 0 <= found.chance <= 1)


def size_of(effect: Effect | None) -> float:
    assert effect is not None
    return effect.size


def test_effect_sizes_tell_difference_from_chance() -> None:
    assert size_of(cramers_v([("a", "x")] * 30 + [("b", "y")] * 30)) == pytest.approx(1, abs=0.02)
    assert size_of(cramers_v([("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")] * 20)) == 0
    assert cramers_v([("a", "x")] * 9) is None
    chance = random.Random(7)
    noise = {name: [chance.random() for _ in range(200)] for name in "abc"}
    assert size_of(eta_squared(noise)) < 0.02
    assert size_of(eta_squared({"a": [1.0] * 20, "b": [2.0] * 20})) > 0.9
    assert size_of(eta_squared({"a": [1.0] * 20, "b": [1.0] * 20})) == 0
    assert eta_squared({"a": [1.0] * 50}) is None
