"""Which language a text is in. The same answer for the same text, on any worker."""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from py3langid.langid import MODEL_FILE, LanguageIdentifier, visit_counts

_FEWEST_LETTERS = 12
_HAS_LETTERS = re.compile(rf"(?:[\W\d_]*+[^\W\d_]){{{_FEWEST_LETTERS}}}")
_ENOUGH = 400
"""Characters that are looked at."""
_SURE = 0.5


def detect_language(text: str) -> str | None:
    """Return the language of *text* (ISO 639-1); None where it is too short, or too mixed, to be sure of one."""
    sample = text[:_ENOUGH]
    if _HAS_LETTERS.match(sample) is None:
        return None
    language, probability = _model().classify(sample)
    return language if probability >= _SURE else None


@dataclass(frozen=True, slots=True)
class _Model:
    """What py3langid has learnt, and its verdicts in less time: its table of half precision is converted once."""

    next_states: Sequence[int]
    first_of_row: Sequence[int]
    features: Sequence[int]
    weights: NDArray[np.float32]
    """A row for each feature, a column for each class."""
    priors: NDArray[np.float32]
    classes: Sequence[str]
    again: Sequence[tuple[int, int]]
    """Classes that are one language: the first one, and another."""

    def classify(self, text: str) -> tuple[str, float]:
        """Return the likeliest language and its probability, as ``LanguageIdentifier.classify`` does."""
        encoded = unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8", "surrogatepass")
        visits = visit_counts(self.next_states, self.first_of_row, self.features, encoded)
        if not visits:
            return self.classes[0], 0.0
        counts = np.fromiter(visits.values(), np.float32, len(visits))
        scores = np.log1p(counts, out=counts) @ self.weights.take(list(visits), axis=0)
        scores += self.priors
        scores *= 1.0 / math.sqrt(len(encoded))
        scores -= scores[scores.argmax()]
        np.exp(scores, out=scores)
        total = scores.sum()
        for first, other in self.again:
            scores[first] += scores[other]
            scores[other] = 0.0
        best = int(scores.argmax())
        return self.classes[best], float(scores[best] / total)


@functools.cache
def _model() -> _Model:
    learnt = cast("Any", LanguageIdentifier).from_model_file(MODEL_FILE, norm_probs=True)
    names = [str(name) for name in learnt.nb_classes]
    return _Model(
        next_states=learnt.tk_nextmove,
        first_of_row=[row << 8 for row in learnt.tk_row],
        features=learnt.tk_output,
        weights=learnt.nb_ptc.astype(np.float32),
        priors=learnt.nb_pc.astype(np.float32),
        classes=names,
        again=[(names.index(name), place) for place, name in enumerate(names) if names.index(name) != place],
    )
