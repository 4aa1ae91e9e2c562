"""Retrying in place, bounded, with full jitter."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.common.errors import TransientError

T = TypeVar("T")

_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 5.0


async def retrying(
    call: Callable[[], Awaitable[T]],
    *,
    budget_seconds: float,
    on_retry: Callable[[TransientError, float], None],
) -> T:
    """Await *call* until it stops raising ``TransientError``.

    Waits start below 0.1 s and double up to 5 s, each with full jitter: ``random(0, min(5, 0.1·2ⁿ))``.

    Args:
        call: Must be safe to repeat.
        budget_seconds: Limit by the monotonic clock, well below ``max_poll_interval_ms``, or the broker evicts this worker.
        on_retry: Told the error and the wait in seconds before each repetition.

    Raises:
        TransientError: The last one seen, once the budget is spent.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + budget_seconds
    longest = _FIRST_WAIT_SECONDS
    while True:
        try:
            return await call()
        except TransientError as error:
            wait = random.uniform(0, longest)  # noqa: S311 - spreads load, guards nothing
            if loop.time() + wait >= deadline:
                raise
            on_retry(error, wait)
        await asyncio.sleep(wait)
        longest = min(longest * 2, _LONGEST_WAIT_SECONDS)
