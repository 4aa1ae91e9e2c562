"""What dedup needs of a model and of a store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.common.events import Decision
from services.dedup.domain.entry import Entry

Vectors: TypeAlias = NDArray[np.float32]


class Encoder(Protocol):
    """Turns texts into vectors, each bit for bit a function of its text and the model alone."""

    @property
    def model(self) -> str:
        """Identify the model and its weights: vectors of equal names may be compared."""

    @property
    def dimensions(self) -> int:
        """How many components a vector has."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one L2-normalised row a text, shape ``(len(texts), dimensions)``; blocks, and may be called from any one thread."""


class BoardLog(Protocol):
    """The append-only log of every board: one entry an event, at positions 1, 2, 3, … without a gap."""

    async def adopt_model(self, model: str) -> str:
        """Record *model* as the one whose vectors the log holds, unless one is recorded; return the recorded one.

        Repeating the call changes nothing.
        """

    async def noted(self, fact: str) -> str | None:
        """Return what was noted of the whole store as *fact*."""

    async def note(self, fact: str, value: str | None) -> None:
        """Note *value* as *fact*, or nothing; durable when this returns. Repeating the call changes nothing."""

    async def boards(self) -> Mapping[str, int]:
        """Return the last position of every board."""

    async def load(self, board: str, *, after: int, limit: int) -> Sequence[Entry]:
        """Return the entries of *board* (``workspace/board``) beyond position *after* in order, at most *limit*."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write *entries*, each board's in order; durable when this returns.

        An entry that is there already, byte for byte, counts as written: repeating the call changes nothing. After an error a prefix of
        each board's entries may have been written.

        Raises:
            Fenced: Another worker has written one of these positions, or an entry's predecessor is missing.
            TransientError: The store does not answer.
        """

    async def rewrite(self, entries: Sequence[Entry]) -> None:
        """Put *entries* in place of those at their positions, of which nothing is left; durable when this returns. Safe to repeat."""


class SaidLog(Protocol):
    """What was said of the boards before their log was lost, until the log holds it again. Repeating a call changes nothing."""

    async def remember(self, decisions: Sequence[Decision]) -> None:
        """Keep *decisions*, whatever their order; durable when this returns."""

    async def last(self, board: str) -> Decision | None:
        """Return the decision of *board* (``workspace/board``) with the highest sequence; None where nothing is left."""

    async def places(self, events: Collection[str]) -> Mapping[str, int]:
        """Return the highest sequence that each of *events* established, for those of which something is left."""

    async def load(self, board: str, *, after: int, upto: int) -> Sequence[Decision]:
        """Return what is left of *board* beyond the sequence *after* up to *upto*, ascending."""

    async def forget(self, board: str, *, upto: int) -> None:
        """Let go of what was said of *board* up to the sequence *upto*: the log holds it."""


class Meter(Protocol):
    """Counts for the metrics endpoint."""

    def decided(self, types: Iterable[str]) -> None:
        """Count newly stored decisions by their types."""

    def holding(self, boards: int, texts: int) -> None:
        """Set how many boards, and texts of all of them, are in memory."""
