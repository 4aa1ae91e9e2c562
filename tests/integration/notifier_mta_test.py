"""What we send, in the hands of others: a mail server that people run, a MIME parser, a mail filter, a DKIM signer."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.common.clock import SystemClock
from services.common.codec import Codec
from services.common.events import DeliveryReport
from services.common.paths import EXAMPLES
from services.common.records import Output, Record
from services.common.registry import open_schemas
from services.console.bounces import Counted, opened, publish_bounces
from services.notifier.adapters.smtp import SmtpMailer
from services.notifier.adapters.templates import Templates
from services.notifier.domain.letter import Letter
from services.notifier.ports import Accepted, Delivery, Message, Refused
from services.notifier.settings import SmtpSettings
from tests.support import mta, node
from tests.support.alerts import sample_alert

SENDER = f"Lumora Grüße <hello@{mta.DOMAIN}>"
ALERT = sample_alert(
    title="Dunkles Design für die Übersicht, 深色模式, and a title that is far longer than one line of a mail's header may be",
    quote="Meine Augen tun abends weh.\n.\nFrom here on: = and =_ and a very long line " + "x" * 1_200,
    created_at=SystemClock().now(),
)

CODEC = Codec(open_schemas(None))

pytestmark = pytest.mark.skipif(mta.why_not() is not None, reason=str(mta.why_not()))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[mta.Mta]:
    with mta.running(tmp_path / "mta") as running:
        yield running


def composed(local_part: str, name: str = "aaaaaaaaaaaaaaaaaaaaaaaa", alerts: int = 1) -> Message:
    templates = Templates(EXAMPLES / "templates", ["shipped"], product="Lumora", sender=SENDER, unsubscribe=None)
    named = [replace(ALERT, alert_id=f"lumora:alert:{name}")] * alerts
    return templates.compose(Letter(name, f"{local_part}@{mta.DOMAIN}", named, SystemClock().now()))


async def send(server: mta.Mta, *messages: Message) -> list[Delivery]:
    mailer = SmtpMailer(SmtpSettings(port=server.port), f"hello@{mta.DOMAIN}")
    try:
        return list(await mailer.send(messages, time.monotonic() + 60))
    finally:
        await mailer.close()


async def test_a_mail_server_takes_a_hundred_mails_and_delivers_each_once(server: mta.Mta) -> None:
    messages = [composed("ann", f"a{number:03}") for number in range(100)]
    assert [Accepted()] * 100 == await send(server, *messages)
    bodies = server.mailbox("ann", 100)
    ids = [line for body in bodies for line in body.split(b"\n\n")[0].splitlines() if line.lower().startswith(b"message-id:")]
    assert {f"Message-ID: {message.message_id}".encode() for message in messages} == set(ids)
    assert len(ids) == 100


async def test_who_is_unknown_there_is_refused_and_the_others_are_not(server: mta.Mta) -> None:
    first, second, third = await send(server, composed("ann"), composed(mta.UNKNOWN), composed("bob"))
    assert (Accepted(), Accepted()) == (first, third)
    assert isinstance(second, Refused)
    assert "nobody of that name" in second.reason


@pytest.mark.skipif(node.MISSING, reason="npm is not here: no MIME parser of another language read a mail")
@pytest.mark.parametrize("alerts", [1, 3])
async def test_a_parser_of_another_language_reads_what_arrived(server: mta.Mta, tmp_path: Path, alerts: int) -> None:
    await send(server, composed("ann", alerts=alerts))
    [body] = server.mailbox("ann", 1)
    read = parsed_by_node(tmp_path, body)
    assert f"ann@{mta.DOMAIN}" == read["to"]
    assert ("Lumora Grüße", f"hello@{mta.DOMAIN}") == (read["from"], read["address"])
    assert ALERT.title[:40] in read["subject"] + read["text"]
    for kind in ("text", "html"):
        assert "Meine Augen tun abends weh." in read[kind]
        assert "x" * 1_200 in read[kind]
    assert read["id"] == "<aaaaaaaaaaaaaaaaaaaaaaaa@lumora.example>"
    assert read["unsubscribe"]


def parsed_by_node(folder: Path, body: bytes) -> dict[str, str]:
    """Return what ``mailparser`` makes of a mail."""
    (folder / "mail.eml").write_bytes(body)
    script = (
        "const {simpleParser} = require('mailparser');"
        "simpleParser(require('fs').readFileSync('mail.eml')).then(m => console.log(JSON.stringify({to: m.to.text, subject: m.subject,"
        " from: m.from.value[0].name, address: m.from.value[0].address, text: m.text, html: m.html, id: m.messageId,"
        " unsubscribe: JSON.stringify(m.headers.get('list'))})));"
    )
    run = node.ran("mailparser@3.7.4", script, folder)
    assert run.returncode == 0, run.stderr.decode()
    read: dict[str, str] = json.loads(run.stdout)
    return read


_FORMAL = ("MIME", "MISSING", "INVALID", "MSGID", "HEADER", "SUBJ_", "FROM_", "TO_", "DATE", "HTML_", "MPART", "BAD_", "ILLEGAL", "BASE64")
_HARMLESS = {"HTML_MESSAGE", "FROM_EXCESS_BASE64"}
"""That it has HTML; that a name in another script than Latin is encoded."""


@pytest.mark.skipif(shutil.which("spamassassin") is None, reason="spamassassin is not here: no mail filter judged a mail")
@pytest.mark.parametrize("alerts", [1, 3])
async def test_a_mail_filter_finds_no_fault_in_their_form(server: mta.Mta, alerts: int) -> None:
    await send(server, composed("ann", alerts=alerts))
    [body] = server.mailbox("ann", 1)
    report = judgement_of(body)
    hits = {word for line in report.splitlines() for word in line.split()[1:2] if word.isupper()}
    assert hits, report
    assert set() == {hit for hit in hits if hit.startswith(_FORMAL)} - _HARMLESS, report


def judgement_of(body: bytes) -> str:
    """Return which rules of the filter a mail meets."""
    said = subprocess.run(["spamassassin", "--local", "-t"], input=body, capture_output=True, check=True).stdout.decode(errors="replace")
    return said[said.index("Content analysis details:") :]


async def test_a_signature_made_by_a_signer_survives_the_way_through_the_server(server: mta.Mta) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    record = "v=DKIM1; k=rsa; p=" + "".join(line for line in public.splitlines() if "-" not in line)
    message = composed("ann")
    signed = [b"from", b"to", b"subject", b"date", b"message-id", b"list-unsubscribe", b"mime-version", b"content-type"]
    signature = dkim.sign(message.body, b"mail", mta.DOMAIN.encode(), pem, include_headers=signed)
    await send(server, replace(message, body=signature + message.body))
    [body] = server.mailbox("ann", 1)
    assert dkim.verify(body.replace(b"\n", b"\r\n"), dnsfunc=lambda *_args, **_more: record.encode())
    assert not dkim.verify(body.replace(b"\n", b"\r\n").replace(b"abends", b"immer "), dnsfunc=lambda *_args, **_more: record.encode())


async def test_what_the_server_bounces_later_is_read_back_as_a_report_once(server: mta.Mta) -> None:
    assert [Accepted()] * 2 == await send(server, composed(mta.GONE), composed("ann", "bbbbbbbbbbbbbbbbbbbbbbbb"))
    server.mailbox("hello", 1)
    server.mailbox("ann", 1)
    published: list[Output] = []

    async def publish(outputs: Sequence[Output]) -> None:
        published.extend(outputs)

    for expected in (Counted(mails=2, reports=1, others=1), Counted(mails=1, others=1)):
        with opened(str(server.folder / "mailboxes" / "all")) as found:
            assert expected == await publish_bounces(publish, CODEC, found)
    [report] = [CODEC.decoder(DeliveryReport)(Record(out.topic, 0, 0, 0, out.key, out.value)) for out in published]
    assert (report.letter, report.channel, report.outcome) == ("a" * 24, "email", "bounced")
    assert report.reason == "5.0.0"
    assert "@" not in report.reason
