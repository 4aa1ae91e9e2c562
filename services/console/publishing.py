"""A file as the records to be published."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from services.common.ids import board_key
from services.common.records import Output
from services.console.rows import Row, canonical_feedback

CHUNK = 500
"""Records a confirmed batch."""


def outputs_of(path: Path, rows: Sequence[Row], topic: str, workspace: str, board: str) -> list[Output]:
    """Return *rows* of *path* as records for *topic*, all with one partition key, so that their order stays.

    Raises:
        CommandFailed: A row for ``feedback.raw`` has no id or text; the message names file and line.
    """
    partition_key = board_key(workspace, board).encode()
    if topic == "feedback.raw":
        values = [canonical_feedback(path, row, workspace, board) for row in rows]
    else:
        values = [row.raw if row.raw is not None else json.dumps(row.fields, ensure_ascii=False).encode() for row in rows]
    return [Output(topic, partition_key, value, partition_key) for value in values]


def lines_of(path: Path, topic: str) -> list[Output]:
    """Return each line of *path* as a record for *topic*, byte for byte, whatever it holds."""
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    return [Output(topic, path.stem.encode(), line, path.stem.encode()) for line in lines]


def chunks(outputs: Sequence[Output]) -> Iterator[Sequence[Output]]:
    """Return *outputs* in order, ``CHUNK`` at a time."""
    for first in range(0, len(outputs), CHUNK):
        yield outputs[first : first + CHUNK]
