"""Mixed records of every channel, each published three times in random order with edits and deletions between, against a pure replay.

    python -m tests.round_trip [--records 10000] [--seed 1]

Through the real reading, handler and SQLite store. What is left, by what the published events say, equals what one publication of each
record in its order leaves; what a store keeps of subjects and aliases, too. Ends with 1 where it does not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from services.common.outcome import Emit, Reject
from services.common.paths import EXAMPLES
from services.common.records import Record
from services.common.sqlite import Database
from services.ingest.adapters.sqlite import SCHEMA, SqliteMemory
from services.ingest.channels import load_channels
from tests.fakes_ingest import START_MS, Front, events_of

VENDORS = load_channels(EXAMPLES / "vendors.yaml")
_BATCH = 250
_WISHES = ("Export boards as PDF", "Dark mode at night", "Lock a frame", "Anonymous votes", "+1", "thanks!")
_PEOPLE = 200


@dataclass(frozen=True, slots=True)
class Said:
    """One record before it is published."""

    topic: str
    value: bytes


def _slack(number: int, order: random.Random) -> Iterator[Any]:
    user, stamp = f"U{order.randrange(_PEOPLE)}", f"{1_790_000_000 + number}.000100"
    message: dict[str, Any] = {"type": "message", "channel": "C1", "user": user, "text": order.choice(_WISHES), "ts": stamp}
    if order.random() < 0.4:
        message["thread_ts"] = f"{1_790_000_000 + order.randrange(number + 1)}.000100"
    yield {"event": message}
    if order.random() < 0.3:
        edited = message | {"text": f"{order.choice(_WISHES)}, please", "edited": {"ts": f"{1_791_000_000 + number}.000100"}}
        change = {"type": "message", "subtype": "message_changed", "channel": "C1", "ts": f"{1_791_000_000 + number}.000200"}
        yield {"event": change | {"message": edited}}
    if order.random() < 0.2:
        gone = {"type": "message", "subtype": "message_deleted", "channel": "C1", "deleted_ts": stamp}
        yield {"event": gone | {"ts": f"{1_792_000_000 + number}.000100"}}


def _github(number: int, order: random.Random) -> Iterator[Any]:
    issue: dict[str, Any] = {
        "node_id": f"I_{number}",
        "title": order.choice(_WISHES),
        "body": "On *every* board.",
        "created_at": "2026-11-01T00:00:00Z",
    }
    issue |= {"user": {"login": f"u{order.randrange(_PEOPLE)}", "type": "User"}, "updated_at": "2026-11-01T00:00:00Z"}
    yield {"action": "opened", "issue": issue}
    for day in range(order.choice((0, 0, 1, 2))):
        yield {"action": "edited", "issue": issue | {"body": f"Day {day}", "updated_at": f"2026-11-{day + 2:02}T00:00:00Z"}}
    if order.random() < 0.2:
        yield {"action": "deleted", "issue": issue}


def _calls(number: int, order: random.Random) -> Iterator[Any]:
    note = {"note_id": f"n{number}", "call_at": "2026-11-01T00:00:00Z", "contact": {"email": f"p{order.randrange(_PEOPLE)}@example.com"}}
    for day in range(order.choice((1, 1, 2, 3))):
        wishes = "\n".join(f"- {order.choice(_WISHES[:4])} ({item})" for item in range(order.randrange(1, 5)))
        yield note | {"notes": f"They asked for:\n\n{wishes}", "updated_at": f"2026-11-{day + 1:02}T00:00:00Z"}


def _survey(number: int, order: random.Random) -> Iterator[Any]:
    person = {"email": f"p{order.randrange(_PEOPLE)}@example.com"}
    comment = order.choice((*_WISHES, None))
    yield {
        "response_id": f"r{number}",
        "score": number % 11,
        "comment": comment,
        "submitted_at": "2026-11-01T00:00:00Z",
        "respondent": person,
    }


def _mail(number: int, order: random.Random) -> Iterator[bytes]:
    head = f"From: p{order.randrange(_PEOPLE)}@example.com\r\nMessage-ID: <{number}@x>\r\nDate: Sat, 21 Nov 2026 10:30:00 +0000\r\n"
    yield f"{head}Subject: Re: x\r\n\r\n{order.choice(_WISHES)}\r\n\r\n> quoted\r\n".encode()


_MAKERS = {"slack": _slack, "github": _github, "calls": _calls, "survey": _survey, "mail": _mail}


def mixed(count: int, order: random.Random) -> list[list[Said]]:
    """Return *count* records at least, those of one piece together and in their order."""
    pieces: list[list[Said]] = []
    made = 0
    while made < count:
        name = order.choice(sorted(_MAKERS))
        said = _MAKERS[name](len(pieces), order)
        piece = [Said(f"feedback.raw.{name}", one if isinstance(one, bytes) else orjson.dumps(one)) for one in said]
        pieces.append(piece)
        made += len(piece)
    return pieces


async def final(folder: Path, said: Sequence[Said]) -> tuple[dict[str, Any], Counter[str]]:
    """Publish *said* in its order; return what the newest event of each piece or person's answer says, and how often what came of them."""
    database = Database(folder / "ingest.db", SCHEMA)
    await database.open()
    try:
        front = Front(SqliteMemory(database), channels=VENDORS)
        records = [Record(one.topic, 0, offset, START_MS, None, one.value) for offset, one in enumerate(said)]
        records.sort(key=lambda record: (record.offset // _BATCH, record.topic))  # a batch is taken topic by topic
        newest: dict[str, Any] = {}
        counts: Counter[str] = Counter()
        for first in range(0, len(records), _BATCH):
            for outcome in await front.take(records[first : first + _BATCH]):
                counts[type(outcome).__name__ if not isinstance(outcome, Reject) else outcome.reason] += 1
                for event in events_of(outcome) if isinstance(outcome, Emit) else ():
                    _fold(newest, event)
    finally:
        await database.close()
    return newest, counts


def _fold(newest: dict[str, Any], event: Any) -> None:
    """Keep what the newest revision of a piece says, to its board or of its author: praise that became a request is the request."""
    content: tuple[Any, ...]
    if event.TOPIC == "board.events":
        key, content = (
            event.feedback_id,
            (event.type == "retracted", event.text, event.person_id, event.parent_id, event.is_vote, event.original),
        )
    elif event.type in ("answer", "activity"):
        key, content = event.subject, (event.type, event.answer_json, event.person_id)
    else:
        return
    known = newest.get(key)
    if known is None or event.revision >= known[0]:
        newest[key] = (event.revision, *content)


def _agree(one: tuple[Any, ...] | None, other: tuple[Any, ...] | None) -> bool:
    """Tell whether both say the same of a piece. What its board does not hold may have been taken back there, or never have come:
    that depends on the order, and so does whether praise that replaced a request is told beside the retraction.
    """
    held = [piece if piece is not None and piece[1] is False else None for piece in (one, other)]
    if held != [None, None]:
        return held[0] == held[1]
    of_persons = [piece for piece in (one, other) if piece is not None and piece[1] is not True]
    return len(of_persons) < 2 or of_persons[0] == of_persons[1]


def compare(count: int, seed: int) -> tuple[list[str], str]:
    """Return the pieces that differ between the noisy run and the replay, and what happened in both."""
    order = random.Random(seed)
    pieces = mixed(count, order)
    once = [one for piece in pieces for one in piece]
    noisy = once * 3
    order.shuffle(noisy)
    with tempfile.TemporaryDirectory() as folder:
        left, counts = asyncio.run(final(Path(folder), noisy))
    with tempfile.TemporaryDirectory() as folder:
        expected, alone = asyncio.run(final(Path(folder), once))
    differs = sorted(key for key in left.keys() | expected.keys() if not _agree(left.get(key), expected.get(key)))
    return (
        differs,
        f"{len(once):,} records of {len(pieces):,} pieces; thrice: {dict(counts)}; once: {dict(alone)}; {len(expected):,} states",
    )


def main() -> None:
    """Compare, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    differs, told = compare(given.records, given.seed)
    sys.stdout.write(f"{told}; {len(differs)} differ\n")
    for key in differs[:10]:
        sys.stdout.write(f"  {key}\n")
    raise SystemExit(1 if differs else 0)


if __name__ == "__main__":
    main()
