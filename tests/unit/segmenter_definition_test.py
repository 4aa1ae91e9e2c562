"""``segments.yaml``: what it accepts, what it refuses, and what its rules mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import ConfigurationError
from services.common.paths import EXAMPLES
from services.segmenter.domain.compiling import compiled_rule
from services.segmenter.domain.definition import UNKNOWN
from services.segmenter.domain.loading import load_definition
from services.segmenter.domain.recency import DAY, Recency, days_since
from tests.unit.segmenter_world import define

NOTHING: dict[str, Any] = {"person": {"traits": {}}, "account": {}, "activity": {}, "answers": {}}


def one_rule(when: str, extra: str = "") -> str:
    """Return a definition whose only rule is *when*."""
    return f"version: '1'\nschemes:\n  - name: plan\n    rules:\n      - segment: hit\n        when: {when}\n{extra}    default: miss\n"


def segment(folder: Path, when: str, **variables: Any) -> str:
    """Return the segment of whoever *variables* describe under one rule."""
    return define(folder, one_rule(when)).evaluate({**NOTHING, **variables})["plan"]


def test_the_example_gives_each_segment_an_owner_a_goal_and_an_action() -> None:
    definition = load_definition(EXAMPLES / "segments.yaml")
    texts = [text for scheme in definition.schemes for text in (scheme.default_texts, *(rule.texts for rule in scheme.rules))]
    assert [scheme.name for scheme in definition.schemes] == ["plan", "company_size", "engagement"]
    assert all(text.owner and text.goal and text.action for text in texts)


def test_the_first_rule_that_matches_wins() -> None:
    definition = load_definition(EXAMPLES / "segments.yaml")
    account = {"plan": "business", "employees": 1200, "mrr": 1.0, "traits": {}}
    activity = {"board_opened": {"count": 25, "last_seen_days": 29}}
    given_ = {**NOTHING, "account": account, "activity": activity}
    assert definition.evaluate(given_) == {"plan": "team", "company_size": "large", "engagement": "power"}


@pytest.mark.parametrize(
    "when",
    [
        'account.plan != "enterprise"',
        "account.employees < 10",
        '!(person.traits.role == "x")',
        "activity.export.count == 0",
        "answers.role != 'x'",
        'person.language != "en"',
        "person.traits.a.b.c == 1",
    ],
)
def test_a_rule_that_touches_something_missing_does_not_match(tmp_path: Path, when: str) -> None:
    assert segment(tmp_path, f"'{when}'" if "'" not in when else f'"{when}"') == "miss"


def test_what_is_missing_can_be_asked_for(tmp_path: Path) -> None:
    assert segment(tmp_path, "'!has(account.plan)'") == "hit"
    assert segment(tmp_path, "'account.employees > 3 || true'") == "hit"


def test_a_trait_of_another_type_is_no_error(tmp_path: Path) -> None:
    assert segment(tmp_path, "person.traits.seats > 3", person={"traits": {"seats": "many"}}) == "miss"
    assert segment(tmp_path, "person.traits.seats > 3", person={"traits": {"seats": 3.5}}) == "hit"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("version: [", 1, "no valid YAML"),
        ("", 1, "is empty"),
        ("- 1\n", 1, "valid dictionary"),
        ("version: '1'\nschemes: []\n", 2, "schemes"),
        (one_rule("account.plan =="), 6, "schemes.plan.rules.hit.when"),
        (one_rule("acount.plan == 'x'"), 6, "unknown variable 'acount'"),
        (one_rule("days(account.plan) == 1"), 6, "unknown function 'days'"),
        (one_rule("account.mrr"), 6, "not true or false"),
        (one_rule("'true'", "      - segment: hit\n        when: 'false'\n"), 7, "a second rule for this segment"),
        (one_rule("'true'").replace("hit", "unknown"), 5, "kept for people without a profile"),
        (one_rule("'true'").replace("miss", "unknown"), 7, "kept for people without a profile"),
        (one_rule("'true'").replace("    default: miss\n", ""), 3, "schemes.plan: expected `default`"),
        (one_rule("'true'") + one_rule("'true'").split("schemes:\n")[1], 8, "a second scheme of this name"),
        (one_rule("'true'") + "    name: again\n", 8, "stands here a second time"),
        (one_rule("'true'") + "    ownr: x\n", 8, "schemes.plan.ownr"),
        (one_rule("'true'").replace("hit", "Hit it"), 5, "schemes.plan.rules.Hit it.segment"),
        (one_rule("'true'") + "    scope: team\n", 8, "schemes.plan.scope"),
        ("version: &a [*a]\n", 1, "nested too deeply"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        define(tmp_path, text)
    assert f"segments.yaml:{line}: " in str(error.value)
    assert says in str(error.value)


def test_a_file_that_is_not_there_is_named_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="GROUNDSWELL_SEGMENTS_FILE"):
        load_definition(tmp_path / "absent.yaml")


def test_a_variable_of_a_macro_is_known() -> None:
    assert compiled_rule("activity.exists(name, activity[name].count > 2)").execute({"activity": {"a": {"count": 3}}}) is True


def test_a_person_without_a_profile_is_unknown_in_every_scheme() -> None:
    definition = load_definition(EXAMPLES / "segments.yaml")
    assert dict.fromkeys(["plan", "company_size", "engagement"], UNKNOWN) == definition.unknown()
    assert definition.unknown() == definition.complete({"no longer": "x"})


@pytest.mark.parametrize(
    ("when", "days"),
    [
        ("activity.a.count > 3", frozenset()),
        ("activity.a.last_seen_days < 30", {30, 31}),
        ("30 > activity.a.last_seen_days && activity['b'].first_seen_days >= 7", {7, 8, 30, 31}),
        ("activity.a.last_seen_days + 1 < 30", None),
        ("2 * activity.a.last_seen_days < 30", None),
        ("activity.a.last_seen_days < 30 + 1", None),
        ("activity.a.last_seen_days < 30.5", None),
        ("activity.a.last_seen_days < activity.b.last_seen_days", None),
        ("activity.exists(k, activity[k].last_seen_days < 3)", {3, 4}),
    ],
)
def test_which_days_matter_to_a_rule(when: str, days: set[int] | None) -> None:
    assert days == Recency.of(when).days


@given(
    when=st.sampled_from(
        [
            "activity.a.last_seen_days < 3",
            "activity.a.last_seen_days == 2 || 5 <= activity.a.first_seen_days",
            "activity.a.last_seen_days != 4",
            "activity.a.last_seen_days * 2 > 5",
            "activity.a.last_seen_days <= activity.b.last_seen_days - 2",
        ]
    ),
    first=st.integers(0, 10 * DAY),
    last=st.integers(0, 10 * DAY),
    as_of=st.integers(0, 20 * DAY),
    later=st.integers(0, 20 * DAY),
)
def test_nothing_changes_by_itself_before_the_next_check(when: str, first: int, last: int, as_of: int, later: int) -> None:
    moments = {"a": (min(first, last), max(first, last)), "b": (first, first)}
    check = Recency.of(when).next_change(moments, as_of)
    moment = as_of + later if check is None else min(as_of + later, check - 1)
    program = compiled_rule(when)

    def answer(at: int) -> bool:
        seen = {name: {"first_seen_days": days_since(a, at), "last_seen_days": days_since(b, at)} for name, (a, b) in moments.items()}
        return bool(program.execute({"activity": seen}))

    assert check is None or check > as_of
    assert answer(as_of) == answer(max(moment, as_of))
