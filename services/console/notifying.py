"""What the notifier would do about an idea, foreseen by its own code on what the topics say."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from pathlib import Path

from services.common.clock import Micros, SystemClock
from services.common.codec import Codec
from services.common.events import Decision
from services.common.records import Record
from services.common.settings import load_settings
from services.common.sqlite import Database
from services.console.board import decoded, find
from services.console.failures import CommandFailed, ExitCode
from services.notifier.adapters.sqlite import SCHEMA, SqliteStore
from services.notifier.app import load_templates
from services.notifier.channels import Channels
from services.notifier.definition import Notifications, load_notifications
from services.notifier.domain.letter import Letter, letter_id, letter_of
from services.notifier.domain.person import EMAIL
from services.notifier.domain.row import Row
from services.notifier.domain.telling import Send
from services.notifier.offline import Forecast, Foreseen, Release
from services.notifier.ports import Accepted, Channel, Delivery
from services.notifier.rehearsal import Rehearsal, RehearsedChannel
from services.notifier.settings import NotifierSettings, SmtpSettings

_SEND_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Preview:
    """Everybody who asked for an idea, and what would become of each."""

    idea_id: str
    foreseen: Sequence[Foreseen]
    channels: Mapping[str, Channel]
    now: Micros
    rehearsal: Rehearsal

    async def rehearsed(self, folder: Path | None) -> Sequence[Row]:
        """Decide and render everything as the service would now; return the rows as it would leave them.

        Args:
            folder: Where the messages are written, one file each; nowhere by default.

        Raises:
            CommandFailed: *folder* cannot be written to.
        """
        rows = await self.rehearsal.run([one.row for one in self.foreseen])
        if folder is not None:
            try:
                _write_messages(self.rehearsal.channels, folder)
            except OSError as error:
                raise CommandFailed(f"{folder} cannot be written to: {error.strerror}", ExitCode.USAGE) from error
        return rows

    def of(self, person: str) -> Foreseen:
        """Return the row of *person*: an id, or how its last part begins.

        Raises:
            CommandFailed: Nobody of that name asked for it.
        """
        wanted = find({one.row.alert.person_id for one in self.foreseen}, person, "person who asked for it")
        of_person = [one for one in self.foreseen if one.row.alert.person_id == wanted]
        return next((one for one in of_person if isinstance(one.step, Send)), of_person[0])

    def letter(self, one: Foreseen, address: str | None = None) -> tuple[Channel, Letter]:
        """Return what *one* would be sent and by what; to *address*, by mail, where it is given, whatever else holds.

        Raises:
            CommandFailed: They would not be sent anything, or mails are not set up.
        """
        alerts = (one.row.alert,)
        road = one.step if isinstance(one.step, Send) else None
        name = EMAIL if address is not None or road is None else road.channel
        if road is None and address is None:
            raise CommandFailed(f"they are sent nothing: {one.outcome}, {one.reason}", ExitCode.FAILED)
        if name not in self.channels:
            raise CommandFailed("email is not among the channels of notifications.yaml", ExitCode.CONFIGURATION)
        to = address or (road.address if road is not None else "")
        audience = one.human.audience
        return self.channels[name], Letter(letter_id(alerts), to, alerts, self.now, audience.language, audience.segments)

    async def send_to(self, one: Foreseen, address: str) -> Delivery:
        """Send *address* what *one* would get; nothing of it is remembered, and its Message-ID is another one.

        Raises:
            CommandFailed: Mails are not set up, or *address* cannot be written to.
        """
        channel, letter = self.letter(one, address)
        if not channel.usable(address):
            raise CommandFailed("--test-to: that is no address that can be written to", ExitCode.USAGE)
        message = channel.compose(replace(letter, id=letter_id((replace(one.row.alert, alert_id=f"test:{self.now}"),))))
        [delivery] = await channel.send([message], time.monotonic() + _SEND_SECONDS)
        return delivery


@asynccontextmanager
async def previewed(
    codec: Codec, records: Mapping[str, Sequence[Record]], workspace: str, idea: str, release: Release
) -> AsyncIterator[Preview]:
    """Foresee what *release* of *idea* (an id, or how its last part begins) would bring about.

    Raises:
        CommandFailed: No such idea, or several.
        ConfigurationError: What the notifier needs is not set up here.
    """
    settings, smtp = load_settings(NotifierSettings), load_settings(SmtpSettings)
    definition = load_notifications(settings.notifications_file)
    known = {d.idea_id for d in decoded(codec, Decision, records[Decision.TOPIC]) if d.idea_id is not None and d.workspace == workspace}
    idea_id, now = find(known, idea, "idea"), SystemClock().now()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = Database(folder / "preview.db", SCHEMA)
        await database.open()
        stack.push_async_callback(database.close)
        store = SqliteStore(database)
        await store.prepare()
        channels = _channels(stack, codec, settings, smtp, definition)
        told = _also_told(definition, release.status)
        foreseen = await Forecast(store, codec, told, channels).foresee(records, idea_id, release, now)
        in_order = sorted(foreseen, key=lambda one: (one.outcome, one.row.alert.person_id))
        yield Preview(idea_id, in_order, channels, now, Rehearsal(store, codec, SystemClock(), told, channels))


def _channels(
    stack: AsyncExitStack, codec: Codec, settings: NotifierSettings, smtp: SmtpSettings, definition: Notifications
) -> Mapping[str, Channel]:
    templates = load_templates(settings, smtp, definition)
    opening = Channels(stack, codec=codec, clock=SystemClock(), templates=templates, smtp=smtp, product=definition.product)
    return opening.opened(definition.channels + definition.offered)


def _also_told(definition: Notifications, status: str) -> Notifications:
    """Return *definition* with *status* among those that people are told of."""
    if status in definition.statuses:
        return definition
    return definition.model_copy(update={"statuses": [*definition.statuses, status]})


def _write_messages(channels: Mapping[str, RehearsedChannel], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, channel in channels.items():
        for message in channel.messages:
            path = folder / f"{name}-{letter_of(message.message_id)}.{'eml' if name == EMAIL else 'json'}"
            path.write_bytes(message.body)


def readable(channel: Channel, letter: Letter) -> str:
    """Return what *letter* says, as far as a terminal can show it.

    Raises:
        Unrenderable: A template cannot be filled in.
    """
    body = channel.compose(letter).body
    if channel.name != EMAIL:
        return body.decode()
    mail = message_from_bytes(body, policy=default_policy)
    assert isinstance(mail, EmailMessage)
    text = mail.get_body(("plain",))
    headers = "\n".join(f"{name}: {mail[name]}" for name in ("From", "To", "Subject", "Date", "List-Unsubscribe") if name in mail)
    return f"{headers}\n\n{'' if text is None else text.get_content()}"


def said(delivery: Delivery) -> str:
    """Return what became of a test."""
    return "taken by the mail server" if isinstance(delivery, Accepted) else delivery.reason
