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
NEXT_IDS = 1_000
"""The next version of a schema has the id of the last one and this."""
ADDED = "added_later"


def following(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the version after *schema*: compatible both ways, by a field that may be left out."""
    return {**schema, "fields": [*schema["fields"], {"name": ADDED, "type": ["null", "string"], "default": None}]}


@cache
def registered() -> Mapping[str, Mapping[int, Mapping[str, Any]]]:
    """Return what the registry holds: subject → id → schema, oldest first; the last one is the next release's."""
    found = {}
    for subject, versions in json.loads((SCHEMAS / "ids.json").read_text()).items():
        topic = subject.removesuffix("-value")
        ids = [int(versions[version]) for version in sorted(versions, key=int)]
        schemas = [json.loads((SCHEMAS / "avro" / f"{topic}-v{version}.avsc").read_text()) for version in sorted(versions, key=int)]
        found[subject] = dict(zip([*ids, ids[-1] + NEXT_IDS], [*schemas, following(schemas[-1])], strict=True))
    return found


def write_next_release(folder: Path) -> None:
    """Write into *folder* what the next release's ``schemas/avro`` holds."""
    folder.mkdir(parents=True)
    for subject, schemas in registered().items():
        for version, schema in enumerate(schemas.values(), start=1):
            (folder / f"{subject.removesuffix('-value')}-v{version}.avsc").write_text(json.dumps(schema))


def versions_of(topic: str) -> range:
    """Return the versions of the schema of *topic*, the next release's among them."""
    return range(1, len(registered()[f"{topic}-value"]) + 1)


def framed(topic: str, body: Mapping[str, Any], version: int) -> bytes:
    """Return *body* as a producer of that *version* frames it; fields that it lacks are empty."""
    number, schema = _parsed(topic, version)
    out = io.BytesIO(b"\x00" + number.to_bytes(4, "big"))
    out.seek(5)
    fastavro.schemaless_writer(out, schema, dict(body))
    return out.getvalue()


@cache
def _parsed(topic: str, version: int) -> tuple[int, Any]:
    number, schema = list(registered()[f"{topic}-value"].items())[version - 1]
    return number, fastavro.parse_schema(dict(schema))
