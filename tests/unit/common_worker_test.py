"""Ticks and records share a worker's time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from services.common import worker as module
from services.common.records import Output
from services.common.settings import KafkaSettings, Settings
from services.common.worker import Worker


class _Tick:
    async def due(self, partitions: frozenset[int]) -> Sequence[Output]:
        raise AssertionError(partitions)


class _Loop:
    """Remembers what it is asked for, and stops the worker in the end."""

    def __init__(self, worker: Worker, ticks: Sequence[bool], records: Sequence[int]) -> None:
        self._worker = worker
        self._ticks = list(ticks)
        self._records = list(records)
        self.asked: list[str] = []

    async def publish_due(self, due: Callable[..., Any]) -> bool:
        self.asked.append("tick")
        await asyncio.sleep(0.002)  # longer than what the test takes for long
        return self._ticks.pop(0)

    async def step(self, *, hurry: bool = False) -> int:
        self.asked.append("hurried step" if hurry else "step")
        if len(self._records) == 1:
            self._worker.stop()
        return self._records.pop(0)


async def _asked(ticks: Sequence[bool], records: Sequence[int]) -> list[str]:
    never_opened: Any = None
    worker = Worker("tiny", Settings(tick_seconds=3_600.0), KafkaSettings(), never_opened)
    loop: Any = _Loop(worker, ticks, records)
    await worker._steps(loop, _Tick())
    found: list[str] = loop.asked
    return found


async def test_a_long_tick_that_leaves_more_goes_on_while_no_records_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONG_TICK_SECONDS", 0.001)
    assert await _asked([True, True, False], [0, 0, 0, 0]) == [
        "tick", "hurried step", "tick", "hurried step", "tick", "step", "step",
    ]  # fmt: skip


async def test_a_short_tick_waits_for_records_however_much_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONG_TICK_SECONDS", 60.0)
    assert "hurried step" not in await _asked([True] * 50, [0, 0, 0])
