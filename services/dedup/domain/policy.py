"""What a board's owner allows it to do by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from services.dedup.domain.calibration import BAND, NEVER

_SHIFTS = ((0.5, -0.2), (0.73, 0.0), (0.8, 0.09), (0.88, 0.22), (0.926, 0.29), (0.95, 0.36), (0.99, 0.5))
"""Precision, and how far above the calibrated threshold it was reached, over all joins of five labelled boards, each left out of the
calibration's fit (bench/RESULTS.md, "Three bands"); in between, linearly. More than .93 was reached by some boards, and by none of them
together; natural ticket boards join nothing from .8 on."""
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Bands:
    """What is done by scores: a text joins from *join* on, a pass merges ideas from *merge* on, what scores *suggest* is asked about."""

    merge: float
    suggest: float

    eager: float = 0.0
    """How far above *merge* a text must score to join at once."""
    join: float = field(init=False)
    """From which score on a text joins at once."""

    def __post_init__(self) -> None:
        """Work out *join* once: every text asks for it."""
        object.__setattr__(self, "join", self.merge if self.merge > 1.0 else min(round(self.merge + self.eager, _DECIMALS), 1.0))


@dataclass(frozen=True, slots=True)
class Policy:
    """The owner's wishes for one board."""

    precision: float | None = None
    """Of the texts that join an idea by themselves, the share that shall belong there; None is the balance of both kinds of mistakes."""
    auto_merge: bool = True
    """False makes everything a suggestion."""

    def bands(self, calibrated: float, eager: float = 0.0) -> Bands:
        """Return the bands around the threshold *calibrated*, which weighs false merges and misses alike; see ``Bands`` for *eager*."""
        suggest = round(calibrated - BAND, _DECIMALS)
        if not self.auto_merge:
            return Bands(NEVER, suggest)
        if self.precision is None:
            return Bands(calibrated, suggest, eager)
        merge = round(min(calibrated + _shift(self.precision), NEVER), _DECIMALS)
        return Bands(merge, min(suggest, round(merge - BAND, _DECIMALS)), eager)


def _shift(precision: float) -> float:
    below = _SHIFTS[0]
    for above in _SHIFTS:
        if precision <= above[0]:
            share = (precision - below[0]) / (above[0] - below[0]) if above[0] > below[0] else 0.0
            return below[1] + share * (above[1] - below[1])
        below = above
    return _SHIFTS[-1][1] if precision < 1.0 else NEVER


BALANCED = Policy()

PolicyOf: TypeAlias = Callable[[str, str], Policy]
"""Gives a board's policy by its workspace and name."""


def balanced(_workspace: str, _board: str) -> Policy:
    """Return the policy of a board that nobody has said anything about."""
    return BALANCED
