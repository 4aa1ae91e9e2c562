"""The segmenter's documents and entries as MongoDB keeps them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from pymongo import InsertOne, UpdateOne

from services.segmenter.ports import Change, Document, Entry

_DEFLATED_FROM = 1024 * 1024
"""Facts of so many bytes are kept deflated, to about a tenth: a document holds 16 MiB, and one input may repeat all that a person wrote."""
_DEFLATED = b"x"
"""What zlib begins with (RFC 1950), and JSON never does."""


def deflated(facts: bytes) -> bytes:
    """Return *facts* as they are kept."""
    return facts if len(facts) < _DEFLATED_FROM else zlib.compress(facts)


def inflated(facts: bytes) -> bytes:
    """Return what was kept as *facts*."""
    kept = bytes(facts)
    return zlib.decompress(kept) if kept.startswith(_DEFLATED) else kept


def place_of(board: str, position: int) -> str:
    """Return the key of a place in a board's log."""
    return f"{board}#{position:012d}"


def copies_of(document: str) -> dict[str, Any]:
    """Return the filter that finds all entries that were copied out of *document*."""
    return {"_id": {"$gt": f"{document}#", "$lt": f"{document}$"}}  # the next character


def input_key(document: str, input_id: str) -> str:
    """Return the key of an entry outside its document."""
    return f"{document}#{input_id}"


def document_of(row: Mapping[str, Any]) -> Document:
    """Return the document that *row* holds."""
    return Document(
        id=row["_id"],
        position=row["position"],
        state=bytes(row["state"]),
        card=bytes(row["card"]),
        partition=row["partition"],
        due_at=row["due_at"],
        definition=row["definition"],
        recent=tuple(entry_of(entry) for entry in row["recent"]),
    )


def entry_of(row: Mapping[str, Any]) -> Entry:
    """Return the entry that *row* holds."""
    return Entry(row["input_id"], row["origin"], row["position"], inflated(row["facts"]))


def plain(entry: Entry) -> dict[str, Any]:
    """Return *entry* as it is kept."""
    return {"input_id": entry.input_id, "origin": entry.origin, "position": entry.position, "facts": deflated(entry.facts)}


def copy_of(document: str, entry: Entry) -> UpdateOne:
    """Return the write that keeps an entry outside its document; whoever did so first wrote the same."""
    return UpdateOne({"_id": input_key(document, entry.input_id)}, {"$setOnInsert": {"document": document, **plain(entry)}}, upsert=True)


def write_of(change: Change) -> InsertOne[dict[str, Any]] | UpdateOne:
    """Return the write that makes *change*, if nobody has changed the document since."""
    after = change.after
    fields = {
        "position": after.position,
        "state": after.state,
        "card": after.card,
        "partition": after.partition,
        "due_at": after.due_at,
        "definition": after.definition,
        "recent": [plain(entry) for entry in change.entries],
    }
    if change.before is None:
        return InsertOne({"_id": after.id, **fields})
    return UpdateOne({"_id": after.id, "position": change.before.position}, {"$set": fields})
