"""How much segments differ, as effect sizes that do not grow with the number of people, and whether chance could do as much."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

SMALL_V = 0.1
"""Below it Cramér's V is negligible (Cohen 1988, for one degree of freedom)."""
SMALL_ETA = 0.01
"""Below it η² is negligible (Cohen 1988)."""
_LEAST = 10
"""Fewer observations tell nothing."""
_RARE = 5
"""Labels with fewer observations are counted as one: the test needs some in every column."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One difference between segments."""

    size: float
    """0 to 1."""
    small: float
    """Below it the size is negligible."""
    chance: float
    """How likely so much or more is if there is no difference."""


def cramers_v(pairs: Iterable[tuple[str, str]]) -> Effect | None:
    """Return how strongly a group (first) and a label (second) go together; None where there is too little to tell.

    Corrected for bias: of labels that have nothing to do with each other it is 0 on average (Bergsma 2013). Its chance is Pearson's.
    """
    given = list(pairs)
    common = {label for label, count in Counter(label for _, label in given).items() if count >= _RARE}
    cells = Counter((group, label if label in common else "") for group, label in given)
    n = sum(cells.values())
    rows, columns = Counter[str](), Counter[str]()
    for (row, column), count in cells.items():
        rows[row] += count
        columns[column] += count
    r, k = len(rows), len(columns)
    if n < _LEAST or r < 2 or k < 2:
        return None
    square = sum(count * count / (rows[row] * columns[column]) for (row, column), count in cells.items())
    phi = square - 1  # chi² / n
    corrected = max(0.0, phi - (k - 1) * (r - 1) / (n - 1))
    least = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1)) - 1
    return Effect(min(1.0, sqrt(corrected / least)), SMALL_V, _tail(n * phi, (r - 1) * (k - 1))) if least > 0 else None


def eta_squared(groups: Mapping[str, Sequence[float]]) -> Effect | None:
    """Return which share of the ranks' variance lies between groups; None where there is too little to tell.

    From Kruskal and Wallis' H, ties corrected: (H - k + 1) / (n - k) (Tomczak and Tomczak 2014); below 0 it is 0.
    """
    filled = {name: values for name, values in groups.items() if values}
    n, k = sum(map(len, filled.values())), len(filled)
    if n < _LEAST or k < 2 or n <= k:
        return None
    ranks, ties = _ranks([value for values in filled.values() for value in values])
    correction = 1 - ties / (n**3 - n)
    if correction <= 0:
        return Effect(0.0, SMALL_ETA, 1.0)
    sums = sum(sum(ranks[value] for value in values) ** 2 / len(values) for values in filled.values())
    h = (12 / (n * (n + 1)) * sums - 3 * (n + 1)) / correction
    return Effect(max(0.0, (h - k + 1) / (n - k)), SMALL_ETA, _tail(h, k - 1))


def _tail(square: float, degrees: int) -> float:
    """Return how likely chi² is at least *square*, to some thousandths (Wilson and Hilferty 1931)."""
    spread = 2 / (9 * degrees)
    return 1 - NormalDist().cdf(((max(0.0, square) / degrees) ** (1 / 3) - 1 + spread) / sqrt(spread))


def _ranks(values: Iterable[float]) -> tuple[dict[float, float], int]:
    """Return the mean rank of each value, and the sum of t³ - t over groups of t equal ones."""
    places: defaultdict[float, list[int]] = defaultdict(list)
    for place, value in enumerate(sorted(values), start=1):
        places[value].append(place)
    ranks = {value: sum(found) / len(found) for value, found in places.items()}
    return ranks, sum(len(found) ** 3 - len(found) for found in places.values())
