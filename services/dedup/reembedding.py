"""Another model's vectors for what a store holds: decisions stay as they were, what comes is compared by the new model.

Board by board the log is folded again, with every text's vector made anew and what was counted on the board counted anew at the same
positions, so that its threshold suits the new model at once. After each piece the store notes how far the job has come: stopped at any
moment, it goes on there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import orjson

from services.dedup.domain.board import Board
from services.dedup.domain.decide import VectorOf
from services.dedup.domain.entry import Entry
from services.dedup.domain.sample import take_census
from services.dedup.ports import BoardLog, Encoder

MODEL, UNDER_WAY = "model", "reembedding"
"""Facts of a store: whose vectors it holds, and how far a job has come that changes that."""
_CHUNK_ENTRIES = 200

Progress = Callable[[str, int, int], None]
"""Is told a board, how many of its entries are done, and how many there are."""


class Reembedding:
    """A job on a store. No worker may write its log meanwhile."""

    def __init__(self, log: BoardLog, encoder: Encoder, progress: Progress) -> None:
        self._log = log
        self._encoder = encoder
        self._progress = progress
        self._made = 0

    async def run(self) -> int:
        """Make all vectors the encoder's; return how many were made now. Goes on where an earlier run was stopped.

        Raises:
            ValueError: A job for another model was stopped before its end.
            TransientError: The store does not answer.
        """
        mark, model = await self._log.noted(UNDER_WAY), self._encoder.model
        if mark is None and await self._log.adopt_model(model) == model:
            return 0
        to, board, position = (model, "", 0) if mark is None else orjson.loads(mark)
        if to != model:
            raise ValueError(f"the store is on its way to {to}: go on with that model first")
        await self._note(board, position)
        for name, last in sorted((await self._log.boards()).items()):
            if name >= board:
                await self._board(name, last, position if name == board else 0)
        await self._log.note(MODEL, model)
        await self._log.note(UNDER_WAY, None)
        return self._made

    async def _note(self, board: str, position: int) -> None:
        await self._log.note(UNDER_WAY, orjson.dumps([self._encoder.model, board, position]).decode())

    async def _board(self, name: str, last: int, done: int) -> None:
        """Take one board through, of whose entries so many are done."""
        workspace, _, short = name.partition("/")
        board = Board(workspace, short, self._encoder.dimensions)
        while board.position < last:
            end = done if board.position < done else last
            entries = await self._log.load(name, after=board.position, limit=min(_CHUNK_ENTRIES, end - board.position))
            if end == done:
                for entry in entries:
                    board.fold(entry)
                continue
            remade = [remake(board, entry, lambda text: self._encoder.encode([text])[0]) for entry in entries]
            await self._log.rewrite([after for after, before in zip(remade, entries, strict=True) if after != before])
            await self._note(name, board.position)
            self._made += sum(entry.vector is not None for entry in entries)
            self._progress(name, board.position, last)


def remake(board: Board, entry: Entry, vector_of: VectorOf) -> Entry:
    """Return *entry*, the next of *board*, with its text's vector and with what there is to count; *board* has taken it in by then."""
    text = next((decision.text for decision in reversed(entry.decisions) if decision.type == "linked" and decision.text), None)
    vector = None if entry.vector is None or text is None else np.ascontiguousarray(vector_of(text), "<f4").tobytes()
    board.fold(replace(entry, vector=vector, census=None))
    if entry.census is None:
        return replace(entry, vector=vector)
    census = take_census(board.index)
    board.calibration.take(census)
    return replace(entry, vector=vector, census=census)
