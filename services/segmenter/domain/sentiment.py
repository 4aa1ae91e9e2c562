"""How a text sounds: VADER's lexicon and rules (C. Hutto, E. Gilbert, ICWSM 2014), where the text is English.

The lexicon knows no other language, and would find one in words that happen to be spelt alike: *die Art war gut* is no death and no war.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

_READ = 2_000
"""Characters that are looked at: VADER's cost grows with them, and the tone is set by then."""
_LEAST_SHARE = 0.15
_LEAST_WORDS = 2
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
    shown = text[:_READ]
    if not shown.strip() or not _is_english(shown, language):
        return None
    return _score(shown)


def _is_english(text: str, language: str | None) -> bool:
    if language:
        return language.lower().replace("_", "-").partition("-")[0] in ("en", "eng", "english")
    words = _WORD.findall(text.lower().replace("\u2019", "'"))
    english = sum(map(_ENGLISH.__contains__, words))
    enough = english >= min(_LEAST_WORDS, len(words)) and english >= _LEAST_SHARE * len(words)
    return bool(words) and enough and english > sum(map(_FOREIGN.__contains__, words))


@lru_cache(maxsize=1024)
def _score(text: str) -> float:
    analyser = _analyser()
    scores = analyser.plain_scores(text) if text.isascii() else analyser.polarity_scores(text)
    return float(scores["compound"])


@cache
def _analyser() -> Any:
    from vaderSentiment.vaderSentiment import BOOSTER_DICT, SentimentIntensityAnalyzer, SentiText  # noqa: PLC0415 - reads its lexicon

    class Analyser(SentimentIntensityAnalyzer):  # type: ignore[misc]  # publishes no types
        """With a shorter way for texts that hold no emoji, which is half of what they cost; a test holds it to the library's."""

        def plain_scores(self, text: str) -> Any:
            shown = text.strip()
            words = SentiText(shown)
            tokens = words.words_and_emoticons
            lower = [token.lower() for token in tokens]
            felt: list[float] = []
            for place, word in enumerate(lower):
                is_hedge = word in BOOSTER_DICT or (word == "kind" and lower[place + 1 : place + 2] == ["of"])
                if is_hedge or word not in self.lexicon:
                    felt.append(0)
                else:
                    self.sentiment_valence(0, words, tokens[place], place, felt)
            return self.score_valence(self._but_check(tokens, felt), shown)

    return Analyser()
