"""Mails from templates: no header that a text could break out of, and a way out for who does not want them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from services.common.events import Alert
from services.common.unsubscribe import PATH, Subscription, token_of
from services.notifier.adapters.mime import sender_line, subject_line, written
from services.notifier.adapters.words import DIGEST, Reader, Words
from services.notifier.domain.letter import Letter
from services.notifier.domain.person import EMAIL
from services.notifier.ports import Message

_SUBJECT_CHARACTERS = 150
_SAMPLES: Collection[Mapping[str, Any]] = (
    {
        "release_name": "Summer release",
        "release_url": "https://example.com/releases/1",
        "quote": "It would help us.\nA lot.",
        "reason": "It fits",
    },
    {"release_name": None, "release_url": None, "quote": "", "reason": None},
)


@dataclass(frozen=True, slots=True)
class Links:
    """Where people unsubscribe: below *url*, by tokens that are signed with *secret*."""

    url: str
    secret: str

    def of(self, subscription: Subscription) -> str:
        """Return the link that ends *subscription*."""
        return f"{self.url.rstrip('/')}{PATH}{token_of(self.secret, subscription)}"


class Templates:
    """Writes mails with ``Words``.

    Templates get: product, status, reason (of the status, or None), title (of the idea), quote (the person's own words, may be empty),
    release_name and release_url (None where unknown; a URL is http or https), workspace, board, idea_id, unsubscribe_url (None where
    there is no page). Those of a digest, ``digest.*``, which we bring along, get product, unsubscribe_url and ``items``, each with the
    rest of these.
    """

    def __init__(
        self, folder: Path, statuses: Collection[str], *, product: str, sender: str, unsubscribe: str | None, links: Links | None = None
    ) -> None:
        """Read and try every template in *folder*, which has what *statuses* need.

        Args:
            folder: See ``Words``.
            statuses: That people are told of.
            product: As people know it.
            sender: The From header.
            unsubscribe: The address that takes wishes to unsubscribe by mail; the sender's by default.
            links: To the page that takes them by one click (RFC 8058).

        Raises:
            ConfigurationError: Names the template's file and line.
        """
        self._product = product
        name, address = parseaddr(sender)
        sender_address = Address(name, addr_spec=address)
        self._from, self._domain = sender_line(sender_address), sender_address.domain
        self._unsubscribe = quote(parseaddr(unsubscribe or address)[1], safe="@")
        self._links = links
        items = {status: [{**_sample(status), **sample} for sample in _SAMPLES] for status in statuses}
        frame = {"product": product, "unsubscribe_url": "https://example.com/unsubscribe/token" if links else None}
        samples = {status: [{**frame, **item} for item in some] for status, some in items.items()}
        every = [item for some in items.values() for item in some]
        self._words = Words(folder, statuses, {**samples, DIGEST: [{**frame, "items": every}]})

    def compose(self, letter: Letter) -> Message:
        """Return *letter* as a mail: the same bytes each time.

        Raises:
            Unrenderable: A template cannot be filled in.
        """
        address = _in_ascii(letter.address)
        message_id = f"<{letter.id}@{self._domain}>"
        link = self._link(letter)
        subject, text, html = self._rendered(letter, link)
        body = written(
            (self._from, subject_line(one_line(subject))),
            to=address,
            at=datetime.fromtimestamp(letter.written_at / 1_000_000, UTC),
            tokens=(("Message-ID", message_id), *self._ways_out(letter, link), ("Auto-Submitted", "auto-generated")),
            boundary=f"=_{letter.id}",
            text=text,
            html=html,
        )
        return Message(address, message_id, body)

    def _rendered(self, letter: Letter, link: str | None) -> tuple[str, ...]:
        first = letter.alerts[0]
        reader = Reader(first.workspace, letter.language, letter.segments)
        frame = {"product": self._product, "unsubscribe_url": link}
        if letter.is_digest:
            return self._words.rendered(DIGEST, reader, {**frame, "items": [_values_of(alert) for alert in letter.alerts]})
        return self._words.rendered(first.status, reader, {**frame, **_values_of(first)})

    def _link(self, letter: Letter) -> str | None:
        if self._links is None:
            return None
        first = letter.alerts[0]
        idea = None if letter.is_digest else first.root_id
        return self._links.of(Subscription(first.workspace, first.person_id, EMAIL, idea))

    def _ways_out(self, letter: Letter, link: str | None) -> tuple[tuple[str, str], ...]:
        by_mail = f"<mailto:{self._unsubscribe}?subject=unsubscribe%20{letter.id}>"
        if link is None:
            return (("List-Unsubscribe", by_mail),)
        # Folded, for a header's line has 998 characters at most.
        return (("List-Unsubscribe", f"<{link}>,\r\n {by_mail}"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))


def _sample(status: str) -> Mapping[str, Any]:
    return {"status": status, "title": "Dark mode", "workspace": "w", "board": "b", "idea_id": "i"}


def _values_of(alert: Alert) -> dict[str, Any]:
    return {
        "status": alert.status,
        "title": one_line(alert.title) or "your request",
        "quote": alert.quote,
        "reason": alert.status_reason,
        "release_name": one_line(alert.release_name) if alert.release_name else None,
        "release_url": _web_url(alert.release_url),
        "workspace": alert.workspace,
        "board": alert.board,
        "idea_id": alert.idea_id,
    }


def one_line(text: str) -> str:
    """Return *text* as one header line: line breaks and controls become spaces; at most 150 characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _SUBJECT_CHARACTERS else line[: _SUBJECT_CHARACTERS - 1].rstrip() + "…"


def _in_ascii(address: str) -> str:
    """Return *address* with its domain in ASCII (RFC 5890), where its local part is: any mail server takes that."""
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        return address
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return address


def _web_url(url: str | None) -> str | None:
    """Return *url* if a reader may be sent there: no script, no file."""
    if url is None or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None
