"""How a text sounds: VADER's lexicon and rules (C. Hutto, E. Gilbert, ICWSM 2014), where the text is English.

The lexicon knows no other language, and would find one in words that happen to be spelt alike: *die Art war gut* is no death and no war.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeAlias

_READ = 2_000
"""Characters that are looked at: VADER's cost grows with them, and the tone is set by then."""
_LEAST_SHARE = 0.15
_LEAST_WORDS = 2
_REMEMBERED = 64
"""Characters: what is longer is no word that comes again, and would only fill memory."""
_MOST_TOKENS = 16_384
_BEFORE, _BEHIND = 3, 3
"""So many words before a word of the lexicon, and behind its beginning, decide what it counts."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_ENGLISH_TEXT = """
    the and is are it its it's this that that's these those with for my we you your our they their there of have has had not can can't
    could would wouldn't please when what how which who why because been being be should from but don't doesn't didn't isn't i'd i'm i've
    just only more than then every each all any some into out about after before while too very make makes need needs want like
    does did do if or as by at
"""
"""Words that English texts are full of, and that its neighbours hardly use."""
_FOREIGN_TEXT = """
    der die das und ist nicht ich wir mit für auf ein eine den dem zu wenn bitte sehr auch es sie kann war im von
    le la les des est et une dans pour que qui pas nous vous avec sur ce cette je il un du
    el los las una por para con que no se es en muy como pero mi nuestro
    il lo gli che non per una con sono questo anche mi di
    o os as um uma para com não que em por muito
    de het een en van niet ik wij met voor op te zijn dat
    och att det som en är inte jag vi på av för
"""
_ENGLISH = frozenset(_ENGLISH_TEXT.split())
_FOREIGN = frozenset(_FOREIGN_TEXT.split()) - _ENGLISH


def sentiment(text: str, language: str | None) -> float | None:
    """Return how *text* sounds, -1 (against) to 1 (in favour); None where it is not English, as far as *language* or its words tell."""
    shown = text[:_READ].strip()
    tokens = [*map(_TOKENS.__getitem__, shown.split())]
    if not tokens:
        return None
    said = _Said(*zip(*tokens, strict=True))
    if not _is_english(said, language):
        return None
    analyser = _analyser()
    if shown.isascii() or analyser.emojis.keys().isdisjoint(shown):
        return float(analyser.compound(shown, said))
    return float(analyser.polarity_scores(shown)["compound"])


class _Said(NamedTuple):
    """What lies between the blanks of a text, as far as it matters, piece by piece."""

    shown: tuple[str, ...]
    """As the library has it: without punctuation around it, if it is a word."""
    lower: tuple[str, ...]
    is_felt: tuple[bool, ...]
    """Whether the lexicon has it, and not as something that only makes others stronger or weaker."""
    is_upper: tuple[bool, ...]
    words: tuple[int, ...]
    """How many it holds."""
    english: tuple[int, ...]
    """How many of them are ones that English texts are full of."""
    foreign: tuple[int, ...]
    """How many are ones that texts in its neighbours are full of."""


_Token: TypeAlias = tuple[str, str, bool, bool, int, int, int]
"""What ``_Said`` has of one piece."""


class _Tokens(dict[str, _Token]):
    """What there is of each word, those of ordinary length remembered: looked up for every word of every text."""

    def __missing__(self, word: str) -> _Token:
        found = _token(word)
        if len(word) <= _REMEMBERED:
            if len(self) == _MOST_TOKENS:
                self.clear()
            self[word] = found
        return found


_TOKENS = _Tokens()


def _token(word: str) -> _Token:
    analyser = _analyser()
    shown = analyser.shown(word)
    lower = shown.lower()
    words = _WORD.findall(word.lower().replace("\u2019", "'"))
    counts = (len(words), sum(map(_ENGLISH.__contains__, words)), sum(map(_FOREIGN.__contains__, words))) if words else (0, 0, 0)
    return shown, lower, lower in analyser.lexicon and lower not in analyser.boosters, shown.isupper(), *counts


def _is_english(said: _Said, language: str | None) -> bool:
    if language:
        return language.lower().replace("_", "-").partition("-")[0] in ("en", "eng", "english")
    words, english = sum(said.words), sum(said.english)
    enough = english >= min(_LEAST_WORDS, words) and english >= _LEAST_SHARE * words
    return bool(words) and enough and english > sum(said.foreign)


@cache
def _analyser() -> Any:
    from vaderSentiment.vaderSentiment import BOOSTER_DICT, SentimentIntensityAnalyzer, SentiText, normalize  # noqa: PLC0415 - reads its lexicon

    class Analyser(SentimentIntensityAnalyzer):  # type: ignore[misc]  # publishes no types
        """With a shorter way for texts that hold no emoji, a tenth of what they cost; a test holds it to the library's.

        A word of the lexicon is judged by the three words before it and the two behind it, so that is all that is looked at, and what a
        few words in a row came to is remembered. All other words count nothing.
        """

        boosters = BOOSTER_DICT
        shown = staticmethod(SentiText._strip_punc_if_word)  # noqa: SLF001 - what it does to each word of a text

        def compound(self, text: str, said: _Said) -> float:
            places = [place for place, is_felt in enumerate(said.is_felt) if is_felt and not _is_hedge(said.lower, place)]
            if not places:
                return 0.0
            is_cap_diff = True in said.is_upper and False in said.is_upper
            felt: list[float] = [0.0] * len(said.shown)
            for place in places:
                begin = max(place - _BEFORE, 0)
                felt[place] = _valence(said.shown[begin : place + _BEHIND], place - begin, is_cap_diff)
            total = float(sum(self._but_check(list(said.lower), felt) if "but" in said.lower else felt))
            emphasis = self._punctuation_emphasis(text) if total else 0.0
            return float(round(normalize(total + (emphasis if total > 0 else -emphasis)), 4))

        def valence(self, words: _Words, place: int) -> float:
            felt: list[float] = []
            self.sentiment_valence(0, words, words.words_and_emoticons[place], place, felt)
            return felt[0]

    return Analyser()


def _is_hedge(lower: Sequence[str], place: int) -> bool:
    return lower[place] == "kind" and lower[place + 1 : place + 2] == ("of",)


@dataclass(frozen=True, slots=True)
class _Words:
    """What the library's rules ask of a text."""

    words_and_emoticons: tuple[str, ...]
    is_cap_diff: bool


@lru_cache(maxsize=8192)
def _valence(words: tuple[str, ...], place: int, is_cap_diff: bool) -> float:
    return float(_analyser().valence(_Words(words, is_cap_diff), place))
