"""What a person said, taken out of a board's stored log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from services.common.events import Decision
from services.dedup.domain.entry import Entry
from services.dedup.domain.erasing import Redaction
from services.dedup.ports import BoardLog, SaidLog

_CHUNK_ENTRIES = 500


async def erase_log(log: BoardLog, said: SaidLog, board: str, before: int | None, person_id: str) -> list[Decision]:
    """Take the words of *person_id* out of *board*'s log before the position *before*; return the decisions that held them, without them.

    Safe to repeat: the same decisions are returned each time. Reads the log twice or three times, a piece at a time.

    Raises:
        TransientError: The store does not answer.
    """
    redaction = Redaction(person_id)
    async for entries in _chunks(log, board, before):
        for entry in entries:
            redaction.learn(entry)
    if redaction.lacks:
        async for entries in _chunks(log, board, before):
            for entry in entries:
                redaction.find(entry)
    found: list[Decision] = []
    async for entries in _chunks(log, board, before):
        changed = [after for entry in entries if (after := redaction.of_entry(entry)) != entry]
        if changed:
            await log.rewrite(changed)
        found += [
            redaction.of_decision(decision, entry.decisions)
            for entry in entries
            for decision in entry.decisions
            if redaction.is_hers(decision, entry.decisions)
        ]
    await _erase_said(said, board, redaction)
    return found


async def _chunks(log: BoardLog, board: str, before: int | None) -> AsyncIterator[Sequence[Entry]]:
    position, end = 0, before or 0
    while position < end - 1:
        entries = await log.load(board, after=position, limit=min(_CHUNK_ENTRIES, end - 1 - position))
        if not entries:
            return
        yield entries
        await asyncio.sleep(0)  # heartbeats go on
        position = entries[-1].position


async def _erase_said(said: SaidLog, board: str, redaction: Redaction) -> None:
    """Take the words out of what was said before the log was lost, as far as that is still kept."""
    last = await said.last(board)
    if last is None:
        return
    kept = await said.load(board, after=0, upto=last.sequence)
    changed = [after for one in kept if (after := redaction.of_decision(one, _of_event(kept, one))) != one]
    if changed:
        await said.remember(changed)


def _of_event(decisions: Sequence[Decision], one: Decision) -> list[Decision]:
    return [decision for decision in decisions if decision.event_id == one.event_id] if one.type == "opened" else []
