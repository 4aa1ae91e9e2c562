"""The mailer and servers of every temper: the sink of the embedded stack, and some that misbehave."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from services.console.embedded.broker import free_port
from services.console.embedded.mail import MailSink, Reply
from services.notifier.adapters.smtp import SmtpMailer
from services.notifier.ports import Accepted, Delivery, Message, Postponed, Refused
from services.notifier.settings import SmtpSettings

SENDER = "hello@lumora.example"


def mail(recipient: str = "ann@example.com", number: int = 0) -> Message:
    head = f"From: {SENDER}\r\nTo: {recipient}\r\nSubject: Hello {number}\r\nMessage-ID: <m{number}@lumora.example>\r\n\r\n"
    return Message(recipient, f"<m{number}@lumora.example>", f"{head}.A line with a dot\r\n".encode())


@asynccontextmanager
async def mailing(port: int, **settings: Any) -> AsyncIterator[SmtpMailer]:
    mailer = SmtpMailer(SmtpSettings(port=port, **settings), SENDER)
    yield mailer
    await mailer.close()


async def send(port: int, *mails: Message, **settings: Any) -> list[Delivery]:
    async with mailing(port, **settings) as mailer:
        return list(await mailer.send(mails, time.monotonic() + 30))


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[MailSink]:
    with MailSink(tmp_path / "mail.jsonl", folder=tmp_path / "mails") as running:
        yield running


@asynccontextmanager
async def server(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]) -> AsyncIterator[int]:
    """Run a server of one's own making; give its port."""

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    running = await asyncio.start_server(session, "127.0.0.1", 0)
    async with running:
        yield running.sockets[0].getsockname()[1]


async def test_mails_arrive_byte_for_byte_and_are_written_down(sink: MailSink, tmp_path: Path) -> None:
    mails = [mail(f"p{number}@example.com", number) for number in range(40)]
    assert await send(sink.port, *mails) == [Accepted()] * 40
    lines = [json.loads(line) for line in (tmp_path / "mail.jsonl").read_text().splitlines()]
    assert sorted((line["message_id"], line["to"], line["size"]) for line in lines) == sorted(
        (sent.message_id, [sent.recipient], len(sent.body)) for sent in mails
    )
    kept = [message_from_bytes(path.read_bytes(), policy=default) for path in (tmp_path / "mails").iterdir()]
    assert {message.get_content() for message in kept} == {".A line with a dot\r\n"}


async def test_addresses_are_refused_for_good_or_for_now_and_the_others_still_hear(sink: MailSink) -> None:
    sink.replies[:] = [
        Reply("^gone@", "550 5.1.1 <gone@example.com>: user gone unknown, ask postmaster@example.com"),
        Reply("^busy@", "452 4.2.2 Mailbox full"),
    ]
    deliveries = await send(sink.port, mail("gone@example.com", 1), mail("busy@example.com", 2), mail("Ann@example.com", 3), connections=1)
    assert deliveries == [
        Refused("the mail server said 550 5.1.1 <(address)>: user (address) unknown, ask (address)"),
        Postponed("the mail server said 452 4.2.2 Mailbox full"),
        Accepted(),
    ]


async def test_addresses_in_other_letters_arrive(sink: MailSink) -> None:
    assert await send(sink.port, mail("аня@пример.example")) == [Accepted()]


