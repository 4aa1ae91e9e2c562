"""Which language a text is in. The same answer for the same text, on any worker, whatever it is asked together with."""

from __future__ import annotations

import functools
import re
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from py3langid.langid import MODEL_FILE, LanguageIdentifier

_FEWEST_LETTERS = 12
"""Numerals that are no decimal digits (\u00b2, \u2167) count as letters."""
_HAS_LETTERS = re.compile(rf"(?:[\W\d_]*+[^\W\d_]){{{_FEWEST_LETTERS}}}")
_ENOUGH = 400
"""Characters that are looked at."""
_SURE = 0.5
_FEW = 24
"""So many texts are read faster one after another than side by side."""
_BITS = 20
"""Of a feature's number."""
_NUMBER = (1 << _BITS) - 1

Codes: TypeAlias = NDArray[np.int64]
"""Of each feature that was met: which text it is in, above the bits of its own number."""


def detect_languages(texts: Sequence[str]) -> list[str | None]:
    """Return the language of each of *texts* (ISO 639-1); None where one is too short, or too mixed, to be sure of one."""
    found: list[str | None] = [None] * len(texts)
    asked = {number: sample for number, text in enumerate(texts) if _HAS_LETTERS.match(sample := text[:_ENOUGH])}
    if asked:
        for number, (language, probability) in zip(asked, _model().classify(list(asked.values())), strict=True):
            found[number] = language if probability >= _SURE else None
    return found


@dataclass(frozen=True, slots=True)
class _Model:
    """What py3langid has learnt, and its verdicts in a third of the time: of many texts at once, with its table converted once."""

    next_states: NDArray[np.uint32]
    first_of_row: NDArray[np.uint32]
    features: NDArray[np.int32]
    walked: tuple[array[int], Sequence[int], array[int]]
    """The three above for one step at a time."""
    weights: NDArray[np.float32]
    """A row for each feature, a column for each class."""
    priors: NDArray[np.float32]
    classes: Sequence[str]
    again: Sequence[tuple[int, int]]
    """Classes that are one language: the first one, and another."""

    def classify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return the likeliest language and its probability, as ``LanguageIdentifier.classify`` does, for each of *texts*, none empty."""
        encoded = [
            unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8", "surrogatepass") for text in texts
        ]
        codes = np.sort(self._features_in(encoded))
        begins = np.flatnonzero(np.diff(codes, prepend=-1))
        counts = np.log1p(np.diff(begins, append=codes.size).astype(np.float32))
        met = codes[begins]
        bounds = np.searchsorted(met >> _BITS, np.arange(len(texts) + 1)).tolist()
        numbers = met & _NUMBER
        scores = np.zeros((len(texts), self.weights.shape[1]), np.float32)
        for row, (begin, end) in enumerate(pairwise(bounds)):
            np.matmul(counts[begin:end], self.weights.take(numbers[begin:end], axis=0), out=scores[row])
        return self._verdicts(scores, np.array([len(text) for text in encoded], np.float32), np.diff(bounds) > 0)

    def _verdicts(self, scores: NDArray[np.float32], lengths: NDArray[np.float32], has_any: NDArray[np.bool_]) -> list[tuple[str, float]]:
        scores += self.priors
        scores /= np.sqrt(lengths)[:, None]
        scores -= scores.max(axis=1)[:, None]
        np.exp(scores, out=scores)
        total = scores.sum(axis=1)
        for first, other in self.again:
            scores[:, first] += scores[:, other]
            scores[:, other] = 0.0
        best = scores.argmax(axis=1)
        probabilities = np.where(has_any, scores[np.arange(len(scores)), best] / total, 0.0)
        return [(self.classes[place], probability) for place, probability in zip(best.tolist(), probabilities.tolist(), strict=True)]

    def _features_in(self, encoded: Sequence[bytes]) -> Codes:
        """Return the features of all texts: while many are left all go one letter further at a time, then the longest one by one."""
        order = sorted(range(len(encoded)), key=lambda number: -len(encoded[number]))
        together = len(encoded[order[_FEW]]) if len(order) > _FEW else 0
        codes, states = self._side_by_side([encoded[number][:together] for number in order]) if together else (np.zeros(0, np.int64), [])
        codes = (np.array(order)[codes >> _BITS] << _BITS) | (codes & _NUMBER)
        rest = [
            (number << _BITS) | feature
            for number, state in zip(order[:_FEW], states or [0] * _FEW, strict=False)
            for feature in self._one_by_one(state, encoded[number][together:])
        ]
        return np.concatenate((codes, np.array(rest, np.int64)))

    def _side_by_side(self, texts: Sequence[bytes]) -> tuple[Codes, list[int]]:
        """Return the features of *texts*, the longest first, and the states in which those of them end that are as long as the first."""
        lengths = np.array([len(text) for text in texts])
        within = np.arange(lengths[0]) < lengths[:, None]
        letters = np.zeros(within.shape, np.uint8)
        letters[within] = np.frombuffer(b"".join(texts), np.uint8)
        states = np.zeros(within.shape[::-1], np.uint32)
        state = states[0]
        for step, (count, said) in enumerate(zip(within.sum(axis=0).tolist(), np.ascontiguousarray(letters.T), strict=True)):
            state = self.next_states.take(self.first_of_row.take(state[:count]) + said[:count])
            states[step, :count] = state
        features = self.features.take(states.T)
        place, step_of = np.nonzero(within & (features >= 0))
        return (place << _BITS) | features[place, step_of], state.tolist()

    def _one_by_one(self, state: int, letters: bytes) -> list[int]:
        next_states, first_of_row, features = self.walked
        met = []
        for letter in letters:
            state = next_states[first_of_row[state] + letter]
            if features[state] >= 0:
                met.append(features[state])
        return met


@functools.cache
def _model() -> _Model:
    learnt = cast("Any", LanguageIdentifier).from_model_file(MODEL_FILE, norm_probs=True)
    names = [str(name) for name in learnt.nb_classes]
    rows = [row << 8 for row in learnt.tk_row]
    return _Model(
        next_states=np.asarray(learnt.tk_nextmove, np.uint32),
        first_of_row=np.asarray(rows, np.uint32),
        features=np.asarray(learnt.tk_output, np.int32),
        walked=(learnt.tk_nextmove, rows, learnt.tk_output),
        weights=learnt.nb_ptc.astype(np.float32),
        priors=learnt.nb_pc.astype(np.float32),
        classes=names,
        again=[(names.index(name), place) for place, name in enumerate(names) if names.index(name) != place],
    )
