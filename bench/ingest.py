"""Measures ingest's handling of each channel beside the bare worker loop: records/s, person resolution and store included.

    python -m bench.ingest [--records 4000] [--rounds 3]

The bare loop decodes one framed event and encodes another, which is all that a loop has to do; ingest parses, maps, reads, refines the
text, resolves the person, decides, writes SQLite and encodes what comes out. Both without a broker, which would cost both the same and so
bring them nearer to each other; in one process, batch by batch in turn, with the worker's garbage collection, by the CPU time of all its
threads. Exits with 1 where a JSON channel has less than a quarter of the bare loop's rate; the aim is half of it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from bench.worker import sample
from services.common.codec import Codec
from services.common.events import BoardEvent
from services.common.outcome import Emit
from services.common.paths import EXAMPLES
from services.common.ports import Route
from services.common.records import Received, Record
from services.common.registry import open_schemas
from services.common.sqlite import Database
from services.common.worker import spare_collector
from services.ingest.adapters.sqlite import SCHEMA, SqliteMemory
from services.ingest.app import routes
from services.ingest.channels import load_channels
from services.ingest.domain.inputs import Input

_BATCH = 500
_BAR = 0.25
_PEOPLE = 997
_WISHES = (
    "Please let me export a board as PDF, my client cannot open the link that I send",
    "Dark mode hurts less at night; the white canvas is far too bright for me in the evening",
    "The app forgets which board I had open when my laptop comes back from sleep",
)


def _text(number: int) -> str:
    return f"{_WISHES[number % len(_WISHES)]}, case {number}"


def _slack(number: int) -> Any:
    event = {
        "type": "message",
        "channel": "C1",
        "user": f"U{number % _PEOPLE}",
        "text": _text(number),
        "ts": f"{1_790_000_000 + number}.000200",
    }
    return {"type": "event_callback", "team_id": "T1", "event_id": f"Ev{number}", "event": event}


def _github(number: int) -> Any:
    moment = "2026-11-21T09:30:00Z"
    user = {"login": f"user{number % _PEOPLE}", "type": "User"}
    issue = {"node_id": f"I_{number}", "title": _text(number), "body": "It happens on every **large** board.", "user": user}
    return {
        "action": "opened",
        "issue": issue | {"created_at": moment, "updated_at": moment, "html_url": "https://github.com/a/b/issues/1"},
    }


def _survey(number: int) -> Any:
    person = {"email": f"person{number % _PEOPLE}@example.com"}
    return {
        "response_id": f"r{number}",
        "score": number % 11,
        "comment": _text(number),
        "submitted_at": "2026-11-21T09:30:00Z",
        "respondent": person,
    }


def _canonical(number: int) -> Any:
    author = {"email": f"person{number % _PEOPLE}@example.com"}
    return {"id": f"c{number}", "workspace": "lumora", "board": "product", "text": _text(number), "author": author}


def _ticket(number: int) -> Any:
    detail = {"id": str(number), "subject": "A wish", "description": _text(number), "requester_id": str(number % _PEOPLE)}
    return {"type": "zen:event-type:ticket.created", "time": "2026-11-21T09:30:00Z", "event": {}, "detail": detail}


def _mail(number: int) -> bytes:
    head = f"From: Ann <person{number % _PEOPLE}@example.com>\r\nSubject: A wish\r\nDate: Sat, 21 Nov 2026 10:30:00 +0100\r\n"
    return f"{head}Message-ID: <{number}@example.com>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{_text(number)}\r\n".encode()


_CHANNELS: dict[str, tuple[str, Callable[[int], Any]]] = {
    "canonical": ("feedback.raw", _canonical),
    "slack": ("feedback.raw.slack", _slack),
    "github": ("feedback.raw.github", _github),
    "zendesk": ("feedback.raw.zendesk", _ticket),
    "survey": ("feedback.raw.survey", _survey),
    "mail": ("feedback.raw.mail", _mail),
}
_NO_JSON = ("mail",)


class Bare:
    """Decodes one event and encodes another."""

    def __init__(self, codec: Codec, records: int) -> None:
        self._decode, self._codec = codec.frame_decoder(BoardEvent), codec
        self._values = [codec.encode(sample(number)) for number in range(records)]

    def run(self, first: int) -> float:
        """Return the seconds of CPU that a batch of records, from *first* on, takes."""
        decode, output, started = self._decode, self._codec.output, time.process_time()
        outcomes = [Emit((output(decode(value)),)) for value in self._values[first : first + _BATCH]]
        took = time.process_time() - started
        del outcomes  # kept until here, as a loop keeps a batch's
        return took


async def ingest(codec: Codec, name: str, records: int) -> tuple[float, float]:
    """Return the seconds of CPU a record of the bare loop and of channel *name*, on a store that begins empty, batch by batch in turn."""
    topic, make = _CHANNELS[name]
    found = load_channels(EXAMPLES / "channels.yaml").channels[:1] + load_channels(EXAMPLES / "vendors.yaml").channels
    spec = next(channel for channel in found if channel.topic == topic)
    values = [value if isinstance(value := make(number), bytes) else orjson.dumps(value) for number in range(records + 1)]
    raw = [Record(topic, 0, offset, 1_790_000_000_000, None, value) for offset, value in enumerate(values)]
    bare, beside, took = Bare(codec, records), 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "ingest.db", SCHEMA)
        await database.open()
        try:
            channels = load_channels(EXAMPLES / "channels.yaml").model_copy(update={"channels": [spec]})
            route = next(one for one in routes(SqliteMemory(database), codec, channels, 20_000) if one.topic == topic)
            await route.handle([Received(raw[0], route.decode(raw[0]))])  # models and caches
            spare_collector()
            for first in range(0, records, _BATCH):
                beside += bare.run(first)
                took += await _batch(name, route, raw[1 + first : 1 + first + _BATCH])
        finally:
            await database.close()
    return beside / records, took / records


async def _batch(name: str, route: Route[Input], raw: Sequence[Record]) -> float:
    started = time.process_time()
    outcomes = await route.handle([Received(record, route.decode(record)) for record in raw])
    took = time.process_time() - started
    refused = [outcome for outcome in outcomes if not isinstance(outcome, Emit)]
    if refused:
        raise SystemExit(f"{name}: {refused[0]}")
    return took


def verdict(shares: dict[str, float]) -> list[str]:
    """Return what falls short of the bar, given each channel's share of the bare loop's rate."""
    return [
        f"{name} has {share:.2f} of the bare loop's rate; {_BAR} are needed"
        for name, share in shares.items()
        if share < _BAR and name not in _NO_JSON
    ]


def main() -> None:
    """Measure, print the table, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    codec = Codec(open_schemas(None))
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in _CHANNELS}
    for _ in range(given.rounds):
        for name in _CHANNELS:
            runs[name].append(asyncio.run(ingest(codec, name, given.records)))
    alone = statistics.median(beside for found in runs.values() for beside, _ in found)
    print(f"bare loop: {1 / alone:,.0f} records/s of CPU, {1e6 * alone:.0f} µs a record\n")
    print("| channel | records/s of CPU | µs a record | of the bare loop's rate (min-max) |\n|---|---|---|---|")
    shares = {name: [beside / took for beside, took in found] for name, found in runs.items()}
    for name, share in shares.items():
        took = statistics.median(took for _, took in runs[name])
        print(f"| {name} | {1 / took:,.0f} | {1e6 * took:.0f} | {statistics.median(share):.2f} ({min(share):.2f}-{max(share):.2f}) |")
    failures = verdict({name: statistics.median(share) for name, share in shares.items()})
    for failure in failures:
        print(f"BELOW THE BAR: {failure}")
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
