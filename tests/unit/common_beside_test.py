"""What goes on beside: begun first, waited for whatever becomes of the rest."""

from __future__ import annotations

import asyncio
import threading

import pytest

from services.common.beside import beside


async def _elsewhere(begun: threading.Event, may_end: threading.Event, ended: list[str], error: Exception | None = None) -> None:
    def work() -> None:
        begun.set()
        assert may_end.wait(10)
        ended.append("elsewhere")
        if error is not None:
            raise error

    await asyncio.to_thread(work)


async def test_the_work_is_done_while_the_other_is_on_its_way() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), list[str]()

    def work() -> int:
        assert begun.wait(10)  # it is on its way, and cannot end before this does
        ended.append("here")
        may_end.set()
        return 7

    assert await beside(_elsewhere(begun, may_end, ended), work) == 7
    assert ended == ["here", "elsewhere"]


async def test_what_fails_here_leaves_nothing_on_its_way() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        may_end.set()
        raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        await beside(_elsewhere(begun, may_end, ended), work)
    assert ended == ["elsewhere"]


async def test_what_fails_there_is_told() -> None:
    begun, may_end = threading.Event(), threading.Event()
    with pytest.raises(OSError, match="there"):
        await beside(_elsewhere(begun, may_end, [], OSError("there")), may_end.set)
