"""Mails: what templates may say, what no text can break, what a broken template tells."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.policy import default as default_policy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import ConfigurationError
from services.common.events import Alert
from services.common.paths import EXAMPLES
from services.notifier.adapters.templates import Templates, one_line
from services.notifier.domain.letter import Letter, letter_id
from services.notifier.domain.person import _PLAIN, usable
from services.notifier.ports import Unrenderable
from tests.support.alerts import sample_alert

SENDER = "Lumora <hello@lumora.example>"
ALERT = sample_alert(
    "abcdefghijklmnopqrstuvwx",
    root_id="lumora:idea:i",
    quote="My eyes hurt at night.\nPlease, a dark <theme>!",
    release_id="2026.11",
    release_name="Winter release",
    release_url="https://lumora.example/new?a=1&b=2",
)


def templates(folder: Path = EXAMPLES / "templates", *statuses: str) -> Templates:
    return Templates(folder, statuses or ("shipped",), product="Lumora", sender=SENDER, unsubscribe=None)


def letter(alert: Alert, address: str) -> Letter:
    return Letter(letter_id((alert,)), address, (alert,), alert.created_at)


def parsed(body: bytes) -> EmailMessage:
    message = message_from_bytes(body, policy=default_policy)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_a_mail_says_what_shipped_in_two_forms_and_quotes_the_person() -> None:
    mail = templates().compose(letter(ALERT, "ann@example.com"))
    message = parsed(mail.body)
    assert message["To"] == "ann@example.com"
    assert message["From"] == SENDER
    assert message["Subject"] == "You asked, we shipped: Dark mode (Winter release)"
    assert message["Message-ID"] == mail.message_id == "<abcdefghijklmnopqrstuvwx@lumora.example>"
    assert message["Date"].datetime.timestamp() == 1_700_000_000
    assert message["List-Unsubscribe"] == "<mailto:hello@lumora.example?subject=unsubscribe%20abcdefghijklmnopqrstuvwx>"
    assert "> My eyes hurt at night.\n> Please, a dark <theme>!\n" in part(message, "plain")
    assert "Please, a dark &lt;theme&gt;!" in part(message, "html")
    assert 'href="https://lumora.example/new?a=1&amp;b=2"' in part(message, "html")


def test_the_same_alert_gives_the_same_bytes() -> None:
    assert templates().compose(letter(ALERT, "ann@example.com")) == templates().compose(
        letter(replace(ALERT, attempt=4), "ann@example.com")
    )


def test_an_alert_without_release_quote_and_title_is_still_a_mail() -> None:
    bare = replace(ALERT, title="", quote="", release_name=None, release_url=None)
    message = parsed(templates().compose(letter(bare, "ann@example.com")).body)
    assert message["Subject"] == "You asked, we shipped: your request"
    assert "You wrote" not in part(message, "plain")
    assert "http" not in part(message, "plain")


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc/passwd", "https://", "https://a b", "https://x\r\nBcc: eve@example.com", "http://[bad"]
)
def test_only_web_addresses_become_links(url: str) -> None:
    message = parsed(templates().compose(letter(replace(ALERT, release_url=url), "ann@example.com")).body)
    assert "href" not in part(message, "html")
    assert url not in part(message, "plain")


_NASTY = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\r\n\v\f\x00\x85\u2028<>\"'{}%")), max_size=300)


@given(title=_NASTY, quote=_NASTY, name=_NASTY)
def test_no_text_adds_a_header_a_part_or_a_tag(title: str, quote: str, name: str) -> None:
    attack = replace(
        ALERT, title=title + "\r\nBcc: eve@example.com\r\n\r\nbody", quote="--=_abcdefghijklmnopqrstuvwx--\r\n" + quote, release_name=name
    )
    body = templates().compose(letter(attack, "ann@example.com")).body
    message = parsed(body)
    assert [name.lower() for name in message] == [
        "from", "to", "subject", "date", "message-id", "list-unsubscribe", "auto-submitted", "mime-version", "content-type",
    ]  # fmt: skip
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    plain = templates().compose(letter(replace(ALERT, title=".", quote=".", release_name="."), "ann@example.com")).body
    assert part(message, "html").count("<") == part(parsed(plain), "html").count("<")
    assert max(len(line) for line in body.split(b"\r\n")) <= 998
    assert body.isascii()


def in_lines(text: str) -> str:
    """Return *text* with each of its lines ended by a line feed."""
    return "".join(f"{line.decode()}\n" for line in text.encode().splitlines())


@given(text=st.one_of(_NASTY, st.text("=_-. \n\taж", max_size=200), st.text("ab", min_size=990, max_size=1_100)), title=_NASTY)
def test_every_text_arrives_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, text: str, title: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "verbatim"
    folder.mkdir(exist_ok=True)
    verbatim = templates(
        folder_with(folder, subject="{{ title }}", txt="{{ quote }}\n--=_abcdefghijklmnopqrstuvwx--", html="{{ quote | safe }}")
    )
    body = verbatim.compose(letter(replace(ALERT, quote=text, title=title), "ann@example.com")).body
    message = parsed(body)
    assert part(message, "plain") == in_lines(f"{text}\n--=_abcdefghijklmnopqrstuvwx--")
    assert part(message, "html") == in_lines(text)
    assert str(message["Subject"]) == (one_line(title) or "your request")
    assert max(len(line) for line in body.split(b"\r\n")) <= 998
    assert body.isascii()
    assert b"\n" not in body.replace(b"\r\n", b"")


@given(address=st.from_regex(_PLAIN, fullmatch=True))
def test_an_address_that_is_known_at_a_glance_is_one(address: str) -> None:
    assert Address(addr_spec=address).addr_spec == address
    assert usable(address)


def test_an_address_in_other_letters_is_kept() -> None:
    mail = templates().compose(letter(ALERT, "аня@пример.example"))
    assert message_from_bytes(mail.body, policy=SMTP.clone(utf8=True))["To"] == mail.recipient == "аня@пример.example"


def test_a_domain_in_other_letters_is_written_in_ascii() -> None:
    mail = templates().compose(letter(ALERT, "ann@müller.example"))
    assert parsed(mail.body)["To"] == mail.recipient == "ann@xn--mller-kva.example"


def test_a_long_domain_leaves_its_headers_whole() -> None:
    host = ".".join(["a" * 60] * 3) + ".example"
    sender = Templates(EXAMPLES / "templates", ["shipped"], product="L", sender=f"hello@{host}", unsubscribe=None)
    message = parsed(sender.compose(letter(ALERT, "ann@example.com")).body)
    assert message["Message-ID"] == f"<abcdefghijklmnopqrstuvwx@{host}>"
    assert message["List-Unsubscribe"] == f"<mailto:hello@{host}?subject=unsubscribe%20abcdefghijklmnopqrstuvwx>"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@example.com\nBcc: eve@example.com",
        "ann@example.com\r",
        "a b@example.com",
        "ann@example.com, eve@example.com",
        "ann@example.com,eve@example.com",
        "Ann <ann@example.com>",
        "<ann@example.com>",
        "ann@exa\u2028mple.com",
        "ann@@example.com",
        "ann(comment)@example.com",
    ],
)
def test_such_addresses_are_not_written_to(address: str) -> None:
    assert not usable(address)


@pytest.mark.parametrize(
    "address", ["ann@example.com", "аня@пример.example", "ann+tag@mail.example.co.uk", "o'neil@example.com", "root@localhost"]
)
def test_such_addresses_are_written_to(address: str) -> None:
    assert usable(address)


def folder_with(tmp_path: Path, **parts: str) -> Path:
    for name, text in {"subject": "S", "txt": "T", "html": "H", **parts}.items():
        (tmp_path / {"subject": "default.subject.txt"}.get(name, f"default.{name}")).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ({"html": "<p>\n{% if title %}\n</p>"}, r"default\.html:3: Unexpected end of template"),
        ({"txt": "Hello\n\n{{ titel }}"}, r"default\.txt:3: UndefinedError: 'titel' is undefined"),
        ({"txt": "{{ ''.__class__.__mro__ }}"}, r"default\.txt:1: SecurityError"),
        ({"subject": "{{ 1 / 0 }}"}, r"default\.subject\.txt:1: ZeroDivisionError"),
        ({"subject": "{{ title | nosuchfilter }}"}, r"default\.subject\.txt:1: No filter named"),
        ({"html": "{% if not release_name %}\n{{ nothing }}{% endif %}"}, r"default\.html:2: UndefinedError"),
    ],
)
def test_a_broken_template_is_refused_at_its_line(tmp_path: Path, parts: dict[str, str], place: str) -> None:
    with pytest.raises(ConfigurationError, match=place):
        templates(folder_with(tmp_path, **parts))


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    (folder_with(tmp_path) / "default.html").unlink()
    with pytest.raises(ConfigurationError, match=r"neither shipped\.html nor default\.html"):
        templates(tmp_path)


def test_a_template_that_fails_for_one_alert_alone_says_where_and_quotes_nothing(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, txt="{% if title == 'Odd one' %}\n{{ quote.nothing }}{% endif %}")
    assert templates(folder).compose(letter(ALERT, "ann@example.com"))
    with pytest.raises(Unrenderable, match=r"^the template default\.txt fails at line 2: UndefinedError$"):
        templates(folder).compose(letter(replace(ALERT, title="Odd one"), "ann@example.com"))


def test_each_status_has_its_own_words_or_the_default() -> None:
    both = templates(EXAMPLES / "templates", "shipped", "planned")
    assert (
        parsed(both.compose(letter(replace(ALERT, status="planned"), "a@example.com")).body)["Subject"]
        == "“Dark mode”: planned in Winter release"
    )


def test_a_digest_is_one_mail_of_all_its_alerts() -> None:
    alerts = [replace(ALERT, alert_id=f"lumora:alert:{name}", title=f"Idea {name}", quote=f"please <{name}>") for name in "ab"]
    mail = templates().compose(Letter(letter_id(alerts), "ann@example.com", alerts, 1))
    message = parsed(mail.body)
    assert message["Subject"] == "2 things that you asked Lumora for"
    assert all(f"Idea {name}: shipped (Winter release)" in part(message, "plain") for name in "ab")
    assert all(f"please &lt;{name}&gt;" in part(message, "html") for name in "ab")
    assert message["Message-ID"] == mail.message_id == f"<{letter_id(list(reversed(alerts)))}@lumora.example>"


def test_a_folder_without_a_digest_uses_ours_and_one_with_a_broken_digest_is_refused(tmp_path: Path) -> None:
    for name in ("shipped.subject.txt", "shipped.txt", "shipped.html"):
        (tmp_path / name).write_text((EXAMPLES / "templates" / name).read_text())
    both = [ALERT, replace(ALERT, alert_id="lumora:alert:b")]
    assert templates(tmp_path).compose(Letter(letter_id(both), "ann@example.com", both, 1))
    (tmp_path / "digest.txt").write_text("{% for item in items %}\n{{ item.nothing }}\n{% endfor %}")
    with pytest.raises(ConfigurationError, match=r"digest\.txt:2: UndefinedError"):
        templates(tmp_path)
