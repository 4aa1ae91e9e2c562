"""Files of one's own: CSV with a header, or one JSON object a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from services.console.failures import CommandFailed, ExitCode

Form: TypeAlias = Literal["csv", "jsonl", "eml"]
"""A table with a header, one JSON object a line, one e-mail."""
_FORMS: Mapping[str, Form] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".eml": "eml"}
_CANONICAL = ("channel", "revision", "deleted", "rating", "url", "language", "occurred_at")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file; *line*, counted from 1, is where it begins."""

    line: int
    fields: dict[str, Any]
    raw: bytes | None
    """The line as it stands in a JSONL file, or the whole of an e-mail; None for CSV."""


def form_of(path: Path) -> Form:
    """Return what the ending of *path* says that it holds.

    Raises:
        CommandFailed: It says nothing that we read.
    """
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise CommandFailed(f"{path}: expected a .csv or .jsonl file", ExitCode.USAGE)
    return form


def read_rows(path: Path) -> list[Row]:
    """Return the rows of *path*, by its ending (``.csv``, ``.jsonl``, ``.ndjson``).

    Raises:
        CommandFailed: The file is missing, of another kind, or a row is wrong; the message names file and line.
    """
    if not path.is_file():
        raise CommandFailed(f"{path}: no such file", ExitCode.USAGE)
    with path.open("rb") as source, closing(rows_of(source, path, form_of(path))) as rows:
        return [_taken(row) for row in rows]


def _taken(row: Row | CommandFailed) -> Row:
    if isinstance(row, CommandFailed):
        raise row
    return row


def rows_of(source: BinaryIO, path: Path, form: Form) -> Generator[Row | CommandFailed, None, None]:
    """Yield the rows of *source*, called *path* in messages, as they come, and what is wrong with one in its place."""
    match form:
        case "csv":
            yield from _csv_rows(source, path)
        case "jsonl":
            yield from _json_rows(source, path)
        case "eml":
            yield Row(1, {}, source.read())


def _csv_rows(source: BinaryIO, path: Path) -> Iterator[Row | CommandFailed]:
    begins = 1
    text = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
    try:
        reader = csv.DictReader(text, strict=True)
        if reader.fieldnames is None:
            yield _wrong(path, 1, "the file is empty; the first line names the columns")
            return
        begins = reader.line_num + 1
        for fields in reader:
            if None in fields or None in fields.values():
                yield _wrong(path, begins, f"expected {len(reader.fieldnames)} columns: {', '.join(reader.fieldnames)}")
            else:
                yield Row(begins, {name: value for name, value in fields.items() if value != ""}, None)
            begins = reader.line_num + 1
    except csv.Error as error:
        yield _wrong(path, begins, f"no CSV: {error}")
    except UnicodeDecodeError as error:
        yield CommandFailed(f"{path}: not UTF-8 (byte {error.start})", ExitCode.USAGE)
    finally:
        text.detach()  # whoever opened *source* closes it


def _json_rows(source: BinaryIO, path: Path) -> Iterator[Row | CommandFailed]:
    for number, ended in enumerate(source, start=1):
        line = ended.removesuffix(b"\n")
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield _wrong(path, number, f"no JSON: {error}")
            continue
        yield Row(number, fields, line) if isinstance(fields, dict) else _wrong(path, number, "expected a JSON object")


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
