"""From which score on two texts of a board are taken for the same request: found from the board itself, moved by its moderators' answers.

The best threshold runs from .4 on a board where people say the same few things in words of their own, to "never" on a board of tickets,
where what looks the same is another version of a dependency. Three numbers tell such boards apart without a label: how near the third
nearest text is for most texts (repeats bring several neighbours, chance brings one), how often two neighbours of a text are neighbours of
each other (those of one request are, those that share a word are not), and how many loosely related texts each has, which a narrow subject
and a large board bring. The coefficients are a weighted least squares fit of the best threshold of 714 boards that were cut out of six
labelled ones: bench/RESULTS.md has what it gives on a board that was left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

NEAR = 0.4
"""Cosine around the board's mean from which on two texts are neighbours."""
AROUND = 0.25
"""The same for loosely related ones."""
FIRST_TEXTS = 50
"""Distinct texts at the first census; the next one comes when there are a quarter more, and so on."""
START = 0.64
"""The threshold until then."""
NEVER = 1.01
"""A threshold that no score reaches: only exact repeats join."""
BAND = 0.08
"""Scores this far below the threshold are worth a human's question."""

_PULL = 2
"""Times its own weight: how strongly a pass draws a text towards its neighbours, on boards where things are said again and again."""
_CROWDED_BELOW = 0.75
"""Those are the boards whose census gives a lower threshold; on others nothing is drawn."""
_EAGER = 0.05
"""On them a text joins at once where it scores so much above the threshold; the rest is left to the next pass, which sees more."""
_LEVEL, _SLOPE, _AT = 0.66, 0.5, 0.62
"""On them a pass that asks for a mean cosine of *_LEVEL*, and so much more where the threshold is above *_AT*, gathers best."""
_MARGIN = 0.03
"""On others a pass asks for so much more than a single text needs."""

LEAST = 0.38
"""No threshold is lower."""
_STEEP_FROM = 0.72
"""From here on boards are tickets, or nearly: the fit goes up twice as steeply, for a false merge costs them more than a miss."""
_CLOSED_BEFORE, _WEDGES_BEFORE = 6.0, 60.0
"""As if so many had been counted already: what few texts say of each other is noise."""
_UNSURE = 1000.0
"""Over the square of the texts: how much higher the threshold of a young board is. A later pass mends a miss, nothing a false merge."""
_FEWEST = 4
"""A census of fewer texts says nothing."""
_DECIMALS = 3

_ANSWERS_KEPT = 100
_SOON = 32
"""After an answer the next census comes when there are so much more texts, one in so many of those at the last one."""
_STEPS = range(-25, 46)
_DOWN = range(-25, 1)
"""Where things are said again and again a board asks about large ideas, for most is won there: that such a pair is not the same says
little of the threshold, and boards that took it to heart fell apart."""
_STEP = 0.01
_TRUST = 0.1
"""How far answers may move the threshold before they have to be many: false merges are what users of tickets hate."""
_TRUST_CROWDED = 0.2
"""The same where things are said again and again."""
_WIDTH = 0.08
"""Scores over which answers turn from no to yes."""
_AT_THRESHOLD = -1.0
"""Widths from the threshold to where yes is as likely as no: where it suits best, a quarter of the pairs at it are the same."""


@dataclass(frozen=True, slots=True)
class Census:
    """What was counted on a board at one position of its log."""

    texts: int
    """Distinct texts of the whole board."""
    sampled: int
    """Texts that were compared with each other."""
    around: int
    """Ordered pairs of these that are loosely related."""
    third: int
    """A quarter of these have a third nearest text that is no nearer: a cosine in thousandths."""
    wedges: int
    """Ordered pairs of neighbours of one text, summed over these."""
    closed: int
    """Of the wedges, those whose two ends are neighbours themselves."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Of the three numbers that a census comes to: ``python -m bench.dedup_fit`` finds them."""

    constant: float
    third: float
    closed: float
    around: float


FITTED = Coefficients(1.044, -1.99, -0.497, 0.227)


def numbers_of(census: Census) -> tuple[float, float, float]:
    """Return the three numbers: the cosine of the third nearest, the share of wedges that are closed, the logarithm of those around."""
    closed = (census.closed + _CLOSED_BEFORE) / (census.wedges + _WEDGES_BEFORE)
    return census.third / 1000, closed, math.log(census.around / census.sampled + 0.02)


def threshold_of(census: Census, by: Coefficients | None = None) -> float:
    """Return the threshold that suits a board on which this was counted, rounded: logarithms differ in their last bit by machine."""
    if census.sampled < _FEWEST:
        return START
    third, closed, around = numbers_of(census)
    by = by or FITTED
    fit = by.constant + by.third * third + by.closed * closed + by.around * around
    fit += max(fit - _STEEP_FROM, 0.0) + _UNSURE / census.texts**2
    return round(min(max(fit, LEAST), NEVER), _DECIMALS)


class Calibration:
    """A board's threshold: of its last census, moved by the answers so far."""

    def __init__(self, by: Coefficients | None = None) -> None:
        """*by* are coefficients to go by instead of the shipped ones."""
        self.threshold = START
        """From this score on a text joins an idea."""
        self.eager = _EAGER
        """How far above the threshold a text must score to join at once."""
        self.next_at = FIRST_TEXTS
        """Distinct texts at which the next census is due."""
        self._by = by
        self._base = START
        self._texts = 0
        self._answers: list[tuple[float, bool]] = []

    @classmethod
    def at(cls, threshold: float) -> Calibration:
        """Return the calibration of a board whose census gave *threshold*."""
        found = cls()
        found._base = threshold
        found._settle()
        return found

    @property
    def pull(self) -> int:
        """How strongly a pass draws texts towards their neighbours."""
        return _PULL if self._base < _CROWDED_BELOW else 0

    @property
    def penalty(self) -> float:
        """How far the mean cosine that a pass asks for lies above the threshold of a single text."""
        if self.pull:
            return round(_LEVEL + _SLOPE * (self._base - _AT) - self._base, _DECIMALS)
        return _MARGIN

    def take(self, census: Census) -> None:
        """Go by *census* from now on."""
        self._base = threshold_of(census, self._by)
        self._texts = census.texts
        self.next_at = census.texts + max(census.texts // 4, 1)
        self._settle()

    def learn(self, score: float, same: bool) -> None:
        """Take in a human's answer about two ideas whose score was *score*."""
        self._answers.append((score, same))
        del self._answers[:-_ANSWERS_KEPT]
        self.next_at = min(self.next_at, self._texts + max(self._texts // _SOON, 1))
        self._settle()

    def _settle(self) -> None:
        self.eager = _EAGER if self.pull else 0.0
        if not self._answers:
            self.threshold = self._base
            return
        best, most = 0, -1.0
        for step in sorted(_DOWN if self.pull else _STEPS, key=abs):
            likely = self._likelihood(step * _STEP)
            if likely > most:
                best, most = step, likely
        self.threshold = round(min(max(self._base + best * _STEP, LEAST), NEVER), _DECIMALS)

    def _likelihood(self, moved: float) -> float:
        """Return how well the answers go with a threshold so far from the base: sums and quotients only, the same on every machine."""
        away = moved / (_TRUST_CROWDED if self.pull else _TRUST)
        likely = 1.0 / (1.0 + away * away) / (1.0 + away * away)
        for score, same in self._answers:
            above = (score - self._base - moved) / _WIDTH + _AT_THRESHOLD
            yes = (1.0 + above / (1.0 + abs(above))) / 2.0
            likely *= 2.0 * (yes if same else 1.0 - yes)
        return likely
