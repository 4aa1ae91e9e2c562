"""Texts of records that are likely to come next, encoded where the encoder would have nothing to do: while a batch is stored and said."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice

from services.common.errors import MalformedRecord
from services.common.events import BoardEvent
from services.common.records import Record
from services.dedup.ports import Encoder

_TOGETHER = 32
"""Texts that are encoded before whoever needs a vector now has his turn."""


class Coming:
    """Fills the encoder's memory; whoever asks it for one of these texts finds the vector there."""

    def __init__(
        self,
        encoder: Encoder,
        thread: Executor,
        decode: Callable[[Record], BoardEvent | None],
        is_new: Callable[[BoardEvent], bool],
    ) -> None:
        """*thread*, of one worker, encodes; it also asks *is_new* which texts would be needed."""
        self._encoder = encoder
        self._thread = thread
        self._decode = decode
        self._is_new = is_new
        self._left: deque[Record] = deque()

    def glance(self, records: Sequence[Record]) -> None:
        """Encode the texts of *records*, and no longer those of the records before; return at once."""
        self._left = deque(records)
        self._thread.submit(self._some, self._left)

    def forget(self) -> None:
        """Encode nothing any more."""
        self._left = deque()

    def _some(self, records: deque[Record]) -> None:
        """Encode some texts, then get in line again. What fails here fails again, and is heard of, when the text is needed."""
        if records is self._left:
            self._encoder.encode(list(islice(self._texts(records), _TOGETHER)))
            if records:
                self._thread.submit(self._some, records)

    def _texts(self, records: deque[Record]) -> Iterator[str]:
        while records:
            try:
                event = self._decode(records.popleft())
            except MalformedRecord:
                continue
            if event is not None and event.text is not None and self._is_new(event):
                yield event.text
