"""Time as a collaborator, so that tests can turn it back."""

from __future__ import annotations

import time
from typing import Protocol, TypeAlias

Micros: TypeAlias = int
"""Microseconds since the Unix epoch, UTC: Avro's ``timestamp-micros``."""


class Clock(Protocol):
    """Tells the wall-clock time."""

    def now(self) -> Micros:
        """Return the present moment in microseconds since the Unix epoch."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> Micros:
        """Return the present moment in microseconds since the Unix epoch."""
        return time.time_ns() // 1000
