"""Two things at once: what another thread or process does, and what this one does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def beside(begun: Awaitable[object], work: Callable[[], T]) -> T:
    """Do *work* while *begun*, which another thread or process carries out, is on its way; return what *work* returns, once both are done.

    Nothing that fails is left behind: *begun* is waited for whatever becomes of *work*.
    """
    waiting = asyncio.ensure_future(begun)
    try:
        await asyncio.sleep(0)  # so that it is handed over
        return work()
    finally:
        await waiting
