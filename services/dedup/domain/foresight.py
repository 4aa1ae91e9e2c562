"""Dot products of texts with all of a board's rows: from rows that were packed beforehand, and for all texts of a batch together.

Dot products of bytes are whole numbers, the same however they are computed, so that nothing depends on what was packed or foreseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numkong
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.int8]
Singles = NDArray[np.float32]
_TOGETHER = 64
"""More texts at once gain nothing."""
_MOST_NUMBERS = 1 << 22
"""Dot products that are kept at a time."""
_FEWEST_ROWS, _FEWEST_TEXTS = 512, 4
_BLOCK = 2048
"""Rows that are packed together: one text costs half of what it does where rows are not, many cost a quarter."""
_MOST_PACKED = 1 << 16
"""Rows of a board of which copies are kept packed; larger ones are not looked through row by row."""
_MOST_STALE = 32
"""Rows that may have changed since they were packed."""


class Foresight:
    """Dot products of rows with texts, those that are to come among them."""

    def __init__(self) -> None:
        self._packed: list[Any] = []
        """Of the blocks that are full."""
        self._stale: dict[int, None] = {}
        """Rows that have changed since they were packed."""
        self._coming: list[bytes] = []
        self._places: dict[bytes, int] = {}
        """Of texts that are to come, in ``_coming``."""
        self._known: dict[bytes, Singles] = {}
        self._changed: dict[int, None] = {}
        """Rows that have changed since that was known."""

    def expect(self, texts: Sequence[Bytes]) -> None:
        """Expect *texts*, in this order, and nothing that was expected before."""
        self._coming = [text.tobytes() for text in texts]
        self._places = {text: place for place, text in enumerate(self._coming)} if len(texts) >= _FEWEST_TEXTS else {}
        self._known.clear()

    def changed(self, row: int) -> None:
        """Take note that *row* holds another vector now."""
        if self._known:
            self._changed[row] = None
        if row < len(self._packed) * _BLOCK:
            self._stale[row] = None

    def let_go(self) -> None:
        """Keep nothing packed: the board is not looked through row by row any more."""
        self._packed.clear()
        self._stale.clear()

    def dots(self, text: Bytes, rows: Bytes) -> Singles:
        """Return the dot products of *text* with *rows*, all that there are."""
        name = text.tobytes() if self._places else b""
        if name not in self._known:
            place = self._places.get(name)
            if place is None or len(rows) < _FEWEST_ROWS:
                return self._all(text[None], rows).reshape(-1)
            self._look_ahead(place, rows)
        early = self._known[name]
        found = np.empty(len(rows), np.float32)
        found[: len(early)] = early
        if len(rows) > len(early):
            found[len(early) :] = one_by_one(text, rows[len(early) :])
        _mend(found[None], text[None], rows, (row for row in self._changed if row < len(early)))
        return found

    def _look_ahead(self, place: int, rows: Bytes) -> None:
        names = self._coming[place : place + max(min(_TOGETHER, _MOST_NUMBERS // len(rows)), 1)]
        texts = np.frombuffer(b"".join(names), np.int8).reshape(len(names), -1)
        self._known = dict(zip(names, self._all(texts, rows), strict=True))
        self._changed.clear()

    def _all(self, texts: Bytes, rows: Bytes) -> Singles:
        """Return the dot products of *texts*, a row each, with *rows*."""
        if len(rows) <= _MOST_PACKED:
            self._pack(rows)
        found, start = np.empty((len(texts), len(rows)), np.float32), 0
        for packed in self._packed:
            found[:, start : start + _BLOCK] = np.asarray(numkong.dots_packed(texts, packed))
            start += _BLOCK
        if start < len(rows):
            found[:, start:] = _dots(texts, rows[start:])
        _mend(found, texts, rows, self._stale)
        return found

    def _pack(self, rows: Bytes) -> None:
        if len(self._stale) > _MOST_STALE:
            for block in {row // _BLOCK for row in self._stale}:
                self._packed[block] = _pack(rows, block)
            self._stale.clear()
        for block in range(len(self._packed), len(rows) // _BLOCK):
            self._packed.append(_pack(rows, block))


def _pack(rows: Bytes, block: int) -> Any:
    return numkong.dots_pack(rows[block * _BLOCK : (block + 1) * _BLOCK], "int8")


def _dots(texts: Bytes, rows: Bytes) -> Singles:
    if len(texts) < _FEWEST_TEXTS:
        return np.asarray(numkong.cdist(texts, rows, "dot", out_dtype="float32"))
    return np.asarray(numkong.dots_packed(texts, numkong.dots_pack(rows, "int8")))


def _mend(found: Singles, texts: Bytes, rows: Bytes, changed: Iterable[int]) -> None:
    """Put in what is *found* of *rows* that have *changed*."""
    rows_anew = list(changed)
    if rows_anew:
        anew = np.array(rows_anew, np.int64)
        found[:, anew] = np.asarray(numkong.cdist(texts, rows.take(anew, 0), "dot", out_dtype="float32"))


def one_by_one(text: Bytes, rows: Bytes) -> Singles:
    """Return the dot products of *text* with *rows*: whole numbers below 2²³, which single precision holds."""
    dots: Singles = np.asarray(numkong.cdist(text[None], rows, "dot", out_dtype="float32"))[0]
    return dots
