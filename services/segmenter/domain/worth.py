"""What a person is worth: RFM scores on a named grid, and customer lifetime value."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from services.common.clock import Micros
from services.segmenter.domain.occurrences import UNITS, Activity, Totals, Window, coming, totals
from services.segmenter.domain.recency import DAY, days_since
from services.segmenter.domain.terms import Subject, Tests, Value, occurrences

_CELLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("champions", ("54", "55")),
    ("loyal", ("34", "35", "44", "45")),
    ("potential_loyalists", ("42", "43", "52", "53")),
    ("new_customers", ("51",)),
    ("promising", ("41",)),
    ("need_attention", ("33",)),
    ("about_to_sleep", ("31", "32")),
    ("cannot_lose", ("15", "25")),
    ("at_risk", ("13", "14", "23", "24")),
    ("hibernating", ("11", "12", "21", "22")),
)
"""The grid of ten that the practice uses, by recency and frequency."""
CELL = {scores: name for name, cells in _CELLS for scores in cells}
_MONTH_DAYS = 30.4375
_YEAR = Window(365)


@dataclass(frozen=True, slots=True)
class Scores:
    """5 is best: most recent, most frequent, most money."""

    r: int
    f: int
    m: int

    @property
    def score(self) -> int:
        """The three digits, 111 to 555."""
        return self.r * 100 + self.f * 10 + self.m

    @property
    def cell(self) -> str:
        """The name on the grid of recency and frequency."""
        return CELL[f"{self.r}{self.f}"]


@dataclass(frozen=True, slots=True)
class Grid:
    """Fixed cut points: a person's scores depend on nobody else, so they can be computed as events come and never drift."""

    names: tuple[str, ...]
    """The activities that are purchases; their amounts are money."""
    window: Window
    recency: tuple[Micros, ...]
    """Four ages of the last purchase, ascending: below the first scores 5, from the last on 1."""
    frequency: tuple[float, ...]
    """Four counts, ascending: below the first scores 1, from the last on 5."""
    monetary: tuple[float, ...]
    """Four sums, ascending: below the first scores 1, from the last on 5."""
    least_count: int = 1
    """Of all time: below it there are no scores; one purchase tells no frequency."""
    least_days: int = 0
    """Since the first purchase: before it there are no scores."""

    def scores(self, subject: Subject, as_of: Micros) -> Scores | None:
        """Return the scores as of a moment; None below the minimum of data."""
        if (self, as_of) not in subject.memo:
            one = _together(occurrences(subject.facts, self.names))
            found = None if one is None else self._scores(one, totals(one.days, self.window, as_of // DAY), as_of)
            subject.memo[self, as_of] = found
        return subject.memo[self, as_of]  # type: ignore[no-any-return]

    def future(self, subject: Subject, as_of: Micros) -> list[tuple[Micros, Scores | None]]:
        """Return, ascending, each moment after *as_of* at which time can change the scores, and the scores from then on."""
        key = (self, as_of, "future")
        if key not in subject.memo:
            one = _together(occurrences(subject.facts, self.names))
            subject.memo[key] = [] if one is None else list(self._future(one, as_of))
        return subject.memo[key]  # type: ignore[no-any-return]

    def _future(self, one: Activity, as_of: Micros) -> Iterator[tuple[Micros, Scores | None]]:
        held = totals(one.days, self.window, as_of // DAY)
        last = self._scores(one, held, as_of)
        steps = {day * DAY: then for day, then in coming(one.days, self.window, as_of // DAY)}
        aging = [one.last_seen + cut for cut in self.recency] + [one.first_seen + self.least_days * DAY]
        for moment in sorted({*steps, *(moment for moment in aging if moment > as_of)}):
            held = steps.get(moment, held)
            scores = self._scores(one, held, moment)
            if scores != last:
                yield moment, scores
                last = scores

    def _scores(self, one: Activity, held: Totals, as_of: Micros) -> Scores | None:
        if one.count < self.least_count or days_since(one.first_seen, as_of) < self.least_days:
            return None
        ago = max(0, as_of - one.last_seen)
        return Scores(5 - bisect_right(self.recency, ago), _score(self.frequency, held.count), _score(self.monetary, held.units / UNITS))


@dataclass(frozen=True, slots=True)
class RfmPart:
    """One number (or the name) of a person's RFM scores; unknown below the minimum of data."""

    grid: Grid
    part: Literal["r", "f", "m", "score", "cell"]

    def value(self, subject: Subject, as_of: Micros) -> Value:
        """Return the score as of a moment."""
        return self._of(self.grid.scores(subject, as_of))

    def future(self, subject: Subject, as_of: Micros, tests: Tests) -> Iterator[tuple[Micros, Value]]:  # noqa: ARG002 - any test
        """Yield when time can change it."""
        for moment, scores in self.grid.future(subject, as_of):
            yield moment, self._of(scores)

    def _of(self, scores: Scores | None) -> Value:
        return None if scores is None else getattr(scores, self.part)


@dataclass(frozen=True, slots=True)
class Clv:
    """Customer lifetime value, in units of the currency: m · r / (1 + i - r) with the margin m a month, retention r and discount i a month.

    Source: S. Gupta, D. Lehmann, J. Stuart, "Valuing Customers", Journal of Marketing Research 41 (2004), for an endless horizon.
    """

    margin: float
    """The part of the revenue that is profit, 0-1."""
    retention: float
    """The part of the customers that stays for another month, 0-1."""
    discount: float
    """Interest a month, such as 0.01."""
    names: tuple[str, ...] = ()
    """The activities that are purchases; empty: revenue is the account's MRR."""
    window: Window = _YEAR

    def value(self, subject: Subject, as_of: Micros) -> Value:
        """Return the value as of a moment; unknown where the revenue is."""
        if not self.names:
            mrr = subject.account.get("mrr")
            return None if mrr is None else self._of(mrr)
        one = _together(occurrences(subject.facts, self.names))
        return None if one is None else self._of(self._monthly(totals(one.days, self.window, as_of // DAY)))

    def future(self, subject: Subject, as_of: Micros, tests: Tests) -> Iterator[tuple[Micros, Value]]:  # noqa: ARG002 - any test
        """Yield each midnight UTC at which purchases enter or leave the window."""
        one = _together(occurrences(subject.facts, self.names)) if self.names else None
        if one is not None:
            for day, held in coming(one.days, self.window, as_of // DAY):
                yield day * DAY, self._of(self._monthly(held))

    def _of(self, monthly: float) -> float:
        return float(monthly * self.margin * self.retention / (1 + self.discount - self.retention))

    def _monthly(self, held: Totals) -> float:
        return held.units / UNITS / (self.window.length / _MONTH_DAYS)


def _score(cuts: tuple[float, ...], value: float) -> int:
    return 1 + bisect_right(cuts, value)


def _together(activities: Sequence[Activity]) -> Activity | None:
    """Return several activities as one; None where there is none."""
    if not activities:
        return None
    one = activities[0]
    for other in activities[1:]:
        one = one.plus(other)
    return one
