"""Bounces out of a mailbox (Maildir, mbox, IMAP): what a mail reports is published, then the mail is marked as read."""

from __future__ import annotations

import imaplib
import mailbox
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from services.common.clock import SystemClock
from services.common.codec import Codec
from services.common.records import Output
from services.console.failures import CommandFailed, ExitCode
from services.notifier.adapters.bounces import LARGEST_BYTES, reports_in

PASSWORD = "GROUNDSWELL_IMAP_PASSWORD"  # noqa: S105 - a variable's name
_TIMEOUT_SECONDS = 30.0


class Mailbox(Protocol):
    """Where bounces arrive."""

    def unread(self) -> Iterator[tuple[str, bytes]]:
        """Yield the unread mails, each with its name here."""

    def mark_read(self, name: str) -> None:
        """Let the mail *name* not come again."""


@dataclass(slots=True)
class Counted:
    """What was found in a mailbox."""

    mails: int = 0
    reports: int = 0
    others: int = 0
    """Mails that report nothing of a message of ours."""


def opened(place: str) -> AbstractContextManager[Mailbox]:
    """Return the mailbox *place*: a Maildir, an mbox file, or ``imaps://USER@HOST[:PORT]/FOLDER``.

    Raises:
        CommandFailed: There is none.
    """
    if "://" in place:
        return _imap(place)
    path = Path(place)
    if (path / "new").is_dir():
        return _here(mailbox.Maildir(path, create=False))
    if path.is_file():
        return _here(mailbox.mbox(path, create=False))
    raise CommandFailed(
        f"{place} is neither a Maildir (a folder with new, cur, tmp) nor an mbox file nor imaps://USER@HOST/FOLDER", ExitCode.USAGE
    )


async def publish_bounces(publish: Callable[[Sequence[Output]], Awaitable[None]], codec: Codec, found: Mailbox) -> Counted:
    """Publish what the unread mails of *found* report; each that does is marked as read once the broker has its reports.

    Any other, a person's answer say, stays unread for whoever reads the mailbox. A crash in between publishes them again under the same
    ids, which changes nothing.
    """
    counted = Counted()
    for name, raw in found.unread():
        reports = reports_in(raw, SystemClock().now())
        if reports:
            await publish([codec.output(report) for report in reports])
            found.mark_read(name)
        counted.mails += 1
        counted.reports += len(reports)
        counted.others += not reports
    return counted


@contextmanager
def _here(box: mailbox.Maildir | mailbox.mbox) -> Iterator[Mailbox]:
    with closing(box):
        yield _Maildir(box) if isinstance(box, mailbox.Maildir) else _Mbox(box)


class _Maildir:
    def __init__(self, box: mailbox.Maildir) -> None:
        self._box = box

    def unread(self) -> Iterator[tuple[str, bytes]]:
        for key in sorted(self._box.iterkeys()):
            if "S" not in self._box.get_message(key).get_flags():
                with self._box.get_file(key) as file:
                    yield key, file.read(LARGEST_BYTES + 1)

    def mark_read(self, name: str) -> None:
        message = self._box.get_message(name)
        message.set_subdir("cur")
        message.add_flag("S")
        self._box[name] = message


class _Mbox:
    """Read only: whoever delivers there may be writing. Its reports come again with each reading, which changes nothing."""

    def __init__(self, box: mailbox.mbox) -> None:
        self._box = box

    def unread(self) -> Iterator[tuple[str, bytes]]:
        for key in self._box.iterkeys():
            yield str(key), self._box.get_bytes(key)

    def mark_read(self, name: str) -> None:
        pass


class _Imap:
    def __init__(self, client: imaplib.IMAP4) -> None:
        self._client = client

    def unread(self) -> Iterator[tuple[str, bytes]]:
        _, found = self._client.uid("SEARCH", "UNSEEN")
        for uid in (found[0] or b"").split():
            _, parts = self._client.uid("FETCH", uid.decode(), f"(BODY.PEEK[]<0.{LARGEST_BYTES + 1}>)")
            yield uid.decode(), next((part[1] for part in parts if isinstance(part, tuple)), b"")

    def mark_read(self, name: str) -> None:
        self._client.uid("STORE", name, "+FLAGS", r"(\Seen)")


@contextmanager
def _imap(url: str) -> Iterator[Mailbox]:
    parts = urlsplit(url)
    password = os.environ.get(PASSWORD)
    if parts.scheme not in ("imaps", "imap") or not parts.hostname or not parts.username or parts.password:
        raise CommandFailed(f"expected imaps://USER@HOST[:PORT]/FOLDER, the password in {PASSWORD}", ExitCode.USAGE)
    if password is None:
        raise CommandFailed(f"{PASSWORD} is not set: {parts.hostname} wants one", ExitCode.CONFIGURATION)
    try:
        with _connected(parts.scheme, parts.hostname, parts.port) as client:
            client.login(unquote(parts.username), password)
            status, _ = client.select(unquote(parts.path.strip("/")) or "INBOX")
            if status != "OK":
                raise CommandFailed(f"{parts.hostname} has no folder {parts.path.strip('/')!r}", ExitCode.USAGE)
            yield _Imap(client)
    except (imaplib.IMAP4.error, OSError) as error:
        raise CommandFailed(f"{parts.hostname} cannot be read: {type(error).__name__}", ExitCode.UNAVAILABLE) from error


def _connected(scheme: str, host: str, port: int | None) -> imaplib.IMAP4:
    if scheme == "imap":
        return imaplib.IMAP4(host, port or 143, _TIMEOUT_SECONDS)
    return imaplib.IMAP4_SSL(host, port or 993, ssl_context=ssl.create_default_context(), timeout=_TIMEOUT_SECONDS)
