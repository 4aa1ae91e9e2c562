"""The broker through aiokafka: how to reach it, what its errors mean, and how to publish to it."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalGenerationError,
    IllegalStateError,
    IncompatibleBrokerVersion,
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    MessageSizeTooLargeError,
    RebalanceInProgressError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import murmur2

from services.common.deadletter import SPARE_BYTES
from services.common.errors import ConfigurationError, PermanentError, TransientError
from services.common.logs import get_logger
from services.common.ports import Partition
from services.common.records import Output
from services.common.settings import KafkaSettings

log = get_logger(__name__)

EVICTIONS = (CommitFailedError, IllegalGenerationError, UnknownMemberIdError, RebalanceInProgressError, IllegalStateError)
"""The group does not count on this member any more."""
_REFUSALS = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
_PASSING = (KafkaTimeoutError, KafkaUnavailableError, UnknownError)
"""Transient, though aiokafka does not mark them so."""
_TOPIC_SECONDS = 5.0
"""For so long one look for a topic that does not exist (yet) lasts; aiokafka's own limit is the request timeout."""
_CLOSE_SECONDS = 5.0
_BATCH_BYTES = 512 * 1024


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """Return the keyword arguments that every aiokafka client needs to reach the broker."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": settings.request_timeout_ms,
    }
    if settings.security_protocol in ("SSL", "SASL_SSL"):
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
        if settings.ssl_certfile is not None:
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile)
        options["ssl_context"] = context
    if settings.security_protocol.startswith("SASL"):
        password = settings.sasl_password
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": None if password is None else password.get_secret_value(),
        }
    return options


@contextmanager
def kafka_errors(what: str) -> Iterator[None]:
    """Turn an absent or slow broker into ``TransientError`` and a lack of rights into ``ConfigurationError``; the rest passes."""
    try:
        yield
    except _REFUSALS as error:
        raise ConfigurationError(f"Kafka: {what}: {type(error).__name__}; check GROUNDSWELL_KAFKA_* and the broker's ACLs") from error
    except TimeoutError as error:
        raise TransientError(f"Kafka: {what}: not answered in time") from error
    except KafkaError as error:
        if error.retriable or isinstance(error, _PASSING):
            raise TransientError(f"Kafka: {what}: {error}") from error
        raise


@lru_cache(maxsize=65_536)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF  # aiokafka's is written in Python: some 10 µs a key


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of *key* as Kafka's Java client and aiokafka compute it (murmur2), and librdkafka's default does not."""
    return _hash(key) % partitions


async def closing(what: str, close: Coroutine[Any, Any, None]) -> None:
    """Await *close*, but not for long, and whatever comes of it: a broker that is away must not keep a process that is about to end.

    In a task of its own, for aiokafka may end it by a cancellation that nobody asked for.
    """
    task = asyncio.create_task(close)
    await asyncio.wait((task,), timeout=_CLOSE_SECONDS)
    if not task.done():
        task.cancel()
        log.warning("not_closed", what=what, error="timeout")
    elif task.cancelled() or task.exception() is not None:
        log.warning("not_closed", what=what, error="cancelled" if task.cancelled() else type(task.exception()).__name__)


async def withdraw(producer: Any) -> None:
    """Close *producer* without sending what waits in it, which ``stop`` would do first, whenever the broker comes back."""
    producer._closed = True  # noqa: SLF001 - no public way leads past the flush
    sender = producer._sender.sender_task  # noqa: SLF001
    while sender is not None and not sender.done():
        sender.cancel()  # once for the sender, once for the request that it would wait for
        await asyncio.sleep(0)
    await closing("connections", producer.client.close())


async def _ours() -> float:
    """Object to nothing, for an hour."""
    return 3600.0


