"""Mail through a server that speaks SMTP (RFC 5321), over a few connections that are kept between batches."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Sequence

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
    SMTPStatus,
)

from services.common.errors import ConfigurationError
from services.common.logs import get_logger
from services.notifier.ports import Accepted, Delivery, Message, Postponed, Refused
from services.notifier.settings import SmtpSettings

log = get_logger(__name__)

_DOWN_SECONDS = 3.0
"""So long after a failed connection no other is tried: a server that is away must not cost a timeout a mail."""
_IDLE_SECONDS = 20.0
"""A connection that was idle for longer is opened anew: servers drop idle ones without a word."""
_REASON_CHARACTERS = 200
_ADDRESS = re.compile(r"\S*@\S*")


class SmtpMailer:
    """Sends mails; never raises for what the server does or does not do."""

    def __init__(self, settings: SmtpSettings, sender_address: str) -> None:
        self._settings = settings
        self._sender = sender_address
        self._tls = _tls_context(settings)
        self._idle: list[tuple[SMTP, float]] = []
        self._down_until = 0.0
        self._down_reason = ""

    async def send(self, messages: Sequence[Message], deadline: float) -> Sequence[Delivery]:
        """Return what became of each of *messages*, in their order; after *deadline* (monotonic seconds) no more are tried."""
        deliveries: list[Delivery] = [Postponed("not tried yet: the mail server is slow", tried=False)] * len(messages)
        queue = iter(enumerate(messages))

        async def carry() -> None:
            client: SMTP | None = None
            try:
                for place, mail in queue:
                    if time.monotonic() >= deadline:
                        break
                    client, deliveries[place] = await self._deliver(client, mail)
            except asyncio.CancelledError:
                if client is not None:
                    client.close()  # who knows what the server was about to say
                raise
            if client is not None:
                self._idle.append((client, time.monotonic()))

        await asyncio.gather(*(carry() for _ in range(min(self._settings.connections, len(messages)))))
        return deliveries

    async def close(self) -> None:
        """Say goodbye on every connection."""
        idle, self._idle = self._idle, []
        for client, _ in idle:
            try:
                await client.quit()
            except (SMTPException, OSError):
                client.close()

    async def _deliver(self, client: SMTP | None, mail: Message) -> tuple[SMTP | None, Delivery]:
        """Try *mail* once; return a connection that the next one may use, or None."""
        if client is None or not client.is_connected:
            try:
                client = await self._connection()
            except (SMTPException, OSError) as error:
                self._note_down(error)
                client = None
            if client is None:
                return None, Postponed(self._down_reason)
        handing = False
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                refusal = await self._announced(client, mail)
                if refusal is not None:
                    return client, refusal
                handing = True
                return client, await self._handed(client, mail)
        except (SMTPException, OSError) as error:
            client.close()
            log.warning("smtp_broken", error=type(error).__name__, handing=handing)
            return None, Postponed(f"the connection to the mail server broke: {type(error).__name__}", unknown=handing)

    async def _handed(self, client: SMTP, mail: Message) -> Delivery:
        """Hand over *mail*, which is announced; raises for a connection that broke: the server may have it then.

        Command by command: aiosmtplib's ``sendmail`` parses each address four times, a tenth of a mail's CPU.
        """
        try:
            await client.data(mail.body)
        except SMTPDataError as error:
            await _forget(client)
            return _judged(error.code, error.message, mail.recipient)
        return Accepted()

    async def _announced(self, client: SMTP, mail: Message) -> Delivery | None:
        """Name sender and recipient; return why the server takes no mail for them, or None."""
        if client.is_ehlo_or_helo_needed:
            await _greet(client)
        options = [f"SIZE={len(mail.body)}".encode()] if client.supports_extension("size") else []
        if not mail.recipient.isascii():
            if not client.supports_extension("smtputf8"):
                return Refused("the mail server takes no address in other than Latin letters")
            options.append(b"SMTPUTF8")
        answer = await client.execute_command(b"MAIL", b"FROM:<" + self._sender.encode() + b">", *options)
        if answer.code != SMTPStatus.completed:
            # Not about the recipient: our sender, our login, our rate. People must not lose their alert for it.
            log.warning("smtp_refused", code=answer.code, what="MAIL")
            await _forget(client)
            return Postponed(_words(answer.code, answer.message, mail.recipient))
        answer = await client.execute_command(b"RCPT", b"TO:<" + mail.recipient.encode() + b">")
        if answer.code not in (SMTPStatus.completed, SMTPStatus.will_forward):
            await _forget(client)
            return _judged(answer.code, answer.message, mail.recipient)
        return None

    async def _connection(self) -> SMTP | None:
        """Return a connection, kept or new; None while the server counts as down."""
        now = time.monotonic()
        while self._idle:
            client, since = self._idle.pop()
            if client.is_connected and now - since < _IDLE_SECONDS:
                return client
            client.close()
        if now < self._down_until:
            return None
        settings = self._settings
        client = SMTP(
            hostname=settings.host,
            port=settings.port,
            timeout=settings.timeout_seconds,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=self._tls,
        )
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                await client.connect()
                if settings.username is not None and settings.password is not None:
                    await client.login(settings.username, settings.password.get_secret_value())
        except (SMTPException, OSError):
            client.close()
            raise
        return client

    def _note_down(self, error: Exception) -> None:
        code = error.code if isinstance(error, SMTPResponseException) else None
        what = "refuses our login" if isinstance(error, SMTPAuthenticationError) else "cannot be reached"
        self._down_until = time.monotonic() + _DOWN_SECONDS
        self._down_reason = f"the mail server {what}: {type(error).__name__}" + ("" if code is None else f" {code}")
        log.warning("smtp_down", reason=self._down_reason)


async def _greet(client: SMTP) -> None:
    """Say hello, the old way to a server that does not know the new one."""
    try:
        await client.ehlo()
    except SMTPHeloError:
        await client.helo()


async def _forget(client: SMTP) -> None:
    """Let the server forget the mail that it did not take; close the connection where it will not."""
    try:
        if client.is_connected:
            await client.rset()
    except SMTPException:
        client.close()


def _judged(code: int, message: str, recipient: str) -> Delivery:
    words = _words(code, message, recipient)
    return Refused(words) if 500 <= code < 600 else Postponed(words)


def _words(code: int, message: str, recipient: str) -> str:
    return f"the mail server said {without_addresses(f'{code} {message}', recipient)}"[:_REASON_CHARACTERS].rstrip()


def without_addresses(message: str, recipient: str) -> str:
    """Return what a server said to *recipient*, on one line, without any address or their local part."""
    said = " ".join(message.split())
    for secret in (recipient, recipient.rpartition("@")[0]):
        if secret:
            said = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "(address)", said, flags=re.IGNORECASE)
    return "".join(character for character in _ADDRESS.sub("(address)", said) if character.isprintable())[:_REASON_CHARACTERS].rstrip()


def _tls_context(settings: SmtpSettings) -> ssl.SSLContext | None:
    if settings.tls == "none":
        return None
    try:
        return ssl.create_default_context(cafile=settings.tls_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"GROUNDSWELL_SMTP_TLS_CA_FILE={settings.tls_ca_file}: {error}") from error
