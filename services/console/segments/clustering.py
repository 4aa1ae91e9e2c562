"""Natural clusters: k-means, its number of clusters chosen on people that it has not seen, and held against chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]

LEAST_PEOPLE = 40
_LEAST_STABLE = 0.75
"""Mean adjusted Rand index between clusterings of resampled people; below it another sample gives other clusters."""
_BOOTSTRAPS = 20
_SHUFFLES = 5
_MOST_JUDGED = 2_000
"""The silhouette costs the square of the number of people."""
_MOST_FITTED = 4_000
"""Clusterings are compared on so many people at most: more of them change nothing but the time."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One number of clusters, judged on the holdout."""

    clusters: int
    silhouette: float
    """-1 to 1; of the holdout, assigned to clusters that the others gave."""
    stability: float
    """Mean adjusted Rand index on the holdout, over bootstrap samples of the others."""
    chance: float
    """The best silhouette of data of the same columns, each shuffled by itself: what one gets without any groups."""

    @property
    def structure(self) -> str:
        """What the silhouette amounts to (Kaufman and Rousseeuw 1990)."""
        return (
            "weak structure, may be artificial"
            if self.silhouette < 0.25
            else "fair structure"
            if self.silhouette < 0.5
            else "clear structure"
        )

    @property
    def holds(self) -> bool:
        """Whether the clusters are there again in another sample, and are more than chance."""
        return self.stability >= _LEAST_STABLE and self.silhouette > self.chance


@dataclass(frozen=True, slots=True)
class Clustering:
    """What was found."""

    candidates: Sequence[Candidate]
    best: Candidate | None
    """None: there are no natural clusters, or too few people to tell."""
    labels: Labels
    """Of all rows; empty without a best."""
    holdout: Mask
    """Which rows were kept back while the number of clusters was chosen."""


def clustered(rows: Matrix, most: int = 8, seed: int = 0) -> Clustering:
    """Return the clusters of *rows* (people x columns, NaN where nothing is known); the same for the same rows and *seed*."""
    with threadpool_limits(1):  # threads that wait for each other on a busy machine cost more than they bring on data this small
        return _clustered(rows, most, seed)


def _clustered(rows: Matrix, most: int, seed: int) -> Clustering:
    rng = np.random.default_rng(seed)
    holdout = rng.permutation(len(rows)) % 3 == 0
    if len(rows) < LEAST_PEOPLE or rows.shape[1] == 0:
        return Clustering((), None, np.empty(0, dtype=np.int64), holdout)
    scaled = _scaled(rows)
    seen, unseen = np.flatnonzero(~holdout)[:_MOST_FITTED], np.flatnonzero(holdout)[:_MOST_JUDGED]
    shuffled = [_shuffled(scaled, rng) for _ in range(_SHUFFLES)]
    candidates = [_judged(scaled, shuffled, (seen, unseen), k, rng) for k in range(2, min(most, len(seen) // 10) + 1)]
    best = max((c for c in candidates if c.holds), key=lambda c: c.silhouette - c.chance, default=None)
    labels = np.empty(0, dtype=np.int64) if best is None else _fitted(scaled[~holdout], best.clusters).predict(scaled).astype(np.int64)
    return Clustering(candidates, best, labels, holdout)


def _scaled(rows: Matrix) -> Matrix:
    medians = np.nanmedian(np.where(np.isnan(rows).all(axis=0), 0.0, rows), axis=0)
    return np.asarray(StandardScaler().fit_transform(np.where(np.isnan(rows), medians, rows)), dtype=np.float64)


def _shuffled(rows: Matrix, rng: np.random.Generator) -> Matrix:
    return np.column_stack([rng.permutation(rows[:, column]) for column in range(rows.shape[1])])


def _judged(rows: Matrix, shuffled: Sequence[Matrix], places: tuple[Places, Places], k: int, rng: np.random.Generator) -> Candidate:
    seen, unseen = rows[places[0]], rows[places[1]]
    base, others = _fitted(seen, k).predict(unseen), []
    for number in range(_BOOTSTRAPS):
        sample = rng.integers(0, len(seen), len(seen))
        others.append(adjusted_rand_score(base, _fitted(seen[sample], k, number).predict(unseen)))
    chances = [_silhouette(noise[places[1]], _fitted(noise[places[0]], k).predict(noise[places[1]])) for noise in shuffled]
    return Candidate(k, _silhouette(unseen, base), float(np.mean(others)), max(chances))


def _fitted(rows: Matrix, k: int, seed: int = 0) -> Any:
    return KMeans(n_clusters=k, n_init=5, random_state=seed).fit(rows)


def _silhouette(rows: Matrix, labels: Any) -> float:
    return float(silhouette_score(rows, labels)) if 1 < len(set(labels)) < len(labels) else -1.0
