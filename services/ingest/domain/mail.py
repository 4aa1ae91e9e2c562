"""An e-mail as it travels (RFC 5322 with MIME) into JSON that a mapping can read."""

from __future__ import annotations

import binascii
from dataclasses import asdict
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parseaddr
from typing import Any

from services.ingest.domain.faults import fault
from services.ingest.domain.forwarding import Forwarded, forwarded
from services.ingest.domain.texts.markup import html_reply_to_text

_LONGEST_HEADER = 16_384
_MOST_PARTS = 200
_LONGEST_PAGE = 1_000_000
_DEEPEST = 20
_AUTOMATIC = frozenset({"auto-generated", "auto-replied", "auto-notified"})
_BULK = frozenset({"bulk", "junk", "list", "auto_reply"})


def parse_mail(value: bytes) -> dict[str, Any]:
    """Return the parts of the e-mail *value* that matter, as JSON has them.

    ``message_id``, ``date``, ``subject``, ``from``, ``reply_to``, ``sender`` and ``resent_from`` (``address``, ``name``), ``in_reply_to``,
    ``thread`` (the message that began it), ``text`` and ``html`` (the first of each that is no attachment; without plain text what a reader
    sees of the HTML, less what it quotes), ``forwarded`` (``address``, ``name``, ``text`` of a message that is passed on without a word:
    attached, or below a mail program's mark), ``is_automatic`` (RFC 3834), ``is_spam`` (as a filter before us marked it), ``list_id``. What
    is absent is None.

    Raises:
        MalformedRecord: It is no e-mail, or nested too deep to be meant.
    """
    try:
        message = BytesParser(policy=compat32).parsebytes(value)
        if not message.keys():
            raise fault("not_mail", "no header: expected an e-mail of RFC 5322")
        text, html, attached = _bodies(message)
        passed_on = forwarded(_header(message, "Subject"), text or "") or _attached(attached, text)
    except RecursionError:
        raise fault("too_deep", f"parts nested deeper than {_DEEPEST} levels") from None
    references = _ids(message, "References")
    answered = _ids(message, "In-Reply-To")
    return {
        "message_id": next(iter(_ids(message, "Message-ID")), None),
        "date": _header(message, "Date"),
        "subject": _header(message, "Subject"),
        "from": _mailbox(message, "From"),
        "reply_to": _mailbox(message, "Reply-To"),
        "sender": _mailbox(message, "Sender"),
        "resent_from": _mailbox(message, "Resent-From"),
        "in_reply_to": next(iter(answered), None),
        "thread": next(iter(references or answered), None),
        "text": text,
        "html": html,
        "forwarded": None if passed_on is None else asdict(passed_on),
        "list_id": _header(message, "List-Id"),
        "is_automatic": _is_automatic(message),
        "is_spam": (_header(message, "X-Spam-Flag") or _header(message, "X-Spam") or "").lower() in ("yes", "true"),
    }


def _attached(attached: Message | None, text: str | None) -> Forwarded | None:
    """Return the message *attached* to one that has no *text* of its own."""
    if attached is None or (text or "").strip():
        return None
    sender, (words, _, _) = _mailbox(attached, "From"), _bodies(attached)
    return None if sender is None or not words else Forwarded(sender["address"], sender["name"], words)


def _bodies(message: Message) -> tuple[str | None, str | None, Message | None]:
    """Return the first plain text, the first HTML and the first message attached to *message*; nothing is sought in the latter."""
    found: dict[str, str] = {}
    attached: Message | None = None
    level: list[Message] = [message]
    for _ in range(_DEEPEST):
        below: list[Message] = []
        for part in level[:_MOST_PARTS]:
            if part.is_multipart():
                inside = [inner for inner in part.get_payload() if isinstance(inner, Message)]
                if part.get_content_type() != "message/rfc822":
                    below += inside
                elif attached is None:
                    attached = next(iter(inside), None)
            elif part.get_content_type() in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
                found.setdefault(part.get_content_type(), _text(part))
        if not below:
            text, page = found.get("text/plain"), found.get("text/html")
            return (html_reply_to_text(page[:_LONGEST_PAGE]) if text is None and page is not None else text), page, attached
        level = below
    raise fault("too_deep", f"parts nested deeper than {_DEEPEST} levels")


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    return _decoded(payload, part.get_content_charset() or "utf-8").replace("\r\n", "\n").replace("\r", "\n")


def _decoded(value: bytes, charset: str) -> str:
    try:
        text = value.decode(charset)
    except (LookupError, ValueError):  # an unknown name of an encoding, or bytes that are not in it
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("windows-1252", "replace")
    return text.encode("utf-8", "replace").decode()  # some encodings give lone surrogates


def _header(message: Message, name: str) -> str | None:
    raw = message.get(name)
    return None if raw is None else _unfolded(_words(str(raw)[:_LONGEST_HEADER])) or None


def _words(raw: str) -> str:
    """Return *raw* with its encoded words (RFC 2047) decoded; what cannot be decoded stays as it is."""
    try:
        pieces = decode_header(raw)
    except (HeaderParseError, binascii.Error, ValueError):
        pieces = [(raw, None)]
    return "".join(piece if isinstance(piece, str) else _decoded(piece, charset or "utf-8") for piece, charset in pieces)


def _unfolded(text: str) -> str:
    return " ".join(text.encode("utf-8", "replace").decode().split())


def _mailbox(message: Message, name: str) -> dict[str, str] | None:
    raw = message.get(name)
    if raw is None:
        return None
    shown, address = parseaddr(" ".join(str(raw)[:_LONGEST_HEADER].split()))
    if not address:
        return None
    return {"address": _unfolded(address), "name": _unfolded(_words(shown))}


def _ids(message: Message, name: str) -> list[str]:
    return [_unfolded(token) for token in str(message.get(name, ""))[:_LONGEST_HEADER].split()]


def _is_automatic(message: Message) -> bool:
    submitted = (_header(message, "Auto-Submitted") or "").lower().partition(";")[0].strip()
    if submitted in _AUTOMATIC or message.get("X-Autoreply") is not None or message.get_content_type() == "multipart/report":
        return True
    return (_header(message, "Precedence") or "").lower() in _BULK - {"list"}
