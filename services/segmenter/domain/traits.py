"""The traits that a definition declares, with their types: what rules may ask of them, and whether what arrives is of that type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from services.segmenter.domain.facts import scalar
from services.segmenter.domain.tokens import Token, text_of, tokens_of

TraitType: TypeAlias = Literal["text", "number", "boolean", "list"]
Scope: TypeAlias = Literal["person", "account"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
_SAMPLES: Mapping[TraitType, Any] = {"text": "x", "number": 1, "boolean": True, "list": ["x"]}
_EQUALITY = ("==", "!=")
_OF_TEXTS = frozenset({"startsWith", "endsWith", "contains", "matches"})
_PATH = 5  # person . traits . name, or person . traits [ "name"


@dataclass(frozen=True, slots=True)
class Declared:
    """One trait, and where it says so."""

    type: TraitType
    line: int


@dataclass(frozen=True, slots=True)
class Mistyped:
    """A trait that arrived with a value of another type than declared; rules that look at it do not match."""

    scope: Scope
    name: str
    declared: Declared
    found: str


@dataclass(frozen=True)
class Traits:
    """The declared traits by scope; of a scope that is missing here any trait may be asked for."""

    scopes: Mapping[Scope, Mapping[str, Declared]] = field(default_factory=dict)
    file: str = ""

    def samples(self) -> Iterator[dict[Scope, dict[str, Any]]]:
        """Yield values of every declared type, once with whole numbers and once with broken ones: a rule has to work with either."""
        for number in (1, 1.5):
            samples = {**_SAMPLES, "number": number}
            yield {scope: {name: samples[of.type] for name, of in known.items()} for scope, known in self.scopes.items()}

    def refuse(self, source: str) -> None:
        """Return if *source* asks for declared traits only, and uses none as what it is not.

        Raises:
            ValueError: It does not; says what to write.
        """
        tokens = tokens_of(source)
        for place in range(len(tokens)):
            found = _trait_at(tokens, place)
            if found is not None and found[0] in self.scopes:
                scope, name, end = found
                self._refuse_unknown(scope, name)
                literals = [*_compared(tokens, place, end), *_used_as_text(tokens, end)]
                self._refuse_other_type(f"{scope}.traits.{name}", self.scopes[scope][name], literals)

    def mistyped(self, scope: Scope, traits_json: str | None) -> Iterator[Mistyped]:
        """Yield the declared traits that are of another type in *traits_json*; what is absent or null is of none."""
        known = self.scopes.get(scope)
        values = scalar(traits_json) if known else None
        if not known or not isinstance(values, dict):
            return
        for name in known.keys() & values.keys():
            found = type_of(values[name])
            if found not in (None, known[name].type):
                yield Mistyped(scope, name, known[name], str(found))

    def _refuse_unknown(self, scope: Scope, name: str) -> None:
        if name not in self.scopes[scope]:
            there = ", ".join(sorted(self.scopes[scope])) or "none"
            raise ValueError(f"unknown trait {scope}.traits.{name}; declared in `traits` are {there}: mend the name, or declare it there")

    def _refuse_other_type(self, path: str, declared: Declared, literals: Sequence[TraitType]) -> None:
        strange = [literal for literal in literals if literal != declared.type]
        if strange:
            raise ValueError(
                f"{path} is a {declared.type} (line {declared.line}) and is used as a {strange[0]}; "
                f"compare it with a {declared.type}, or declare it as {strange[0]}"
            )


NO_TRAITS = Traits()


def type_of(value: Any) -> str | None:
    """Return the type of a trait's value; None of null, ``object`` of what no rule can be sure of."""
    match value:
        case None:
            return None
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"


def _trait_at(tokens: Sequence[Token], place: int) -> tuple[Scope, str, int] | None:
    """Return scope, name and the place behind it of the trait whose path begins at *place*; None where none does."""
    path = tokens[place : place + _PATH]
    is_member = place > 0 and tokens[place - 1].text == "."
    if len(path) < _PATH or is_member or path[0].text not in SCOPES or [token.text for token in path[1:3]] != [".", "traits"]:
        return None
    scope: Scope = "person" if path[0].text == "person" else "account"
    if path[3].text == "." and path[4].kind == "name":
        return scope, path[4].text, place + _PATH
    if path[3].text == "[" and path[4].kind == "string":
        return scope, text_of(path[4]), place + _PATH + 1
    return None


def _compared(tokens: Sequence[Token], start: int, end: int) -> list[TraitType]:
    """Return the types of the literals that the path between *start* and *end* is held equal, or not equal, to."""
    found = [_literal(tokens, end + 1)] if _text(tokens, end) in _EQUALITY else []
    if _text(tokens, start - 1) in _EQUALITY and _text(tokens, start - 3) in ("", "(", "&&", "||", "?", ":", ",", "!"):
        found.append(_literal(tokens, start - 2))
    if _text(tokens, end) == "in" and _text(tokens, end + 1) == "[":
        found.append(_literal(tokens, end + 2))
    return [kind for kind in found if kind is not None]


def _used_as_text(tokens: Sequence[Token], end: int) -> list[TraitType]:
    is_call = _text(tokens, end) == "." and _text(tokens, end + 1) in _OF_TEXTS
    return ["text"] if is_call else []


def _literal(tokens: Sequence[Token], place: int) -> TraitType | None:
    """Return the type of the literal at *place*, if what stands there is one and nothing is computed with it."""
    if _text(tokens, place + 1) in ("+", "-", "*", "/", "%", ".", "["):
        return None
    token = tokens[place] if 0 <= place < len(tokens) else None
    if token is None:
        return None
    if token.kind in ("string", "number"):
        return "text" if token.kind == "string" else "number"
    return "boolean" if token.text in ("true", "false") else "list" if token.text == "[" else None


def _text(tokens: Sequence[Token], place: int) -> str:
    return tokens[place].text if 0 <= place < len(tokens) else ""
