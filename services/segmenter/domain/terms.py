"""What rules can ask of a person's behaviour and answers; each term knows when its value will change without any event.

A term's future is a stream of (moment, value from then on), each moment after the present, ascending. Whoever compares the term with a
number is woken at the first moment at which the *comparison* comes out differently, not at each at which the value changes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import floor
from typing import Any, Literal, Protocol, TypeAlias

from services.common.clock import Micros
from services.segmenter.domain.facts import Facts
from services.segmenter.domain.occurrences import UNITS, Activity, Bucket, Totals, Window, coming, is_inside, merged, totals, turning
from services.segmenter.domain.recency import DAY, days_since

Value: TypeAlias = Any
"""A scalar that CEL knows; None where nothing is known: the rule that asks does not match."""

Operator: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
ANY_NAME = "*"
"""In place of an activity's name: all of them together."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a term is asked about."""

    facts: Facts
    account: Mapping[str, Any]
    """The CEL variable of that name."""
    memo: dict[Any, Any] = field(default_factory=dict, compare=False)
    """What terms found out already, for other terms that need the same."""

    def days(self, names: tuple[str, ...]) -> tuple[Bucket, ...]:
        """Return the days of the activities called *names* as if they were one."""
        found: tuple[Bucket, ...] | None = self.memo.get(names)
        if found is None:
            found = self.memo[names] = merged([activity.days for activity in occurrences(self.facts, names)])
        return found


@dataclass(frozen=True, slots=True)
class Test:
    """A comparison of a term with a number, the term on the left."""

    operator: Operator
    literal: float

    def of(self, value: Value) -> Value:
        """Return how the comparison comes out; the value itself where it is no number: whatever CEL makes of that, it stays the same."""
        return _COMPARE[self.operator](value, self.literal) if isinstance(value, int | float) else value


Tests: TypeAlias = tuple[Test | None, ...]
"""All that rules compare a term with. None stands for another use: every change of the value matters."""


class Term(Protocol):
    """One question about a person."""

    def value(self, subject: Subject, as_of: Micros) -> Value:
        """Return the answer as of a moment."""

    def future(self, subject: Subject, as_of: Micros, tests: Tests) -> Iterator[tuple[Micros, Value]]:
        """Yield when the answer changes by itself after *as_of*, ascending, and to what.

        Changes that alter the result of none of *tests* may be left out.
        """


@dataclass(frozen=True, slots=True)
class Watch:
    """A term with all that a definition does with it."""

    term: Term
    tests: Tests

    def next_change(self, subject: Subject, as_of: Micros, now: Value) -> Micros | None:
        """Return the earliest moment after *as_of* at which time alone changes what a rule sees of the term; None where it cannot.

        *now* is the term's value as of that moment.
        """
        seen: list[Value] | None = None
        for moment, value in self.term.future(subject, as_of, self.tests):
            if value == now and type(value) is type(now):
                continue
            if seen is None:
                seen = [now if test is None else test.of(now) for test in self.tests]
            if [value if test is None else test.of(value) for test in self.tests] != seen:
                return moment
        return None


