"""What is most unlike the others about some people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from services.console.segments.features import Feature, Matrix

Mask = npt.NDArray[np.bool_]


def unlike_others(rows: Matrix, inside: Mask, columns: Sequence[Feature], most: int = 3) -> Iterator[str]:
    """Yield a sentence for each of the columns that set those *inside* apart, the farthest first."""
    for place in farthest(rows, inside)[:most]:
        column = columns[place]
        mine, theirs = (_told(column, rows[part][:, place]) for part in (inside, ~inside))
        yield f"{column.title}: {mine}, of the others {theirs}"


def farthest(rows: Matrix, inside: Mask) -> list[int]:
    """Return the columns in which the means differ, in standard deviations; the farthest first, those that do not differ left out."""
    if not rows.shape[1] or inside.all() or not inside.any():
        return []
    known = ~np.isnan(rows)
    filled, seen = np.where(known, rows, 0.0), known.sum(axis=0)
    mean = filled.sum(axis=0) / np.maximum(seen, 1)
    spread = np.sqrt((np.where(known, rows - mean, 0.0) ** 2).sum(axis=0) / np.maximum(seen, 1))
    sides = [filled[part].sum(axis=0) / np.maximum(known[part].sum(axis=0), 1) for part in (inside, ~inside)]
    both = known[inside].any(axis=0) & known[~inside].any(axis=0) & (spread > 0)
    distance = np.where(both, np.abs(sides[0] - sides[1]) / np.where(spread > 0, spread, 1.0), 0.0)
    return [int(place) for place in np.argsort(-distance, kind="stable") if distance[place] > 0]


def _told(column: Feature, values: npt.NDArray[np.float64]) -> str:
    known = values[~np.isnan(values)]
    return f"{known.mean():.0%}" if column.kind == "is" else f"{known.mean():,.1f} on average"
