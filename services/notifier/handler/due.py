"""What falls due by time: deferred rows go through the outbox again."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.clock import Clock
from services.common.codec import Codec
from services.common.events import Alert
from services.common.records import Output
from services.common.values import altered
from services.notifier.domain.ledger import taken_up
from services.notifier.domain.row import Row
from services.notifier.handler.post import LEASE
from services.notifier.ports import LedgerStore


class DueRows:
    """The notifier's tick."""

    def __init__(self, ledger: LedgerStore, codec: Codec, clock: Clock, limit: int) -> None:
        self._ledger = ledger
        self._codec = codec
        self._clock = clock
        self._limit = limit

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Look again at what another worker, or this one before it died, took up and may not have published, and at what was rebuilt."""
        now = self._clock.now()
        await self._ledger.expire(partitions, now + LEASE, now)

    async def revoked(self) -> None:
        """Nothing is held in memory."""

    async def due(self, partitions: frozenset[int]) -> Sequence[Output]:
        """Return the next attempt of rows that are due: of each lane as many as its share of what may be on its way at once.

        So the outbox never fills with one release's alerts, and none waits for another's.

        Each is written down as on its way first; if the outputs are lost with the process, it is due again once its partition is
        assigned again, with the same attempt number. Should both arrive, the second finds the row no longer pending.
        """
        now = self._clock.now()
        rows: list[Row] = []
        lanes = await self._ledger.lanes(partitions, now)
        for lane in lanes:
            share = max(1, self._limit // len(lanes))
            room = share - await self._ledger.under_way(partitions, lane, now, now + LEASE, share)
            rows += await self._ledger.due(partitions, now, lane, room) if room > 0 else ()
        changes = [(row, taken_up(row, now + LEASE)) for row in rows]
        await self._ledger.take_up(changes)
        return [self._codec.output(_attempted(row)) for _, row in changes]


def _attempted(row: Row) -> Alert:
    return row.alert if row.alert.attempt == row.attempt else altered(row.alert, attempt=row.attempt)
