"""The texts that a board holds: their vectors, whose they are, and their words come and go together."""

from __future__ import annotations

from services.dedup.domain.ideas import Link
from services.dedup.domain.index import Index, Units
from services.dedup.domain.portrait import Vocabulary
from services.dedup.domain.texts import text_key
from services.dedup.domain.wordings import Wordings


class Holding:
    """One row an idea and text, however often it is said there."""

    def __init__(self, dimensions: int) -> None:
        self.index, self.wordings, self.vocabulary = Index(dimensions), Wordings(), Vocabulary()

    def hold(self, slot: int, text: str, feedback_id: str, vector: Units | None, row: int | None = None) -> int:
        """Let *feedback_id* say *text* in the idea *slot*; return its row there, a new one with *vector* if need be.

        *row* is that row, if whoever asks has found it.

        Raises:
            ValueError: There is need, and no vector.
        """
        key = text_key(text)
        if row is None:
            row = next((known for known in self.wordings.rows(key) if self.index.slot_of(known) == slot), None)
        if row is None:
            if vector is None:
                raise ValueError(f"the log lacks the vector of a text that the idea of {feedback_id} does not hold")
            row = self.index.add(slot, vector)
            row = slot if row == slot else row  # one object for two equal numbers, which most ideas of one text have
            self.vocabulary.add(text)
        self.wordings.add(key, row, feedback_id, text)
        return row

    def release(self, link: Link) -> None:
        """Let *link* say nothing any more."""
        text = self.wordings.text(link.row) if link.row >= 0 else None
        if text is not None and not self.wordings.remove(link.row, link.feedback_id):
            self.index.remove(link.row)
            self.vocabulary.remove(text)
