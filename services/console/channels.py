"""Examples of a channel's records through ingest's own reading and deciding, with a memory that begins empty."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from services.common.errors import MalformedRecord
from services.common.events import Event
from services.common.outcome import Drop, Reject
from services.common.records import Record
from services.common.registry import Schemas
from services.console.failures import CommandFailed, ExitCode
from services.ingest.channels import Channels, ChannelSpec
from services.ingest.decoding import decoders
from services.ingest.domain.deciding import decide
from services.ingest.domain.inputs import Arrival
from services.ingest.offline import empty_ledger

_NOT_SHOWN = frozenset(
    {"event_id", "workspace", "source", "ingested_at", "origin", "subject", "digest", "authors", "has_address", "brings_contact"}
)


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one example."""

    line: int
    outcome: str
    """``taken``, ``dropped`` or ``dead letter``."""
    why: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)


def read_examples(path: Path) -> list[tuple[int, bytes]]:
    """Return (line, value) of each example in *path*.

    Raises:
        CommandFailed: There is no such file, or none in it.
    """
    if not path.is_file():
        raise CommandFailed(f"{path}: no such file", ExitCode.USAGE)
    value = path.read_bytes()
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            found = [(number, line) for number, line in enumerate(value.split(b"\n"), start=1) if line.strip()]
        case ".csv":
            rows = csv.DictReader(value.decode("utf-8-sig", "replace").splitlines(keepends=True))
            found = [(rows.line_num, json.dumps({name: text for name, text in row.items() if text}).encode()) for row in rows]
        case _:
            found = [(1, value)]
    if not found:
        raise CommandFailed(f"{path}: holds no example", ExitCode.USAGE)
    return found


def try_records(spec: ChannelSpec, examples: Sequence[tuple[int, bytes]], schemas: Schemas, text_limit: int) -> list[Tried]:
    """Return what *examples* of the channel *spec* become, one after another."""
    decode = decoders(Channels(version=1, channels=[spec]), schemas, text_limit)[spec.topic]
    ledger = empty_ledger()
    tried = []
    for offset, (line, value) in enumerate(examples):
        record = Record(spec.topic, 0, offset, 0, None, value)
        try:
            [verdict] = decide(ledger, [(decode(record), Arrival.of(record))])
        except MalformedRecord as error:
            verdict = Reject(error.reason, error.detail)
        match verdict:
            case Reject():
                tried.append(Tried(line, "dead letter", f"{verdict.reason}: {verdict.detail}"))
            case Drop():
                tried.append(Tried(line, "dropped", verdict.reason))
            case _:
                tried.append(Tried(line, "taken", events=[_shown(event) for event in verdict]))
    return tried


def _shown(event: Event) -> dict[str, Any]:
    """Return the fields of *event* that say something, its type first."""
    values = {one.name: getattr(event, one.name) for one in fields(event) if one.name not in _NOT_SHOWN}
    said = {name: value for name, value in values.items() if value not in (None, False, 0) or name == "part"}
    return {"type": said.pop("type", event.TOPIC), **said}
