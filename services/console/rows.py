"""Files of one's own: CSV with a header, or one JSON object a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.console.failures import CommandFailed, ExitCode

_CANONICAL = ("channel", "revision", "deleted", "rating", "url", "language", "occurred_at")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file; *line*, counted from 1, is where it begins."""

    line: int
    fields: dict[str, Any]
    raw: bytes | None
    """The line as it stands in a JSONL file; None for CSV."""


def read_rows(path: Path) -> list[Row]:
    """Return the rows of *path*, by its ending (``.csv``, ``.jsonl``, ``.ndjson``).

    Raises:
        CommandFailed: The file is missing, of another kind, or a row is wrong; the message names file and line.
    """
    if not path.is_file():
        raise CommandFailed(f"{path}: no such file", ExitCode.USAGE)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return list(_csv_rows(path))
    if suffix in (".jsonl", ".ndjson"):
        return list(_json_rows(path))
    raise CommandFailed(f"{path}: expected a .csv or .jsonl file", ExitCode.USAGE)


def _csv_rows(path: Path) -> Iterator[Row]:
    begins = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames is None:
                raise _wrong(path, 1, "the file is empty; the first line names the columns")
            begins = reader.line_num + 1
            for fields in reader:
                if None in fields or None in fields.values():
                    raise _wrong(path, begins, f"expected {len(reader.fieldnames)} columns: {', '.join(reader.fieldnames)}")
                yield Row(begins, {name: value for name, value in fields.items() if value != ""}, None)
                begins = reader.line_num + 1
    except csv.Error as error:
        raise _wrong(path, begins, f"no CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{path}: not UTF-8 (byte {error.start})", ExitCode.USAGE) from error


def _json_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _wrong(path, number, f"no JSON: {error}") from error
        if not isinstance(fields, dict):
            raise _wrong(path, number, "expected a JSON object")
        yield Row(number, fields, line)


def canonical_feedback(path: Path, row: Row, workspace: str, board: str) -> bytes:
    """Return *row* as the canonical JSON of feedback; a row that names its workspace already stays as it is.

    ``id`` and ``text`` are needed; ``author`` (an address or a name), ``email``, ``name``, ``occurred_at`` and the other canonical
    columns are taken where they exist, all others are left out.

    Raises:
        CommandFailed: ``id`` or ``text`` is missing; the message names file and line.
    """
    if "workspace" in row.fields and row.raw is not None:
        return row.raw
    for name in ("id", "text"):
        if row.fields.get(name) in (None, ""):
            raise _wrong(path, row.line, f"no {name}; a row needs id and text")
    record: dict[str, Any] = {"id": str(row.fields["id"]), "workspace": workspace, "board": board, "text": row.fields["text"]}
    record |= {name: row.fields[name] for name in _CANONICAL if name in row.fields}
    if row.raw is None:
        record |= _typed(path, row)
    author = _author(row.fields)
    if author:
        record["author"] = author
    return json.dumps(record, ensure_ascii=False).encode()


def _typed(path: Path, row: Row) -> dict[str, Any]:
    """Return the columns of a CSV row that are no text in the canonical form."""
    typed: dict[str, Any] = {}
    try:
        if "revision" in row.fields:
            typed["revision"] = int(row.fields["revision"])
        if "rating" in row.fields:
            typed["rating"] = float(row.fields["rating"])
    except ValueError as error:
        raise _wrong(path, row.line, f"revision and rating are numbers: {error}") from None
    if "deleted" in row.fields:
        typed["deleted"] = row.fields["deleted"].lower() in ("true", "1", "yes")
    return typed


def _author(fields: dict[str, Any]) -> dict[str, Any]:
    author = fields.get("author")
    if isinstance(author, dict):
        return author
    found = {"email": fields.get("email"), "name": fields.get("name")}
    if isinstance(author, str) and author:
        if "@" in author:
            found["email"] = found["email"] or author
        else:
            found["name"] = found["name"] or author
            found["alias"] = f"author:{author}"
    return {name: value for name, value in found.items() if value}


def _wrong(path: Path, line: int, what: str) -> CommandFailed:
    return CommandFailed(f"{path}:{line}: {what}", ExitCode.USAGE)
