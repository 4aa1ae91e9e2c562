"""What a handler decided about one record, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from services.common.records import Output


@dataclass(frozen=True, slots=True)
class Emit:
    """Publish *outputs*; the source is acknowledged once the broker has confirmed all of them. May be empty."""

    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing to publish, on purpose: a repeat, or something that is older than what is known."""

    reason: str  # metric label: few values


@dataclass(frozen=True, slots=True)
class Reject:
    """Dead-letter the original bytes; *detail* is for the human who replays them and holds no personal data."""

    reason: str  # metric label: few values
    detail: str


Outcome: TypeAlias = Emit | Drop | Reject
