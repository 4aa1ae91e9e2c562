"""What became of the people of each segment: who was where at one moment, and who reached an outcome by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.common.clock import Micros
from services.console.failures import CommandFailed, ExitCode
from services.console.segments.analysis.chance import Interval, share, together, unlike
from services.console.segments.evidence import Evidence
from services.segmenter.domain.definition import UNKNOWN, Definition
from services.segmenter.offline import fold

Memberships = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What counts as success or loss: to be in one of some segments of a scheme."""

    name: str
    scheme: str
    segments: frozenset[str]
    is_loss: bool = False

    def holds(self, segments: Mapping[str, str]) -> bool:
        """Tell whether somebody with these memberships has reached it."""
        return segments.get(self.scheme) in self.segments


@dataclass(frozen=True, slots=True)
class Course:
    """What became of people between two moments."""

    then: Memberships
    later: Memberships
    outcomes: Sequence[Outcome]

    def asked(self, outcome: Outcome) -> dict[str, Mapping[str, str]]:
        """Return the memberships then of those who had not reached *outcome* then and are still there later."""
        return {p: segments for p, segments in self.then.items() if p in self.later and not outcome.holds(segments)}


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of a segment's people, as of then, reached an outcome that they had not reached then."""

    outcome: str
    segment: str
    people: int
    reached: int
    share: Interval | None
    rest: Interval | None
    """Of everybody else whose segment was known."""
    q: float | None
    """How much of what is at least as unlikely would be chance."""


def read_outcome(text: str, definition: Definition, *, is_loss: bool) -> Outcome:
    """Return what ``NAME=SCHEME:SEGMENT,SEGMENT`` says.

    Raises:
        CommandFailed: It says nothing of the kind, or *definition* has no such scheme or segment.
    """
    option = "--loss" if is_loss else "--win"
    name, _, where = text.partition("=")
    scheme, _, segments = where.partition(":")
    known = {s.name: set(s.texts()) for s in definition.schemes}
    wanted = frozenset(filter(None, segments.split(",")))
    if not name or not wanted:
        raise CommandFailed(f"{option} {text}: expected NAME=SCHEME:SEGMENT or NAME=SCHEME:SEGMENT,SEGMENT", ExitCode.USAGE)
    if scheme not in known:
        raise CommandFailed(f"{option} {text}: no scheme {scheme!r}; there are {', '.join(known)}", ExitCode.USAGE)
    if not wanted <= known[scheme]:
        missing, there = ", ".join(sorted(wanted - known[scheme])), ", ".join(sorted(known[scheme]))
        raise CommandFailed(f"{option} {text}: {scheme} has no segment {missing}; it has {there}", ExitCode.USAGE)
    return Outcome(name, scheme, wanted, is_loss)


def usual_outcomes(definition: Definition) -> list[Outcome]:
    """Return those that segments' names tell: ``churned`` is churn, ``activated`` and ``power`` are a win."""
    found = []
    for name, called in (("churn", {"churned"}), ("activation", {"activated", "power"})):
        for scheme in definition.schemes:
            if segments := called & set(scheme.texts()):
                found.append(Outcome(name, scheme.name, frozenset(segments), is_loss=name == "churn"))
                break
    return found


def recomputed(evidence: Evidence, definition: Definition, moment: Micros) -> dict[str, dict[str, str]]:
    """Return who would have been where at *moment* by what had happened until then, whenever it was told.

    For histories that were imported after the event. Of accounts only the present state is kept, so that is what is used; dwell, stay and
    after are judged from the moment alone.
    """
    events = [event for event in evidence.events if event.occurred_at <= moment]
    population = fold(events, evidence.accounts, [d for d in evidence.decisions if d.occurred_at <= moment])
    found = population.memberships(definition, moment, {})
    return {person_id: segments for person_id, segments in found.items() if population.humans[person_id].is_known}


def rates(course: Course, scheme: str) -> list[Rate]:
    """Return how many of each segment reached each outcome between two moments."""
    found: list[Rate] = []
    for outcome in course.outcomes:
        cohort = {p: segments[scheme] for p, segments in course.asked(outcome).items() if segments.get(scheme, UNKNOWN) != UNKNOWN}
        reached = {person_id for person_id in cohort if outcome.holds(course.later[person_id])}
        found += _rates(outcome, cohort, reached)
    return found


def _rates(outcome: Outcome, cohort: Mapping[str, str], reached: set[str]) -> list[Rate]:
    rows = []
    for segment in sorted(set(cohort.values())):
        mine = {person_id for person_id, other in cohort.items() if other == segment}
        hits, rest, rest_hits = len(mine & reached), len(cohort) - len(mine), len(reached - mine)
        rows.append((segment, len(mine), hits, rest, rest_hits, unlike(hits, len(mine), rest_hits, rest) if rest else None))
    told = [row[5] for row in rows if row[5] is not None]
    qs = dict(zip([row[0] for row in rows if row[5] is not None], together(told), strict=True))
    return [
        Rate(outcome.name, segment, of, hits, share(hits, of), share(rest_hits, rest), qs.get(segment))
        for segment, of, hits, rest, rest_hits, _ in rows
    ]
