"""What a new definition would do, before it is rolled out: who moves where, sizes and demand before and after."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.common.clock import Micros
from services.console.segments.evidence import Evidence
from services.segmenter.domain.definition import UNKNOWN, Definition
from services.segmenter.domain.tally import Cell, Tally
from services.segmenter.offline import ALL_IDEAS, Population

NEW_SCHEME = "(no such scheme)"
"""In place of the segment before, where the scheme is new; of the segment after, where it goes."""

_TRAIT = re.compile(r"\b(person|account)\.traits\.([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Row:
    """One segment before and after."""

    segment: str
    people: tuple[int, int]
    demand: tuple[Cell, Cell]
    """Of all ideas together: people, accounts and revenue count once."""


@dataclass(frozen=True, slots=True)
class IdeaShift:
    """One idea's demand from one segment before and after."""

    idea_id: str
    scheme: str
    segment: str
    people: tuple[int, int]
    mrr_cents: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SchemePreview:
    """One scheme before and after."""

    scheme: str
    rows: list[Row]
    moves: Mapping[tuple[str, str], int]
    """People by segment before and after; those who stay included."""
    is_new: bool
    is_gone: bool

    def moved(self) -> int:
        """Return how many people change segment."""
        return sum(count for (before, after), count in self.moves.items() if before != after)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a definition would do to everybody."""

    version: str
    versions: Mapping[str, int]
    """The definition versions in force, and for how many people."""
    people: int
    moved: int
    """Who change segment in at least one scheme that there is before and after."""
    schemes: list[SchemePreview]
    ideas: list[IdeaShift]
    """Those whose demand changes most in a scheme that stays, largest change first."""
    strangers: list[str]
    """Sentences on traits that rules name and nobody has, or that are not of one type."""


def preview(evidence: Evidence, definition: Definition, as_of: Micros) -> Preview:
    """Return what would happen if *definition* were rolled out at *as_of*; nothing is written anywhere."""
    population, before = evidence.population, evidence.segments()
    after = {
        person_id: segments
        for person_id, segments in population.memberships(definition, as_of, evidence.held()).items()
        if population.humans[person_id].is_known
    }
    old = list(dict.fromkeys(scheme for segments in before.values() for scheme in segments))
    new = [scheme.name for scheme in definition.schemes]
    demand = (Demand.of(population, before, old), Demand.of(population, after, new))
    schemes = [
        _scheme(name, _side(before, name, in_force=name in old), _side(after, name, in_force=name in new), demand)
        for name in dict.fromkeys([*new, *old])
    ]
    common = set(old) & set(new)
    moved = sum(any(before.get(p, {}).get(s) != segments[s] for s in common) for p, segments in after.items() if p in before)
    versions = Counter(row.definition_version for row in evidence.rows.values())
    strangers = list(_strangers(population, definition))
    return Preview(definition.version, dict(versions), len(after), moved, schemes, _shifts(demand), strangers)


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked for, by whom."""

    schemes: Sequence[str]
    tallies: Mapping[str, Tally]

    @classmethod
    def of(cls, population: Population, memberships: Mapping[str, Mapping[str, str]], schemes: Sequence[str]) -> Demand:
        """Return the demand by *memberships*."""
        return cls(schemes, population.demand(memberships, schemes))

    def cells(self, idea_id: str) -> dict[tuple[str, str], Cell]:
        """Return what each scheme and segment asks of an idea."""
        tally = self.tallies.get(idea_id)
        pairs = zip(self.schemes, () if tally is None else tally.cells, strict=False)
        return {(scheme, segment): cell for scheme, cells in pairs for segment, cell in cells.items()}


def _side(memberships: Mapping[str, Mapping[str, str]], scheme: str, *, in_force: bool) -> dict[str, str]:
    return {person_id: segments.get(scheme, UNKNOWN) if in_force else NEW_SCHEME for person_id, segments in memberships.items()}


def _scheme(name: str, before: Mapping[str, str], after: Mapping[str, str], demand: tuple[Demand, Demand]) -> SchemePreview:
    moves = Counter((before.get(person_id, UNKNOWN), segment) for person_id, segment in after.items())
    sizes = (Counter(before.values()), Counter(after.values()))
    cells = (demand[0].cells(ALL_IDEAS), demand[1].cells(ALL_IDEAS))
    asked = {segment for part in cells for scheme, segment in part if scheme == name}
    segments = sorted((asked | set(sizes[0]) | set(sizes[1])) - {NEW_SCHEME})
    rows = [Row(s, (sizes[0][s], sizes[1][s]), (cells[0].get((name, s), Cell()), cells[1].get((name, s), Cell()))) for s in segments]
    return SchemePreview(name, rows, dict(moves), name not in demand[0].schemes, name not in demand[1].schemes)


def _shifts(demand: tuple[Demand, Demand], most: int = 10) -> list[IdeaShift]:
    found = []
    for idea_id in (demand[0].tallies.keys() | demand[1].tallies.keys()) - {ALL_IDEAS}:
        before, after = demand[0].cells(idea_id), demand[1].cells(idea_id)
        for scheme, segment in before.keys() | after.keys():
            then, later = before.get((scheme, segment), Cell()), after.get((scheme, segment), Cell())
            if then.people != later.people and all(scheme in side.schemes for side in demand):
                found.append(IdeaShift(idea_id, scheme, segment, (then.people, later.people), (then.mrr_cents, later.mrr_cents)))
    found.sort(key=lambda shift: (-abs(shift.people[1] - shift.people[0]), shift.idea_id, shift.scheme, shift.segment))
    return found[:most]


def _strangers(population: Population, definition: Definition) -> Iterator[str]:
    """Yield what rules may wait for in vain."""
    types: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for human in population.humans.values():
        profile = human.facts.profile
        given = (("person", {} if profile is None else profile.traits), ("account", {} if human.account is None else human.account.traits))
        for owner, traits in given:
            for name, value in traits.items():
                types[owner, name].add("number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__)
    for scheme in definition.schemes:
        for rule in scheme.rules:
            for owner, name in sorted(set(_TRAIT.findall(rule.when.source))):
                kinds = types.get((owner, name))
                where = f"{scheme.name}.{rule.segment}: {owner}.traits.{name}"
                if kinds is None:
                    topic = "people.raw" if owner == "person" else "accounts.raw"
                    yield f"{where}: nobody has it, so the rule takes nobody by it; check the spelling, or send it in {topic}"
                elif len(kinds) > 1:
                    yield f"{where}: of several types ({', '.join(sorted(kinds))}); a comparison takes those of one type only"
