"""How well the people of a segment fit: what they bring and how they fare, beside everybody else, each with its uncertainty."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.common.clock import Micros
from services.console.segments.analysis.chance import Interval, superiority, wilson
from services.console.segments.analysis.outcomes import Course, Outcome
from services.console.segments.analysis.voices import Voice
from services.console.segments.evidence import Evidence
from services.segmenter.domain.definition import UNKNOWN
from services.segmenter.domain.recency import DAY
from services.segmenter.offline import Human

_LEAST = 5
"""Fewer on either side tell nothing."""
_MONTH = 30


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that makes somebody fit; more is better."""

    name: str
    values: Mapping[str, float]
    """By person, or by account."""
    segments: Mapping[str, frozenset[str]]
    """In which segments each of them is; an account with people in two of them is in both."""


@dataclass(frozen=True, slots=True)
class Score:
    """One segment by one criterion."""

    criterion: str
    inside: float
    """The mean."""
    rest: float
    of: int
    fit: Interval
    """The chance, in percent, that one of the segment has more of it than one of the rest; 50 says that there is no difference."""


@dataclass(frozen=True, slots=True)
class Fit:
    """One segment's scorecard."""

    segment: str
    scores: list[Score]
    overall: Interval | None
    """The mean over the criteria; None without any."""


def criteria(evidence: Evidence, heard: Sequence[Voice], scheme: str, as_of: Micros, course: Course) -> list[Criterion]:
    """Return what segments of *scheme* are judged by: revenue, activity, its growth, mood, wins and losses avoided."""
    segments = {p: frozenset({s[scheme]}) for p, s in evidence.segments().items() if s.get(scheme, UNKNOWN) != UNKNOWN}
    humans = {p: h for p, h in evidence.population.humans.items() if p in segments and h.is_known}
    homes: defaultdict[str, set[str]] = defaultdict(set)
    for person_id, human in humans.items():
        if human.account is not None:
            homes[human.account.account_id] |= segments[person_id]
    revenue = {name: float(evidence.population.accounts[name].mrr_cents) / 100 for name in homes}
    moods: defaultdict[str, list[float]] = defaultdict(list)
    for voice in heard:
        if voice.valence is not None and voice.person_id in segments:
            moods[voice.person_id].append(voice.valence)
    active, before = ({p: _active_days(h, as_of, ago) for p, h in humans.items()} for ago in (0, _MONTH))
    found = [
        Criterion("revenue a month, by account", revenue, {name: frozenset(of) for name, of in homes.items()}),
        Criterion("active days in 30", active, segments),
        Criterion("growth of active days", {p: active[p] - before[p] for p in humans}, segments),
        Criterion("mood", {p: sum(m) / len(m) for p, m in moods.items()}, segments),
        *(_reached(outcome, scheme, course) for outcome in course.outcomes),
    ]
    return [criterion for criterion in found if len(set(criterion.values.values())) > 1]


def fits(evidence: Evidence, found: Sequence[Criterion]) -> list[Fit]:
    """Return each segment's scorecard. People of one account are not independent of each other: they are one draw of chance."""
    segments = sorted({segment for criterion in found for of in criterion.segments.values() for segment in of})
    home = {p: h.account_id or p for p, h in evidence.population.humans.items()}
    return [_fit(segment, found, home) for segment in segments]


def _fit(segment: str, found: Sequence[Criterion], home: Mapping[str, str]) -> Fit:
    judged = [(criterion, told) for criterion in found if (told := _superiority(criterion, segment)) is not None]
    scores, everything = [], defaultdict[str, float](float)
    for criterion, (value, influence, (inside, rest)) in judged:
        noise = defaultdict[str, float](float)
        for unit, pull in influence:
            noise[home.get(unit, unit)] += pull
            everything[home.get(unit, unit)] += pull / len(judged)
        ours, theirs = (sum(part.values()) / len(part) for part in (inside, rest))
        scores.append(Score(criterion.name, ours, theirs, len(inside), _interval(value, noise, min(len(inside), len(rest)))))
    least = min((score.of for score in scores), default=0)
    overall = sum(value for _, (value, _, _) in judged) / len(judged) if judged else None
    return Fit(segment, scores, None if overall is None else _interval(overall, everything, least))


_Judged = tuple[float, list[tuple[str, float]], tuple[dict[str, float], dict[str, float]]]


def _superiority(criterion: Criterion, segment: str) -> _Judged | None:
    """Return the chance of superiority, how much each unit moves it (its influence), and the values of both sides."""
    told = {unit: value for unit, value in criterion.values.items() if unit in criterion.segments}
    inside = {unit: value for unit, value in told.items() if segment in criterion.segments[unit]}
    rest = {unit: value for unit, value in told.items() if unit not in inside}
    if len(inside) < _LEAST or len(rest) < _LEAST:
        return None
    ours, theirs = superiority(np.array(list(inside.values())), np.array(list(rest.values())))
    value = float(ours.mean())
    pulls = [(unit, (float(v) - value) / len(inside)) for unit, v in zip(inside, ours, strict=True)]
    return value, pulls + [(unit, (float(v) - value) / len(rest)) for unit, v in zip(rest, theirs, strict=True)], (inside, rest)


def _interval(value: float, noise: Mapping[str, float], least: int) -> Interval:
    """Return the interval in percent: Wilson's, of as many draws as tell it as exactly as the clusters' influences say that this is told.

    Influences: DeLong et al. 1988, clustered as by Obuchowski 1997. Where they are all 0 (every value inside above every value outside),
    the smaller side's number of values stands in.
    """
    variance = sum(pull * pull for pull in noise.values())
    exactly = variance > 1e-12 and 0 < value < 1
    found = wilson(value, value * (1 - value) / variance if exactly else least)
    return Interval(100 * found.value, 100 * found.low, 100 * found.high)


def _reached(outcome: Outcome, scheme: str, course: Course) -> Criterion:
    asked = {p: s[scheme] for p, s in course.asked(outcome).items() if s.get(scheme, UNKNOWN) != UNKNOWN}
    values = {p: float(outcome.holds(course.later[p]) is not outcome.is_loss) for p in asked}
    return Criterion(f"no {outcome.name}" if outcome.is_loss else outcome.name, values, {p: frozenset({s}) for p, s in asked.items()})


def _active_days(human: Human, as_of: Micros, ago: int) -> float:
    return float(len(set(active_days(human, as_of // DAY - ago))))


def active_days(human: Human, today: int) -> Iterator[int]:
    """Yield the UTC days of the 30 up to *today* on which the human did anything, each as often as different things were done."""
    for activity in human.facts.activity.values():
        yield from (day for day, _, _ in activity.days if today - _MONTH < day <= today)
