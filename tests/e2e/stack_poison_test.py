"""200 records that nobody can use among 2,000 good ones: 200 dead letters byte for byte, 2,000 through, no restart needed."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from services.common.ids import board_key
from services.common.records import Output
from services.console.letters import read_letters
from tests.e2e.harness import StackProcess, enriched, publish, quiet

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(900)]

WORKSPACE = "poison"
GOOD, BAD = 2_000, 200
SUBJECTS = ("export", "import", "login", "search", "timer", "voting", "template", "comment", "history", "invoice")
WISHES = (
    "is slow",
    "is missing",
    "needs a shortcut",
    "crashes on tablets",
    "should be shared",
    "looks dated",
    "ignores my settings",
    "is too loud",
)


def good(number: int) -> bytes:
    text = f"The {SUBJECTS[number % 10]} {WISHES[number // 10 % 8]} in room {number}"
    return json.dumps({"id": f"good-{number}", "workspace": WORKSPACE, "board": "b", "text": text}).encode()


def poison(number: int) -> bytes | None:
    place = {"workspace": WORKSPACE, "board": "b"}
    kinds = (
        b"{garbage " + str(number).encode(),
        b"\x00\x00\x01\xe2\x40" + str(number).encode(),  # framed, by a schema that nobody registered
        b"\x00\x00\x00\x00\x01" + str(number).encode(),  # framed, by another topic's schema
        None,
        json.dumps({"id": f"bad-{number}", **place}).encode(),
        json.dumps({"id": f"bad-{number}", **place, "text": "x" * 1_000_000}).encode(),
        b'{"id": "bad", "text": ' + b"[" * 20_000 + str(number).encode() + b"]" * 20_000 + b"}",
        json.dumps({"id": f"bad-{number}", **place, "text": "?"}).encode().replace(b"?", b"\xc3\x28"),
    )
    return kinds[number % len(kinds)]


async def test_poison_is_set_aside_and_the_rest_goes_through(stack: StackProcess) -> None:
    key = board_key(WORKSPACE, "b").encode()
    mixed: list[Output] = []
    for number in range(GOOD):
        mixed.append(Output("feedback.raw", key, good(number), key))
        if number % (GOOD // BAD) == 0:
            mixed.append(Output("feedback.raw", str(number).encode(), poison(number // (GOOD // BAD)), key))
    bad = Counter((output.key, output.value) for output in mixed if output.key != key)
    assert bad.total() == BAD

    before = stack.starts()
    async with stack.opened() as (cluster, tail):
        letters_before = {letter.id for letter in await read_letters(cluster)}
        await publish(cluster, mixed)
        await quiet(cluster, tail)
        letters = [letter for letter in await read_letters(cluster) if letter.id not in letters_before]
        through = Counter(feedback.external_id for feedback in enriched(tail.records["feedback.enriched"], WORKSPACE))

    assert bad == Counter((letter.key, letter.value) for letter in letters)
    assert {"feedback.raw"} == {letter.topic for letter in letters}
    assert {f"good-{number}": 1 for number in range(GOOD)} == dict(through)
    assert before == stack.starts()
    reasons = {"not_json", "unknown_schema", "null_value", "missing_field", "text_too_long", "too_deep", "bad_utf8"}
    assert reasons <= {letter.reason for letter in letters}
