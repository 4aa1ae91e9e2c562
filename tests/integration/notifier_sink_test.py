"""The mail sink as a process."""

from __future__ import annotations

import json
import signal
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from services.common.errors import ConfigurationError
from services.common.paths import ROOT
from services.console.embedded.mail import MailSink, Reply, main


def test_it_takes_mails_until_it_is_told_to_stop(tmp_path: Path) -> None:
    log = tmp_path / "mail.jsonl"
    command = [sys.executable, "-m", "services.console.embedded.mail", "--log", str(log), "--reply", "^gone@=550 5.1.1 Gone"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        host, _, port = process.stdout.readline().strip().partition(":")
        with smtplib.SMTP(host, int(port), timeout=10) as client:
            client.sendmail(
                "a@example.com", ["b@example.com"], "Message-ID: <1@example.com>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nHello\n"
            )
            with pytest.raises(smtplib.SMTPRecipientsRefused, match=r"5\.1\.1 Gone"):
                client.sendmail("a@example.com", ["gone@example.com"], "Subject: no\n\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    (line,) = [json.loads(text) for text in log.read_text().splitlines()]
    assert line.pop("received_at")
    assert line == {"message_id": "<1@example.com>", "to": ["b@example.com"], "subject": "Grüße", "size": 76}


def test_a_port_in_use_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with MailSink(tmp_path / "mail.jsonl") as sink:
        assert main(["--port", str(sink.port), "--log", str(tmp_path / "other.jsonl")]) == 78
        assert f"port {sink.port} on 127.0.0.1 cannot be opened" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "ann", "ann=", "ann=999 what", "=550 no", "ann=55"])
def test_a_reply_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected PATTERN=CODE WORDS"):
        Reply.parse(text)
