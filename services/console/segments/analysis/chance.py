"""How sure one can be of a difference: intervals of shares, tests against the rest, and many tests at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control, fisher_exact, hypergeom, norm, t

_SURE = 0.95

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def share(hits: int, of: int) -> Interval | None:
    """Return a share with its interval; None of nobody."""
    return wilson(hits / of, of) if of else None


def wilson(p: float, of: float) -> Interval:
    """Return the interval (Wilson 1927) of a share that *of* independent draws would tell as exactly."""
    z = float(norm.ppf((1 + _SURE) / 2))
    scale = 1 + z * z / of
    middle, half = (p + z * z / (2 * of)) / scale, z * sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / scale
    return Interval(p, min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half)))


def mean(values: Sequence[float], low: float, high: float) -> Interval | None:
    """Return a mean with Student's interval, as far as it lies between *low* and *high*; None where fewer than two values are."""
    if len(values) < 2:
        return None
    found = np.asarray(values, dtype=np.float64)
    half = float(t.ppf((1 + _SURE) / 2, len(values) - 1)) * float(found.std(ddof=1)) / sqrt(len(values))
    middle = float(found.mean())
    return Interval(middle, max(low, middle - half), min(high, middle + half))


def more_than_chance(inside: Numbers, of_inside: Numbers, everybody: Numbers, of_everybody: Numbers) -> Numbers:
    """Return, for each place, how likely so many *inside* or more are if being inside had nothing to do with it (Fisher, one-sided)."""
    return np.asarray(hypergeom.sf(inside - 1, of_everybody, everybody, of_inside), dtype=np.float64)


def unlike(hits: int, of: int, rest_hits: int, rest_of: int) -> float:
    """Return how likely a difference between two shares, or a larger one, is by chance (Fisher's exact test, two-sided)."""
    return float(fisher_exact([[hits, of - hits], [rest_hits, rest_of - rest_hits]]).pvalue)


def together(chances: Sequence[float]) -> list[float]:
    """Return what share of those at least as unlikely would be chance: q-values of Benjamini and Hochberg (1995)."""
    return [float(q) for q in false_discovery_control(np.clip(chances, 0.0, 1.0))] if len(chances) else []


def superiority(inside: Numbers, rest: Numbers) -> tuple[Numbers, Numbers]:
    """Return for each value *inside* the share of *rest* that it exceeds, and for each of *rest* the share of *inside* that exceeds it.

    A tie counts half. The mean of either is the chance that one drawn inside exceeds one drawn outside (Mann and Whitney 1947).
    """
    return _placements(inside, rest), 1 - _placements(rest, inside)


def _placements(values: Numbers, others: Numbers) -> Numbers:
    ordered = np.sort(others)
    below, not_above = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((below + not_above) / (2 * len(ordered)), dtype=np.float64)
