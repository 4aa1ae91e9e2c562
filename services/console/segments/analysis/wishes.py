"""What a segment asks for, and what it asks for more often than everybody else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.console.segments.analysis.chance import more_than_chance, together
from services.console.segments.analysis.voices import Voice, askers, by_segment
from services.console.segments.evidence import Evidence
from services.segmenter.domain.loading import NO

LEAST_ASKING = 3
"""Ideas that fewer people ask for are not tested: whatever they showed would be chance, and each test makes the others harder."""
SURE = 0.05
"""Of what is called over-represented, at most that share is chance."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One idea as one segment asks for it. People who said nothing do not count, on either side."""

    segment: str
    root_id: str
    people: int
    """Of the segment, who ask for it."""
    of: int
    """Of the segment, who ask for anything."""
    rest_people: int
    rest_of: int
    accounts: int
    mrr_cents: int
    """Of those accounts, each once."""
    chance: float | None
    """How likely so many or more are by chance; None where it was not tested."""
    q: float | None
    """The share of chance among all in the scheme that are at least as unlikely (Benjamini and Hochberg)."""

    @property
    def index(self) -> float | None:
        """How many times as often as the rest; None where nobody of the rest asks for it."""
        return None if not self.rest_people else (self.people / self.of) / (self.rest_people / self.rest_of)

    @property
    def is_over_represented(self) -> bool:
        """Whether the segment asks for it more often than chance explains."""
        return self.q is not None and self.q <= SURE


def wishes(evidence: Evidence, heard: Sequence[Voice], scheme: str) -> list[Wish]:
    """Return what each segment of *scheme* asks for; each segment's most wanted first."""
    parts = by_segment(heard, scheme)
    known = [voice for voice in heard if voice.segments.get(scheme) in parts]
    everywhere = askers(known)
    counts: list[tuple[str, str, set[str], int, int, int]] = []
    for segment, mine in parts.items():
        if segment == NO and "." in scheme:  # who lacks a tag is no segment
            continue
        rest = [voice for voice in known if voice.segments[scheme] != segment]
        of, rest_of, rest_asking = len({v.person_id for v in mine}), len({v.person_id for v in rest}), askers(rest)
        counts += [(segment, root, who, of, len(rest_asking.get(root, ())), rest_of) for root, who in askers(mine).items()]
    tested = [place for place, (_, root, *_) in enumerate(counts) if len(everywhere[root]) >= LEAST_ASKING and counts[place][5]]
    chances = _chances([counts[place] for place in tested])
    found = dict(zip(tested, zip(chances, together(chances), strict=True), strict=True))
    listed = [_wish(evidence, count, found.get(place)) for place, count in enumerate(counts)]
    return sorted(listed, key=lambda wish: (wish.segment, -wish.people, wish.root_id))


def over_represented(found: Sequence[Wish], segment: str | None = None) -> list[Wish]:
    """Return what a segment (None: any) asks for more often than chance explains, the surest first."""
    kept = [wish for wish in found if wish.is_over_represented and segment in (None, wish.segment)]
    return sorted(kept, key=lambda wish: (wish.q or 0.0, -wish.people, wish.segment, wish.root_id))


def _chances(counts: Sequence[tuple[str, str, set[str], int, int, int]]) -> list[float]:
    if not counts:
        return []
    inside, of, rest, rest_of = (np.array([[len(c[2]), c[3], c[4], c[5]] for c in counts], dtype=np.float64)).T
    return [float(p) for p in more_than_chance(inside, of, inside + rest, of + rest_of)]


def _wish(evidence: Evidence, count: tuple[str, str, set[str], int, int, int], told: tuple[float, float] | None) -> Wish:
    segment, root, who, of, rest_people, rest_of = count
    humans = [human for person_id in who if (human := evidence.population.humans.get(person_id)) is not None]
    accounts = {human.account_id: human.mrr_cents for human in humans if human.account_id is not None}
    chance, q = told or (None, None)
    return Wish(segment, root, len(who), of, rest_people, rest_of, len(accounts), sum(accounts.values()), chance, q)
