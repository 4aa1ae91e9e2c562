"""A mail sink: takes every mail, delivers none, and writes down what it took. For a first look and for tests."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.parser import BytesHeaderParser
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope, Session

from services.common.errors import ConfigurationError

_HOST = "127.0.0.1"
_LONGEST_MAIL_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said to recipients whose address matches *pattern* (searched, case ignored): ``451 4.3.0 Try again later``."""

    pattern: str
    words: str

    @classmethod
    def parse(cls, text: str) -> Reply:
        """Return the reply that ``PATTERN=CODE WORDS`` describes.

        Raises:
            ConfigurationError: It describes none.
        """
        pattern, _, words = text.partition("=")
        if not pattern or re.fullmatch(r"[245]\d\d( .*)?", words) is None:
            raise ConfigurationError(f"--reply {text!r}: expected PATTERN=CODE WORDS, such as 'ann@.*=550 5.1.1 No such mailbox'")
        return cls(pattern, words)


class MailSink:
    """An SMTP server on 127.0.0.1, in a thread of its own; a context manager that stops it.

    Args:
        log: Gets one JSON object a mail, before the mail is accepted: message_id, to, subject, received_at, size (bytes).
        port: 0 takes a free one.
        folder: Where every mail is kept as a file, if given.
        replies: The first that matches a recipient is given instead of acceptance; may be changed while it runs.
    """

    def __init__(self, log: Path, *, port: int = 0, folder: Path | None = None, replies: Sequence[Reply] = ()) -> None:
        self.replies = list(replies)
        self.accepted = 0
        """How many mails were taken."""
        self._log = log
        self._folder = folder
        self._asked_port = port
        self._controller: Controller | None = None

    @property
    def port(self) -> int:
        """Where it listens; until it is started, the port that was asked for."""
        if self._controller is None:
            return self._asked_port  # aiosmtpd looks at every attribute of its handler while it starts
        port: int = self._controller.server.sockets[0].getsockname()[1]
        return port

    def start(self) -> None:
        """Begin to take mails.

        Raises:
            ConfigurationError: The port is in use.
        """
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        controller = _Controller(
            self,
            hostname=_HOST,
            port=self._asked_port,
            ident="Groundswell mail sink",
            enable_SMTPUTF8=True,
            data_size_limit=_LONGEST_MAIL_BYTES,
        )
        try:
            controller.start()
        except OSError as error:
            controller.loop.close()
            raise ConfigurationError(f"port {self._asked_port} on {_HOST} cannot be opened ({error.strerror}); name a free one") from error
        self._controller = controller

    def stop(self) -> None:
        """Stop; repeating the call changes nothing."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def __enter__(self) -> MailSink:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient, or give the reply that was asked for."""
        for reply in self.replies:
            if re.search(reply.pattern, address, re.IGNORECASE):
                return reply.words
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: object, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Write a mail down, then accept it."""
        content = envelope.original_content or b""
        headers = BytesHeaderParser(policy=policy.default).parsebytes(content)
        message_id = str(headers["Message-ID"] or "").strip()
        line = {
            "message_id": message_id,
            "to": envelope.rcpt_tos,
            "subject": str(headers["Subject"] or ""),
            "received_at": datetime.now(UTC).isoformat(),
            "size": len(content),
        }
        if self._folder is not None:
            name = re.sub(r"[^\w.=-]", "_", message_id)[:100]
            (self._folder / f"{self.accepted:06d}-{name}.eml").write_bytes(content)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        self.accepted += 1
        return "250 OK"


class _Controller(Controller):  # type: ignore[misc]  # publishes no types
    """Calls on the port that it was given by the system, where it asked for any."""

    def _trigger_server(self) -> Any:
        self.port = self.server.sockets[0].getsockname()[1]
        return super()._trigger_server()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a mail sink until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m services.console.embedded.mail", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one and prints it")
    parser.add_argument("--log", type=Path, required=True, help="gets one JSON object a mail")
    parser.add_argument("--folder", type=Path, help="keeps every mail as a file")
    parser.add_argument("--reply", action="append", default=[], help="PATTERN=CODE WORDS: said to recipients that match")
    given = parser.parse_args(arguments)
    over = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        replies = [Reply.parse(text) for text in given.reply]
        with MailSink(given.log, port=given.port, folder=given.folder, replies=replies) as sink:
            sys.stdout.write(f"{_HOST}:{sink.port}\n")
            sys.stdout.flush()
            over.wait()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 78
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
