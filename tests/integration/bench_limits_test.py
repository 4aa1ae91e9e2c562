"""The bench of limits where it tells the same on every machine: what becomes of records that are too large."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.limits.figures import Bar, Found, Slice, split
from bench.limits.large import large_records
from services.common.records import Output

pytestmark = [pytest.mark.timeout(150)]


@pytest.mark.stack
async def test_no_record_is_too_large_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROUNDSWELL_TEST_BOOTSTRAP_SERVERS", raising=False)  # would be emptied under other tests
    found = await large_records(tmp_path, 1024 * 1024)
    assert [bar.what for bar in found.bars if not bar.holds] == []
    assert found.figures["a text just above its limit"] == 1  # it is cut, and kept whole beside
    assert found.figures["garbage of one and a half times its size"] == 2


def test_a_bar_is_missed_above_its_most() -> None:
    assert [Bar("a", value, 1.5).holds for value in (1.4, 1.5, 1.6)] == [True, True, False]


def test_growth_leaves_the_warming_up_out() -> None:
    found = Found("limit", 3)
    found.add_growth("dedup", [Slice(1, 1.0, 9.0, 1.0), Slice(1, 1.0, 2.0, 1.0), Slice(1, 1.0, 3.0, 1.0)], 1.4)
    assert [(bar.value, bar.holds) for bar in found.bars] == [(1.5, False)]
    assert "MISSED" in "\n".join(found.lines())


@pytest.mark.parametrize("count", [1, 9, 10, 11, 99])
def test_parts_hold_everything_in_its_order(count: int) -> None:
    outputs = [Output("t", b"%d" % n, None, b"") for n in range(count)]
    assert [output for part in split(outputs, 10) for output in part] == outputs
