"""What the demo publishes: the bundled sample, or a file of one's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from services.common.paths import EXAMPLES
from services.common.records import Output
from services.console.publishing import lines_of, outputs_of
from services.console.rows import read_rows

WORKSPACE = "lumora"
BOARD = "product"
_SAMPLE = EXAMPLES / "lumora"
_BACKGROUND = ("accounts.raw", "people.raw", "preferences.raw", "activity.raw")


@dataclass(frozen=True, slots=True)
class Sample:
    """Records to publish, in order."""

    title: str
    background: Sequence[Output]
    """Who the people are; published, and taken up, before anyone speaks."""
    feedback: Sequence[Output]
    per_second: int | None
    """How fast feedback is published; None is as fast as the broker takes it."""


def bundled() -> Sample:
    """Return the sample in ``examples/lumora``: each line a record of the topic that its file names, byte for byte."""
    files = sorted(_SAMPLE.glob("feedback.raw*.jsonl"))
    streams = [lines_of(path, path.stem) for path in files]
    together = [(place / len(stream), number, output) for number, stream in enumerate(streams) for place, output in enumerate(stream)]
    background = [output for topic in _BACKGROUND for output in lines_of(_SAMPLE / f"{topic}.jsonl", topic)]
    return Sample(
        "the bundled sample of Lumora",
        background,
        [output for _, _, output in sorted(together, key=lambda entry: entry[:2])],
        per_second=40,
    )


def opt_out(workspace: str, alias: str) -> Output:
    """Return the record by which the person called *alias* asks to be told nothing."""
    now = datetime.now(UTC).isoformat()
    record = {"id": f"demo-{alias}", "workspace": workspace, "person": {"alias": alias}, "opted_out": True, "updated_at": now}
    value = json.dumps(record, ensure_ascii=False).encode()
    return Output("preferences.raw", b"demo", value, b"demo")


def from_file(path: Path) -> Sample:
    """Return the feedback in *path*, in its order.

    Raises:
        CommandFailed: The file is missing or a row is wrong.
    """
    return Sample(str(path), (), outputs_of(path, read_rows(path), "feedback.raw", WORKSPACE, BOARD), per_second=None)