class KafkaSink:
    """Publishes outputs as one batch a partition, confirmed by all in-sync replicas.

    *confirm* is awaited right before each batch leaves; it raises where this worker may publish no more, and returns for how many seconds
    it surely may otherwise. What the broker has not taken by then is withdrawn, for a successor may be at work.
    """

    def __init__(
        self, settings: KafkaSettings, client: str, *, max_record_bytes: int, confirm: Callable[[], Awaitable[float]] = _ours
    ) -> None:
        self._confirm = confirm
        self._answer_seconds = settings.request_timeout_ms / 1000
        self._wish = "TRANSACTIONS" if settings.transactions else "IDEMPOTENCE" if settings.idempotence else None
        self._options: dict[str, Any] = {
            **connection(settings),
            "client_id": client,
            "acks": "all",
            "enable_idempotence": settings.idempotence,
            "max_request_size": max_record_bytes + SPARE_BYTES,
            "max_batch_size": _BATCH_BYTES,
        }
        self._producer = self._new_producer()
        self._withdrawn = False
        self._counts: dict[str, int] = {}

    async def start(self) -> None:
        """Connect.

        Raises:
            ConfigurationError: The broker lacks what the settings ask for.
            TransientError: It does not answer.
        """
        with kafka_errors("connect"):
            try:
                await self._connect(self._producer)
            except (IncompatibleBrokerVersion, UnknownError) as error:  # the latter is what Tansu answers
                if self._wish is None:
                    raise
                raise ConfigurationError(f"GROUNDSWELL_KAFKA_{self._wish}: this broker does not offer that; set it to false") from error

    async def _connect(self, producer: Any) -> None:
        async with asyncio.timeout(self._answer_seconds):  # aiokafka looks for a coordinator without a limit
            await producer.start()

    async def stop(self) -> None:
        """Disconnect. Whatever was not confirmed by now was not acknowledged either."""
        await closing("producer", self._producer.stop())

    async def take_over(self, partitions: frozenset[Partition]) -> bool:  # noqa: ARG002 - the port's shape
        """Do nothing: ``confirm`` asks the group in time."""
        return False

    async def publish(self, outputs: Sequence[Output], positions: Mapping[Partition, int] | None = None) -> None:  # noqa: ARG002
        """Publish *outputs* in order; return when the broker has confirmed every one. *positions* are not acknowledged by this."""
        if self._withdrawn:
            await self._begin_anew()
        await self._confirm()  # once for all; again, for free, before each batch
        by_place = await self._placed(outputs)
        try:
            await all_of(self._send(place, part) for place, part in by_place.items())
        except KafkaError as error:
            raise publish_error(error) from error
        except TimeoutError as error:
            await self._withdraw()
            raise TransientError("Kafka: publish: not confirmed in time") from error
        except asyncio.CancelledError:
            await self._withdraw()  # dropped: what waits in the client must not leave after somebody else has begun
            raise

    async def _placed(self, outputs: Sequence[Output]) -> Mapping[Partition, list[Output]]:
        by_place: defaultdict[Partition, list[Output]] = defaultdict(list)
        with kafka_errors("publish"):
            for output in outputs:
                count = self._counts.get(output.topic) or await self._count(output.topic)
                by_place[output.topic, partition_of(output.partition_key, count)].append(output)
        return by_place

    def _new_producer(self) -> Any:
        return AIOKafkaProducer(**self._options)

    async def _withdraw(self) -> None:
        self._withdrawn = True
        await withdraw(self._producer)

    async def _begin_anew(self) -> None:
        await withdraw(self._producer)
        self._producer = self._new_producer()
        with kafka_errors("connect"):
            await self._connect(self._producer)
        self._withdrawn = False

    async def partitions(self, topic: str) -> int:
        """Return how many partitions *topic* has.

        Raises:
            TransientError: It does not exist (yet).
        """
        with kafka_errors(f"topic {topic}"):
            return self._counts.get(topic) or await self._count(topic)

    async def check_partitions(self, expected: Mapping[str, int | None]) -> None:
        """Return if every topic exists with its expected partition count; None accepts any.

        Raises:
            TransientError: A topic does not exist (yet).
            ConfigurationError: A topic has another count: keys would move to other partitions and lose their order.
        """
        for topic, count in expected.items():
            found = await self.partitions(topic)
            if count is not None and found != count:
                raise ConfigurationError(
                    f"Kafka: topic {topic} has {found} partitions, configured are {count}; set GROUNDSWELL_TOPIC_PARTITIONS, "
                    "or follow the stop-and-drain procedure of docs/RUNBOOK.md"
                )

    async def _send(self, place: Partition, outputs: Sequence[Output]) -> None:
        topic, partition = place
        unsent = list(outputs)
        position = 0
        while position < len(unsent):
            batch = self._producer.create_batch()
            while position < len(unsent):
                output = unsent[position]
                if batch.append(key=output.key, value=output.value, timestamp=None, headers=list(output.headers)) is None:
                    break
                position += 1
            async with asyncio.timeout(await self._confirm()):  # an idempotent producer's batches never expire by themselves
                await (await self._producer.send_batch(batch, topic, partition=partition))

    async def _count(self, topic: str) -> int:
        try:
            async with asyncio.timeout(_TOPIC_SECONDS):
                partitions = await self._producer.partitions_for(topic)
        except (TimeoutError, UnknownTopicOrPartitionError) as error:
            raise TransientError(f"Kafka: topic {topic} does not exist; create it with: groundswell topics apply") from error
        self._counts[topic] = len(partitions)
        return len(partitions)


async def all_of(sending: Iterable[Awaitable[None]]) -> None:
    """Await all of *sending*, whatever becomes of one, then raise the first failure."""
    for outcome in await asyncio.gather(*sending, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def publish_error(error: KafkaError) -> TransientError | PermanentError:
    """Return what *error* of a publication means."""
    if isinstance(error, MessageSizeTooLargeError | RecordTooLargeError):
        return PermanentError(f"Kafka: {error}")
    return TransientError(f"Kafka: publish: {type(error).__name__}")
