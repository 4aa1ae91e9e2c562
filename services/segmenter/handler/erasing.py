"""What is stored of persons who were erased: what was published stays named, and says nothing any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, replace
from typing import Any

import orjson

from services.common.events import EnrichedFeedback, PersonSegments, SegmenterWork, SegmentTransition
from services.segmenter.domain.changes import Tombstone
from services.segmenter.domain.enrichment import ERASED
from services.segmenter.domain.facts import Facts
from services.segmenter.ports import BoardEntry, BoardLog, Documents, Entry

_PAGE = 1_000
_ENRICHED = (EnrichedFeedback.TOPIC, "kept")


async def erase_words(log: BoardLog, board: str, feedback_ids: Collection[str]) -> None:
    """Take the words of *feedback_ids* out of everything that is stored of *board*. Safe to repeat; reads the whole log.

    Raises:
        TransientError: The store does not answer.
    """
    position, names = 0, [name.encode() for name in feedback_ids]
    while page := await log.page(board, position, _PAGE):
        position = page[-1].position
        told = [entry for entry in page if any(name in entry.facts or name in entry.operations for name in names)]
        changed = [after for entry in told if (after := _without_words(entry, feedback_ids)) != entry]
        if changed:
            await log.rewrite(changed)


def _without_words(entry: BoardEntry, feedback_ids: Collection[str]) -> BoardEntry:
    facts = [[topic, _fact_without(topic, fields, feedback_ids)] for topic, fields in orjson.loads(entry.facts)]
    operations = [_operation_without(operation, feedback_ids) for operation in orjson.loads(entry.operations)]
    return replace(entry, facts=orjson.dumps(facts), operations=orjson.dumps(operations))


def _fact_without(topic: str, fields: dict[str, Any], feedback_ids: Collection[str]) -> dict[str, Any]:
    if topic in _ENRICHED and fields["feedback_id"] in feedback_ids:
        return {**fields, **ERASED}
    if topic == SegmenterWork.TOPIC and fields.get("state_json"):
        state = orjson.loads(fields["state_json"])
        wishes = state.get("wishes") or {}
        for name in wishes.keys() & set(feedback_ids):
            if wishes[name] is not None:
                wishes[name]["words"] = []
        return fields | {"state_json": orjson.dumps(state).decode()} if wishes else fields
    return fields


def _operation_without(operation: list[Any], feedback_ids: Collection[str]) -> list[Any]:
    """Let a ``link`` hold no excerpt."""
    name, *operands = operation
    if name != "link" or operands[0] not in feedback_ids or len(operands) < 5 or operands[4] is None:
        return operation
    written_at, _, source = operands[4]
    return [name, *operands[:4], [written_at, "", source]]


def tombstones(person_id: str, entries: Iterable[Entry]) -> list[Tombstone]:
    """Return what takes the transitions that *entries* of a person led to out of their topic, each once, in their order."""
    told = (fields for entry in entries for topic, fields in orjson.loads(entry.facts) if topic == SegmentTransition.TOPIC)
    ids = dict.fromkeys(fields["transition_id"] for fields in told)
    return [Tombstone(SegmentTransition.TOPIC, transition_id, person_id) for transition_id in ids]


async def erase_person(people: Documents, person_id: str, before: int) -> None:
    """Take what is known of a person out of what followed from its inputs before a position; notes go on saying that it changed.

    Safe to repeat.

    Raises:
        TransientError: The store does not answer.
    """
    entries = [entry for entry in await people.history(person_id) if entry.position < before]
    changed = [after for entry in entries if (after := without_person(entry)) != entry]
    if changed:
        await people.rewrite(person_id, changed)


def without_person(entry: Entry) -> Entry:
    """Return *entry* without what is known of its person, see ``erase_person``."""
    facts = [
        [topic, _note_without(fields) if topic == SegmenterWork.TOPIC else fields]
        for topic, fields in orjson.loads(entry.facts)
        if topic not in (SegmentTransition.TOPIC, PersonSegments.TOPIC)
    ]
    return replace(entry, facts=orjson.dumps(facts))


def _note_without(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a note that tells of its sender's family nothing but the boards; what is wrong with that the next note mends."""
    state = orjson.loads(fields["state_json"] or "{}")
    for member in (state.get("members") or {}).values():
        member["facts"] = asdict(Facts(boards=member["facts"]["boards"]))
    return {**fields, "state_json": orjson.dumps(state).decode()} if "members" in state else fields
