"""A dry run: the service's own handlers decide and render everything, and nothing leaves. The rows of the (throw-away) store say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.common.clock import Clock
from services.common.codec import Codec
from services.common.events import Alert
from services.common.records import Output, Received, Record
from services.notifier.definition import Notifications
from services.notifier.domain.letter import Letter
from services.notifier.domain.row import HELD, Row
from services.notifier.domain.telling import Means, Steps
from services.notifier.handler.due import DueRows
from services.notifier.handler.outbox import Manner, OutboxHandler
from services.notifier.ports import Accepted, Channel, Delivery, Message, Store

REHEARSED = "a dry run: rendered, and nothing left"
_BATCH = 500
_ALL = frozenset({0})


class RehearsedChannel:
    """Writes messages as *channel* does, keeps them, and sends none."""

    def __init__(self, channel: Channel) -> None:
        self.name = channel.name
        self.needs_address = channel.needs_address
        self.messages: list[Message] = []
        self._channel = channel

    def usable(self, address: str) -> bool:
        """Tell whether *address* can be written to at all."""
        return self._channel.usable(address)

    def compose(self, letter: Letter) -> Message:
        """Return *letter* ready to be sent.

        Raises:
            Unrenderable: A template cannot be filled in.
        """
        return self._channel.compose(letter)

    async def send(self, messages: Sequence[Message], deadline: float) -> Sequence[Delivery]:  # noqa: ARG002 - the port's shape
        """Keep *messages*."""
        self.messages.extend(messages)
        return [Accepted(REHEARSED)] * len(messages)

    def outputs(self, message: Message, letter: Letter) -> Sequence[Output]:
        """Return what would be published."""
        return self._channel.outputs(message, letter)


class Rehearsal:
    """Acts on what a ``Forecast`` has put into *store*, as the service would at this moment."""

    def __init__(self, store: Store, codec: Codec, clock: Clock, definition: Notifications, channels: Mapping[str, Channel]) -> None:
        self.channels = {name: RehearsedChannel(channel) for name, channel in channels.items()}
        self._store = store
        self._due = DueRows(store, codec, clock, _BATCH)
        self._decode = codec.decoder(Alert)
        self._outbox = OutboxHandler(
            store=store,
            codec=codec,
            channels=self.channels,
            means=Means(self.channels, definition.manners()),
            clock=clock,
            counter=_Uncounted(),
            manner=Manner(definition.tell_again, Steps(()), batch_seconds=float("inf")),
            partition_of=lambda _: 0,
            partitions=1,
        )

    async def run(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Act on all that is due and return *rows* as they are then: over, or put off with the reason."""
        offset = 0
        await self._due.assigned(_ALL)
        while outputs := await self._due.due(_ALL):
            records = [Record(output.topic, 0, offset + n, 0, output.key, output.value) for n, output in enumerate(outputs)]
            await self._outbox.handle([Received(record, self._decode(record)) for record in records])
            offset += len(records)
        after = await self._store.rows([row.alert_id for row in rows])
        assert all(row.due_at != HELD for row in after.values()), "all that was rebuilt was looked at"
        return [after[row.alert_id] for row in rows]


class _Uncounted:
    def told(self, outcome: str) -> None:
        pass
