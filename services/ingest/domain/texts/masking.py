"""Personal data in a text, replaced by what kind it was, before anything downstream sees it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import phonenumbers
from stdnum import iban, luhn

Mask: TypeAlias = Literal["email", "phone", "card", "iban", "ip"]
Span: TypeAlias = tuple[int, int]

_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}")
_CARD = re.compile(r"(?<![\dA-Za-z])\d(?:[ .-]?\d){12,18}(?!\d)")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_VERSION = re.compile(r"(?:version|release|build|v)\.? ?$", re.IGNORECASE)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:(?<=:)(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])")
_SHORTEST_IBAN, _SHORTEST_PHONE = 15, 7
_DIGITS = re.compile(r"\d")
_PHONE_TRIES = 1_000


def mask(text: str, kinds: Sequence[Mask], region: str | None = None) -> str:
    """Return *text* with every datum of *kinds* replaced by its kind in brackets.

    Cards are told from other numbers by their check digit (Luhn), IBANs by theirs (ISO 13616), addresses of machines by their
    syntax, telephone numbers by the numbering plans; without *region* (ISO 3166) only those that begin with ``+``.
    """
    spans: list[tuple[int, int, str]] = []
    for kind in _ORDER:
        if kind in kinds:
            found = _phones(text, region) if kind == "phone" else _FINDERS[kind](text)
            for start, end in found:
                if all(end <= other or start >= stop for other, stop, _ in spans):
                    spans.append((start, end, kind))
    if not spans:
        return text
    pieces: list[str] = []
    place = 0
    for start, end, name in sorted(spans):
        pieces += (text[place:start], f"[{name}]")
        place = end
    return "".join((*pieces, text[place:]))


def _emails(text: str) -> Iterator[Span]:
    if "@" in text:
        yield from (found.span() for found in _EMAIL.finditer(text))


def _ibans(text: str) -> Iterator[Span]:
    for found in _IBAN.finditer(text):
        compact, ends = "", []
        for place, char in enumerate(found[0]):
            if char not in " -":
                compact += char
                ends.append(place + 1)
        for length in range(len(compact), _SHORTEST_IBAN - 1, -1):
            if iban.is_valid(compact[:length]):
                yield found.start(), found.start() + ends[length - 1]
                break


def _cards(text: str) -> Iterator[Span]:
    for found in _CARD.finditer(text):
        digits = "".join(_DIGITS.findall(found[0]))
        if digits[0] in "23456" and luhn.is_valid(digits):
            yield found.span()


def _machines(text: str) -> Iterator[Span]:
    for found in _IPV4.finditer(text):
        if _is_address(found[0]) and _VERSION.search(text, max(0, found.start() - 10), found.start()) is None:
            yield found.span()
    if "::" in text or text.count(":") >= 7:
        for found in _IPV6.finditer(text):
            if any(char.isalnum() for char in found[0]) and _is_address(found[0]):
                yield found.span()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _phones(text: str, region: str | None) -> Iterator[Span]:
    if len(_DIGITS.findall(text)) >= _SHORTEST_PHONE and (region is not None or "+" in text or "\uff0b" in text):
        for match in phonenumbers.PhoneNumberMatcher(text, region, max_tries=_PHONE_TRIES):
            yield match.start, match.end


_ORDER: Sequence[Mask] = ("email", "iban", "card", "ip", "phone")
"""Whichever comes first keeps its place: a card is no telephone number."""
_FINDERS: Mapping[str, Callable[[str], Iterator[Span]]] = {"email": _emails, "iban": _ibans, "card": _cards, "ip": _machines}
