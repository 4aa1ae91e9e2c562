"""How good a segmentation is: measurable, substantial, accessible, differentiable, actionable, stable, comprehensive."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.common.clock import Micros
from services.common.events import EnrichedFeedback
from services.console.segments.cautions import Caution, Verdict, cautions, verdicts
from services.console.segments.effects import Effect, cramers_v, eta_squared
from services.console.segments.evidence import Evidence
from services.console.segments.history import History, Migration
from services.console.segments.reach import reachable
from services.segmenter.domain.definition import UNKNOWN, Definition, Scheme
from services.segmenter.domain.loading import NO, YES
from services.segmenter.domain.purpose import purposeless
from services.segmenter.domain.recency import DAY
from services.segmenter.offline import Human

_FLAP = 7 * DAY
_IDENTICAL = 0.9
_TREND_STEPS = 8
_SURE = 0.05
_FIELD = re.compile(r"\b((?:person|account)\.(?:traits\.)?[A-Za-z_]\w*)\b(?!\s*\()")

Memberships = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class SegmentSize:
    """One segment of one scheme."""

    segment: str
    people: int
    share: float
    """Of all people."""
    accounts: int
    mrr_cents: int
    """Of those accounts, each counted once."""
    reachable: float | None
    """The share that has an address and has not opted out of everything; None of an empty segment."""
    active_days: float | None = None
    """In 30 days, the mean of those who are known; None where nobody is."""


@dataclass(frozen=True, slots=True)
class Moment:
    """How much of the people a scheme held at one moment, of all whom anything was known of by then."""

    at: Micros
    people: int
    unknown: float
    covered: float


@dataclass(frozen=True, slots=True)
class SchemeQuality:
    """One scheme."""

    scheme: str
    is_tag: bool
    default: str
    sizes: list[SegmentSize]
    unknown: float
    """The share of people about whom too little is known."""
    covered: float
    """The share that is neither unknown nor in the default segment."""
    trend: list[Moment]
    """The two at moments before; none while nobody was there."""
    missing: Mapping[str, float]
    """The share of people who lack a field that rules look at, by field."""
    purposeful: float
    """The share of segments with owner, goal and action."""
    stayed: float | None
    """The share that is in the segment in which it was at the beginning of the time looked at."""
    flaps: float
    """Returns within 7 days to a segment that was left, per 100 people in that time."""
    effects: Mapping[str, Effect | None]
    """By what differs: wishes (Cramér's V); revenue, activity, rating (η²); None where there is too little to tell."""
    migration: Migration
    verdicts: list[Verdict] = field(default_factory=list)

    def differs(self) -> bool | None:
        """Tell whether anything differs more than negligibly, and more than chance; None where there is too little to tell."""
        told = [effect for effect in self.effects.values() if effect is not None]
        return any(e.size >= e.small and e.chance * len(told) < _SURE for e in told) if told else None


@dataclass(frozen=True, slots=True)
class Quality:
    """The whole report."""

    version: str
    since: Micros
    at: Micros
    people: int
    schemes: list[SchemeQuality]
    labels: list[tuple[str, str]]
    """``scheme: segment`` of every segment with people, in the definition's order, and the scheme."""
    overlap: Mapping[tuple[str, str], int]
    """How many people are in both, by two labels; a label with itself is its size."""
    warnings: list[Caution] = field(default_factory=list)

    def identical(self) -> Iterator[tuple[tuple[str, str], tuple[str, str], float]]:
        """Yield pairs of segments with nearly the same people, and their Jaccard index."""
        for number, (one, scheme) in enumerate(self.labels):
            for other, its in self.labels[number + 1 :]:
                both = self.overlap.get((one, other), 0)
                index = both / (self.overlap[one, one] + self.overlap[other, other] - both)
                if index >= _IDENTICAL:
                    yield (one, scheme), (other, its), index


def quality(evidence: Evidence, definition: Definition, since: Micros, at: Micros, least: int = 30) -> Quality:
    """Return the report on the published memberships; *least* is the number of people below which a segment is too small."""
    published = evidence.segments()
    memberships = {person_id: definition.complete(published.get(person_id, {})) for person_id in evidence.population.humans}
    names = [scheme.name for scheme in definition.schemes]
    past = _Past(evidence.history, evidence.history.migrations(names, since, at), _moments(evidence, since, at))
    judge = _Judge(evidence, memberships, reachable(evidence.events, evidence.population.human), past)
    without = Counter(name for name, _, _ in purposeless(definition))
    schemes = [judge.quality(scheme, without[scheme.name], since, at) for scheme in definition.schemes]
    labels, overlap = _overlap(definition, memberships)
    found = Quality(definition.version, since, at, len(memberships), schemes, labels, overlap)
    found.warnings.extend(cautions(found, definition, least))
    for scheme in schemes:
        scheme.verdicts.extend(verdicts(scheme, found.warnings))
    return found


@dataclass(frozen=True, slots=True)
class _Past:
    history: History
    migrations: Mapping[str, Migration]
    moments: Sequence[tuple[Micros, int, Memberships]]
    """With how many people were there."""


class _Judge:
    def __init__(self, evidence: Evidence, memberships: Memberships, reached: set[str], past: _Past) -> None:
        self._evidence = evidence
        self._memberships = memberships
        self._reached = reached
        self._past = past
        self._wishes = {(evidence.population.human(person_id), root) for person_id, root in evidence.population.links.values()}
        self._ratings = list(_ratings(evidence.feedback))

    def quality(self, scheme: Scheme, purposeless: int, since: Micros, at: Micros) -> SchemeQuality:
        """Return what is to be said of *scheme*."""
        of: defaultdict[str, list[Human]] = defaultdict(list)
        for person_id, segments in self._memberships.items():
            of[segments[scheme.name]].append(self._evidence.population.humans[person_id])
        everybody, migration = max(1, len(self._memberships)), self._past.migrations[scheme.name]
        names = list(dict.fromkeys([*scheme.texts(), *sorted(of)]))
        purposes = len(scheme.texts()) - (NO in scheme.texts() and scheme.group is not None)
        return SchemeQuality(
            scheme=scheme.name,
            is_tag=scheme.group is not None,
            default=scheme.default,
            sizes=[self._size(segment, of.get(segment, []), everybody, at) for segment in names],
            unknown=len(of[UNKNOWN]) / everybody,
            covered=1 - (len(of[UNKNOWN]) + len(of[scheme.default])) / everybody,
            trend=[_moment(scheme, *past) for past in self._past.moments if past[1]],
            missing=dict(_missing(scheme, [human for people in of.values() for human in people if human.is_known])),
            purposeful=1 - purposeless / purposes,
            stayed=migration.stayed(),
            flaps=100 * self._past.history.flaps(scheme.name, since, _FLAP) / everybody,
            effects=self._effects({segment: people for segment, people in of.items() if segment != UNKNOWN}, at),
            migration=migration,
        )

    def _size(self, segment: str, people: Sequence[Human], everybody: int, at: Micros) -> SegmentSize:
        accounts = {human.account_id: human.mrr_cents for human in people if human.account_id is not None}
        reached = sum(human.person_id in self._reached for human in people) / len(people) if people else None
        active = [_active_days(human, at) for human in people if human.is_known]
        mean = sum(active) / len(active) if active else None
        return SegmentSize(segment, len(people), len(people) / everybody, len(accounts), sum(accounts.values()), reached, mean)

    def _effects(self, of: Mapping[str, Sequence[Human]], at: Micros) -> dict[str, Effect | None]:
        """Return how much segments differ. Who is unknown is in none: that somebody is a stranger is no difference between segments."""
        segment_of = {human.person_id: segment for segment, people in of.items() for human in people}
        ratings: defaultdict[str, list[float]] = defaultdict(list)
        for person_id, rating in self._ratings:
            segment = segment_of.get(self._evidence.population.human(person_id))
            if segment is not None:
                ratings[segment].append(rating)
        return {
            "wishes": cramers_v((segment_of[person_id], root) for person_id, root in sorted(self._wishes) if person_id in segment_of),
            "revenue": eta_squared({s: _revenues(people) for s, people in of.items()}),
            "activity": eta_squared({s: [_active_days(h, at) for h in people if h.is_known] for s, people in of.items()}),
            "rating": eta_squared(ratings),
        }


def _moments(evidence: Evidence, since: Micros, at: Micros) -> list[tuple[Micros, int, Memberships]]:
    arrivals = sorted(_appeared(evidence).values())
    moments = [since + (at - since) * step // _TREND_STEPS for step in range(_TREND_STEPS + 1)]
    return [(moment, bisect_right(arrivals, moment), evidence.history.at(moment)) for moment in moments]


def _appeared(evidence: Evidence) -> dict[str, Micros]:
    """Return when each human was first heard of."""
    found: dict[str, Micros] = {}
    told = [(event.person_id, event.ingested_at) for event in evidence.events]
    told += [(decision.person_id, decision.ingested_at) for decision in evidence.decisions if decision.person_id is not None]
    for person_id, moment in told:
        human = evidence.population.human(person_id)
        if human in evidence.population.humans:
            found[human] = min(moment, found.get(human, moment))
    return found


def _moment(scheme: Scheme, at: Micros, people: int, then: Memberships) -> Moment:
    held = Counter(segments.get(scheme.name, UNKNOWN) for segments in then.values())
    everybody = max(people, len(then))
    return Moment(
        at, everybody, 1 - (len(then) - held[UNKNOWN]) / everybody, (len(then) - held[UNKNOWN] - held[scheme.default]) / everybody
    )


def _missing(scheme: Scheme, known: Sequence[Human]) -> Iterator[tuple[str, float]]:
    for path in sorted({found for rule in scheme.rules for found in _FIELD.findall(rule.when.source)}):
        if known and path not in ("person.traits", "account.traits"):
            yield path, sum(_lacks(human, path) for human in known) / len(known)


def _ratings(feedback: Mapping[str, EnrichedFeedback]) -> Iterator[tuple[str, float]]:
    """Yield who rated, and the share of the channel's ratings below it: stars and recommendations are scales of their own."""
    rows = [row for row in feedback.values() if row.rating is not None and not row.retracted]
    scales: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        scales[row.source].append(row.rating or 0.0)
    place = {s: {v: (sum(o < v for o in all_) + all_.count(v) / 2) / len(all_) for v in set(all_)} for s, all_ in scales.items()}
    for row in rows:
        yield row.person_id, place[row.source][row.rating or 0.0]


def _revenues(people: Sequence[Human]) -> list[float]:
    """Return the revenue of each account of *people*, once: people of one company say it no second time."""
    return list({human.account_id: float(human.mrr_cents) for human in people if human.account_id is not None}.values())


def _active_days(human: Human, at: Micros) -> float:
    today = at // DAY
    return float(len({day for activity in human.facts.activity.values() for day, _, _ in activity.days if today - 30 < day <= today}))


def _lacks(human: Human, path: str) -> bool:
    owner, *names = path.split(".")
    profile = human.facts.profile
    person = {} if profile is None else {"traits": profile.traits, "name": profile.name, "language": profile.language}
    value: object = human.variables() if owner == "account" else person
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value is None


def _overlap(definition: Definition, memberships: Memberships) -> tuple[list[tuple[str, str]], dict[tuple[str, str], int]]:
    """Return the labels of segments that anybody is in, and how many people two of them share; a tag's ``no`` is left out."""
    counts: Counter[tuple[str, str]] = Counter()
    names = [scheme.name for scheme in definition.schemes]
    tags = {scheme.name for scheme in definition.schemes if scheme.group is not None}
    for segments in memberships.values():
        mine = [_label(n, segments[n]) for n in names if segments[n] != UNKNOWN and not (n in tags and segments[n] == NO)]
        counts.update((one, other) for one in mine for other in mine)
    labels = [(_label(scheme.name, segment), scheme.name) for scheme in definition.schemes for segment in scheme.texts()]
    return [(label, scheme) for label, scheme in labels if (label, label) in counts], dict(counts)


def _label(scheme: str, segment: str) -> str:
    return scheme if segment == YES and "." in scheme else f"{scheme}: {segment}"
