"""People as rows of numbers, each column with the CEL expression that a rule would use for it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from services.common.clock import Micros
from services.segmenter.domain.occurrences import Window
from services.segmenter.domain.terms import ANY_NAME, Age, Amount, Kinds, Subject
from services.segmenter.offline import Human

Column = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

_WINDOW = 90
_MOST_ACTIVITIES = 8
_MOST_VALUES = 12
_COMMON = 0.05
"""A value that fewer people have tells nothing about groups."""
_FIELDS = (
    ("account", "plan"), ("account", "industry"), ("account", "region"), ("account", "mrr"), ("account", "employees"),
    ("person", "language"),
)  # fmt: skip
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """One column."""

    expression: str
    """In CEL; with *equals*, what is compared with it."""
    kind: Literal["number", "is"]
    column: Column
    """A number for each of the people, or 1 and 0; NaN where nothing is known."""
    is_whole: bool = False
    equals: str | bool | None = None
    known: str | None = None
    """In CEL, whether anything is known where this tells nothing; None where it always tells, or CEL cannot ask."""
    is_presence: bool = False
    """Whether it says only that something is known: that describes people, but makes nobody alike."""

    @property
    def below(self) -> float:
        """A number below all that are known, which stands in for what is not."""
        return float(np.nanmin(self.column)) - 1

    @property
    def title(self) -> str:
        """What it asks, as people read it."""
        return self.expression if self.equals is None else f"{self.expression} == {self.equals!r}"

    @property
    def scaled(self) -> Column:
        """The column on the scale on which people are compared: tenfold revenue counts as one step, not as ten."""
        return np.where(self.column > 0, np.log1p(np.maximum(self.column, 0)), self.column) if self.kind == "number" else self.column

    def condition(self, threshold: float, *, above: bool) -> str:
        """Return the CEL of lying above a threshold, or not above it."""
        if self.known is not None and threshold < self.below + 1:
            return self.known if above else f"!({self.known})"
        if self.kind == "is":
            return f"{self.expression} {'==' if above else '!='} {orjson.dumps(self.equals).decode()}"
        if self.is_whole:
            return f"{self.expression} {'>=' if above else '<='} {floor(threshold) + 1 if above else floor(threshold)}"
        return f"{self.expression} {'>' if above else '<='} {ceil(threshold * 100) / 100}"


def features(people: Sequence[Human], as_of: Micros) -> list[Feature]:
    """Return the columns that behaviour, account and traits of *people* give; those that are the same for all are left out."""
    described = [_described(human) for human in people]
    traits = sorted({(owner, name) for one in described for owner in one for name in one[owner].get("traits", {})})
    found = [*_behaviour(people, described, as_of)]
    for owner, name in _FIELDS:
        found += _of_values(f"{owner}.{name}", [one[owner].get(name) for one in described])
    for owner, name in traits:
        path = f"{owner}.traits.{name}" if _IDENTIFIER.fullmatch(name) else f"{owner}.traits[{orjson.dumps(name).decode()}]"
        found += _of_values(path, [one[owner].get("traits", {}).get(name) for one in described])
    return [feature for feature in found if _varies(feature.column)]


def matrix_of(people: int, columns: Sequence[Feature], *, scaled: bool = False) -> Matrix:
    """Return a row for each of so many people, a column a feature; NaN where nothing is known."""
    return np.column_stack([feature.scaled if scaled else feature.column for feature in columns]) if columns else np.empty((people, 0))


def _varies(column: Column) -> bool:
    known = column[~np.isnan(column)]
    return bool(len(known)) and (len(known) < len(column) or bool(known.min() < known.max()))


def _described(human: Human) -> dict[str, dict[str, Any]]:
    profile = human.facts.profile
    return {"account": human.variables(), "person": {} if profile is None else {"traits": profile.traits, "language": profile.language}}


def _of_values(path: str, values: Sequence[Any]) -> Iterator[Feature]:
    """Yield columns of one field: a number's one, a column for each common text and truth value; a field may have all of them."""
    numbers = [value if isinstance(value, int | float) and not isinstance(value, bool) else None for value in values]
    if any(number is not None for number in numbers):
        is_whole = all(isinstance(number, int) for number in numbers if number is not None)
        column = np.array([np.nan if number is None else number for number in numbers], dtype=np.float64)
        known = None if path.endswith("]") else f"has({path})"  # has() takes fields only
        yield Feature(path, "number", np.where(np.isfinite(column), column, np.nan), is_whole=is_whole, known=known)
        lacking = float(np.isnan(column).mean())
        if _COMMON <= lacking <= 1 - _COMMON and known is not None:
            yield Feature(known, "is", (~np.isnan(column)).astype(np.float64), equals=True, is_presence=True)
    texts = Counter(value for value in values if isinstance(value, str))
    flags: list[str | bool] = [True] if any(isinstance(value, bool) for value in values) else []
    common = [text for text, count in texts.most_common(_MOST_VALUES) if count >= _COMMON * len(values)]
    for wanted in [*flags, *common]:
        is_it = [type(value) is type(wanted) and value == wanted for value in values]
        yield Feature(path, "is", np.array(is_it, dtype=np.float64), equals=wanted)


def _behaviour(people: Sequence[Human], described: Sequence[Mapping[str, Any]], as_of: Micros) -> Iterator[Feature]:
    names = Counter(name for human in people for name in human.facts.activity)
    most = [name for name, count in names.most_common(_MOST_ACTIVITIES) if count >= _COMMON * len(people)]
    window = Window(_WINDOW)
    terms: list[tuple[str, Any]] = [
        (f'activity.days("*", days({_WINDOW}))', Amount("days", (ANY_NAME,), window)),
        (f"activity.kinds(days({_WINDOW}))", Kinds((ANY_NAME,), window)),
        ('activity.since_last("*")', Age("last", (ANY_NAME,))),
        ('activity.since_first("*")', Age("first", (ANY_NAME,))),
        *((f"activity.count({orjson.dumps(name).decode()}, days({_WINDOW}))", Amount("count", (name,), window)) for name in most),
    ]
    subjects = [Subject(human.facts, one["account"]) for human, one in zip(people, described, strict=True)]
    for expression, term in terms:
        values = [term.value(subject, as_of) for subject in subjects]
        column = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        yield Feature(expression, "number", column, is_whole=True, known='activity.count("*") >= 1')
