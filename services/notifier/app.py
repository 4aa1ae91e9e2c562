"""The notifier, wired: its store, its mail server, its handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from services.common.clock import SystemClock
from services.common.codec import Codec
from services.common.events import Alert, Decision, DeliveryReport, PersonEvent, PersonSegments
from services.common.kafka import partition_of
from services.common.mongo import MongoStore
from services.common.ports import Assignment, Route, Tick
from services.common.records import Output
from services.common.settings import Settings, load_settings
from services.common.sqlite import Database
from services.common.store import open_store
from services.common.topics import load_topics
from services.common.unsubscribe import UnsubscribeSettings
from services.common.worker import Wire, Wiring
from services.notifier.adapters.metrics import PrometheusOutcomes
from services.notifier.adapters.mongo import MongoNotifierStore
from services.notifier.adapters.sqlite import SCHEMA, SqliteStore
from services.notifier.adapters.templates import Links, Templates
from services.notifier.adapters.webhook import WEBHOOK
from services.notifier.channels import Channels
from services.notifier.definition import Notifications
from services.notifier.domain.telling import WEBHOOK_STEPS, Means
from services.notifier.handler.boards import BoardHandler
from services.notifier.handler.due import DueRows
from services.notifier.handler.outbox import Manner, OutboxHandler
from services.notifier.handler.people import PeopleHandler
from services.notifier.handler.recall import CompletedBirth, LedgerRecall
from services.notifier.handler.reports import ReportHandler
from services.notifier.handler.segments import SegmentsHandler
from services.notifier.ports import Store
from services.notifier.settings import NotifierSettings, SmtpSettings

NAME = "notifier"


def outbox_partitions(settings: Settings) -> int:
    """Return how many partitions the outbox has."""
    return settings.topic_partitions or load_topics()[Alert.TOPIC].partitions


def outbox_partition(settings: Settings) -> Callable[[str], int]:
    """Return the function that gives a person's outbox partition, as the publisher computes it."""
    count = outbox_partitions(settings)
    return lambda person_id: partition_of(person_id.encode(), count)


def load_templates(settings: NotifierSettings, smtp: SmtpSettings, definition: Notifications) -> Templates:
    """Return the mails' templates, tried.

    Raises:
        ConfigurationError: Names the template's file and line.
    """
    links = load_settings(UnsubscribeSettings)
    return Templates(
        settings.templates_dir,
        definition.statuses,
        product=definition.product,
        sender=smtp.sender,
        unsubscribe=smtp.unsubscribe,
        links=Links(links.url, links.secret.get_secret_value()) if links.url and links.secret else None,
    )


def create_wire(settings: NotifierSettings, smtp: SmtpSettings, definition: Notifications, templates: Templates) -> Wire:
    """Return what opens the notifier's store and connections for as long as its worker runs."""

    @asynccontextmanager
    async def wire(codec: Codec, registry: CollectorRegistry) -> AsyncIterator[Wiring]:
        manner = Manner(definition.tell_again, smtp.schedule(), smtp.batch_seconds, definition.limits(), {WEBHOOK: WEBHOOK_STEPS})
        partition = outbox_partition(settings)
        clock = SystemClock()
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(open_store(settings, NAME, schema=SCHEMA, sqlite=_sqlite, mongo=_mongo))
            await store.port.prepare()
            opening = Channels(stack, codec=codec, clock=clock, templates=templates, smtp=smtp, product=definition.product)
            channels = opening.opened(definition.channels + definition.offered)
            means = Means(channels, definition.manners())
            boards = BoardHandler(store.port, codec, definition.statuses, partition)
            people = PeopleHandler(store.port, definition.late_contact_days, channels.values())
            outbox = OutboxHandler(
                store=store.port,
                codec=codec,
                channels=channels,
                means=means,
                clock=clock,
                counter=PrometheusOutcomes(registry),
                manner=manner,
                partition_of=partition,
                partitions=outbox_partitions(settings),
            )
            due = DueRows(store.port, codec, clock, settings.outbox_due_records)
            ticks = _OneAfterAnother((boards, due))
            recall = LedgerRecall(store.port, codec, definition.statuses, boards, people)
            birth = CompletedBirth(store.birth, recall)
            together = _Together((boards, due, outbox))
            reports = ReportHandler(store.port, codec, means)
            handlers = routes(codec, people=people, segments=SegmentsHandler(store.port), boards=boards, outbox=outbox, reports=reports)
            yield Wiring(handlers, store.marks, assignment=together, tick=ticks, birth=birth, recall=recall)

    return wire


def routes(
    codec: Codec, *, people: PeopleHandler, segments: SegmentsHandler, boards: BoardHandler, outbox: OutboxHandler, reports: ReportHandler
) -> list[Route[Any]]:
    """Return what is done with the records of every topic that the notifier reads: what is known of people first."""
    return [
        Route(PersonEvent.TOPIC, codec.optional_decoder(PersonEvent), people.handle),
        Route(PersonSegments.TOPIC, codec.optional_decoder(PersonSegments), segments.handle),
        Route(Decision.TOPIC, codec.optional_decoder(Decision), boards.handle),
        Route(Alert.TOPIC, codec.decoder(Alert), outbox.handle),
        Route(DeliveryReport.TOPIC, codec.decoder(DeliveryReport), reports.handle),
    ]


class _Together:
    """Tells several of what this worker owns."""

    def __init__(self, parts: Sequence[Assignment]) -> None:
        self._parts = parts

    async def assigned(self, partitions: frozenset[int]) -> None:
        for part in self._parts:
            await part.assigned(partitions)

    async def revoked(self) -> None:
        for part in self._parts:
            await part.revoked()


class _OneAfterAnother:
    """What is due of several."""

    def __init__(self, parts: Sequence[Tick]) -> None:
        self._parts = parts

    async def due(self, partitions: frozenset[int]) -> Sequence[Output]:
        return [output for part in self._parts for output in await part.due(partitions)]


def _sqlite(database: Database) -> Store:
    return SqliteStore(database)


def _mongo(store: MongoStore) -> Store:
    return MongoNotifierStore(store)
