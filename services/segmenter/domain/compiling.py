"""One condition of ``segments.yaml`` → compiled CEL, checked as far as it can be before real people come."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import cel

from services.segmenter.domain.definition import Condition
from services.segmenter.domain.helpers import VARIABLE, Settings, Terms
from services.segmenter.domain.recency import Recency
from services.segmenter.domain.terms import Amount, Kinds
from services.segmenter.domain.tokens import tokens_of
from services.segmenter.domain.traits import NO_TRAITS, SCOPES, Scope, Traits

_VARIABLES = frozenset({"person", "account", "activity", "answers"})
_FUNCTIONS = frozenset(
    {
        "size", "contains", "startsWith", "endsWith", "matches", "string", "int", "uint", "double", "bool", "bytes", "type", "dyn",
        "min", "max", "timestamp", "duration", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
        "getHours", "getMinutes", "getSeconds", "getMilliseconds",
    }
)  # fmt: skip
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*(\w+)\s*,")
_NOTHING_KNOWN = (KeyError, IndexError, ArithmeticError, RuntimeError, ValueError)
_SAMPLE: Mapping[str, Mapping[str, Any]] = {
    "person": {"name": "Ann", "language": "en", "traits": {}},
    "account": {"name": "Acme", "plan": "free", "mrr": 1.0, "employees": 1, "industry": "x", "region": "x", "traits": {}},
    "activity": {},
    "answers": {},
}


def compiled(source: str, terms: Terms, traits: Traits = NO_TRAITS) -> Condition:
    """Return *source* compiled; its helpers become *terms*, and it has to work with values of the types that *traits* declare.

    Raises:
        ValueError: It is no CEL, names something that does not exist, or can be seen not to be a yes-or-no question.
    """
    _compile(source)
    if any(token.kind == "name" and token.text == VARIABLE for token in tokens_of(source)):
        raise ValueError(f"unknown variable {VARIABLE!r}; there are {', '.join(sorted(_VARIABLES))}")
    program = _compile(terms.rewritten(source))
    for name in program.variables():
        if name not in _VARIABLES and name != VARIABLE and name not in _BOUND.findall(source):
            raise ValueError(f"unknown variable {name!r}; there are {', '.join(sorted(_VARIABLES))}, answer(…), asked.…, rfm and clv")
    for name in program.functions():
        if name[0].isalpha() and name not in _FUNCTIONS:
            raise ValueError(f"unknown function {name!r}")
    _refuse_unlike_bool(program, [_sample(values, terms) for values in traits.samples()])
    return Condition(source, program, Recency.of(source))


def compiled_rule(source: str) -> Any:
    """Return the compiled program of a condition without helpers; it raises as ``compiled`` does."""
    return compiled(source, Terms(Settings())).program


def _compile(source: str) -> Any:
    try:
        return cel.compile(source)
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _typed(terms: Terms) -> Mapping[str, Any]:
    """Return a value of the right type for each term whose type is known."""
    found: dict[str, Any] = {}
    for number, watch in enumerate(terms.watches()):
        match watch.term:
            case Amount(measure="sum"):
                found[f"t{number}"] = 1.0
            case Amount() | Kinds():
                found[f"t{number}"] = 1
            case _:
                pass
    return found


def _sample(traits: Mapping[Scope, Mapping[str, Any]], terms: Terms) -> dict[str, Any]:
    """Return what is of one type for everybody: fields of ours, terms, and the traits that are declared."""
    known: dict[str, Any] = {scope: {**_SAMPLE[scope], "traits": dict(traits.get(scope, {}))} for scope in SCOPES}
    return {**_SAMPLE, **known, VARIABLE: _typed(terms)}


def _refuse_unlike_bool(program: Any, samples: Iterable[Mapping[str, Any]]) -> None:
    """Return if *program* gives true or false for any of *samples*, or if it cannot be told."""
    fault: Exception | None = None
    for sample in samples:
        try:
            answer = program.execute(dict(sample))
        except TypeError as error:
            fault = fault or error
            continue
        except _NOTHING_KNOWN:
            return  # it touches what the sample does not have: nothing can be said about it before real people come
        if not isinstance(answer, bool):
            raise ValueError(f"gives {type(answer).__name__}, not true or false; compare it with something")
        return
    if fault is not None:
        raise ValueError(" ".join(str(fault).split())) from fault
