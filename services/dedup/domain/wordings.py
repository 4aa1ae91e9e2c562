"""Which rows of the index say the same text, and whose they are: an exact repeat takes no row of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Wordings:
    """Rows by text key, feedback by row. A row lives while some feedback says its text."""

    def __init__(self) -> None:
        self._rows: dict[bytes, list[int]] = {}
        self._keys: dict[int, bytes] = {}
        self._feedback: dict[int, dict[str, None]] = {}
        self._texts: dict[int, str] = {}

    def rows(self, key: bytes) -> Sequence[int]:
        """Return the rows that say *key*, one an idea; the one that last took in a piece of feedback is the last."""
        return self._rows.get(key, ())

    def key(self, row: int) -> bytes:
        """Return the text key of *row*."""
        return self._keys[row]

    def text(self, row: int) -> str:
        """Return the text of *row*, as it was first said."""
        return self._texts[row]

    def feedback(self, row: int) -> Iterable[str]:
        """Return the linked feedback that says the text of *row*, the earliest first."""
        return self._feedback[row]

    def first_feedback(self, row: int) -> str:
        """Return the earliest linked feedback that says the text of *row*."""
        return next(iter(self._feedback[row]))

    def add(self, key: bytes, row: int, feedback_id: str, text: str) -> None:
        """Let *feedback_id* say *text*, whose key is *key*, at *row*."""
        said_by = self._feedback.get(row)
        if said_by is None:
            self._rows.setdefault(key, []).append(row)
            self._keys[row], self._texts[row], self._feedback[row] = key, text, {feedback_id: None}
            return
        said_by[feedback_id] = None
        rows = self._rows[key]
        if rows[-1] != row:
            rows.remove(row)
            rows.append(row)

    def remove(self, row: int, feedback_id: str) -> bool:
        """Let *feedback_id* say it no longer; tell whether the row lives on."""
        feedback = self._feedback[row]
        del feedback[feedback_id]
        if feedback:
            return True
        rows = self._rows[self._keys[row]]
        rows.remove(row)
        if not rows:
            del self._rows[self._keys[row]]
        del self._keys[row], self._feedback[row], self._texts[row]
        return False
