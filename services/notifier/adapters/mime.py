"""A mail's bytes (RFC 5322, RFC 2045), written directly: the standard library parses and folds each header anew, at 2 ms a mail."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.policy import EmailPolicy
from email.utils import format_datetime
from functools import lru_cache

_LINE_BYTES = 900
"""A line may have 998 (RFC 5322)."""
_SHORT_CHARACTERS = 60
"""A subject of so many plain letters needs no fold."""
_NOT_PLAIN = re.compile(rb"[^\t\r\n\x20-\x7e]|=_")
"""What must be encoded: all but printable ASCII, and what a boundary begins with."""
_POLICY = EmailPolicy(linesep="\r\n", cte_type="7bit", raise_on_defect=False)


def sender_line(sender: Address) -> bytes:
    """Return the From header, encoded and folded where it must be."""
    return _header("From", str(sender))


@lru_cache(maxsize=1024)
def subject_line(subject: str) -> bytes:
    """Return the Subject header of one line of text, encoded and folded where it must be; everyone who hears of an idea has the same."""
    if subject.isascii() and len(subject) <= _SHORT_CHARACTERS and "=?" not in subject:
        return f"Subject: {subject}\r\n".encode()
    return _header("Subject", subject)


def written(
    headers: Sequence[bytes], *, to: str, at: datetime, tokens: Sequence[tuple[str, str]], boundary: str, text: str, html: str
) -> bytes:
    """Return a mail of two alternatives, plain text and HTML.

    Args:
        headers: Written before all others but *to*, which is the second.
        to: One address, usable; beyond ASCII it makes the mail one for SMTPUTF8 (RFC 6531).
        at: Its Date.
        tokens: Further headers, whose values are ASCII without a line break and are neither encoded nor folded.
        boundary: Begins with ``=_``.
        text: The first alternative.
        html: The second.
    """
    first, *rest = headers
    plain = "".join(f"{name}: {value}\r\n" for name, value in tokens)
    return b"".join(
        (
            first,
            f"To: {to}\r\n".encode(),
            *rest,
            f"Date: {format_datetime(at)}\r\n{plain}MIME-Version: 1.0\r\n".encode(),
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'.encode(),
            *(part for kind, content in (("plain", text), ("html", html)) for part in _part(boundary, kind, content)),
            f"--{boundary}--\r\n".encode(),
        )
    )


def _part(boundary: str, kind: str, content: str) -> tuple[bytes, bytes, bytes]:
    encoding, body = _encoded(content)
    head = f'--{boundary}\r\nContent-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode(), body, b"\r\n"


def _encoded(content: str) -> tuple[str, bytes]:
    """Return *content* with CRLF line ends as it is where any server takes it, else in the shorter of the two encodings."""
    lines = content.encode().splitlines()
    body = b"".join(line + b"\r\n" for line in lines)
    if _NOT_PLAIN.search(body) is None and all(len(line) <= _LINE_BYTES for line in lines):
        return "7bit", body
    quoted = binascii.b2a_qp(body, istext=True)
    if len(quoted) * 3 <= len(body) * 4:
        return "quoted-printable", quoted
    return "base64", base64.encodebytes(body).replace(b"\n", b"\r\n")


def _header(name: str, value: str) -> bytes:
    return _POLICY.fold_binary(*_POLICY.header_store_parse(name, value))
