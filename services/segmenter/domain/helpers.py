"""Helpers in rules, ``activity.count("export", days(30)) >= 3``: found in the CEL source, taken out as terms, put back as variables.

A helper's arguments are literals. So all that a rule can ever ask is known when it is loaded, each term is computed once a person
however many rules share it, and what a rule compares a term with is known too: that gives the moment at which the rule itself can change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from services.segmenter.domain.asked import Asks, AsksIdea
from services.segmenter.domain.mentions import words_of
from services.segmenter.domain.occurrences import LONGEST_WINDOW, Window
from services.segmenter.domain.terms import ANY_NAME, Age, Amount, Answered, Kinds, Operator, Term, Test, Watch
from services.segmenter.domain.tokens import Argument, Span, Token, arguments, tokens_of
from services.segmenter.domain.worth import Clv, Grid, RfmPart

VARIABLE = "helpers"
"""The CEL variable that holds the terms' values, by ``t0``, ``t1``, …; no rule may name it."""

_MIRRORED: Mapping[str, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_BEFORE_ATOM = frozenset({"", "(", "&&", "||", "?", ":", ",", "["})
_AFTER_ATOM = frozenset({"", ")", "&&", "||", "?", ":", ",", "]"})
_MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
"""Of CEL, over the variable ``activity``."""
_RFM_PARTS = ("r", "f", "m", "score", "cell")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file says beside its schemes, and helpers refer to."""

    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    grid: Grid | None = None
    clv: Clv | None = None
    answer_days: int | None = None
    answer_confidence: float = 0.0


class Terms:
    """All terms of a definition, each once, with what rules compare it with."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tests: dict[Term, dict[Test | None, None]] = {}

    def watches(self) -> tuple[Watch, ...]:
        """Return the terms in the order of their variables ``t0``, ``t1``, …"""
        return tuple(Watch(term, (None,) if None in tests else tuple(tests)) for term, tests in self._tests.items())

    def rewritten(self, source: str) -> str:
        """Return *source* with every helper replaced by the variable that holds its value.

        Raises:
            ValueError: A helper does not exist, or its arguments are not what it takes.
        """
        tokens = tokens_of(source)
        parts: list[str] = []
        place = copied = 0
        while place < len(tokens):
            found = self._helper(tokens, place)
            if found is None:
                place += 1
                continue
            text, after = found
            parts += [source[copied : tokens[place].start], text]
            copied = tokens[after - 1].end
            place = after
        return "".join([*parts, source[copied:]])

    def _helper(self, tokens: Sequence[Token], place: int) -> tuple[str, int] | None:
        """Return what stands in place of the helper that begins at *place*, and the place after it; None where none begins."""
        token = tokens[place]
        if token.kind != "name" or _text(tokens, place - 1) == ".":
            return None
        member = _text(tokens, place + 2) if _text(tokens, place + 1) == "." else ""
        if token.text == "lists" and member:
            return self._list(member), place + 3
        found = self._named_term(token.text, member, tokens, place)
        return None if found is None else self._term(found[0], tokens, place, found[1])

    def _named_term(self, name: str, member: str, tokens: Sequence[Token], place: int) -> tuple[Term, int] | None:
        if name in ("activity", "asked") and member and member not in _MACROS and _text(tokens, place + 3) == "(":
            given, after = arguments(tokens, place + 3)
            return _made(f"{name}.{member}", given), after
        if name in ("answer", "inferred") and _text(tokens, place + 1) == "(":
            given, after = arguments(tokens, place + 1)
            return self._answer(name, given), after
        if name == "rfm" and member:
            return self._rfm(member), place + 3
        return (self._clv(), place + 1) if name == "clv" else None

    def _term(self, term: Term, tokens: Sequence[Token], place: int, after: int) -> tuple[str, int]:
        self._tests.setdefault(term, {})[_test(tokens, place, after)] = None
        return f"{VARIABLE}.t{list(self._tests).index(term)}", after

    def _list(self, name: str) -> str:
        if name not in self._settings.lists:
            raise ValueError(f"unknown list {name!r}; lists: names {', '.join(sorted(self._settings.lists)) or 'none'}")
        return orjson.dumps(self._settings.lists[name]).decode()

    def _rfm(self, part: str) -> Term:
        if self._settings.grid is None:
            raise ValueError("rfm needs the block `rfm:` in the file, with the activity that is a purchase and the cut points")
        for known in _RFM_PARTS:
            if part == known:
                return RfmPart(self._settings.grid, known)  # type: ignore[arg-type]
        raise ValueError(f"unknown rfm.{part}; there are {', '.join(f'rfm.{known}' for known in _RFM_PARTS)}")

    def _clv(self) -> Term:
        if self._settings.clv is None:
            raise ValueError("clv needs the block `clv:` in the file, with margin, retention and discount a month")
        return self._settings.clv

    def _answer(self, helper: str, given: Sequence[Argument]) -> Term:
        texts = [argument for argument in given if isinstance(argument, str)]
        numbers = [argument for argument in given if isinstance(argument, float)]
        spans = [argument for argument in given if isinstance(argument, Span)]
        if len(texts) != 1 or len(numbers) > 1 or len(spans) > 1 or len(texts) + len(numbers) + len(spans) != len(given):
            raise ValueError(f'{helper}: expected {helper}("question"), with days(365) and the least confidence if wanted')
        confidence = numbers[0] if numbers else self._settings.answer_confidence
        if not 0 <= confidence <= 1:
            raise ValueError(f"{helper}: expected a confidence of 0 to 1")
        days = _days(spans[0], helper) if spans else self._settings.answer_days
        return Answered(texts[0], days, confidence, "value" if helper == "answer" else "inferred")


def _text(tokens: Sequence[Token], place: int) -> str:
    return tokens[place].text if 0 <= place < len(tokens) and tokens[place].kind != "string" else ""


def _test(tokens: Sequence[Token], place: int, after: int) -> Test | None:
    """Return the comparison with a number that the term from *place* to *after* stands in; None where it is used in another way."""
    before, then = _sign_at(tokens, place - 1), _sign_at(tokens, after)
    if then in _MIRRORED and before in _BEFORE_ATOM:
        number, end = _number(tokens, after + 1)
        if number is not None and _sign_at(tokens, end) in _AFTER_ATOM:
            return Test(then, number)  # type: ignore[arg-type]
    if before in _MIRRORED and then in _AFTER_ATOM and place >= 2 and tokens[place - 2].kind == "number":
        negative = _sign_at(tokens, place - 3) == "-"
        if _sign_at(tokens, place - (4 if negative else 3)) in _BEFORE_ATOM:
            value = float(tokens[place - 2].text.rstrip("uU"))
            return Test(_MIRRORED[before], -value if negative else value)
    return None


def _number(tokens: Sequence[Token], place: int) -> tuple[float | None, int]:
    negative = _sign_at(tokens, place) == "-"
    place += negative
    if place >= len(tokens) or tokens[place].kind != "number":
        return None, place
    value = float(tokens[place].text.rstrip("uU"))
    return (-value if negative else value), place + 1


def _sign_at(tokens: Sequence[Token], place: int) -> str:
    """Return the sign at *place*; nothing outside the source, something that no sign is where another token stands."""
    if not 0 <= place < len(tokens):
        return ""
    return tokens[place].text if tokens[place].kind == "sign" else "another token"


def _made(helper: str, given: Sequence[Argument]) -> Term:
    maker = _MAKERS.get(helper)
    if maker is None:
        raise ValueError(f"unknown helper {helper}; there are {', '.join(sorted(_MAKERS))}")
    names = [
        name for argument in given if isinstance(argument, str | tuple) for name in ((argument,) if isinstance(argument, str) else argument)
    ]
    spans = [argument for argument in given if isinstance(argument, Span)]
    if len(spans) > 2 or any(isinstance(argument, float) for argument in given):
        raise ValueError(f"{helper}: a number alone says no unit; write days(30)")
    return maker(helper, tuple(dict.fromkeys(names)), _window(spans, helper))


def _window(spans: Sequence[Span], helper: str) -> Window | None:
    lengths = [span for span in spans if span.unit in ("days", "weeks")]
    ago = [span for span in spans if span.unit == "ago"]
    unknown = [span.unit for span in spans if span not in lengths and span not in ago]
    if unknown:
        raise ValueError(f"{helper}: unknown unit {unknown[0]}; there are days, weeks and ago (in days)")
    if len(lengths) > 1 or len(ago) > 1 or (ago and not lengths):
        raise ValueError(f"{helper}: expected one window, such as days(30), and at most one ago(30), the days by which it lies back")
    if not lengths:
        return None
    window = Window(_days(lengths[0], helper), ago[0].count if ago else 0)
    if window.length + window.ago > LONGEST_WINDOW:
        raise ValueError(f"{helper}: looks back {window.length + window.ago} days; a day's counts are kept for {LONGEST_WINDOW}")
    return window


def _days(span: Span, helper: str) -> int:
    if span.unit not in ("days", "weeks") or span.count < 1:
        raise ValueError(f"{helper}: expected days(1) or more, or weeks(1) or more")
    return span.count * (7 if span.unit == "weeks" else 1)


def _amount(helper: str, names: tuple[str, ...], window: Window | None) -> Term:
    _named(helper, names)
    measure = helper.partition(".")[2]
    if measure == "days" and window is None:
        raise ValueError(f"{helper}: needs a window, such as days(30)")
    return Amount(measure, names, window)  # type: ignore[arg-type]


def _kinds(helper: str, names: tuple[str, ...], window: Window | None) -> Term:
    if window is None:
        raise ValueError(f"{helper}: needs a window, such as days(30)")
    return Kinds(names or (ANY_NAME,), window)


def _age(helper: str, names: tuple[str, ...], window: Window | None) -> Term:
    _named(helper, names)
    if window is not None:
        raise ValueError(f"{helper}: takes no window; compare what it gives, in days")
    return Age("first" if helper.endswith("first") else "last", names)


def _asks(helper: str, words: tuple[str, ...], window: Window | None) -> Term:
    _named(helper, words)
    wanted = tuple(dict.fromkeys(word for text in words for word in words_of(text)))
    if not wanted:
        raise ValueError(f"{helper}: expected words of two letters or more")
    return Asks(helper.partition(".")[2], wanted, window)  # type: ignore[arg-type]


def _asks_idea(helper: str, ideas: tuple[str, ...], window: Window | None) -> Term:
    _named(helper, ideas)
    if window is not None:
        raise ValueError(f"{helper}: takes no window")
    return AsksIdea(frozenset(ideas))


def _named(helper: str, names: tuple[str, ...]) -> None:
    if not names or "" in names or (ANY_NAME in names and len(names) > 1):
        raise ValueError(f'{helper}: expected a name in quotes, a list of them, or "{ANY_NAME}" for any')


_MAKERS: Mapping[str, Callable[[str, tuple[str, ...], Window | None], Term]] = {
    "activity.count": _amount,
    "activity.sum": _amount,
    "activity.days": _amount,
    "activity.kinds": _kinds,
    "activity.since_first": _age,
    "activity.since_last": _age,
    "asked.count": _asks,
    "asked.share": _asks,
    "asked.confidence": _asks,
    "asked.idea": _asks_idea,
}
