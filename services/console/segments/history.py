"""Memberships as of any moment, and how people moved between two: folded from ``people.transitions``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.common.clock import Micros
from services.common.events import PersonEvent, SegmentTransition

_Memberships = Mapping[str, Mapping[str, str]]

NOBODY = "(not there)"
"""In place of a segment: the person had none yet, or counted as another one."""


@dataclass(frozen=True, slots=True)
class Migration:
    """Where the people of one scheme were at two moments."""

    scheme: str
    counts: Mapping[tuple[str, str], int]
    """By the segment then and the segment later."""
    causes: Mapping[str, int]
    """How many changes between the two moments each cause brought; a person may have changed several times."""
    why: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    """By the segment then and the segment later: the causes of the last change, of those who moved or came."""

    def stayed(self) -> float | None:
        """Return the share of those who were there at both moments and are in the same segment; None where there are none."""
        both = {pair: count for pair, count in self.counts.items() if NOBODY not in pair}
        everybody = sum(both.values())
        return None if not everybody else sum(count for (then, later), count in both.items() if then == later) / everybody


@dataclass(frozen=True, slots=True)
class History:
    """All changes of segment, in their order, and who counted as another person when."""

    changes: Sequence[SegmentTransition]
    """Each person's in their order; each once."""
    pointed: Mapping[str, Sequence[tuple[Micros, bool]]]
    """By person: since when it was joined into another (True), or stood alone again (False)."""

    @classmethod
    def of(cls, transitions: Iterable[SegmentTransition], events: Iterable[PersonEvent]) -> History:
        """Return the history that records in the order of their topics tell."""
        unique = {change.transition_id: change for change in transitions}
        pointed: defaultdict[str, list[tuple[Micros, bool]]] = defaultdict(list)
        for event in events:
            if event.type in ("joined", "separated"):
                pointed[event.person_id].append((event.ingested_at, event.type == "joined"))
        return cls(sorted(unique.values(), key=lambda change: change.evaluated_at), pointed)

    def at(self, moment: Micros) -> dict[str, dict[str, str]]:
        """Return the memberships as of *moment*, by what was known then: person id → scheme → segment."""
        found: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for change in self.changes:
            if change.evaluated_at > moment:
                break
            found[change.person_id][change.scheme] = change.segment
        return {person_id: segments for person_id, segments in found.items() if not self._is_another(person_id, moment)}

    def migration(self, scheme: str, since: Micros, until: Micros) -> Migration:
        """Return how the people of *scheme* moved between two moments."""
        return self.migrations([scheme], since, until)[scheme]

    def migrations(self, schemes: Iterable[str], since: Micros, until: Micros) -> dict[str, Migration]:
        """Return how the people of each of *schemes* moved between two moments."""
        then, later = self.at(since), self.at(until)
        between: defaultdict[str, list[SegmentTransition]] = defaultdict(list)
        for change in self.changes:
            if since < change.evaluated_at <= until:
                between[change.scheme].append(change)
        return {scheme: _migration(scheme, then, later, between[scheme]) for scheme in schemes}

    def flaps(self, scheme: str, since: Micros, within: Micros) -> int:
        """Return how often somebody came back, after *since* and not by a new definition, to a segment left at most *within* before."""
        left: dict[tuple[str, str], Micros] = {}
        count = 0
        for change in self.changes:
            if change.scheme != scheme:
                continue
            back = left.get((change.person_id, change.segment))
            is_new = change.evaluated_at > since and change.cause != "definition"
            if back is not None and is_new and change.evaluated_at - back <= within:
                count += 1
            if change.previous_segment is not None:
                left[change.person_id, change.previous_segment] = change.evaluated_at
        return count

    def _is_another(self, person_id: str, moment: Micros) -> bool:
        before = [joined for at, joined in self.pointed.get(person_id, ()) if at <= moment]
        return bool(before) and before[-1]


def _migration(scheme: str, then: _Memberships, later: _Memberships, between: Sequence[SegmentTransition]) -> Migration:
    last = {change.person_id: change.cause for change in between}
    counts: Counter[tuple[str, str]] = Counter()
    why: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for person_id in then.keys() | later.keys():
        pair = (then.get(person_id, {}).get(scheme, NOBODY), later.get(person_id, {}).get(scheme, NOBODY))
        if pair == (NOBODY, NOBODY):
            continue
        counts[pair] += 1
        if pair[0] != pair[1]:
            why[pair][last.get(person_id, "joined")] += 1
    return Migration(scheme, dict(counts), dict(Counter(change.cause for change in between)), {pair: dict(c) for pair, c in why.items()})
