"""A batch's new texts, encoded some at a time in a thread of their own while those before them are decided."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from types import TracebackType

from services.dedup.domain.board import Board
from services.dedup.domain.decide import Vector
from services.dedup.ports import Encoder, Vectors

_TOGETHER = 32
"""Texts of one piece of work: so many are looked for together, and so many are encoded before the first decision."""


class Ahead:
    """A context manager: beyond its end nothing is encoded any more."""

    def __init__(self, encoder: Encoder, thread: Executor, expected: Sequence[tuple[Board, str]]) -> None:
        """*thread*, of one worker, encodes; *expected* are the texts that are likely to be needed, in this order, and whose they are."""
        self._encoder = encoder
        self._thread = thread
        self._boards: dict[str, dict[str, Board]] = {}
        for board, text in expected:
            self._boards.setdefault(text, {})[board.key] = board
        texts = list(self._boards)
        self._parts = [texts[start : start + _TOGETHER] for start in range(0, len(texts), _TOGETHER)]
        self._part_of = {text: number for number, part in enumerate(self._parts) for text in part}
        self._working: list[Future[Vectors]] = []
        self._vectors: dict[str, Vector] = {}
        self._taken = 0

    def __enter__(self) -> Ahead:
        self._working = [self._thread.submit(self._encoder.encode, part) for part in self._parts]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for work in self._working:
            work.cancel()

    def vector_of(self, text: str) -> Vector:
        """Return the vector of *text*; waits until it is there."""
        part = self._part_of.get(text)
        if part is None:
            vector: Vector = self._thread.submit(self._encoder.encode, [text]).result()[0]
            return vector
        while self._taken <= part:
            self._take(self._parts[self._taken], self._working[self._taken].result())
            self._taken += 1
        return self._vectors[text]

    def _take(self, texts: Sequence[str], vectors: Vectors) -> None:
        self._vectors.update(zip(texts, vectors, strict=True))
        boards = {key: board for text in texts for key, board in self._boards[text].items()}
        for key, board in boards.items():
            board.index.expect([self._vectors[text] for text in texts if key in self._boards[text]])
