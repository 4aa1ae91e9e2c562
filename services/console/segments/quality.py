"""How good a segmentation is: measurable, substantial, accessible, differentiable, actionable, stable, comprehensive."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.common.clock import Micros
from services.common.events import PersonEvent
from services.console.segments.effects import SMALL_ETA, SMALL_V, cramers_v, eta_squared
from services.console.segments.evidence import Evidence
from services.console.segments.history import Migration
from services.segmenter.domain.definition import UNKNOWN, Definition, Scheme
from services.segmenter.domain.loading import NO, YES
from services.segmenter.domain.purpose import purposeless, too_many
from services.segmenter.domain.recency import DAY
from services.segmenter.offline import Human

_FLAP = 7 * DAY
_FEW_STAY = 0.6
_MANY_FLAPS = 10.0
_MOSTLY_UNKNOWN = 0.4
_IDENTICAL = 0.9
_NEARLY_ALL = 0.9
_TREND_STEPS = 4
_FIELD = re.compile(r"\b((?:person|account)\.(?:traits\.)?[A-Za-z_]\w*)\b(?!\s*\()")


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


@dataclass(frozen=True, slots=True)
class SchemeQuality:
    """One scheme."""

    scheme: str
    sizes: list[SegmentSize]
    unknown: float
    """The share of people about whom too little is known."""
    covered: float
    """The share that is neither unknown nor in the default segment."""
    trend: list[tuple[Micros, float]]
    """The unknown share at moments before, among those who were there then."""
    missing: Mapping[str, float]
    """The share of people who lack a field that rules look at, by field."""
    stayed: float | None
    """The share that is in the segment in which it was at the beginning of the time looked at."""
    flaps: float
    """Returns within 7 days to a segment that was left, per 100 people in that time."""
    effects: Mapping[str, float | None]
    """By what differs: wishes (Cramér's V); revenue, activity, rating (η²); None where there is too little to tell."""
    migration: Migration

    def differs(self) -> bool | None:
        """Tell whether anything differs more than negligibly between the segments; None where there is too little to tell."""
        told = {name: effect for name, effect in self.effects.items() if effect is not None}
        return any(effect >= (SMALL_V if name == "wishes" else SMALL_ETA) for name, effect in told.items()) if told else None


@dataclass(frozen=True, slots=True)
class Quality:
    """The whole report."""

    version: str
    since: Micros
    at: Micros
    people: int
    schemes: list[SchemeQuality]
    labels: list[str]
    """``scheme: segment`` of every segment with people, in the definition's order."""
    overlap: Mapping[tuple[str, str], int]
    """How many people are in both, by two labels; a label with itself is its size."""
    warnings: list[str] = field(default_factory=list)

    def identical(self) -> Iterator[tuple[str, str, float]]:
        """Yield pairs of segments with nearly the same people, and their Jaccard index."""
        for number, one in enumerate(self.labels):
            for other in self.labels[number + 1 :]:
                both = self.overlap.get((one, other), 0)
                index = both / (self.overlap[one, one] + self.overlap[other, other] - both)
                if index >= _IDENTICAL:
                    yield one, other, index


def quality(evidence: Evidence, definition: Definition, since: Micros, at: Micros, least: int = 30) -> Quality:
    """Return the report on the published memberships; *least* is the number of people below which a segment is too small."""
    memberships = _memberships(evidence, definition)
    reachable = _reachable(evidence.events, evidence)
    schemes = [_Judge(evidence, scheme, memberships, reachable).quality(since, at) for scheme in definition.schemes]
    labels, overlap = _overlap(definition, memberships)
    found = Quality(definition.version, since, at, len(memberships), schemes, labels, overlap)
    found.warnings.extend(_warnings(found, definition, least))
    return found


def _memberships(evidence: Evidence, definition: Definition) -> dict[str, dict[str, str]]:
    """Return the segments of everybody: who has no row is unknown everywhere."""
    published = evidence.segments()
    return {person_id: definition.complete(published.get(person_id, {})) for person_id in evidence.population.humans}


class _Judge:
    def __init__(self, evidence: Evidence, scheme: Scheme, memberships: Mapping[str, Mapping[str, str]], reachable: set[str]) -> None:
        self._evidence = evidence
        self._scheme = scheme
        self._reachable = reachable
        self._of: defaultdict[str, list[Human]] = defaultdict(list)
        for person_id, segments in memberships.items():
            self._of[segments[scheme.name]].append(evidence.population.humans[person_id])
        self._everybody = len(memberships)

    def quality(self, since: Micros, at: Micros) -> SchemeQuality:
        """Return what is to be said of the scheme."""
        name, history = self._scheme.name, self._evidence.history
        migration = history.migration(name, since, at)
        unknown, default = len(self._of[UNKNOWN]), len(self._of[self._scheme.default])
        return SchemeQuality(
            scheme=name,
            sizes=[self._size(segment) for segment in dict.fromkeys([*self._scheme.texts(), *sorted(self._of)])],
            unknown=unknown / max(1, self._everybody),
            covered=1 - (unknown + default) / max(1, self._everybody),
            trend=[(moment, self._unknown_at(moment)) for moment in _moments(since, at)],
            missing=dict(self._missing()),
            stayed=migration.stayed(),
            flaps=100 * history.flaps(name, since, _FLAP) / max(1, self._everybody),
            effects=self._effects(at),
            migration=migration,
        )

    def _size(self, segment: str) -> SegmentSize:
        people = self._of.get(segment, [])
        accounts = {human.account_id: human.mrr_cents for human in people if human.account_id is not None}
        reached = sum(human.person_id in self._reachable for human in people)
        share = len(people) / max(1, self._everybody)
        return SegmentSize(segment, len(people), share, len(accounts), sum(accounts.values()), reached / len(people) if people else None)

    def _unknown_at(self, moment: Micros) -> float:
        then = [segments.get(self._scheme.name, UNKNOWN) for segments in self._evidence.history.at(moment).values()]
        return then.count(UNKNOWN) / len(then) if then else 1.0

    def _missing(self) -> Iterator[tuple[str, float]]:
        fields = sorted({found for rule in self._scheme.rules for found in _FIELD.findall(rule.when.source)})
        known = [human for people in self._of.values() for human in people if human.is_known]
        for path in fields:
            if known and path not in ("person.traits", "account.traits"):
                yield path, sum(_lacks(human, path) for human in known) / len(known)

    def _effects(self, at: Micros) -> dict[str, float | None]:
        segment_of = {human.person_id: segment for segment, people in self._of.items() for human in people}
        population, feedback = self._evidence.population, self._evidence.feedback
        wishes = {
            (population.human(person_id), root)
            for person_id, root in population.links.values()
            if population.human(person_id) in segment_of
        }
        ratings: defaultdict[str, list[float]] = defaultdict(list)
        for row in feedback.values():
            segment = segment_of.get(population.human(row.person_id))
            if row.rating is not None and segment is not None and not row.retracted:
                ratings[segment].append(row.rating)
        return {
            "wishes": cramers_v((segment_of[person_id], root) for person_id, root in sorted(wishes)),
            "revenue": eta_squared({s: _revenues(people) for s, people in self._of.items()}),
            "activity": eta_squared({s: [_active_days(h, at) for h in people if h.is_known] for s, people in self._of.items()}),
            "rating": eta_squared(ratings),
        }


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


def _reachable(events: Sequence[PersonEvent], evidence: Evidence) -> set[str]:
    """Return the humans who have an address and have not opted out of everything."""
    human = evidence.population.human
    refused: dict[tuple[str, str | None], tuple[Micros, bool]] = {}
    contacts: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.type == "contact" and event.channel:
            contacts[human(event.person_id)].add(event.channel)
        elif event.type == "preference" and event.idea_id is None:
            key = (human(event.person_id), event.channel)
            if key not in refused or refused[key][0] <= event.occurred_at:
                refused[key] = (event.occurred_at, bool(event.opted_out))
    return {
        person_id
        for person_id, channels in contacts.items()
        if not refused.get((person_id, None), (0, False))[1]
        and any(not refused.get((person_id, channel), (0, False))[1] for channel in channels)
    }


def _overlap(definition: Definition, memberships: Mapping[str, Mapping[str, str]]) -> tuple[list[str], dict[tuple[str, str], int]]:
    """Return the labels of segments that anybody is in, and how many people two of them share; a tag's ``no`` is left out."""
    counts: Counter[tuple[str, str]] = Counter()
    names = [scheme.name for scheme in definition.schemes]
    tags = {scheme.name for scheme in definition.schemes if scheme.group is not None}
    for segments in memberships.values():
        mine = [_label(n, segments[n]) for n in names if segments[n] != UNKNOWN and not (n in tags and segments[n] == NO)]
        counts.update((one, other) for one in mine for other in mine)
    labels = [_label(scheme.name, segment) for scheme in definition.schemes for segment in scheme.texts()]
    return [label for label in labels if (label, label) in counts], dict(counts)


def _label(scheme: str, segment: str) -> str:
    return scheme if segment == YES and "." in scheme else f"{scheme}: {segment}"


def _moments(since: Micros, at: Micros) -> list[Micros]:
    return [since + (at - since) * step // _TREND_STEPS for step in range(_TREND_STEPS + 1)]


def _warnings(found: Quality, definition: Definition, least: int) -> Iterator[str]:
    for scheme in found.schemes:
        yield from _scheme_warnings(scheme, least)
    for one, other, index in found.identical():
        yield f"{one} and {other} hold nearly the same people ({index:.0%}): one of them says nothing new"
    for name, segment, missing in purposeless(definition):
        yield f"{name}.{segment}: no {', no '.join(missing)}: nobody will act on it"
    for many in too_many(definition):
        yield f"{many.name}: {len(many.texts())} segments are hard to act on"


def _scheme_warnings(scheme: SchemeQuality, least: int) -> Iterator[str]:
    for size in scheme.sizes:
        if size.segment not in (UNKNOWN, NO) and size.people < least:
            yield f"{scheme.scheme}.{size.segment}: {size.people} people; below {least} its numbers are chance"
        if size.segment != NO and size.share >= _NEARLY_ALL:
            yield f"{scheme.scheme}.{size.segment}: {size.share:.0%} of all people; a segment of nearly everybody tells nothing"
    if scheme.unknown >= _MOSTLY_UNKNOWN:
        yield f"{scheme.scheme}: {scheme.unknown:.0%} of people are unknown"
    if scheme.stayed is not None and scheme.stayed < _FEW_STAY:
        yield f"{scheme.scheme}: only {scheme.stayed:.0%} are where they were; what is done for a segment reaches others"
    if scheme.flaps > _MANY_FLAPS:
        yield f"{scheme.scheme}: {scheme.flaps:.0f} returns within a week per 100 people; give rules a `stay` or the scheme a `dwell`"
    if scheme.differs() is False:
        yield f"{scheme.scheme}: no difference between its segments in wishes, revenue, activity or rating"
