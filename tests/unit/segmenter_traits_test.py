"""The block ``traits:`` what it refuses in rules, and what it tells of data that is of another type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import structlog

from services.common.errors import ConfigurationError
from services.common.events import SegmentTransition
from tests.unit.segmenter_world import START, WORKSPACE, Segmenter, account, define, person_event, told

ANN = f"{WORKSPACE}:person:ann"
DECLARED = """
version: "1"
traits:
  person:
    role: text
    seats: number
    beta: boolean
    teams: list
  account: { tier: text }
"""


def _file(when: str, declared: str = DECLARED) -> str:
    return f"{declared}schemes:\n  - name: use\n    rules:\n      - segment: hit\n        when: {when}\n    default: miss\n"


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("person.traits.sets > 3", "unknown trait person.traits.sets; declared in `traits` are beta, role, seats, teams: mend the name"),
        ("has(person.traits.sets)", "unknown trait person.traits.sets"),
        ('person.traits["rank"] == "x"', "unknown trait person.traits.rank"),
        ('account.traits.tear == "x"', "unknown trait account.traits.tear; declared in `traits` are tier"),
        ('person.traits.seats == "many"', "person.traits.seats is a number (line 6) and is used as a text; compare it with a number"),
        ('"many" != person.traits.seats', "person.traits.seats is a number (line 6) and is used as a text"),
        ("person.traits.role in [1, 2]", "person.traits.role is a text (line 5) and is used as a number"),
        ("person.traits.beta == 1", "person.traits.beta is a boolean (line 7) and is used as a number"),
        ('person.traits.teams == "red"', "person.traits.teams is a list (line 8) and is used as a text"),
        ("account.traits.tier == true", "account.traits.tier is a text (line 9) and is used as a boolean"),
        ('person.traits.seats > "3"', "schemes.use.rules.hit.when: "),
        ("person.traits.role >= 3", "schemes.use.rules.hit.when: "),
        ('person.traits.seats.startsWith("x")', "schemes.use.rules.hit.when: "),
        ("person.traits.seats + 1", "not true or false"),
        ("person.traits.role", "gives str, not true or false"),
    ],
)
def test_a_rule_with_a_type_error_or_an_unknown_trait_is_named_with_file_line_and_what_to_do(tmp_path: Path, when: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        define(tmp_path, _file(f"'{when}'"))
    assert "segments.yaml:14: schemes.use.rules.hit.when: " in str(error.value)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "when",
    [
        "person.traits.seats > 3 && person.traits.seats < 4.5",
        "person.traits.seats * 1.5 > 3.0",
        "int(person.traits.seats) % 2 == 0",
        'person.traits.role in ["cook", "chef"] || person.traits["role"].startsWith("head")',
        '"red" in person.traits.teams && size(person.traits.teams) > 1',
        "person.traits.beta || person.traits.beta == true",
        'has(person.traits.role) && account.traits.tier == "gold"',
        '"a" + person.traits.role == "ab" && "seats" != person.traits.role',
        'person.traits.seats == size("many")',
        'account.plan == "sets" && person.name == "person.traits.sets"',
    ],
)
def test_what_fits_the_declared_types_is_accepted(tmp_path: Path, when: str) -> None:
    assert define(tmp_path, _file(f"'{when}'")).names == ("use",)


def test_of_a_scope_that_declares_nothing_any_trait_may_be_asked_for(tmp_path: Path) -> None:
    assert define(tmp_path, _file("account.traits.any == 1", "version: '1'\ntraits:\n  person: { role: text }\n")).names == ("use",)


def test_a_type_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"segments.yaml:3: traits.person.role: .*'text', 'number', 'boolean' or 'list'"):
        define(tmp_path, _file("'true'", "version: '1'\ntraits:\n  person: { role: string }\n"))


def test_a_declaration_may_change_under_one_version(tmp_path: Path) -> None:
    assert define(tmp_path, _file("'true'")).rules == define(tmp_path, _file("'true'", "version: '1'\n")).rules


async def test_a_trait_whose_type_changes_in_the_data_is_reported_once_and_the_rules_go_on(tmp_path: Path) -> None:
    segmenter = Segmenter(define(tmp_path, _file("person.traits.seats > 3")))
    traits: list[Any] = ['{"seats": 5, "other": {}}', '{"seats": "five", "role": null}', '{"seats": "six"}', '{"seats": 7, "beta": true}']
    with structlog.testing.capture_logs() as logs:
        for number, given in enumerate(traits):
            await told(segmenter, person_event(number, "profile", ANN, START + number, traits_json=given))
        await told(segmenter, account("acme", 1, START, traits_json='{"tier": ["gold"]}'))
    assert [change.segment for change in segmenter.events(SegmentTransition)] == ["hit", "miss", "hit"]
    assert segmenter.gauges.mistyped == [("person", "seats"), ("person", "seats"), ("account", "tier")]
    said = [log for log in logs if log["event"] == "trait_of_another_type"]
    assert [(log["trait"], log["declared"], log["found"]) for log in said] == [
        ("person.traits.seats", "number", "text"),
        ("account.traits.tier", "text", "list"),
    ]
    assert said[0]["place"].endswith("segments.yaml:6")
    assert "five" not in str(said)
