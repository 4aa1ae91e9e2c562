"""What a proposal to split an idea says: the feedback that would leave it."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from services.common.events import Decision

MOST_LEAVING = 200
"""Feedback that a proposal may name: some 10 KB."""


def written(feedback: Sequence[str], staying: str, centroid: float, member: float) -> str:
    """Return as ``candidates_json``: *feedback*, the likest first, the likest of those that stay, and the parts of the score."""
    return orjson.dumps([{"leaving": list(feedback), "staying": staying, "centroid": centroid, "member": member}]).decode()


def leaving(suggested: Decision) -> tuple[str, ...]:
    """Return the feedback that *suggested*, of method ``split``, proposes to take out."""
    return tuple(orjson.loads(suggested.candidates_json or "[]")[0]["leaving"])
