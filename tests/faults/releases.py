"""A next release's schemas: every published one with a field more. What the world is like while one release replaces another."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fastavro

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
SECOND_IDS = 1_000
"""The second version of a schema has the id of the first and this."""
ADDED = "added_later"


def second(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the version after *schema*: compatible both ways, by a field that may be left out."""
    return {**schema, "fields": [*schema["fields"], {"name": ADDED, "type": ["null", "string"], "default": None}]}


@cache
def firsts() -> Mapping[str, tuple[int, Mapping[str, Any]]]:
    """Return the id and the schema of the first version of every subject."""
    found = {}
    for subject, versions in json.loads((SCHEMAS / "ids.json").read_text()).items():
        path = SCHEMAS / "avro" / f"{subject.removesuffix('-value')}-v1.avsc"
        found[subject] = (int(versions["1"]), json.loads(path.read_text()))
    return found


def write_next_release(folder: Path) -> None:
    """Write into *folder* what the next release's ``schemas/avro`` holds."""
    folder.mkdir(parents=True)
    for subject, (_, schema) in firsts().items():
        topic = subject.removesuffix("-value")
        (folder / f"{topic}-v1.avsc").write_text(json.dumps(schema))
        (folder / f"{topic}-v2.avsc").write_text(json.dumps(second(schema)))


def registered() -> dict[str, dict[int, Any]]:
    """Return what the registry holds: subject → id → schema."""
    return {subject: {number: schema, number + SECOND_IDS: second(schema)} for subject, (number, schema) in firsts().items()}


def framed(topic: str, body: Mapping[str, Any], version: int) -> bytes:
    """Return *body* as a producer of that *version* frames it; fields that it lacks are empty."""
    number, schema = _parsed(topic, version)
    out = io.BytesIO(b"\x00" + number.to_bytes(4, "big"))
    out.seek(5)
    fastavro.schemaless_writer(out, schema, dict(body))
    return out.getvalue()


@cache
def _parsed(topic: str, version: int) -> tuple[int, Any]:
    number, schema = firsts()[f"{topic}-value"]
    return (number, fastavro.parse_schema(dict(schema))) if version == 1 else (number + SECOND_IDS, fastavro.parse_schema(second(schema)))
