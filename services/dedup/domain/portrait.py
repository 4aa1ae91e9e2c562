"""What an idea is about, for those who have not read it: the text that stands for all of it, and the words that set it apart."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from services.common.values import placer
from services.dedup.domain.index import Index
from services.dedup.domain.texts import cut
from services.dedup.domain.wordings import Wordings

_QUOTE_CHARACTERS = 280
_KEYWORDS = 4
_MOST_PLACES = 256
_MOST_TEXTS = 256
"""Of a larger idea so many, evenly spread, are looked at."""
_WORD = re.compile(r"[^\W\d_]{3,}")
_RUNGS = [1.5**rung for rung in range(100)]
"""A portrait is drawn again when an idea has grown by half, so that it does not change under a reader's eyes with each text."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """*quote* is the medoid of the idea's texts, *keywords* are its words of highest class-based TF-IDF (Grootendorst 2022, BERTopic)."""

    quote: str
    keywords: tuple[str, ...]
    mentions: int
    """When it was drawn or last shown."""


portrait = placer(Portrait, ("quote", "keywords", "mentions"))
"""Makes one."""

Places: TypeAlias = bytes
"""The portrait of an idea of one mention: which words of its text are the keywords. That it quotes the text goes without saying."""


def kept(of: Portrait, text: str | None) -> Portrait | Places:
    """Return *of*, of an idea whose only text is *text*, as little as will do; whole where it has none, or several."""
    if of.mentions != 1 or text is None or of.quote != quote_of(text):
        return of
    words = words_of(text)
    if not set(words).issuperset(of.keywords) or len(words) > _MOST_PLACES:
        return of
    return _one(bytes([words.index(word) for word in of.keywords]))


@lru_cache(maxsize=1 << 14)
def _one(places: Places) -> Places:
    """Return *places*, one object for all that are equal: ideas of one text have a few thousand between them."""
    return places


def of_places(places: Places, text: str) -> Portrait:
    """Return the portrait of *text* that ``kept`` made *places* of."""
    words = words_of(text)
    return Portrait(quote_of(text), tuple([words[place] for place in places]), 1)


def is_due(of: Portrait | Places | None, mentions: int) -> bool:
    """Tell whether an idea of so many *mentions* has grown out of *of*, or has texts again where it had none."""
    if of is None:
        return True
    if isinstance(of, Places):
        return mentions != 1
    return of.mentions != mentions and (not of.quote or _rung(of.mentions) != _rung(mentions))


class Vocabulary:
    """How often each word is said on a board, each distinct text of an idea counted once."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._total = 0

    def add(self, text: str) -> None:
        """Count the words of *text*."""
        words, counts = words_of(text), self._counts
        for word in words:
            counts[word] = counts.get(word, 0) + 1
        self._total += len(words)

    def remove(self, text: str) -> None:
        """Count them no longer."""
        for word in words_of(text):
            self._total -= 1
            self._counts[word] -= 1
            if not self._counts[word]:
                del self._counts[word]

    def telling(self, texts: Sequence[str], ideas: int) -> tuple[str, ...]:
        """Return the words that set *texts*, one of so many *ideas*, apart: tf · ln(1 + A/f), A being the mean words an idea."""
        counts = Counter(word for text in texts for word in set(words_of(text))) if len(texts) > 1 else dict.fromkeys(words_of(texts[0]), 1)
        least = 2 if len(texts) > 2 and max(counts.values(), default=0) > 1 else 1
        mean, said = self._total / max(ideas, 1), self._counts
        scored = [(-round(count * math.log(1 + mean / said[word]), 6), word) for word, count in counts.items() if count >= least]
        scored.sort()
        return tuple([word for _, word in scored[:_KEYWORDS]])


def draw(index: Index, wordings: Wordings, vocabulary: Vocabulary, rows: Sequence[int], *, ideas: int, mentions: int) -> Portrait:
    """Return the portrait of an idea whose texts are *rows*, in ascending order, on a board of so many *ideas*."""
    chosen = list(rows) if len(rows) <= _MOST_TEXTS else [rows[place * len(rows) // _MOST_TEXTS] for place in range(_MOST_TEXTS)]
    if not chosen:
        return Portrait("", (), mentions)
    medoid = chosen[0] if len(chosen) == 1 else _medoid(index, chosen)
    keywords = vocabulary.telling([wordings.text(row) for row in chosen], ideas)
    return Portrait(quote_of(wordings.text(medoid)), keywords, mentions)


def _medoid(index: Index, rows: Sequence[int]) -> int:
    vectors = index.vectors(np.array(rows)).astype(np.float64)
    return rows[int((vectors @ vectors.sum(axis=0)).argmax())]  # whole numbers, so exact


def quote_of(text: str) -> str:
    """Return *text* as a portrait quotes it."""
    return cut(text, _QUOTE_CHARACTERS)


@lru_cache(maxsize=64)
def words_of(text: str) -> tuple[str, ...]:
    """Return the words of *text* in their order, in lower case: runs of three letters or more."""
    return tuple(_WORD.findall(text.casefold()))


def _rung(mentions: int) -> int:
    return bisect_left(_RUNGS, mentions)
