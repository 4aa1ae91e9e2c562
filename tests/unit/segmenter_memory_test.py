"""Schemes that remember: a life cycle that goes both ways, hysteresis, minimum dwell; and schemes of accounts, and tags."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import ConfigurationError
from services.common.events import PersonSegments, SegmentTransition
from services.segmenter.domain.definition import Definition, Held
from services.segmenter.domain.facts import Facts
from services.segmenter.domain.recency import DAY
from tests.unit.segmenter_terms_test import NOON, acted
from tests.unit.segmenter_world import START, WORKSPACE, Segmenter, account, define, person_event, told

ANN = f"{WORKSPACE}:person:ann"
BAND = """
version: "1"
schemes:
  - name: use
    rules:
      - {segment: power, when: 'activity.count("use", days(10)) >= 6', stay: 'activity.count("use", days(10)) >= 3'}
    default: plain
  - name: bare
    rules:
      - {segment: power, when: 'activity.count("use", days(10)) >= 6'}
    default: plain
"""
DWELL = """
version: "1"
schemes:
  - name: use
    dwell: days(5)
    rules:
      - {segment: busy, when: 'activity.count("use", days(2)) >= 2'}
      - {segment: calm, when: 'activity.count("use", days(2)) >= 1'}
    default: away
"""
MACHINE = """
version: "1"
schemes:
  - name: step
    rules:
      - {segment: won_back, when: 'activity.since_last("use") < 5', after: [gone, won_back]}
      - {segment: gone, when: 'activity.since_last("use") >= 5'}
      - {segment: here, when: 'activity.since_last("use") < 5'}
    default: nowhere
"""


def walked(definition: Definition, scheme: str, facts: Facts, moments: list[int]) -> list[tuple[int, str]]:
    """Return the changes of the segment in *scheme*, looked at when it is due and at *moments*."""
    held, changes = Held(), list[tuple[int, str]]()
    for moment in sorted(moments):
        found = definition.evaluate_person(facts, {}, moment, held)
        if held.segments.get(scheme) != found.segments[scheme]:
            changes.append((moment, found.segments[scheme]))
        held = Held(found.segments, found.since)
    return changes


@pytest.fixture(scope="module")
def band(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("band"), BAND)


@pytest.fixture(scope="module")
def dwelling(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("dwell"), DWELL)


DAYS = st.lists(st.integers(0, 60), max_size=60)


@settings(max_examples=60, deadline=None)
@given(days=DAYS)
def test_hysteresis_never_changes_more_often_than_the_bare_rule(band: Definition, days: list[int]) -> None:
    facts = acted(*(("use", NOON + day * DAY, None) for day in days))
    moments = [NOON + day * DAY for day in range(75)]
    calm, bare = walked(band, "use", facts, moments), walked(band, "bare", facts, moments)
    assert len(calm) <= len(bare)
    for (_, before), (moment, now) in pairwise(_states(calm, moments)):
        assert now == before or not 3 <= _count(days, (moment - NOON) // DAY) < 6
    inside = {moment for moment in moments if _count(days, (moment - NOON) // DAY) >= 6}
    outside = {moment for moment in moments if _count(days, (moment - NOON) // DAY) < 3}
    assert all(dict(_states(calm, moments))[moment] == "power" for moment in inside)
    assert all(dict(_states(calm, moments))[moment] == "plain" for moment in outside)


def _count(days: list[int], today: int) -> int:
    return sum(today - 10 < day <= today for day in days)


def _states(changes: list[tuple[int, str]], moments: list[int]) -> list[tuple[int, str]]:
    return [(moment, next(segment for at, segment in reversed(changes) if at <= moment)) for moment in moments]


@settings(max_examples=60, deadline=None)
@given(days=DAYS, hours=st.integers(5, 30))
def test_nobody_leaves_before_the_minimum_dwell(dwelling: Definition, days: list[int], hours: int) -> None:
    facts = acted(*(("use", NOON + day * DAY, None) for day in days))
    changes = walked(dwelling, "use", facts, list(range(NOON, NOON + 75 * DAY, hours * DAY // 24)))
    for (entered, segment), (left, _) in pairwise(changes):
        assert segment == "away" or left - entered >= 5 * DAY


def test_the_end_of_a_dwell_is_due(tmp_path: Path) -> None:
    definition = define(tmp_path, DWELL)
    facts = acted(("use", NOON, None), ("use", NOON, None))
    first = definition.evaluate_person(facts, {}, NOON, Held())
    assert first.segments["use"] == "busy"
    later = definition.evaluate_person(facts, {}, NOON + 3 * DAY, Held(first.segments, first.since))
    assert (later.segments["use"], later.next_check_at) == ("busy", NOON + 5 * DAY)
    last = definition.evaluate_person(facts, {}, NOON + 5 * DAY, Held(later.segments, later.since))
    assert (last.segments["use"], last.next_check_at) == ("away", None)


def test_a_state_machine_knows_where_one_comes_from(tmp_path: Path) -> None:
    definition = define(tmp_path, MACHINE)
    changes = walked(definition, "step", acted(("use", NOON, None)), [NOON, NOON + 4 * DAY, NOON + 6 * DAY])
    facts = acted(("use", NOON, None), ("use", NOON + 7 * DAY, None))
    held = Held({"step": changes[-1][1]})
    back = definition.evaluate_person(facts, {}, NOON + 7 * DAY, held)
    assert [segment for _, segment in changes] + [back.segments["step"]] == ["here", "gone", "won_back"]
    assert definition.evaluate_person(facts, {}, NOON + 7 * DAY, Held()).segments["step"] == "here"


def test_a_machine_that_goes_round_in_a_circle_stays_where_it_is(tmp_path: Path) -> None:
    text = MACHINE.replace('activity.since_last("use") >= 5', "true").replace('activity.since_last("use") < 5', "true")
    text = text.replace("segment: gone, when: 'true'", "segment: gone, when: 'true', after: [here, won_back]")
    definition = define(tmp_path, text.replace("after: [gone, won_back]", "after: [gone]"))
    for held in ("gone", "won_back", "here"):
        found = definition.evaluate_person(Facts(), {}, NOON, Held({"step": held})).segments
        assert definition.evaluate_person(Facts(), {}, NOON, Held(found)).segments == found


async def test_a_dwell_ends_by_a_tick_as_of_its_own_moment(tmp_path: Path) -> None:
    segmenter = Segmenter(define(tmp_path, DWELL))
    used = [person_event(n, "activity", ANN, START, name="use") for n in (2, 3)]
    await told(segmenter, *used, person_event(4, "profile", ANN, START))
    segmenter.clock.moment = START + 30 * DAY
    await segmenter.ticks()
    assert [(c.segment, c.cause, c.evaluated_at) for c in segmenter.events(SegmentTransition)] == [
        ("busy", "attribute", START),
        ("away", "time", START + 5 * DAY),
    ]


async def test_nobody_is_held_where_a_history_that_comes_late_led_through(tmp_path: Path) -> None:
    segmenter = Segmenter(define(tmp_path, DWELL))
    days = (9, 9, 1, 1)
    uses = [person_event(2 + n, "activity", ANN, START, occurred_at=START - day * DAY, name="use") for n, day in enumerate(days)]
    await told(segmenter, person_event(1, "profile", ANN, START), *uses)
    assert [change.segment for change in segmenter.events(SegmentTransition)] == ["away", "calm", "busy"]


ACCOUNTS = """
version: "1"
schemes:
  - name: size
    scope: account
    rules:
      - {segment: large, when: account.employees >= 1000, owner: kam@x.example, goal: g, action: a}
    default: small
  - name: likes
    tags:
      - {segment: export, when: 'activity.count("export") > 0'}
      - {segment: share, when: 'activity.count("share") > 0'}
