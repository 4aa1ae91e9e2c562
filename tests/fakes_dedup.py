"""Dedup without a broker, a disk or a model: a log in memory, an encoder made of word hashes, and boards to throw events at."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from services.common import ids
from services.common.codec import Codec
from services.common.errors import Fenced
from services.common.events import BoardEvent, Decision
from services.common.outcome import Outcome
from services.common.paths import ROOT
from services.common.records import Received, Record
from services.common.registry import open_schemas
from services.dedup.domain.entry import Entry, read_entry
from services.dedup.handler import DedupHandler
from services.dedup.ports import BoardLog, SaidLog, Vectors

T = TypeVar("T")

WORKSPACE = "lumora"
BOARDS = ("product", "api")
DIMENSIONS = 24
CODEC = Codec(open_schemas(None))


class FakeEncoder:
    """The normalised sum of a text's word vectors: texts that share words are near each other."""

    model = "words"
    dimensions = DIMENSIONS

    def __init__(self, salt: str = "") -> None:
        self.encoded: list[str] = []
        self._salt = salt

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one row a text; remember that it was asked."""
        self.encoded.extend(texts)
        return np.array([self._vector(text) for text in texts], np.float32).reshape(len(texts), DIMENSIONS)

    def _vector(self, text: str) -> Any:
        total = sum((_word(word + self._salt) for word in text.split()), start=_word(""))
        return (total / np.linalg.norm(total)).astype(np.float32)


@cache
def _word(word: str) -> Any:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
    return np.random.default_rng(seed).standard_normal(DIMENSIONS) * (0.1 if word == "" else 1.0)


class MemoryBoardLog:
    """See ``services.dedup.ports.BoardLog``; keeps what a disk would keep: bytes."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[bytes, bytes | None]]] = {}
        self.facts: dict[str, str] = {}

    async def adopt_model(self, model: str) -> str:
        """Record *model* unless one is recorded; return the recorded one."""
        return self.facts.setdefault("model", model)

    async def noted(self, fact: str) -> str | None:
        """Return what was noted of the whole store as *fact*."""
        return self.facts.get(fact)

    async def note(self, fact: str, value: str | None) -> None:
        """Note *value* as *fact*, or nothing."""
        self.facts.pop(fact, None)
        if value is not None:
            self.facts[fact] = value

    async def boards(self) -> Mapping[str, int]:
        """Return the last position of every board."""
        return {board: len(rows) for board, rows in self.rows.items() if rows}

    async def load(self, board: str, *, after: int, limit: int) -> Sequence[Entry]:
        """Return the entries of *board* beyond *after* in order, at most *limit*."""
        rows = self.rows.get(board, [])[after : after + limit]
        return [read_entry(board, after + 1 + place, *row) for place, row in enumerate(rows)]

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write *entries* in order, until one is refused."""
        for entry in entries:
            rows = self.rows.setdefault(entry.board, [])
            row = (entry.body(), entry.vector)
            if entry.position == len(rows) + 1:
                rows.append(row)
            elif entry.position > len(rows) or rows[entry.position - 1] != row:
                raise Fenced(f"position {entry.position}")

    async def rewrite(self, entries: Sequence[Entry]) -> None:
        """Put *entries* in place of those at their positions."""
        for entry in entries:
            self.rows[entry.board][entry.position - 1] = (entry.body(), entry.vector)


class MemorySaidLog:
    """See ``services.dedup.ports.SaidLog``."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], Decision] = {}

    async def remember(self, decisions: Sequence[Decision]) -> None:
        """Keep *decisions*."""
        self.rows |= {(decision.partition_key(), decision.sequence): decision for decision in decisions}

    async def last(self, board: str) -> Decision | None:
        """Return the decision of *board* with the highest sequence."""
        return self.rows[max(key for key in self.rows if key[0] == board)] if any(key[0] == board for key in self.rows) else None

    async def places(self, events: Collection[str]) -> Mapping[str, int]:
        """Return the highest sequence that each of *events* established."""
        return {self.rows[key].event_id: key[1] for key in sorted(self.rows) if self.rows[key].event_id in events}

    async def load(self, board: str, *, after: int, upto: int) -> Sequence[Decision]:
        """Return what is left of *board* beyond *after* up to *upto*."""
        return [self.rows[key] for key in sorted(self.rows) if key[0] == board and after < key[1] <= upto]

    async def forget(self, board: str, *, upto: int) -> None:
        """Let go of what was said of *board* up to *upto*."""
        self.rows = {key: row for key, row in self.rows.items() if key[0] != board or key[1] > upto}


