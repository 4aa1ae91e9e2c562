"""Which rows of the index say the same text, and whose they are: an exact repeat takes no row of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.dedup.domain.texts import text_key


class Wordings:
    """Rows by text key, feedback by row. A row lives while some feedback says its text.

    Most texts are said once: they have a row, and a row a piece of feedback, without a list or a dictionary around it.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, int | list[int]] = {}
        self._texts: list[str | None] = []
        self._feedback: list[str | dict[str, None]] = []

    def rows(self, key: bytes) -> Sequence[int]:
        """Return the rows that say *key*, one an idea; the one that last took in a piece of feedback is the last."""
        rows = self._rows.get(key)
        if rows is None:
            return ()
        return (rows,) if type(rows) is int else rows  # type: ignore[return-value]

    def key(self, row: int) -> bytes:
        """Return the text key of *row*."""
        return text_key(self.text(row))

    def text(self, row: int) -> str:
        """Return the text of *row*, as it was first said."""
        text = self._texts[row]
        if text is None:
            raise KeyError(row)
        return text

    def feedback(self, row: int) -> Iterable[str]:
        """Return the linked feedback that says the text of *row*, the earliest first."""
        said_by = self._feedback[row]
        return (said_by,) if type(said_by) is str else said_by

    def first_feedback(self, row: int) -> str:
        """Return the earliest linked feedback that says the text of *row*."""
        said_by = self._feedback[row]
        return said_by if type(said_by) is str else next(iter(said_by))

    def add(self, key: bytes, row: int, feedback_id: str, text: str) -> None:
        """Let *feedback_id* say *text*, whose key is *key*, at *row*."""
        if row >= len(self._texts) or self._texts[row] is None:
            self._begin(key, row, feedback_id, text)
            return
        said_by = self._feedback[row]
        if type(said_by) is dict:
            said_by[feedback_id] = None
        else:
            self._feedback[row] = {said_by: None, feedback_id: None}  # type: ignore[dict-item]
        rows = self._rows[key]
        if type(rows) is list and rows[-1] != row:
            rows.remove(row)
            rows.append(row)

    def remove(self, row: int, feedback_id: str) -> bool:
        """Let *feedback_id* say it no longer; tell whether the row lives on."""
        said_by = self._feedback[row]
        if type(said_by) is dict:
            del said_by[feedback_id]
            if said_by:
                return True
        key = self.key(row)
        rows = self._rows[key]
        if type(rows) is list:
            rows.remove(row)
        if type(rows) is int or not rows:
            del self._rows[key]
        self._texts[row], self._feedback[row] = None, ""
        return False

    def _begin(self, key: bytes, row: int, feedback_id: str, text: str) -> None:
        rows = self._rows.get(key)
        if rows is None:
            self._rows[key] = row
        elif type(rows) is list:
            rows.append(row)
        else:
            self._rows[key] = [rows, row]  # type: ignore[list-item]
        if row == len(self._texts):
            self._texts.append(text)
            self._feedback.append(feedback_id)
        else:
            self._texts[row], self._feedback[row] = text, feedback_id
