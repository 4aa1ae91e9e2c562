"""What a person asks for, as rules can ask for it: themes by their words, with how sure one can be of them, and single ideas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from services.common.clock import Micros
from services.segmenter.domain.mentions import Asked
from services.segmenter.domain.occurrences import Window
from services.segmenter.domain.recency import DAY
from services.segmenter.domain.terms import Subject, Tests, Value

_Z = 1.959963984540054
"""97.5 % of a normal distribution lies below: a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Asks:
    """How much of what a person asks for is about a theme: mentions in which each of *words* begins a word of the text."""

    measure: Literal["count", "share", "confidence"]
    """Mentions; their share of all the person's mentions (0-1); the lower end of that share's 95 % interval (Wilson 1927)."""
    words: tuple[str, ...]
    window: Window | None = None

    def value(self, subject: Subject, as_of: Micros) -> Value:
        """Return the number; share and confidence are unknown where the person asked for nothing."""
        inside = [m for m in subject.facts.asked.values() if self.window is None or self.window.holds(m.at // DAY, as_of // DAY)]
        hits = sum(self._is_about(mention) for mention in inside)
        if self.measure == "count":
            return hits
        if not inside:
            return None
        return hits / len(inside) if self.measure == "share" else wilson_low(hits, len(inside))

    def future(self, subject: Subject, as_of: Micros, tests: Tests) -> Iterator[tuple[Micros, Value]]:  # noqa: ARG002 - any test
        """Yield each midnight UTC at which a mention enters or leaves the window."""
        if self.window is None:
            return
        today, window = as_of // DAY, self.window
        entered = [m.at // DAY + window.ago for m in subject.facts.asked.values()]
        for day in sorted({day for first in entered for day in (first, first + window.length) if day > today}):
            yield day * DAY, self.value(subject, day * DAY)

    def _is_about(self, mention: Asked) -> bool:
        return all(any(word.startswith(wanted) for word in mention.words) for wanted in self.words)


@dataclass(frozen=True, slots=True)
class AsksIdea:
    """Whether any of a person's feedback is linked to one of certain ideas."""

    ideas: frozenset[str]

    def value(self, subject: Subject, as_of: Micros) -> Value:  # noqa: ARG002 - it holds at any moment
        """Return True or False."""
        return any(mention.idea_id in self.ideas for mention in subject.facts.asked.values())

    def future(self, subject: Subject, as_of: Micros, tests: Tests) -> Iterator[tuple[Micros, Value]]:  # noqa: ARG002 - a term's shape
        """Yield nothing: time does not change it."""
        return iter(())


def wilson_low(hits: int, of: int) -> float:
    """Return the lower end of the 95 % score interval of a share (E. B. Wilson, 1927)."""
    share, square = hits / of, _Z * _Z
    middle = share + square / (2 * of)
    spread = _Z * sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + square / of))
