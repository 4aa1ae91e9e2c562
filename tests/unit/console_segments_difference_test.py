"""A definition's difference from the one before: nothing is left out, and nothing is said where nothing differs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.common.paths import EXAMPLES
from services.console.segments.difference import differences, read_plain
from services.console.segments.printing import print_differences

FILES = sorted((EXAMPLES / "segments").glob("*.yaml"))


def changed(**more: Any) -> dict[str, Any]:
    return {**read_plain(EXAMPLES / "segments" / "lifecycle.yaml"), "version": "2", **more}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_definition_does_not_differ_from_itself(path: Path) -> None:
    assert differences(read_plain(path), read_plain(path)) == []


def test_each_kind_of_difference_is_told_in_words() -> None:
    old = {
        "version": "1",
        "lists": {"eu": ["DE"]},
        "schemes": [
            {"name": "a", "rules": [{"segment": "x", "when": "1 > 0"}, {"segment": "y", "when": "2 > 0"}], "default": "z"},
            {"name": "b", "tags": [{"segment": "t", "when": "true"}]},
        ],
    }
    new = copy.deepcopy(old)
    new["lists"] = {"eu": ["DE", "FR"]}
    new["schemes"] = [
        {"name": "c", "rules": [{"segment": "q", "when": "true"}], "default": {"segment": "r"}},
        {
            "name": "a", "scope": "account", "default": "z",
            "rules": [
                {"segment": "y", "when": "2 > 0", "dwell": "days(3)"}, {"segment": "x", "when": "1 > 5"}, {"segment": "y", "when": "3 > 0"},
            ],
        },
    ]  # fmt: skip
    assert differences(old, new) == [
        "lists.eu: ['DE'] → ['DE', 'FR']",
        "b: goes away",
        "c: a new scheme, with q, r",
        "a.scope: nothing → account",
        "a.y.dwell: nothing → days(3)",
        "a.x.when: 1 > 0 → 1 > 5",
        "a.y (2): new, when 3 > 0",
        "a: the first that matches wins, and now that is in the order y, x, y",
        "the primary scheme is c, no longer a",
        "version: still '1'; records of before and after could not be told apart: give it another",
    ]


def test_only_another_version_is_said_to_be_just_that() -> None:
    old = changed(version="1")
    assert differences(old, changed()) == ["nothing but the version: '1' → '2'"]


def test_a_preview_says_if_the_old_file_is_not_what_is_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_differences(tmp_path, "3", ["a.x.when: 1 → 2"], {"3": 80})
    assert "in force" not in capsys.readouterr().out
    print_differences(tmp_path, "4", [], {"3": 80})
    assert "in force is version 3, so that file is not what was rolled out" in capsys.readouterr().out.replace("\n", " ")


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where single values stand, but for the version."""
    if isinstance(value, dict):
        return [place for key, inner in value.items() for place in _places(inner, (*path, key)) if key != "version"]
    if isinstance(value, list):
        return [place for number, inner in enumerate(value) for place in _places(inner, (*path, number))]
    return [path]


@given(st.data())
def test_whatever_is_changed_is_told(data: st.DataObject) -> None:
    old = read_plain(data.draw(st.sampled_from(FILES)))
    new = yaml.safe_load(yaml.safe_dump(old))
    place = data.draw(st.sampled_from(_places(old)))
    inner: Any = new
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = "something-else"
    assert differences(old, new)
    assert differences(new, old)
