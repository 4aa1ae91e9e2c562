"""Mails from Jinja templates: sandboxed, HTML escaped, nothing undefined, and no header that a text could break out of."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.common.errors import ConfigurationError
from services.common.events import Alert
from services.common.paths import EXAMPLES
from services.notifier.adapters.mime import sender_line, subject_line, written
from services.notifier.domain.letter import Letter
from services.notifier.ports import Message, Unrenderable

_PARTS = ("subject.txt", "txt", "html")
_FALLBACK = "default"
DIGEST = "digest"
"""The templates that tell of several alerts at once."""
_SHIPPED_WITH_US = EXAMPLES / "templates"
"""Where the digest's templates are taken from if the folder has none: any person may ask for one."""
_SUBJECT_CHARACTERS = 150
_TEMPLATE_FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What a template's own expressions can raise."""

_SAMPLES = (
    {"release_name": "Summer release", "release_url": "https://example.com/releases/1", "quote": "It would help us.\nA lot."},
    {"release_name": None, "release_url": None, "quote": ""},
)


class Templates:
    """Writes mails with ``STATUS.subject.txt``, ``STATUS.txt`` and ``STATUS.html`` of a folder, or ``default.*`` where one is missing.

    Templates get: product, status, reason (of the status, or None), title (of the idea), quote (the person's own words, may be empty),
    release_name and release_url (None where unknown; a URL is http or https), workspace, board, idea_id. Those of a digest, ``digest.*``,
    which we bring along, get product and ``items``, each with all of these.
    """

    def __init__(self, folder: Path, statuses: Collection[str], *, product: str, sender: str, unsubscribe: str | None) -> None:
        """Read and try every template that *statuses* need.

        Raises:
            ConfigurationError: Names the template's file and line.
        """
        self._folder = folder
        self._product = product
        name, address = parseaddr(sender)
        sender_address = Address(name, addr_spec=address)
        self._from, self._domain = sender_line(sender_address), sender_address.domain
        self._unsubscribe = quote(parseaddr(unsubscribe or address)[1], safe="@")
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader([folder, _SHIPPED_WITH_US]),
            autoescape=select_autoescape(("html",)),
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        self._templates = {(status, part): self._load(status, part) for status in (*statuses, DIGEST) for part in _PARTS}
        for sample in _SAMPLES:
            for status in statuses:
                self._try(status, {**self._sample(status), **sample})
            self._try(DIGEST, {"product": product, "items": [{**self._sample(status), **sample} for status in (*statuses, *statuses)]})

    def compose(self, letter: Letter) -> Message:
        """Return *letter* as a mail: the same bytes each time."""
        kind, values = self._values(letter)
        address = _in_ascii(letter.address)
        message_id = f"<{letter.id}@{self._domain}>"
        body = written(
            (self._from, subject_line(one_line(self._render(kind, "subject.txt", values)))),
            to=address,
            at=datetime.fromtimestamp(letter.alerts[-1].created_at / 1_000_000, UTC),
            tokens=(
                ("Message-ID", message_id),
                ("List-Unsubscribe", f"<mailto:{self._unsubscribe}?subject=unsubscribe%20{letter.id}>"),
                ("Auto-Submitted", "auto-generated"),
            ),
            boundary=f"=_{letter.id}",
            text=self._render(kind, "txt", values),
            html=self._render(kind, "html", values),
        )
        return Message(address, message_id, body)

    def _values(self, letter: Letter) -> tuple[str, Mapping[str, Any]]:
        """Return which templates write *letter*, and what these get."""
        if not letter.is_digest:
            return letter.alerts[0].status, self._alert_values(letter.alerts[0])
        return DIGEST, {"product": self._product, "items": [self._alert_values(alert) for alert in letter.alerts]}

    def _alert_values(self, alert: Alert) -> dict[str, Any]:
        return {
            "product": self._product,
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

    def _render(self, status: str, part: str, values: Mapping[str, Any]) -> str:
        template = self._templates.get((status, part)) or self._load(status, part)
        try:
            return template.render(values)
        except _TEMPLATE_FAULTS as error:
            raise Unrenderable(f"the template {template.name} fails at line {_line_of(error, template)}: {type(error).__name__}") from error

    def _load(self, status: str, part: str) -> Template:
        """Return the template of *status*; a status that was taken off the list may still have alerts on their way."""
        names = [f"{status}.{part}"] if status == DIGEST else [f"{status}.{part}", f"{_FALLBACK}.{part}"]
        folders = (self._folder, _SHIPPED_WITH_US) if status == DIGEST else (self._folder,)
        name = next((name for name in names for folder in folders if (folder / name).is_file()), None)
        if name is None:
            raise ConfigurationError(
                f"{self._folder}: neither {names[0]} nor {names[-1]} is there; GROUNDSWELL_TEMPLATES_DIR names the folder"
            )
        try:
            return self._environment.get_template(name)
        except TemplateSyntaxError as error:
            raise ConfigurationError(f"{error.filename or self._folder / name}:{error.lineno}: {error.message}") from error
        except (TemplateError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self._folder / name}:1: {type(error).__name__}: {error}") from error

    def _sample(self, status: str) -> Mapping[str, Any]:
        return {
            "product": self._product,
            "status": status,
            "title": "Dark mode",
            "reason": "It fits",
            "workspace": "w",
            "board": "b",
            "idea_id": "i",
        }

    def _try(self, kind: str, values: Mapping[str, Any]) -> None:
        for part in _PARTS:
            template = self._templates[kind, part]
            try:
                template.render(values)
            except _TEMPLATE_FAULTS as error:
                raise ConfigurationError(f"{template.filename}:{_line_of(error, template)}: {type(error).__name__}: {error}") from error


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


def _line_of(error: BaseException, template: Template) -> int:
    """Return the last line of *template* that *error* passed."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == template.filename]
    return next((line for line in reversed(lines) if line is not None), 1)
