"""People as rows of numbers, each column with the CEL expression that a rule would use for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log1p
from typing import Any, Literal

import orjson

from services.common.clock import Micros
from services.segmenter.domain.occurrences import Window
from services.segmenter.domain.terms import ANY_NAME, Age, Amount, Kinds, Subject
from services.segmenter.offline import Human

_WINDOW = 90
_MOST_ACTIVITIES = 8
_MOST_VALUES = 12
_COMMON = 0.05
"""A value that fewer people have tells nothing about groups."""
_TEXT_FIELDS = ("account.plan", "account.industry", "account.region", "person.language")
_NUMBER_FIELDS = ("account.mrr", "account.employees")


@dataclass(frozen=True, slots=True)
class Feature:
    """One column."""

    expression: str
    """In CEL; with *equals*, what is compared with it."""
    kind: Literal["number", "is"]
    read: Callable[[Human], float | None]
    """A number, or 1 and 0; None where nothing is known."""
    is_whole: bool = False
    equals: str | None = None

    def scaled(self, value: float) -> float:
        """Return *value* on the scale on which people are compared: tenfold revenue counts as one step, not as ten."""
        return log1p(value) if self.kind == "number" and value > 0 else value

    def condition(self, threshold: float, *, above: bool) -> str:
        """Return the CEL of lying above a threshold, or not above it."""
        if self.kind == "is":
            return f"{self.expression} {'==' if above else '!='} {orjson.dumps(self.equals).decode()}"
        if self.is_whole:
            return f"{self.expression} {'>=' if above else '<='} {floor(threshold) + 1 if above else floor(threshold)}"
        return f"{self.expression} {'>' if above else '<='} {ceil(threshold * 100) / 100}"


def features(people: Sequence[Human], as_of: Micros) -> list[Feature]:
    """Return the columns that behaviour, account and traits of *people* give; those that are the same for all are left out."""
    found = [*_behaviour(people, as_of)]
    values = {path: [_field(human, path) for human in people] for path in (*_TEXT_FIELDS, *_NUMBER_FIELDS, *_traits(people))}
    for path, column in values.items():
        known = [value for value in column if value is not None]
        if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
            found.append(Feature(path, "number", _number(path), is_whole=all(isinstance(value, int) for value in known)))
        elif known and all(isinstance(value, str) for value in known):
            found += [Feature(path, "is", _equals(path, value), equals=value) for value in _common(known, len(people))]
    return [feature for feature in found if len({feature.read(human) for human in people}) > 1]


def _behaviour(people: Sequence[Human], as_of: Micros) -> list[Feature]:
    names = Counter(name for human in people for name in human.facts.activity)
    most = [name for name, count in names.most_common(_MOST_ACTIVITIES) if count >= _COMMON * len(people)]
    window = Window(_WINDOW)
    terms = [
        (f'activity.days("*", days({_WINDOW}))', Amount("days", (ANY_NAME,), window)),
        (f"activity.kinds(days({_WINDOW}))", Kinds((ANY_NAME,), window)),
        ('activity.since_last("*")', Age("last", (ANY_NAME,))),
        *((f"activity.count({orjson.dumps(name).decode()}, days({_WINDOW}))", Amount("count", (name,), window)) for name in most),
    ]
    return [Feature(expression, "number", _term(term, as_of), is_whole=True) for expression, term in terms]


def _term(term: Any, as_of: Micros) -> Callable[[Human], float | None]:
    return lambda human: term.value(Subject(human.facts, human.variables()), as_of)


def _number(path: str) -> Callable[[Human], float | None]:
    return lambda human: _field(human, path)


def _equals(path: str, value: str) -> Callable[[Human], float | None]:
    return lambda human: float(_field(human, path) == value)


def _common(values: Sequence[str], people: int) -> list[str]:
    return [value for value, count in Counter(values).most_common(_MOST_VALUES) if count >= _COMMON * people]


def _traits(people: Sequence[Human]) -> list[str]:
    person = {name for human in people if human.facts.profile is not None for name in human.facts.profile.traits}
    account = {name for human in people if human.account is not None for name in human.account.traits}
    return [f"person.traits.{name}" for name in sorted(person)] + [f"account.traits.{name}" for name in sorted(account)]


def _field(human: Human, path: str) -> Any:
    """Return what stands at *path*; None where nothing does, or where it is no text and no number."""
    owner, *names = path.split(".")
    profile = human.facts.profile
    person = {} if profile is None else {"traits": profile.traits, "language": profile.language}
    value: Any = human.variables() if owner == "account" else person
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float | str) and not isinstance(value, bool) else None
