"""The notifier's handlers on a SQLite store of their own, fed by hand: people who asked for one idea, and its release."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path

from services.common.clock import SystemClock
from services.common.codec import Codec
from services.common.events import Alert, Decision, PersonEvent
from services.common.ids import decision_id
from services.common.outcome import Emit
from services.common.paths import EXAMPLES
from services.common.records import Output, Received, Record
from services.common.registry import open_schemas
from services.common.sqlite import Database
from services.notifier.adapters.email import EmailChannel
from services.notifier.adapters.in_app import InAppChannel
from services.notifier.adapters.posting import Poster
from services.notifier.adapters.smtp import SmtpMailer
from services.notifier.adapters.sqlite import SCHEMA, SqliteStore
from services.notifier.adapters.templates import Templates
from services.notifier.adapters.webhook import WebhookChannel
from services.notifier.domain.letter import Letter, letter_id
from services.notifier.domain.manners import Manners
from services.notifier.domain.telling import Means, Schedule
from services.notifier.handler.boards import BoardHandler
from services.notifier.handler.due import DueRows
from services.notifier.handler.outbox import Manner, OutboxHandler
from services.notifier.handler.people import PeopleHandler
from services.notifier.ports import Channel, Message
from services.notifier.settings import SmtpSettings, WebhookSettings

_BATCH = 500
_WORDS = "It would help us a lot, please do it soon: we do this by hand today, for each of our customers."
_IDEA = "bench:idea:aaaaaaaaaaaaaaaaaaaaaaaa"


class _Silent:
    def told(self, outcome: str) -> None:
        pass


class Rig:
    """One board, one idea, one channel."""

    def __init__(self, store: SqliteStore, codec: Codec, channel: Channel, port: int) -> None:
        self._store = store
        self._codec = codec
        self._channel = channel
        self._port = port
        self._clock = SystemClock()
        channels = {channel.name: channel}
        self._boards = BoardHandler(store, codec, ["shipped"], lambda _: 0)
        self._people = PeopleHandler(store, 30, channels.values())
        self._outbox = OutboxHandler(
            store=store,
            codec=codec,
            channels=channels,
            means=Means(channels, Manners(channels=(channel.name,))),
            clock=self._clock,
            counter=_Silent(),
            manner=Manner(False, Schedule(30, 3600, 60, 48), batch_seconds=600),
            partition_of=lambda _: 0,
            partitions=1,
        )
        self._due = DueRows(store, codec, self._clock, 1_000)
        self._decode = codec.decoder(Alert)
        self._waiting: list[Output] = []
        self._offset = self._sequence = self._told = self._written = 0

    async def asked(self, people: int) -> None:
        """Let so many people ask for the idea, each with an address."""
        await self._decided([self._decision(type="opened", idea_id=_IDEA, title="Dark mode for the editor")])
        for start in range(0, people, _BATCH):
            numbers = range(start, min(start + _BATCH, people))
            if self._channel.needs_address:
                await self._people.handle([Received(self._record("people.events"), self._contact(number)) for number in numbers])
            await self._decided(
                [
                    self._decision(
                        type="linked", idea_id=_IDEA, feedback_id=f"bench:feedback:{number:024d}", person_id=_person(number), text=_WORDS
                    )
                    for number in numbers
                ]
            )

    async def ship(self) -> None:
        """Ship the idea, and go on until everyone has a row."""
        await self._decided(
            [self._decision(type="status_changed", idea_id=_IDEA, status="shipped", release_id="r1", release_name="Winter")]
        )
        while await self._store.joins():  # piece by piece, as between a worker's batches
            await self._boards.due(frozenset({0}))

    async def tell(self, count: int) -> None:
        """Go on until *count* more alerts were acted on."""
        until = self._told + count
        while self._told < until:
            if not self._waiting:
                self._waiting = list(await self._due.due(frozenset({0})))
                assert self._waiting, "nothing is due"
            batch, self._waiting = self._waiting[: min(_BATCH, until - self._told)], self._waiting[min(_BATCH, until - self._told) :]
            records = [self._record(output.topic, output) for output in batch]
            await self._outbox.handle([Received(record, self._decode(record)) for record in records])
            self._told += len(batch)

    async def told(self) -> int:
        """Return how many of the rows are sent."""
        query = "SELECT count(*) FROM ledger WHERE state = 'sent'"
        return int((await self._store._read(query, ()))[0][0])  # noqa: SLF001 - the bench looks where no port leads

    def messages(self, count: int) -> Sequence[Message]:
        """Return so many messages like those that are sent."""
        return [
            self._channel.compose(Letter(letter_id((alert,)), self._address(number), (alert,), self._clock.now()))
            for number, alert in enumerate(self._alert(number) for number in range(count))
        ]

    async def _decided(self, decisions: Sequence[Decision]) -> None:
        for outcome in await self._boards.handle([Received(self._record("board.decisions"), decision) for decision in decisions]):
            if isinstance(outcome, Emit):
                self._waiting.extend(output for output in outcome.outputs if output.topic == Alert.TOPIC)

    def _decision(self, **fields: object) -> Decision:
        self._sequence += 1
        now = self._clock.now()
        return Decision(
            decision_id=decision_id("bench", "hot", self._sequence), workspace="bench", board="hot", sequence=self._sequence,
            event_id="e", occurred_at=now, ingested_at=now, **fields,  # type: ignore[arg-type]
        )  # fmt: skip

    def _contact(self, number: int) -> PersonEvent:
        now = self._clock.now()
        return PersonEvent(
            event_id=f"bench:event:{number}", type="contact", workspace="bench", person_id=_person(number), source="crm", occurred_at=now,
            ingested_at=now, origin="people.raw/0/0", channel=self._channel.name, address=self._address(number),
        )  # fmt: skip

    def _address(self, number: int) -> str:
        return f"http://127.0.0.1:{self._port}/{number}" if self._channel.name == "webhook" else f"person{number}@example.com"

    def _alert(self, number: int) -> Alert:
        return Alert(
            alert_id=f"bench:alert:{'abcdefghijklmnopqrstuvwx'}", workspace="bench", board="hot", person_id=_person(number), idea_id=_IDEA,
            root_id=_IDEA, feedback_id="bench:feedback:f", status="shipped", title="Dark mode for the editor", quote=_WORDS, attempt=1,
            created_at=self._clock.now(), release_id="r1", release_name="Winter",
        )  # fmt: skip

    def _record(self, topic: str, output: Output | None = None) -> Record:
        self._offset += 1
        return Record(topic, 0, self._offset, 0, output.key if output else b"", output.value if output else b"")


def _person(number: int) -> str:
    return f"bench:person:{number:024d}"


@asynccontextmanager
async def running(kind: str, port: int) -> AsyncIterator[Rig]:
    """Run a rig whose one channel sends to *port*."""
    codec = Codec(open_schemas(None))
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "notifier.db", SCHEMA)
        await database.open()
        store = SqliteStore(database)
        await store.prepare()
        async with AsyncExitStack() as stack:
            yield Rig(store, codec, _channel(kind, port, codec, stack), port)
        await database.close()


def _channel(kind: str, port: int, codec: Codec, stack: AsyncExitStack) -> Channel:
    if kind == "smtp":
        smtp = SmtpSettings(port=port)
        mailer = SmtpMailer(smtp, "notifications@groundswell.example")
        stack.push_async_callback(mailer.close)
        templates = Templates(EXAMPLES / "templates", ["shipped"], product="Lumora", sender=smtp.sender, unsubscribe=None)
        return EmailChannel(templates, mailer)
    if kind == "webhook":
        settings = WebhookSettings(allow_http=True, allow_networks=[IPv4Network("127.0.0.0/8")])
        channel = WebhookChannel(Poster(settings.reach(), SystemClock()), ["0123456789abcdef0123456789abcdef"], SystemClock(), plain=True)
        stack.push_async_callback(channel.close)
        return channel
    return InAppChannel(codec)
