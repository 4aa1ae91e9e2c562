"""Laws of what is done to texts: steps take anything, masks leave nothing of their kind, splitting loses no request."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.common.errors import MalformedRecord
from services.ingest.domain.texts import STEPS
from services.ingest.domain.texts.masking import Mask, mask
from services.ingest.domain.texts.refining import TextRules, refine
from services.ingest.domain.texts.splitting import MOST_PARTS, Split, split_requests

_MARKS = st.sampled_from(
    [
        "<li>",
        "</li>",
        "<ul>",
        "<p>",
        "<b",
        "<blockquote\ttype='cite'>",
        "<!--",
        "-->",
        "&#12;",
        "&#1;",
        "&amp;",
        "&#xffff;",
        "&#65534;",
        "&#xd800;",
    ]
) | st.sampled_from(
    [
        "-",
        "1.\t",
        ">\t",
        "#\t",
        "```",
        "`",
        "*",
        "_",
        "[x](y)",
        "|a|",
        "\n",
        "\n\n",
        "\x00",
        "\x01",
        "\x0c",
        "\u200d",
        "\ufffe",
        "<@U1|x>",
        ":+1:",
    ]
)
_TEXTS = st.lists(_MARKS | st.text(max_size=6), max_size=25).map("".join)


@given(text=_TEXTS)
@example("- what\x0cfeedback")
@example("<li>&#12;x</li>")
@example("&#xffff;")
def test_every_step_takes_any_text_and_gives_one_or_a_dead_letter(text: str) -> None:
    for step in STEPS.values():
        with contextlib.suppress(MalformedRecord):  # nested too deep
            assert isinstance(step(text), str)


_DATA: Sequence[tuple[Mask, str]] = [
    ("email", "ann.lee+x@mail.example.com"),
    ("email", "o'neil@example.co.uk"),
    ("phone", "+49 30 901820"),
    ("phone", "+1 (415) 555-2671"),
    ("card", "4111 1111 1111 1111"),
    ("card", "5500-0000-0000-0004"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB29NWBK60161331926819"),
    ("ip", "192.168.17.4"),
    ("ip", "2001:db8::1"),
]
_ALL: tuple[Mask, ...] = ("email", "phone", "card", "iban", "ip")
_WORDS = st.text(alphabet="abcdefghij ", max_size=12)
_PIECES = st.lists(st.tuples(_WORDS, st.sampled_from(_DATA)), max_size=5)


@given(pieces=_PIECES, end=_WORDS)
def test_a_mask_replaces_every_datum_and_nothing_else(pieces: list[tuple[str, tuple[Mask, str]]], end: str) -> None:
    text = "".join(f"{words}; {datum}; " for words, (_, datum) in pieces) + end
    assert mask(text, _ALL) == "".join(f"{words}; [{kind}]; " for words, (kind, _) in pieces) + end


@given(pieces=_PIECES, kinds=st.lists(st.sampled_from(_ALL), unique=True))
def test_masks_that_are_not_asked_for_hide_nothing(pieces: list[tuple[str, tuple[Mask, str]]], kinds: list[Mask]) -> None:
    shown = mask("".join(f"; {datum}; " for _, (_, datum) in pieces), kinds)
    assert [f"[{kind}]" if kind in kinds else datum for _, (kind, datum) in pieces] == [part for part in shown.split("; ") if part]


@given(text=st.text(alphabet="+0123456789 .-@abDE:\n", max_size=60) | _TEXTS, region=st.sampled_from([None, "DE", "US"]))
def test_what_was_masked_stays_as_it_is(text: str, region: str | None) -> None:
    once = mask(text, _ALL, region)
    for name in re.findall(r"\[(?:email|phone|card|iban|ip)\]", once):
        assert name.strip("[]") in _ALL
    assert once.count("@") <= text.count("@")
    assert mask(once, ("email", "card", "iban"), region) == once


_LINES = st.sampled_from(
    ["- dark mode at night", "* lock a frame", "1. export as PDF", "We would like:", "Thanks", "", "  ", "and more of it"]
)
_MESSAGES = st.lists(_LINES | st.text(alphabet="ab -*:\n1.", max_size=12), min_size=1, max_size=40).map("\n".join).filter(str.strip)
_SPLITS: Sequence[Split] = ("none", "lists", "paragraphs")


@pytest.mark.parametrize("how", _SPLITS)
@given(text=_MESSAGES)
def test_parts_are_the_text_in_its_order_less_introductions(how: Split, text: str) -> None:
    parts = split_requests(text, how)
    assert 1 <= len(parts) <= MOST_PARTS
    if len(parts) == 1:
        assert parts == [text]
        return
    place = 0
    for word in " ".join(parts).split():  # in their order, none twice, none invented
        place = text.index(word, place) + len(word)
    assert all(part.strip() for part in parts)


@given(items=st.lists(st.sampled_from(["dark mode at night", "lock a frame", "export as PDF"]), min_size=2, max_size=30))
def test_every_item_of_a_list_is_a_request(items: list[str]) -> None:
    parts = split_requests("They want:\n\n" + "\n".join(f"- {item}" for item in items), "lists")
    assert parts[: MOST_PARTS - 1] == items[: MOST_PARTS - 1]
    assert "\n\n".join(parts) == "\n\n".join(items) if len(items) > MOST_PARTS else parts == items


@given(text=_MESSAGES, how=st.sampled_from(_SPLITS), limit=st.integers(1, 60))
def test_a_text_that_is_cut_or_split_is_kept_whole_beside(text: str, how: Split, limit: int) -> None:
    refined = refine(text, TextRules(limit=limit, split=how, detect_language=False))
    assert all(len(part) <= limit for part in (refined.text, *refined.further)) or refined.is_praise
    assert refined.original in (None, text)
    assert refined.original is not None or refined.text == text


@given(text=_MESSAGES, how=st.sampled_from(_SPLITS))
def test_what_is_masked_is_in_no_part_and_not_in_the_original(text: str, how: Split) -> None:
    hide: Callable[[str], str] = lambda given: given.replace("\n", " ann@mail.example \n", 1)  # noqa: E731 - one use, named for the reader
    refined = refine(hide(f"{text}\n"), TextRules(limit=80, masks=("email",), split=how, detect_language=False))
    assert "ann@mail.example" not in "\n".join((refined.text, *refined.further, refined.original or ""))
