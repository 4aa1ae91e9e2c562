"""What is read out of other people's mails: reports of ours, and nothing else, whatever they hold."""

from __future__ import annotations

import asyncio
import mailbox
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.codec import Codec
from services.common.events import DeliveryReport
from services.common.records import Output, Record
from services.common.registry import open_schemas
from services.console.bounces import PASSWORD, Counted, opened, publish_bounces
from services.console.failures import CommandFailed
from services.notifier.adapters.bounces import reports_in

CODEC = Codec(open_schemas(None))
NOW = 1_790_000_000_000_000
LETTER = "abcdefghijklmnopqrstuv23"
REPORT = f"""\
From: Mail Delivery System <MAILER-DAEMON@mx.example.com>
To: hello@lumora.example
Subject: Undelivered Mail
Message-ID: <20260101.abc@mx.example.com>
Date: Thu, 01 Jan 2026 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I could not deliver your mail to ann@example.com.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
Arrival-Date: Thu, 01 Jan 2026 09:59:00 +0000

Final-Recipient: rfc822; ann@example.com
Action: ACTION
Status: STATUS
Diagnostic-Code: smtp; 550 STATUS <ann@example.com>: ann has gone

--b
Content-Type: text/rfc822-headers

From: Lumora <hello@lumora.example>
To: ann@example.com
Subject: Dark mode
Message-ID:
 <{LETTER}@lumora.example>

--b--
"""


def bounce(action: str = "failed", status: str = "5.1.1") -> bytes:
    return REPORT.replace("ACTION", action).replace("STATUS", status).encode()


@pytest.mark.parametrize(
    ("action", "status", "outcome", "gone"),
    [
        ("failed", "5.1.1", "bounced", True),
        ("Failed", "5.2.1", "bounced", True),
        ("failed", "5.7.1", "bounced", False),
        ("failed", "4.4.7", "bounced", False),
        ("delivered", "2.0.0", "delivered", False),
    ],
)
def test_what_a_server_says_of_a_mail_becomes_a_report_without_an_address(action: str, status: str, outcome: str, gone: bool) -> None:
    [report] = reports_in(bounce(action, status), NOW)
    assert (report.letter, report.channel, report.outcome, report.address_gone) == (LETTER, "email", outcome, gone)
    assert report.reason.startswith(status)
    assert re.search("ann|@", report.reason) is None
    assert report.occurred_at == 1_767_261_600_000_000
    assert reports_in(bounce(action, status), NOW + 1) == [report], "the same each time it is read"


@pytest.mark.parametrize("action", ["delayed", "relayed", "expanded", "whatever"])
def test_what_is_not_known_yet_is_no_report(action: str) -> None:
    assert reports_in(bounce(action), NOW) == []


def test_other_mails_are_no_reports() -> None:
    assert reports_in(bounce().replace(b"multipart/report", b"multipart/mixed"), NOW) == []
    assert reports_in(bounce().replace(LETTER.encode(), b"somebody.elses"), NOW) == []
    assert reports_in(b"From: ann@example.com\r\n\r\nI am away until Monday.", NOW) == []
    assert reports_in(bounce() + b"x" * 1_000_000, NOW) == []


@given(place=st.integers(0, len(REPORT)), junk=st.binary(max_size=40), cut=st.integers(0, 60))
def test_no_mail_breaks_the_reader(place: int, junk: bytes, cut: int) -> None:
    raw = bounce()
    for report in reports_in(raw[:place] + junk + raw[place + cut :], NOW):
        assert report.outcome in ("bounced", "delivered")
        assert CODEC.decoder(DeliveryReport)(Record("t", 0, 0, 0, b"", CODEC.encode(report))) == report


@given(raw=st.binary(max_size=300))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    assert reports_in(raw, NOW) == []


def read(place: str) -> tuple[Counted, int]:
    published: list[Output] = []

    async def publish(outputs: Sequence[Output]) -> None:
        published.extend(outputs)

    with opened(place) as found:
        return asyncio.run(publish_bounces(publish, CODEC, found)), len(published)


def test_a_maildir_is_read_once_and_an_mbox_says_the_same_again(tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "maildir")
    mbox = mailbox.mbox(tmp_path / "mbox")
    for raw in (bounce(), b"Subject: hello\n\nhow are you?\n"):
        box.add(raw)
        mbox.add(raw)
    mbox.close()
    both = (Counted(mails=2, reports=1, others=1), 1)
    assert [read(str(tmp_path / "maildir")) for _ in range(2)] == [both, (Counted(mails=1, others=1), 0)]
    assert [read(str(tmp_path / "mbox")) for _ in range(2)] == [both, both]


@contextmanager
def imap_server(mails: Sequence[bytes]) -> Iterator[tuple[int, set[int]]]:
    """Serve *mails* by what of RFC 3501 is asked; yield the port and the numbers of those that were seen."""
    seen: set[int] = set()
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(command: str, tag: str) -> bytes:
        if command.startswith("UID SEARCH"):
            unseen = " ".join(str(number) for number in range(1, len(mails) + 1) if number not in seen)
            return f"* SEARCH {unseen}\r\n{tag} OK done\r\n".encode()
        if command.startswith("UID FETCH"):
            number = int(command.split()[2])
            mail = mails[number - 1]
            head = f"* {number} FETCH (UID {number} BODY[]<0> {{{len(mail)}}}\r\n".encode()
            return head + mail + f")\r\n{tag} OK done\r\n".encode()
        if command.startswith("UID STORE"):
            seen.add(int(command.split()[2]))
        if command.startswith("LOGIN") and "secret" not in command:
            return f"{tag} NO wrong\r\n".encode()
        capability = "* CAPABILITY IMAP4rev1\r\n" if command.startswith("CAPABILITY") else ""
        return f"{capability}{tag} OK done\r\n".encode()

    def serve() -> None:
        for _ in range(3):
            client, _ = listening.accept()
            with client, client.makefile("rb") as lines:
                client.sendall(b"* OK hello\r\n")
                for line in lines:
                    tag, _, command = line.decode().strip().partition(" ")
                    client.sendall(answer(command, tag))

    threading.Thread(target=serve, daemon=True).start()
    with listening:
        yield listening.getsockname()[1], seen


def test_a_mailbox_behind_imap_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with imap_server([bounce(), b"Subject: hi\r\n\r\nho"]) as (port, seen):
        place = f"imap://hello@127.0.0.1:{port}/Bounces"
        monkeypatch.setenv(PASSWORD, "wrong")
        with pytest.raises(CommandFailed, match=r"127\.0\.0\.1 cannot be read"):
            read(place)
        monkeypatch.setenv(PASSWORD, "secret")
        assert read(place) == (Counted(mails=2, reports=1, others=1), 1)
        assert seen == {1}
        assert read(place) == (Counted(mails=1, others=1), 0)


@pytest.mark.parametrize("place", ["/nowhere", "ftp://ann@example.com/x", "imaps://example.com/x", "imaps://ann:word@example.com/x"])
def test_what_is_no_mailbox_is_refused(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "x")
    with pytest.raises(CommandFailed):
        read(place)
