"""What falls due by time: deferred rows go through the outbox again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.common.clock import Clock, Micros
from services.common.codec import Codec
from services.common.records import Output
from services.notifier.domain.ledger import taken_up
from services.notifier.domain.telling import SECOND
from services.notifier.ports import LedgerStore

_LEASE: Micros = 900 * SECOND
"""So long a row that was taken up may be on its way before it counts as lost, even where no worker died."""


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
        await self._ledger.expire(partitions, now + _LEASE, now)

    async def revoked(self) -> None:
        """Nothing is held in memory."""

    async def due(self, partitions: frozenset[int]) -> Sequence[Output]:
        """Return the next attempt of at most *limit* rows that are due.

        Each is written down as on its way first; if the outputs are lost with the process, it is due again once its partition is
        assigned again, with the same attempt number. Should both arrive, the second finds the row no longer pending.
        """
        now = self._clock.now()
        rows = await self._ledger.due(partitions, now, self._limit)
        changes = [(row, taken_up(row, now + _LEASE)) for row in rows]
        await self._ledger.take_up(changes)
        return [self._codec.output(replace(row.alert, attempt=row.attempt)) for _, row in changes]