@dataclass(frozen=True, slots=True)
class Amount:
    """How often, how much, or on how many days: all time, or in a window. Never asked is 0: that nothing happened is known."""

    measure: Literal["count", "sum", "days"]
    names: tuple[str, ...]
    window: Window | None = None

    def value(self, subject: Subject, as_of: Micros) -> Value:
        """Return the count (whole), the sum (of amounts), or the days (whole)."""
        if self.window is None:
            found = occurrences(subject.facts, self.names)
            return sum(a.count for a in found) if self.measure == "count" else sum(a.units for a in found) / UNITS
        return self._of(totals(subject.days(self.names), self.window, as_of // DAY))

    def future(self, subject: Subject, as_of: Micros, tests: Tests) -> Iterator[tuple[Micros, Value]]:  # noqa: ARG002 - any test
        """Yield each midnight UTC at which a day enters or leaves the window."""
        if self.window is not None:
            for day, held in coming(subject.days(self.names), self.window, as_of // DAY):
                yield day * DAY, self._of(held)

    def _of(self, held: Totals) -> Value:
        return held.units / UNITS if self.measure == "sum" else getattr(held, self.measure)


@dataclass(frozen=True, slots=True)
class Kinds:
    """How many different activities there were in a window: the breadth of adoption."""

    names: tuple[str, ...]
    window: Window

    def value(self, subject: Subject, as_of: Micros) -> Value:
        """Return how many of the names occurred."""
        today = as_of // DAY
        return sum(is_inside(activity.days, self.window, today) for activity in occurrences(subject.facts, self.names))

    def future(self, subject: Subject, as_of: Micros, tests: Tests) -> Iterator[tuple[Micros, Value]]:  # noqa: ARG002 - any test
        """Yield each midnight UTC at which a day of any of them enters or leaves the window."""
        found, today = occurrences(subject.facts, self.names), as_of // DAY
        inside = sum(is_inside(activity.days, self.window, today) for activity in found)
        turns = sorted(turn for activity in found for turn in turning(activity.days, self.window, today))
        for day, several in groupby(turns, key=lambda turn: turn[0]):
            inside += sum(turn[1] for turn in several)
            yield day * DAY, inside


@dataclass(frozen=True, slots=True)
class Age:
    """Whole days (of 24 hours) since the first or the last occurrence; unknown where there was none."""

    edge: Literal["first", "last"]
    names: tuple[str, ...]

    def value(self, subject: Subject, as_of: Micros) -> Value:
        """Return the days, 0 where the occurrence is still ahead."""
        seen = self._seen(subject)
        return None if seen is None else days_since(seen, as_of)

    def future(self, subject: Subject, as_of: Micros, tests: Tests) -> Iterator[tuple[Micros, Value]]:
        """Yield the next step, and the steps around the numbers of *tests*, which alone can alter them."""
        seen = self._seen(subject)
        if seen is None:
            return
        passed = days_since(seen, as_of)
        steps = {passed + 1} if None in tests else set[int]()
        steps |= {floor(test.literal) + more for test in tests if test is not None for more in (0, 1)}
        for day in sorted(steps):
            if day > passed:
                yield seen + day * DAY, day

    def _seen(self, subject: Subject) -> Micros | None:
        found = occurrences(subject.facts, self.names)
        if self.edge == "first":
            return min((activity.first_seen for activity in found), default=None)
        return max((activity.last_seen for activity in found), default=None)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a person answered, as long as it is fresh and certain enough."""

    question: str
    days: int | None = None
    """How long it holds; None: until there is another one."""
    confidence: float = 0.0
    part: Literal["value", "inferred"] = "value"
    """The answer itself, or whether it was inferred (its confidence is below 1) rather than given."""

    def value(self, subject: Subject, as_of: Micros) -> Value:
        """Return the answer; nothing where there is none, it has expired, or nobody was sure enough."""
        given = subject.facts.answers.get(self.question)
        if given is None or not given.holds(as_of, self.days, self.confidence):
            return None
        return given.value if self.part == "value" else given.certainty < 1

    def future(self, subject: Subject, as_of: Micros, tests: Tests) -> Iterator[tuple[Micros, Value]]:  # noqa: ARG002 - any test
        """Yield the moment at which the answer expires."""
        given = subject.facts.answers.get(self.question)
        if self.days is not None and given is not None and as_of < given.answered_at + self.days * DAY:
            yield given.answered_at + self.days * DAY, None


def occurrences(facts: Facts, names: Sequence[str]) -> list[Activity]:
    """Return the activities called *names*; all of them for ``*``."""
    if names == (ANY_NAME,):
        return list(facts.activity.values())
    return [facts.activity[name] for name in names if name in facts.activity]
