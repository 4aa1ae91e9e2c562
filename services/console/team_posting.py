"""The team's notices on their way: each is sent, then written down in ``notifications.summaries``, so that it is not sent again."""

from __future__ import annotations

import html
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.headerregistry import Address
from email.utils import parseaddr

import orjson

from services.common.clock import Clock, Micros, SystemClock
from services.common.codec import Codec
from services.common.events import Account, Idea, NotificationOutcome, PersonEvent, TeamNotice
from services.common.records import Output
from services.common.settings import load_settings
from services.console.board import decoded
from services.console.cluster import Cluster
from services.console.failures import CommandFailed, ExitCode
from services.console.team import Known, Notice, Recipient, notices
from services.notifier.adapters.mime import sender_line, subject_line, written
from services.notifier.adapters.templates import one_line
from services.notifier.app import load_templates
from services.notifier.channels import Channels
from services.notifier.definition import load_notifications
from services.notifier.domain.letter import digest_of
from services.notifier.domain.person import EMAIL
from services.notifier.ports import Accepted, Channel, Message, Postponed
from services.notifier.settings import NotifierSettings, SmtpSettings

_SECONDS = 30.0
_KINDS = ("email", "slack", "webhook")


def recipient_of(text: str) -> Recipient:
    """Return the recipient that *text*, ``CHANNEL:ADDRESS``, names.

    Raises:
        CommandFailed: It names none.
    """
    channel, _, address = text.partition(":")
    if channel not in _KINDS or not address:
        raise CommandFailed(f"expected CHANNEL:ADDRESS with one of {', '.join(_KINDS)}, found {channel!r}", ExitCode.USAGE)
    return Recipient(channel, address)


def opened(stack: AsyncExitStack, codec: Codec, names: Sequence[str]) -> Mapping[str, Channel]:
    """Return the channels *names*, set up as the notifier's are.

    Raises:
        ConfigurationError: One of them lacks a setting.
    """
    settings, smtp = load_settings(NotifierSettings), load_settings(SmtpSettings)
    definition = load_notifications(settings.notifications_file)
    templates = load_templates(settings, smtp, definition)
    opening = Channels(stack, codec=codec, clock=SystemClock(), templates=templates, smtp=smtp, product=definition.product)
    return opening.opened(names)


async def tell_team(
    cluster: Cluster, codec: Codec, workspace: str, recipients: Sequence[Recipient], *, owners: bool
) -> list[tuple[str, str]]:
    """Send every notice that is worth sending and was not sent; return title and answer of each.

    Raises:
        ConfigurationError: A channel lacks a setting.
    """
    records = await cluster.read([event.TOPIC for event in (NotificationOutcome, TeamNotice, Idea, PersonEvent, Account)])
    known = Known(
        decoded(codec, NotificationOutcome, records[NotificationOutcome.TOPIC]),
        decoded(codec, Idea, records[Idea.TOPIC]),
        decoded(codec, PersonEvent, records[PersonEvent.TOPIC]),
        decoded(codec, Account, records[Account.TOPIC]),
    )
    sent = {notice.notice_id for notice in decoded(codec, TeamNotice, records[TeamNotice.TOPIC])}
    clock = SystemClock()
    due = [one for one in notices(known, workspace, recipients, owners=owners, now=clock.now()) if one.notice_id not in sent]
    async with AsyncExitStack() as stack:
        channels = opened(stack, codec, sorted({one.recipient.channel for one in due}))
        post = TeamPost(channels, cluster.publish, codec, clock, load_settings(SmtpSettings).sender)
        return [(one.title, await post.send(one)) for one in due]


class TeamPost:
    """Sends notices."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        publish: Callable[[Sequence[Output]], Awaitable[None]],
        codec: Codec,
        clock: Clock,
        sender: str,
    ) -> None:
        self._channels = channels
        self._publish = publish
        self._codec = codec
        self._clock = clock
        self._sender = sender

    async def send(self, notice: Notice) -> str:
        """Send *notice* and write it down; return what the other side said. What may be taken later is not written down: it comes again.

        A crash in between sends it again, under the same Message-ID.
        """
        channel = self._channels[notice.recipient.channel]
        if channel.usable(notice.recipient.address):
            message = _message(notice, self._sender, self._clock.now())
            [delivery] = await channel.send([message], time.monotonic() + _SECONDS)
            if isinstance(delivery, Postponed):
                return f"not yet: {delivery.reason}"
            said = f"accepted by {channel.name}" if isinstance(delivery, Accepted) else delivery.reason
        else:
            said = f"the {channel.name} address is not one that can be written to"
        await self._publish([self._codec.output(_written_down(notice, said, self._clock.now()))])
        return said


def _message(notice: Notice, sender: str, now: Micros) -> Message:
    name, to = digest_of(notice.notice_id), notice.recipient.address
    if notice.recipient.channel == EMAIL:
        display, address = parseaddr(sender)
        message_id = f"<{name}@{address.rpartition('@')[2]}>"
        text = "\n".join([notice.title, "", *notice.lines])
        markup = "".join(f"<li>{html.escape(line)}</li>" for line in notice.lines)
        body = written(
            (sender_line(Address(display, addr_spec=address)), subject_line(one_line(notice.title))),
            to=to,
            at=datetime.fromtimestamp(now / 1_000_000, UTC),
            tokens=(("Message-ID", message_id), ("Auto-Submitted", "auto-generated")),
            boundary=f"=_{name}",
            text=text,
            html=f"<p>{html.escape(notice.title)}</p><ul>{markup}</ul>",
        )
        return Message(to, message_id, body)
    if notice.recipient.channel == "slack":
        text = "\n".join([f"*{notice.title}*", *notice.lines])
        return Message(to, f"msg_{name}", orjson.dumps({"text": text.translate(_ESCAPES)}))
    at = datetime.fromtimestamp(now / 1_000_000, UTC).isoformat(timespec="milliseconds")
    return Message(to, f"msg_{name}", orjson.dumps({"type": f"release.{notice.state}", "timestamp": at, "data": _data(notice)}))


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def _data(notice: Notice) -> Mapping[str, object]:
    summary = notice.summary
    return {
        "workspace": summary.workspace,
        "release_id": summary.release_id,
        "title": notice.title,
        "people": summary.counts(),
    }


def _written_down(notice: Notice, said: str, now: Micros) -> TeamNotice:
    summary = notice.summary
    return TeamNotice(
        notice_id=notice.notice_id,
        type=notice.type,
        workspace=summary.workspace,
        release_id=summary.release_id,
        state=notice.state,
        **summary.counts(),
        channel=notice.recipient.channel,
        reason=said,
        occurred_at=now,
        account_id=notice.account_id,
    )