async def test_connections_are_few_and_kept(sink: MailSink, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: set[tuple[str, int]] = set()
    accept = MailSink.handle_DATA

    async def noting(self: MailSink, smtp: Any, session: Any, envelope: Any) -> str:
        sessions.add(session.peer)
        return await accept(self, smtp, session, envelope)

    monkeypatch.setattr(MailSink, "handle_DATA", noting)
    async with mailing(sink.port, connections=3) as mailer:
        for _ in range(4):
            await mailer.send([mail(number=number) for number in range(30)], time.monotonic() + 30)
    assert sink.accepted == 120
    assert len(sessions) <= 3


async def test_a_server_that_is_away_postpones_at_once() -> None:
    deliveries = await send(free_port(), *[mail(number=number) for number in range(50)])
    assert set(deliveries) == {Postponed("the mail server cannot be reached: SMTPConnectError")}


async def test_a_server_that_hangs_costs_one_timeout_and_the_rest_is_not_tried() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.read()

    async with server(hang) as port, mailing(port, timeout_seconds=0.3, connections=1) as mailer:
        began = time.monotonic()
        deliveries = await mailer.send([mail(number=number) for number in range(20)], time.monotonic() + 0.5)
        assert time.monotonic() - began < 3
    assert all(isinstance(delivery, Postponed) for delivery in deliveries)
    assert not deliveries[-1].tried  # type: ignore[union-attr]


async def test_a_server_that_closes_after_the_data_postpones() -> None:
    async def close_after_data(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line == b".\r\n":
                return
            if line[:4] == b"DATA":
                writer.write(b"354 go on\r\n")
            elif line[:4] in (b"EHLO", b"MAIL", b"RCPT"):
                writer.write(b"250 fine\r\n")

    async with server(close_after_data) as port:
        (delivery,) = await send(port, mail())
    assert delivery == Postponed("the connection to the mail server broke: SMTPServerDisconnected", unknown=True)


@pytest.mark.parametrize(
    ("command", "reply", "expected"),
    [
        (b"MAIL", b"550 5.7.1 who are you", Postponed("the mail server said 550 5.7.1 who are you")),
        (b"RCPT", b"421 4.3.2 closing", Postponed("the mail server said 421 4.3.2 closing")),
        (b".\r\n", b"554 5.7.1 no such words here", Refused("the mail server said 554 5.7.1 no such words here")),
        (b".\r\n", b"451 4.3.0 later", Postponed("the mail server said 451 4.3.0 later")),
        (b"EHLO", b"500 what", Accepted()),
    ],
)
async def test_what_a_reply_means_depends_on_what_it_answers(command: bytes, reply: bytes, expected: Delivery) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        in_data = False
        while line := await reader.readline():
            if in_data and line != b".\r\n":
                continue
            if line.startswith(command):
                writer.write(reply + b"\r\n")
            else:
                writer.write(b"354 go on\r\n" if line == b"DATA\r\n" else b"250 fine\r\n")
            in_data = line == b"DATA\r\n"

    async with server(answer) as port:
        assert await send(port, mail()) == [expected]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1's own, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    chain, key = folder / "cert.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return chain, key


class _Doorkeeper:
    """Lets ann in."""

    def __init__(self) -> None:
        self.accepted = 0

    def __call__(self, _server: object, _session: object, _envelope: object, _mechanism: str, auth: LoginPassword) -> AuthResult:
        return AuthResult(success=auth == LoginPassword(b"ann", b"secret"), handled=False)

    async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
        self.accepted += 1
        return "250 OK"


@pytest.fixture
def guarded(certificate: tuple[Path, Path]) -> Iterator[tuple[Controller, _Doorkeeper]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    doorkeeper = _Doorkeeper()
    controller = Controller(
        doorkeeper,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=doorkeeper,
        auth_required=True,
    )
    controller.start()
    yield controller, doorkeeper
    controller.stop()


async def test_starttls_and_login(guarded: tuple[Controller, _Doorkeeper], certificate: tuple[Path, Path]) -> None:
    controller, doorkeeper = guarded
    login = {"username": "ann", "password": SecretStr("secret"), "tls": "starttls", "tls_ca_file": certificate[0]}
    assert await send(controller.port, mail(), **login) == [Accepted()]
    assert doorkeeper.accepted == 1
    (delivery,) = await send(controller.port, mail(), **{**login, "password": SecretStr("wrong")})
    assert delivery == Postponed("the mail server refuses our login: SMTPAuthenticationError 535")


async def test_a_certificate_that_nobody_vouches_for_is_not_talked_to(guarded: tuple[Controller, _Doorkeeper]) -> None:
    controller, doorkeeper = guarded
    (delivery,) = await send(controller.port, mail(), tls="starttls")
    assert isinstance(delivery, Postponed)
    assert doorkeeper.accepted == 0