class NoMeter:
    """Counts nothing."""

    def decided(self, types: Iterable[str]) -> None:
        """Read *types*, as a counter would."""
        list(types)

    def holding(self, boards: int, texts: int) -> None:
        """Ignore it."""


class Inline(Executor):
    """Runs what it is given at once, in the thread that gives it."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the finished call."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - an executor hands it to whoever waits
            future.set_exception(error)
        return future


def handler_on(
    log: BoardLog, *, said: SaidLog | None = None, encoder: FakeEncoder | None = None, boards: int = 100, texts: int = 100_000
) -> DedupHandler:
    """Return a handler that begins with what *log* holds, and *said* where a log was lost."""
    left = MemorySaidLog() if said is None else said
    return DedupHandler(
        log,
        left,
        encoder or FakeEncoder(),
        CODEC,
        meter=NoMeter(),
        thread=Inline(),
        encoding=Inline(),
        boards_in_memory=boards,
        texts_in_memory=texts,
    )


def received(events: Iterable[BoardEvent], *, first_offset: int = 0) -> list[Received[BoardEvent]]:
    """Return *events* as records of one partition, from *first_offset* on."""
    return [
        Received(Record(BoardEvent.TOPIC, 0, offset, 1000 + offset, event.event_id.encode(), b""), event)
        for offset, event in enumerate(events, start=first_offset)
    ]


def handle_all(handler: DedupHandler, batches: Iterable[Sequence[Received[Any]]]) -> list[Outcome]:
    """Return the outcomes of *batches*, one after another."""

    async def run() -> list[Outcome]:
        return [outcome for batch in batches for outcome in await handler.handle(batch)]

    return asyncio.run(run())


def event_of(place: int, **fields: Any) -> BoardEvent:
    """Return the event number *place* of a history; *fields* say what happened."""
    event = BoardEvent(
        event_id=event_name(place),
        type="unknown",
        workspace=WORKSPACE,
        board=BOARDS[0],
        source="feedback.raw",
        occurred_at=1_000_000 * (1 + (place * 7) % 10),
        ingested_at=2_000_000 + place,
        origin=f"feedback.raw/0/{place}",
    )
    return replace(event, **fields)


def event_name(place: int) -> str:
    """Return the id of event number *place*."""
    return ids.event_id(WORKSPACE, str(place))


def idea_name(place: int, board: str = BOARDS[0]) -> str:
    """Return the id of the idea that event number *place* opens, if it opens one."""
    return ids.idea_id(WORKSPACE, board, event_name(place))


def submitted(place: int, text: str, *, person: str = "ann", **fields: Any) -> BoardEvent:
    """Return a new piece of feedback, called after its place."""
    fields = {
        "feedback_id": f"{WORKSPACE}:feedback:{place}",
        "external_id": str(place),
        "person_id": f"{WORKSPACE}:person:{person}",
        **fields,
    }
    return event_of(place, type="submitted", text=text, **fields)


def command(place: int, name: str, **fields: Any) -> BoardEvent:
    """Return a command of a human."""
    return event_of(place, type="commanded", command=name, source="ideas.commands", actor="mo", **fields)


def models_folder() -> Path:
    """Return where tests keep the exported model: made once (15 s), kept beside the checkout's other state."""
    return Path(os.environ.get("GROUNDSWELL_MODEL_CACHE", ROOT / ".groundswell" / "models"))
