"""What a dead letter holds, as far as it can be read; and the same without what a person wrote."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import fastavro
import orjson

from services.common.registry import Schemas

_FRAME_BYTES = 5
_DEPTH = 24
_ENTRIES = 100
_SPEAKING = frozenset(
    {
        "board", "channel", "command", "deleted", "event_id", "feedback_id", "idea_id", "ingested_at", "language", "occurred_at",
        "origin", "other_idea_id", "person_id", "release_id", "revision", "sequence", "source", "status", "type", "updated_at", "version",
        "workspace",
    }
)  # fmt: skip
"""Fields of the contracts that name things and never say who a person is: ids are digests, moments and names of boards say nothing."""
_HARMLESS = re.compile(r"[A-Za-z0-9:._/+-]{1,120}")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")

Registered: TypeAlias = Callable[[int], Mapping[str, Any] | None]
"""Returns a schema by its id, or None where there is none."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A value, read."""

    form: str
    """What it is, in some words: ``Avro, board.events-value version 1 (id 3)``."""
    decoded: Any = None
    """JSON-like; None where nothing could be read."""


def contents_of(value: bytes | None, schemas: Schemas, registered: Registered = lambda _: None) -> Contents:
    """Return what *value* holds: Avro by its writer's schema, whichever subject's that is, or JSON.

    Args:
        value: The original's bytes.
        schemas: Those that we released.
        registered: Asked for ids that are not among them.

    Raises:
        TransientError: *registered* does.
    """
    if value is None:
        return Contents("null")
    if not value:
        return Contents("no bytes")
    if value[0] == 0 and len(value) >= _FRAME_BYTES:
        return _framed(value, schemas, registered)
    try:
        return Contents("JSON", _limited(orjson.loads(value)))
    except orjson.JSONDecodeError:
        return Contents("text, not JSON" if _is_text(value) else "bytes that are no text")


def veiled(value: Any) -> Any:
    """Return the shape of *value*: names of fields, kinds and lengths; values only of fields that say nothing of a person."""
    if isinstance(value, dict):
        return {_name(name): shown if name in _SPEAKING and _is_harmless(shown) else _kind(shown) for name, shown in value.items()}
    return _kind(value)


def _framed(value: bytes, schemas: Schemas, registered: Registered) -> Contents:
    number = int.from_bytes(value[1:_FRAME_BYTES], "big")
    schema, name = _writer(number, schemas, registered)
    if schema is None:
        return Contents(f"framed, by the schema with id {number}, which nobody knows")
    body = io.BytesIO(value)
    body.seek(_FRAME_BYTES)
    try:
        decoded = fastavro.schemaless_reader(body, schema, None)
    except Exception:  # noqa: BLE001 - a decoder of garbage raises anything
        return Contents(f"framed, but no {name}")
    rest = len(value) - body.tell()
    return Contents(
        f"Avro, {name}" + (f", and {rest} bytes after it" if rest else ""), _limited(json.loads(json.dumps(decoded, default=_told)))
    )


def _told(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _writer(number: int, schemas: Schemas, registered: Registered) -> tuple[Any, str]:
    for subject, versions in schemas.subjects().items():
        for version in versions:
            if version.id == number:
                return dict(version.schema), f"{subject} version {version.version} (id {number})"
    found = registered(number)
    return (None if found is None else dict(found)), f"a record of the registry's schema {number}"


def _limited(value: Any, depth: int = _DEPTH) -> Any:
    """Return *value* with what is nested too deep to be printed left out."""
    if isinstance(value, dict):
        return {name: _limited(inner, depth - 1) for name, inner in value.items()} if depth else "…"
    if isinstance(value, list):
        return [_limited(inner, depth - 1) for inner in value] if depth else "…"
    return value


def _kind(value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case dict():
            return {_name(name): _kind(inner) for name, inner in value.items()}
        case list():
            kinds = [_kind(inner) for inner in value[:_ENTRIES]]
            return kinds if len(value) <= _ENTRIES else [*kinds, f"<{len(value) - _ENTRIES} more>"]
        case str():
            return f"<{len(value)} characters>"
        case _:
            return "<number>"


def _name(name: str) -> str:
    return name if _FIELD.fullmatch(name) else f"<a name of {len(name)} characters>"


def _is_harmless(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and _HARMLESS.fullmatch(value) is not None)


def _is_text(value: bytes) -> bool:
    try:
        return value.decode().replace("\n", " ").replace("\t", " ").replace("\r", " ").isprintable()
    except UnicodeDecodeError:
        return False