"""


async def test_a_scheme_of_accounts_gives_all_its_people_one_segment_and_nobody_else_any(tmp_path: Path) -> None:
    segmenter = Segmenter(define(tmp_path, ACCOUNTS))
    acme = account("acme", 1, employees=2000)
    people = [f"{WORKSPACE}:person:{name}" for name in ("ann", "bob", "cid")]
    profiles = [
        person_event(n, "profile", person, START, account_id=acme.account_id if n < 3 else None) for n, person in enumerate(people, start=1)
    ]
    await told(segmenter, acme, *profiles)
    rows = {row.person_id: row for row in segmenter.events(PersonSegments)}
    assert [rows[person].primary_segment for person in people] == ["large", "large", "unknown"]


def test_a_scheme_of_accounts_may_not_look_at_single_people(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"segments.yaml:7: schemes.size.rules.large.when: person differs between the people"):
        define(tmp_path, ACCOUNTS.replace("account.employees >= 1000", 'person.traits.role == "x"'))


def test_tags_overlap(tmp_path: Path) -> None:
    definition = define(tmp_path, ACCOUNTS)
    found = definition.evaluate_person(acted(("export", NOON, None), ("share", NOON, None)), {}, NOON, Held())
    assert found.segments == {"size": "unknown", "likes.export": "yes", "likes.share": "yes"}
    assert [scheme.group for scheme in definition.schemes] == [None, "likes", "likes"]


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("default: small", "default: small\n    tags: [{segment: a, when: 'true'}]"), 4, "expected either `rules`"),
        (("    default: small\n", ""), 4, "expected `default`"),
        (("segment: share", "segment: export"), 12, "a second tag of this name"),
        (
            ("when: account.employees >= 1000", "when: account.employees >= 1000, after: [nowhere]"),
            7,
            "no segment of this scheme is called 'nowhere'",
        ),
        (("goal: g", "dwell: 5 days"), 7, "expected days\\(30\\) or weeks\\(4\\)"),
        (("scope: account", "scope: team"), 5, "'person' or 'account'"),
        (("  - name: size\n    scope: account\n    rules:", "  - name: size\n    tags:"), 2, "the first scheme is the primary one"),
    ],
)
def test_what_is_wrong_with_a_form_is_named_with_its_line(tmp_path: Path, change: tuple[str, str], line: int, says: str) -> None:
    text = ACCOUNTS.replace(*change)
    if "the first scheme" in says:
        text = text.replace("    default: small\n", "")
    with pytest.raises(ConfigurationError, match=rf"segments.yaml:{line}: .*{says}"):
        define(tmp_path, text)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        define(
            tmp_path, ACCOUNTS.replace("account.employees >= 1000", "acount.x").replace('activity.count("share") > 0', 'activity.nope("x")')
        )
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == ["7", "12"]
