"""The best customers, by three scores that are never one: who brings most is not who fares best, nor who is won most easily."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from services.common.clock import Micros
from services.console.segments.analysis.chance import Interval, share
from services.console.segments.analysis.fit import active_days
from services.console.segments.analysis.outcomes import Course
from services.console.segments.evidence import Evidence
from services.segmenter.domain.occurrences import UNITS
from services.segmenter.domain.recency import DAY
from services.segmenter.offline import Human

Kind: TypeAlias = Literal["volume", "performance", "win"]
KINDS: tuple[Kind, ...] = ("volume", "performance", "win")
MEANING: Mapping[Kind, str] = {
    "volume": "revenue a month; of those without an account, the amounts of a year",
    "performance": "active days in 30, the mean of its people",
    "win": "of its people who had not got there, who reached a win or escaped a loss (ranked by the interval's lower end)",
}
_YEAR = 365


@dataclass(frozen=True, slots=True)
class Customer:
    """An account, or a person without one."""

    customer_id: str
    name: str | None
    people: int
    volume: float
    performance: float
    win: Interval | None
    """None where nobody of it could have been won."""

    def value(self, kind: Kind) -> float | None:
        """Return what it is ranked by."""
        if kind == "win":
            return None if self.win is None else self.win.low
        return self.volume if kind == "volume" else self.performance


def customers(evidence: Evidence, as_of: Micros, course: Course) -> list[Customer]:
    """Return every customer with its three scores."""
    homes: defaultdict[str, list[Human]] = defaultdict(list)
    for human in evidence.population.humans.values():
        if human.is_known:
            homes[human.account_id or human.person_id].append(human)
    return [_customer(name, people, as_of, _wins(people, course)) for name, people in sorted(homes.items())]


def best(found: Sequence[Customer], kind: Kind, most: int = 10) -> list[Customer]:
    """Return the best by one score, best first; who scores nothing is not among them."""
    told = [(value, customer) for customer in found if (value := customer.value(kind)) is not None and value > 0]
    return [customer for _, customer in sorted(told, key=lambda pair: (-pair[0], pair[1].customer_id))][:most]


def _customer(name: str, people: Sequence[Human], as_of: Micros, win: Interval | None) -> Customer:
    account, today = people[0].account, as_of // DAY
    spent = sum(_spent(human, today) for human in people) if people[0].account_id is None else people[0].mrr_cents / 100
    active = sum(len(set(active_days(human, today))) for human in people) / len(people)
    return Customer(name, None if account is None else account.name, len(people), spent, active, win)


def _spent(human: Human, today: int) -> float:
    days = [bucket for activity in human.facts.activity.values() for bucket in activity.days]
    return sum(units for day, _, units in days if today - _YEAR < day <= today) / UNITS


def _wins(people: Sequence[Human], course: Course) -> Interval | None:
    ids = {human.person_id for human in people}
    tried = [
        outcome.holds(course.later[person_id]) is not outcome.is_loss
        for outcome in course.outcomes
        for person_id in ids & course.asked(outcome).keys()
    ]
    return share(sum(tried), len(tried))
