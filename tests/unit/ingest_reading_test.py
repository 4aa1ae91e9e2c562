"""Moments, aliases and quoted mail, as outsiders write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.aliases import email_alias, parse_alias
from services.ingest.domain.moments import LATEST, TimestampFormat, parse_moment
from services.ingest.domain.texts import STEPS, strip_quotes

NOON = 1_795_262_400_000_000  # 2026-11-21T12:00:00Z


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        ("2026-11-21T12:00:00Z", "iso", NOON),
        ("2026-11-21T13:00:00+01:00", "iso", NOON),
        ("2026-11-21T12:00:00", "iso", NOON),
        ("2026-11-21T12:00:00.123456Z", "iso", NOON + 123_456),
        ("2026-11-21", "iso", NOON - 43_200_000_000),
        ("Sat, 21 Nov 2026 12:00:00 +0000", "rfc2822", NOON),
        ("21 Nov 2026 07:00:00 EST", "rfc2822", NOON),
        (1_795_262_400, "epoch_s", NOON),
        (1_795_262_400.5, "epoch_s", NOON + 500_000),
        ("1795262400.000200", "epoch_s", NOON + 200),
        (1_795_262_400_000, "epoch_ms", NOON),
        ("1795262400000", "epoch_ms", NOON),
        ("yesterday", "iso", None),
        ("", "iso", None),
        (7, "iso", None),
        ("0001-01-01T00:00:00+14:00", "iso", None),
        ("9999-12-31T23:59:59-12:00", "iso", None),
        ("1969-12-31T23:59:59Z", "iso", None),
        ([], "rfc2822", None),
        (True, "epoch_s", None),
        (-1, "epoch_s", None),
        (float("nan"), "epoch_s", None),
        (float("inf"), "epoch_s", None),
        (1_795_262_400_000_000, "epoch_s", None),  # milliseconds and more, given as seconds
        ("1e9", "epoch_s", None),
        ({}, "epoch_ms", None),
    ],
)
def test_a_moment_is_read_or_refused(value: object, form: TimestampFormat, expected: int | None) -> None:
    assert expected == parse_moment(value, form)


@given(moment=st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_iso_moment_is_read_to_the_microsecond(moment: datetime) -> None:
    micros = parse_moment(moment.isoformat(), "iso")
    assert micros is not None
    assert moment == datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


@given(value=st.text() | st.integers() | st.floats() | st.none(), form=st.sampled_from(["iso", "epoch_s", "epoch_ms", "rfc2822"]))
def test_whatever_is_written_there_is_a_moment_or_none(value: object, form: TimestampFormat) -> None:
    micros = parse_moment(value, form)
    assert micros is None or 0 <= micros <= LATEST


@pytest.mark.parametrize(
    ("address", "alias"),
    [
        ("Ann.Lee@Example.COM", "email:ann.lee@example.com"),
        ("ann+lumora@example.com", "email:ann@example.com"),
        ("+@example.com", "email:+@example.com"),
        ("Ann.Lee+x@Gmail.com", "email:annlee@gmail.com"),
        ("ann.lee@googlemail.com", "email:annlee@gmail.com"),
        ("änn@exämple.de", "email:änn@exämple.de"),
        ("ann@example", None),
        ("ann", None),
        ("ann@@example.com", None),
        ("Ann <ann@example.com>", None),
        ("ann@example.com\nBcc: x@example.com", None),
        ("a b@example.com", None),
        ("ann@.com", None),
        ("ann@example.com.", None),
        (f"{'x' * 65}@example.com", None),
        ("", None),
    ],
)
def test_an_address_has_one_alias(address: str, alias: str | None) -> None:
    assert alias == email_alias(address)


@pytest.mark.parametrize(
    ("alias", "normal"),
    [
        ("Slack: U1 ", "slack:U1"),
        ("email:Ann+x@Example.com", "email:ann@example.com"),
        ("email:nobody", None),
        ("U1", None),
        ("slack:", None),
        ("sl ack:U1", None),
        ("slack:U\n1", None),
        (f"slack:{'x' * 600}", None),
    ],
)
def test_an_alias_has_a_namespace_and_one_spelling(alias: str, normal: str | None) -> None:
    assert normal == parse_alias(alias)


@given(text=st.text(max_size=40))
def test_an_alias_that_was_made_comparable_stays_as_it_is(text: str) -> None:
    for normal in (email_alias(text), parse_alias(text), parse_alias(f"slack:{text}")):
        assert normal is None or normal == parse_alias(normal)


WISH = "Please let me lock a frame.\nThanks, that would help!"

_MAILS = {
    "gmail": f"{WISH}\n\nOn Fri, Nov 20, 2026 at 9:00 AM Lumora Support <help@lumora.example> wrote:\n\n> Hello Ann,\n> how are you?\n",
    "gmail, wrapped": f"{WISH}\n\nOn Fri, Nov 20, 2026 at 9:00 AM Lumora Support\n<help@lumora.example> wrote:\n> Hello\n",
    "apple, unmarked": f"{WISH}\n\nOn 20 Nov 2026, at 09:00, Kim wrote:\n\nHello Ann,\nhow are you?\n",
    "german": f"{WISH}\n\nAm Fr., 20. Nov. 2026 um 09:00 Uhr schrieb Kim <kim@lumora.example>:\n> Hallo\n",
    "french": f"{WISH}\n\nLe ven. 20 nov. 2026 à 09:00, Kim a écrit :\n> Bonjour\n",
    "outlook": f"{WISH}\n\n________________________________\nFrom: Kim\nSent: Friday\nTo: Ann\nSubject: Hello\n\nHello Ann\n",
    "outlook without a rule": f"{WISH}\n\nFrom: Kim <kim@lumora.example>\nSent: Friday, November 20\nTo: Ann\n\nHello Ann\n",
    "original message": f"{WISH}\n\n-----Original Message-----\nHello Ann\n",
    "forwarded": f"{WISH}\n\n---------- Forwarded message ---------\nFrom: Kim\n\nHello\n",
    "bottom posting": f"On Friday, Kim wrote:\n> Hello Ann,\n> how are you?\n\n{WISH}\n",
    "interleaved": f"> Hello\n{WISH.splitlines()[0]}\n> how are you?\n{WISH.splitlines()[1]}\n",
    "signature": f"{WISH}\n\n-- \nAnn Lee\nAcme Inc., 1 Main Street\n",
    "phone": f"{WISH}\n\nSent from my iPhone\n",
    "closing": f"{WISH}\n\nBest regards,\nAnn Lee\nAcme\n",
    "german closing": f"{WISH}\n\nViele Grüße\nAnn\n",
    "windows lines": f"{WISH}\n\n-- \nAnn".replace("\n", "\r\n"),
}


@pytest.mark.parametrize("mail", _MAILS.values(), ids=_MAILS.keys())
def test_only_the_authors_own_words_stay(mail: str) -> None:
    assert strip_quotes(mail) == WISH


@pytest.mark.parametrize(
    "text",
    [
        WISH,
        "Wishes:\n- dark mode\n- offline\n-- not this",
        "On mobile the board is slow.\nOn desktop it is fine.",
        "Thanks",
        "From: and To: fields are missing in the export.",
        "I wrote: please add tags.\n\nBest of all would be colours and many more words than a closing has, so that this line is long.",
        "Am Montag war alles langsam:\nnichts ging.",
    ],
)
def test_what_is_no_quote_stays(text: str) -> None:
    assert text == strip_quotes(text)


def test_nothing_but_quotes_is_nothing() -> None:
    assert not strip_quotes("On Friday, Kim wrote:\n> Hello\n> again\n")


@given(text=st.text(alphabet="On >-\nwrote:F:ma_Sentro", max_size=200))
def test_stripping_twice_is_stripping_once_or_less(text: str) -> None:
    once = strip_quotes(text)
    assert all(line in text for line in once.splitlines())


@pytest.mark.parametrize("piece", ["> \n", "On ", "On x\n", "-- \n", "_" * 40 + "\n", "From: x\n", "Am schrieb ", "\n", "a@<", "\\(", '"'])
@pytest.mark.parametrize("step", ["strip_quotes", "address", "display_name"])
def test_a_megabyte_of_anything_is_done_at_once(piece: str, step: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    STEPS[step](text)  # type: ignore[index]  # the parameters are the three steps
    assert time.process_time() - started < 5
