"""A file as the records to be published."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.common.errors import MalformedRecord
from services.common.ids import board_key
from services.common.records import Output, Record
from services.console.failures import CommandFailed, ExitCode
from services.console.rows import Row, canonical_feedback
from services.ingest.channels import CANONICAL_TOPIC
from services.ingest.decoding import Decode
from services.ingest.domain.inputs import Ignored

CHUNK = 500
"""Records a confirmed batch."""


def outputs_of(path: Path, rows: Sequence[Row], topic: str, workspace: str, board: str) -> list[Output]:
    """Return *rows* of *path* as records for *topic*, all with one partition key, so that their order stays.

    Raises:
        CommandFailed: A row for ``feedback.raw`` has no id or text; the message names file and line.
    """
    return [output_of(path, row, Target(topic, workspace, board)) for row in rows]


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows go, and how ingest will read them there."""

    topic: str
    workspace: str
    board: str
    decode: Decode | None = None
    """Absent: what ingest would refuse is sent all the same."""


def output_of(path: Path, row: Row, target: Target) -> Output:
    """Return *row* of *path* as a record.

    Raises:
        CommandFailed: As ``outputs_of``.
    """
    partition_key = board_key(target.workspace, target.board).encode()
    if target.topic == CANONICAL_TOPIC:
        value = canonical_feedback(path, row, target.workspace, target.board)
    else:
        value = row.raw if row.raw is not None else json.dumps(row.fields, ensure_ascii=False).encode()
    return Output(target.topic, partition_key, value, partition_key)


def prepared(path: Path, row: Row | CommandFailed, target: Target) -> Output | CommandFailed | None:
    """Return *row* as a record, or why ingest would refuse it, by line; None for what the channel's own rule ignores."""
    if isinstance(row, CommandFailed):
        return row
    try:
        output = output_of(path, row, target)
        given = None if target.decode is None else target.decode(Record(target.topic, 0, 0, 0, output.key, output.value))
    except CommandFailed as failed:
        return failed
    except MalformedRecord as error:
        return CommandFailed(f"{path}:{row.line}: {error.reason}: {error.detail}", ExitCode.FAILED)
    return None if isinstance(given, Ignored) else output


def lines_of(path: Path, topic: str) -> list[Output]:
    """Return each line of *path* as a record for *topic*, byte for byte, whatever it holds."""
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    return [Output(topic, path.stem.encode(), line, path.stem.encode()) for line in lines]


def chunks(outputs: Sequence[Output]) -> Iterator[Sequence[Output]]:
    """Return *outputs* in order, ``CHUNK`` at a time."""
    for first in range(0, len(outputs), CHUNK):
        yield outputs[first : first + CHUNK]
