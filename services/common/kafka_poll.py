"""What has been taken out of the client and not been asked for yet: one batch at most, and none from before a revocation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias

from services.common.kafka import kafka_errors
from services.common.ports import Glance
from services.common.records import Record

_FETCH_WAIT_MS = 500
_POLL_SECONDS = 1.0
"""Above the fetch's own wait, so that it shows only while the group rebalances."""
_HURRY_SECONDS = 0.02
"""What lies in the client already is handed out by then; what is on its way comes with the next fetch."""

_Polled: TypeAlias = tuple[int, Sequence[Record]]
"""How often what is polled had been voided when these records were taken."""


class Poll:
    """The next records of a consumer of aiokafka."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._polling: asyncio.Task[_Polled] | None = None
        self._voided = 0

    def begin(self, max_records: int, tell: Glance | None = None) -> None:
        """Begin to take the next records, unless that is under way; *tell* is told of them as soon as they are there."""
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll(max_records, tell))

    async def end(self, *, hurry: bool) -> Sequence[Record]:
        """Return what was begun to be taken; empty where nothing came soon, or where it is void."""
        if self._polling is None:
            return ()
        # aiokafka waits without a limit while the group rebalances, and miscounts its idle time when it is cancelled.
        await asyncio.wait((self._polling,), timeout=_HURRY_SECONDS if hurry else _POLL_SECONDS)
        if not self._polling.done():
            return ()
        polled, self._polling = self._polling, None
        with kafka_errors("fetch"):
            voided, records = polled.result()
        return records if voided == self._voided else ()

    def void(self) -> None:
        """Let what was taken until now be gone: it comes again from where the consumer is set to, to whoever owns its partition."""
        self._voided += 1

    def cancel(self) -> None:
        """Take nothing any more."""
        if self._polling is not None:
            self._polling.cancel()

    async def _poll(self, max_records: int, tell: Glance | None) -> _Polled:
        fetched = await self._consumer.getmany(timeout_ms=_FETCH_WAIT_MS, max_records=max_records)
        records = [
            Record(place.topic, place.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
            for place, records in fetched.items()
            for r in records
        ]
        if tell is not None and records:
            tell(records)
        return self._voided, records
