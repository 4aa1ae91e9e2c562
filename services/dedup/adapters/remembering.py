"""The vectors of the last texts: an exact repeat of one is not encoded again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.dedup.ports import Encoder, Vectors


class RememberingEncoder:
    """Asks another encoder for what it does not know, each text once."""

    def __init__(self, encoder: Encoder, remembered: int) -> None:
        """*remembered* texts are kept, those that were asked for last."""
        self._encoder = encoder
        self._remembered = remembered
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    @property
    def model(self) -> str:
        """Identify the model, its weights and how it was quantised."""
        return self._encoder.model

    @property
    def dimensions(self) -> int:
        """How many components a vector has."""
        return self._encoder.dimensions

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one L2-normalised row a text; see ``services.dedup.ports.Encoder``."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        made = dict(zip(missing, self._encoder.encode(missing), strict=True)) if missing else {}
        rows = np.empty((len(texts), self.dimensions), np.float32)
        for place, text in enumerate(texts):
            vector = made.get(text)
            if vector is None:
                vector = self._known[text]
                self._known.move_to_end(text)
            rows[place] = vector
        for text, vector in made.items():
            self._known[text] = vector.copy()  # of its own: a row would keep all that were made with it
        while len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return rows
