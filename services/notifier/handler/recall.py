"""A store that is new gets back what the old one knew: decisions, what was said of each alert, persons; in this order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from services.common.codec import Codec
from services.common.errors import Fenced, MalformedRecord, TransientError
from services.common.events import Decision, NotificationOutcome, PersonEvent, PersonSegments
from services.common.ids import board_key
from services.common.logs import get_logger
from services.common.ports import Birth
from services.common.records import Received, Record
from services.notifier.domain.entry import Entry, entry_of
from services.notifier.domain.ledger import recalled
from services.notifier.domain.row import Row
from services.notifier.handler.boards import BoardHandler
from services.notifier.handler.people import PeopleHandler
from services.notifier.handler.segments import SegmentsHandler
from services.notifier.ports import Store

log = get_logger(__name__)


class LedgerRecall:
    """Rebuilds the store before anything is read as input, so that nobody is told before all is known that was said.

    The log alone would not do: who shares a family or turned out to be whom is in the decisions and in what is known of people, and an
    alert must not be judged while half of that is read. Rows are made of the decisions first and held; the log says what became of
    them. A board is folded once its decisions have all come: compaction may have left them in another order than their own.
    """

    def __init__(self, store: Store, codec: Codec, statuses: Collection[str], boards: BoardHandler, people: PeopleHandler) -> None:
        self._store = store
        self._statuses = statuses
        self._boards = boards
        self._people = people
        self._segments = SegmentsHandler(store)
        self._decoders: dict[str, Callable[[Record], Any]] = {
            kind.TOPIC: codec.optional_decoder(kind) for kind in (Decision, NotificationOutcome, PersonEvent, PersonSegments)
        }
        self._unfolded: dict[str, tuple[str, str]] = {}

    @property
    def topics(self) -> Sequence[str]:
        """Return the topics in the order in which they are read."""
        return list(self._decoders)

    async def recall(self, topic: str, records: Sequence[Record]) -> None:
        """Take in *records*; what cannot be read is left to those who read it as input.

        Raises:
            TransientError: The store does not answer, or another worker completes it at the same time.
        """
        pairs = self._decoded(topic, records)
        try:
            if topic == Decision.TOPIC:
                await self._collect(pairs)
            elif topic == NotificationOutcome.TOPIC:
                await self.fold()
                await self._restore(pairs)
            elif topic == PersonEvent.TOPIC:
                await self._people.rebuild([event for _, event in pairs])
            else:
                await self._segments.handle([Received(record, event) for record, event in pairs])
        except Fenced as error:
            raise TransientError("the store is being completed by another worker") from error

    async def fold(self) -> None:
        """Make the rows of every board whose decisions have come since the last call.

        Raises:
            TransientError: The store does not answer; to be called again.
        """
        for key, (workspace, board) in list(self._unfolded.items()):
            await self._boards.rebuild(workspace, board)
            del self._unfolded[key]

    def _decoded(self, topic: str, records: Sequence[Record]) -> list[tuple[Record, Any]]:
        found = []
        for record in records:
            try:
                event = self._decoders[topic](record)
            except MalformedRecord as error:
                log.warning("not_recalled", origin=record.origin, reason=error.reason)
                continue
            if event is not None:
                found.append((record, event))
        return found

    async def _collect(self, pairs: Iterable[tuple[Record, Decision]]) -> None:
        by_board: dict[str, list[Entry]] = {}
        for record, decision in pairs:
            key = board_key(decision.workspace, decision.board)
            self._unfolded[key] = (decision.workspace, decision.board)
            by_board.setdefault(key, []).append(entry_of(decision, record.origin, self._statuses))
        if by_board:
            await self._store.collect(by_board)

    async def _restore(self, pairs: Sequence[tuple[Record, NotificationOutcome]]) -> None:
        before = await self._store.rows({outcome.alert_id for _, outcome in pairs})
        after: dict[str, Row] = dict(before)
        for record, outcome in pairs:
            if (row := after.get(outcome.alert_id)) is not None:
                after[row.alert_id] = recalled(row, outcome, record.origin)
        changes = [(before[alert_id], row) for alert_id, row in after.items() if row is not before[alert_id]]
        if changes:
            await self._store.restore(changes)


class CompletedBirth:
    """A store is born once its boards are folded: the last step, for which no record may have come."""

    def __init__(self, birth: Birth, recall: LedgerRecall) -> None:
        self._birth = birth
        self._recall = recall

    async def is_born(self) -> bool:
        """Tell whether the store lacks nothing."""
        return await self._birth.is_born()

    async def mark_born(self) -> None:
        """Fold what is left to fold, then note that the store lacks nothing.

        Raises:
            TransientError: The store does not answer.
        """
        await self._recall.fold()
        await self._birth.mark_born()
