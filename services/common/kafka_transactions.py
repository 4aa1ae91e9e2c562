"""Outputs and offsets in one transaction, for readers that read only what is committed.

aiokafka's ``TxnOffsetCommit`` names no member and no generation of the group (version 0 of that request), so the broker takes it from a
worker that has long been replaced, and a transactional id alone tells no predecessor from a successor. So each owner leaves its
transactional id with the group, as the metadata of a commit, which the group takes from a member of the present generation only. Who
is assigned a partition first fences the ids that it finds there: the broker undoes what they had begun, or lets them end, and takes
nothing more from them. An id lives for one assignment of one process, so that nobody's is fenced who still owns something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from services.common.errors import PermanentError, TransientError, Undone
from services.common.kafka import KafkaSink, all_of, closing, kafka_errors, publish_error
from services.common.kafka_source import KafkaSource
from services.common.logs import get_logger
from services.common.ports import Partition
from services.common.records import Output
from services.common.settings import KafkaSettings

log = get_logger(__name__)


def open_sink(settings: KafkaSettings, group: str, source: KafkaSource, *, max_record_bytes: int) -> KafkaSink:
    """Return the sink that *settings* ask for, for the member of *group* behind *source*."""
    if settings.transactions:
        return TransactionalSink(settings, group, source, max_record_bytes=max_record_bytes)
    return KafkaSink(settings, group, max_record_bytes=max_record_bytes, confirm=source.confirm)


class TransactionalSink(KafkaSink):
    """Publishes and acknowledges in one transaction."""

    def __init__(self, settings: KafkaSettings, client: str, source: KafkaSource, *, max_record_bytes: int) -> None:
        self._source = source
        self._group = client
        self._prefix = f"{client}-"
        self._id = ""
        self._spent = False
        self._open = False
        self._timeout_ms = settings.session_timeout_ms
        """So long a dead worker's transaction holds up readers at most, if nobody takes its partitions over."""
        super().__init__(settings, client, max_record_bytes=max_record_bytes)

    async def stop(self) -> None:
        """Undo what is under way and disconnect."""
        if self._open:
            await closing("transaction", self._producer.abort_transaction())
        await super().stop()

    async def take_over(self, partitions: frozenset[Partition]) -> bool:
        """Fence whoever owned *partitions* before, claim them, and set the source back to what was committed until then."""
        with _passing("take over"):
            if self._spent:
                await self._begin_anew()
            found = {standing.claim for standing in (await self._source.standing(partitions)).values()}
            before = sorted(claim for claim in found if claim.startswith(self._prefix) and claim != self._id)
            for claim in before:
                await self._fence(claim)
            # Only now nobody else moves them any more.
            positions = {place: standing.position for place, standing in (await self._source.standing(partitions)).items()}
            self._spent = True
            await self._source.claim(positions, self._id)
        log.info("took_over", partitions=len(positions), fenced=len(before))
        return True

    async def publish(self, outputs: Sequence[Output], positions: Mapping[Partition, int] | None = None) -> None:
        """Publish *outputs* and acknowledge all before *positions*: both or neither, for who reads what is committed."""
        by_place = await self._placed(outputs)
        self._open = True  # until it has ended well: ``stop`` undoes it, or the next ``take_over`` does
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                await self._producer.begin_transaction()
                await all_of([*(self._send(place, part) for place, part in by_place.items()), self._acknowledge(positions or {})])
                await self._producer.commit_transaction()
        except (KafkaError, TimeoutError, AssertionError) as error:  # AssertionError: aiokafka's producer is beyond repair
            if isinstance(error, KafkaError) and isinstance(trouble := publish_error(error), PermanentError):
                raise trouble from error
            raise Undone(f"Kafka: transaction: {type(error).__name__}") from error
        self._open = False
        self._source.note_acknowledged(positions or {})

    async def _acknowledge(self, positions: Mapping[Partition, int]) -> None:
        if positions:
            offsets = {TopicPartition(*place): (offset, self._id) for place, offset in positions.items()}
            await self._producer.send_offsets_to_transaction(offsets, self._group)

    async def _fence(self, claim: str) -> None:
        """Return when nothing comes of *claim* any more: what it had begun has ended, one way or the other."""
        producer = self._producer_of(claim)
        try:
            await self._connect(producer)
        finally:
            await closing("fence", producer.stop())

    def _new_producer(self) -> Any:
        self._id = f"{self._prefix}{uuid4().hex}"
        self._spent = self._open = False
        return self._producer_of(self._id)

    def _producer_of(self, claim: str) -> Any:
        return AIOKafkaProducer(**self._options, transactional_id=claim, transaction_timeout_ms=self._timeout_ms)


@contextmanager
def _passing(what: str) -> Iterator[None]:
    """Take whatever aiokafka reports for something that passes, except what ``kafka_errors`` knows better: coordinators come and go."""
    try:
        with kafka_errors(what):
            yield
    except KafkaError as error:
        raise TransientError(f"Kafka: {what}: {type(error).__name__}") from error
