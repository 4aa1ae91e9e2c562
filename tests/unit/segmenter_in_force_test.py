"""What a definition that cannot be used leaves in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.common.errors import ConfigurationError
from services.segmenter.handler.in_force import definition_in_force
from tests.fakes_segmenter import memory_stores
from tests.unit.segmenter_world import DEFINITION, Shown, define

_ALL_FIRST = DEFINITION.replace('account.plan == "enterprise"', "'true'")
_OTHER_RULES = DEFINITION.replace("account.mrr > 0", "account.mrr > 1")
_MANY = DEFINITION + "".join(f"  - {{name: s{n}, rules: [{{segment: a, when: 'true'}}], default: b}}\n" for n in range(10_000))
_BAD = {
    "a rule with a type error": (DEFINITION.replace("account.mrr > 0", 'account.mrr > "0"'), 7, "schemes.plan.rules.paying.when"),
    "a rule that is no question": (DEFINITION.replace("account.mrr > 0", "account.mrr"), 7, "not true or false; compare it"),
    "an unknown name": (DEFINITION.replace("account.mrr", "acount.mrr"), 7, "unknown variable 'acount'; there are account"),
    "a cycle": ('lists: {a: ["@b"], b: ["@a"]}\n' + DEFINITION.lstrip(), 1, "a list that contains itself"),
    "a state that follows from no state": (
        DEFINITION.replace("when: account.mrr > 0", "when: account.mrr > 0, after: [nowhere]"), 7, "no segment of this scheme is called"
    ),
    "an overlap nobody wanted": (DEFINITION.replace("account.mrr > 0", 'account.plan=="enterprise"'), 7, "put the narrower rule first"),
    "a rule behind one that takes everybody": (_ALL_FIRST, 7, "so nobody would be in 'paying'"),
    "ten thousand schemes": (_MANY, 3, "at most 200"),
    "other rules under the version in force": (_OTHER_RULES, 2, "'1' is in force with other rules"),
    "nothing": ("", 1, "is empty"),
}  # fmt: skip


@pytest.mark.parametrize("fault", _BAD)
async def test_a_file_that_cannot_be_used_is_named_by_its_line_and_what_was_in_force_stays(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    stores, path, shown = memory_stores(), tmp_path / "segments.yaml", Shown()
    path.write_text(DEFINITION)
    good = await definition_in_force(stores.said, path, shown)
    assert (good.version, shown.refused) == ("1", False)
    text, line, says = _BAD[fault]
    path.write_text(text)
    capsys.readouterr()
    still = await definition_in_force(stores.said, path, shown)
    assert (still.rules, still.version, shown.refused) == (good.rules, "1", True)
    told = capsys.readouterr().out + caplog.text  # whether a test before this one configured the logs or none
    assert f"segments.yaml:{line}: " in told
    assert says in told
    path.write_text(DEFINITION.replace('version: "1"', 'version: "2"'))
    assert (await definition_in_force(stores.said, path, shown)).version == "2"
    assert shown.refused is False


@pytest.mark.parametrize("fault", [fault for fault in _BAD if "version in force" not in fault])
async def test_without_anything_in_force_a_file_that_cannot_be_used_refuses_the_start(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "segments.yaml"
    path.write_text(_BAD[fault][0])
    with pytest.raises(ConfigurationError, match=r"segments.yaml:\d+: "):
        await definition_in_force(memory_stores().said, path, Shown())


async def test_what_segments_are_for_may_change_under_one_version(tmp_path: Path) -> None:
    stores, path, shown = memory_stores(), tmp_path / "segments.yaml", Shown()
    path.write_text(DEFINITION)
    before = await definition_in_force(stores.said, path, shown)
    path.write_text(
        DEFINITION.replace("segment: paying,", "segment: paying, owner: sales,").replace(
            "default: free", "default: {segment: free, goal: x}"
        )
    )
    after = await definition_in_force(stores.said, path, shown)
    assert (shown.refused, before.rules) == (False, after.rules)
    assert after.schemes[0].rules[1].texts.owner == "sales"
    path.unlink()
    assert (await definition_in_force(stores.said, path, shown)).schemes[0].rules[1].texts.owner == "sales"
    assert shown.refused is True


def test_a_narrower_rule_before_a_wider_one_is_no_overlap(tmp_path: Path) -> None:
    assert define(tmp_path, DEFINITION.replace("default: free", "default: free").replace("account.mrr > 0", "'true'")).version == "1"
