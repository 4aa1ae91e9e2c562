"""The tokens of a rule's CEL source, as far as finding our own helpers in it needs them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

Kind: TypeAlias = Literal["string", "number", "name", "sign"]

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>[rRbB]{0,2}(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|\"(?:\\.|[^"\\\n])*\"|'(?:\\.|[^'\\\n])*'))
    |(?P<number>(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?[uU]?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign><=|>=|==|!=|&&|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token and where it stands."""

    kind: Kind
    text: str
    start: int
    end: int


def tokens_of(source: str) -> list[Token]:
    """Return the tokens of *source* without white space and comments."""
    found: list[Token] = []
    for match in _TOKEN.finditer(source):
        kind: Any = match.lastgroup
        if kind != "space":
            found.append(Token(kind, match[0], match.start(), match.end()))
    return found


@dataclass(frozen=True, slots=True)
class Span:
    """``days(30)``, ``weeks(2)`` or ``ago(30)`` among the arguments of a helper."""

    unit: str
    count: int


Argument: TypeAlias = str | float | Span | tuple[str, ...]

_EXPECTED = "expected texts in quotes, lists of them, days(30), weeks(4), ago(30) or a number; nothing that has to be computed"


def arguments(tokens: Sequence[Token], place: int) -> tuple[list[Argument], int]:
    """Return the arguments of the call whose ``(`` is at *place*, and the place after its ``)``.

    Raises:
        ValueError: They are not literals.
    """
    found: list[Argument] = []
    place += 1
    while _sign(tokens, place) != ")":
        argument, place = _argument(tokens, place)
        found.append(argument)
        if _sign(tokens, place) == ",":
            place += 1
        elif _sign(tokens, place) != ")":
            raise ValueError(_EXPECTED)
    return found, place + 1


def _argument(tokens: Sequence[Token], place: int) -> tuple[Argument, int]:
    token = tokens[place] if place < len(tokens) else None
    if token is None:
        raise ValueError("a call is not closed")
    if token.kind == "string":
        return text_of(token), place + 1
    if token.kind == "number":
        return float(token.text.rstrip("uU")), place + 1
    if token.text == "[":
        return _texts(tokens, place + 1)
    if token.kind == "name" and _sign(tokens, place + 1) == "(" and _sign(tokens, place + 3) == ")":
        count = tokens[place + 2]
        if count.kind == "number" and count.text.isdigit():
            return Span(token.text, int(count.text)), place + 4
    raise ValueError(_EXPECTED)


def _texts(tokens: Sequence[Token], place: int) -> tuple[tuple[str, ...], int]:
    found: list[str] = []
    while _sign(tokens, place) != "]":
        if place >= len(tokens) or tokens[place].kind != "string":
            raise ValueError(_EXPECTED)
        found.append(text_of(tokens[place]))
        place += 2 if _sign(tokens, place + 1) == "," else 1
    return tuple(found), place + 1


def text_of(token: Token) -> str:
    """Return the value of a string literal.

    Raises:
        ValueError: It is written in a form that helpers do not take: raw, bytes, tripled, or with an escape that JSON lacks.
    """
    inner = token.text[1:-1]
    if token.text[0] not in "\"'" or token.text[:3] in ('"""', "'''"):
        raise ValueError(f"{token.text}: expected a plain text in quotes")
    try:
        return (
            str(orjson.loads('"' + inner.replace("\\'", "'").replace('"', '\\"') + '"'))
            if token.text[0] == "'"
            else str(orjson.loads(token.text))
        )
    except orjson.JSONDecodeError:
        raise ValueError(f"{token.text}: expected a plain text in quotes") from None


def _sign(tokens: Sequence[Token], place: int) -> str:
    return tokens[place].text if place < len(tokens) and tokens[place].kind == "sign" else ""
