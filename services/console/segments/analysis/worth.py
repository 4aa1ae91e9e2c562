"""What stands behind each idea: evidence and value, and where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.common.clock import Micros
from services.console.segments.analysis.voices import Voice, askers
from services.console.segments.evidence import Evidence
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.terms import Subject
from services.segmenter.domain.worth import Clv
from services.segmenter.offline import Human

FEW_PEOPLE = 3
"""Up to so many people are little evidence."""
_HIGH = 0.75


@dataclass(frozen=True, slots=True)
class Worth:
    """One idea."""

    root_id: str
    people: int
    accounts: int
    mentions: int
    mrr_cents: int
    """Of the accounts, each once."""
    clv: float | None
    """The lifetime value behind it, each account (or, where it follows from purchases, each person) once; None without ``clv:``."""

    @property
    def value(self) -> float:
        """What ideas are ranked by: lifetime value where there is one, else revenue."""
        return float(self.mrr_cents) if self.clv is None else self.clv


def clv_of(definition: Definition) -> Clv | None:
    """Return how *definition* computes a lifetime value; None where no rule of it does."""
    return next((watch.term for watch in definition.watches if isinstance(watch.term, Clv)), None)


def worths(evidence: Evidence, heard: Sequence[Voice], definition: Definition, as_of: Micros) -> list[Worth]:
    """Return what stands behind each idea, the most valuable first."""
    clv, who, mentions = clv_of(definition), askers(heard), dict.fromkeys(askers(heard), 0)
    for voice in heard:
        mentions[voice.root_id] += 1
    found = [_worth(evidence, root, asking, mentions[root], clv, as_of) for root, asking in who.items()]
    return sorted(found, key=lambda worth: (-worth.value, -worth.people, worth.root_id))


def low_evidence(found: Sequence[Worth]) -> list[Worth]:
    """Return the ideas that few people ask for, though what stands behind them is in the top quarter: to be asked about, not built yet."""
    ranked = sorted(worth.value for worth in found)
    if not ranked:
        return []
    bar = ranked[min(len(ranked) - 1, int(len(ranked) * _HIGH))]
    return [worth for worth in found if worth.people <= FEW_PEOPLE and worth.value >= bar and worth.value > 0]


def _worth(  # noqa: PLR0917 - one step of worths
    evidence: Evidence, root: str, asking: set[str], mentions: int, clv: Clv | None, as_of: Micros
) -> Worth:
    humans = [human for person_id in sorted(asking) if (human := evidence.population.humans.get(person_id)) is not None]
    accounts = {human.account_id: human.mrr_cents for human in humans if human.account_id is not None}
    lifetime = None if clv is None else _lifetime(clv, humans, as_of)
    return Worth(root, len(asking), len(accounts), mentions, sum(accounts.values()), lifetime)


def _lifetime(clv: Clv, humans: Sequence[Human], as_of: Micros) -> float:
    """Return the lifetime values of *humans*; where revenue is the account's, each account's once."""
    units = {(human.person_id if clv.names else human.account_id): human for human in humans}
    values = [clv.value(Subject(human.facts, human.variables()), as_of) for unit, human in units.items() if unit is not None]
    return sum(float(value) for value in values if isinstance(value, int | float))
