"""Whether a segment stands behind an idea more often than chance would have it."""

from __future__ import annotations

from math import exp, lgamma
from typing import NamedTuple

_NEGLIGIBLE = 1e-15


class Share(NamedTuple):
    """So many of so many people are in a segment."""

    inside: int
    of: int


def lift(idea: Share, rest: Share) -> float | None:
    """Return how many times the segment's share of the idea's people is its share of all others; None where those are nobody, or none."""
    if not rest.inside or not idea.of:
        return None
    return (idea.inside / idea.of) / (rest.inside / rest.of)


def chance_of_more(idea: Share, rest: Share) -> float:
    """Return the probability of at least so many of the idea's people in the segment, were they drawn from all people of the board.

    The upper tail of the hypergeometric distribution: Fisher's exact test, one-sided (R. A. Fisher, 1935). 1 where the segment is not
    over-represented: then nothing is claimed.
    """
    total, marked, drawn, found = idea.of + rest.of, idea.inside + rest.inside, idea.of, idea.inside
    if not rest.of or found * total <= marked * drawn:
        return 1.0
    term = tail = exp(_log_choose(marked, found) + _log_choose(total - marked, drawn - found) - _log_choose(total, drawn))
    for more in range(found, min(marked, drawn)):
        term *= (marked - more) * (drawn - more) / ((more + 1) * (total - marked - drawn + more + 1))
        tail += term
        if term < tail * _NEGLIGIBLE:
            break
    return min(1.0, tail)


def _log_choose(of: int, picked: int) -> float:
    return lgamma(of + 1) - lgamma(picked + 1) - lgamma(of - picked + 1)
