"""Commands to a board, and the board's answer."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.common.events import BoardEvent, Decision
from services.common.ids import board_key
from services.common.records import Output
from services.console.board import decoded, in_order
from services.console.cluster import Cluster
from services.console.context import codec

_ACTOR = "console"
_LOOK_AGAIN_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Commanded:
    """A command that was sent, and what the board decided on it so far."""

    command_id: str
    decisions: Sequence[Decision]


async def command(cluster: Cluster, workspace: str, board: str, verb: str, *, wait: float, **fields: str | None) -> Commanded:
    """Send *verb*, a command of ``ideas.commands``, to ``ideas.commands``; wait up to *wait* seconds for the decisions."""
    record = {"id": uuid.uuid4().hex, "workspace": workspace, "board": board, "command": verb, "actor": _ACTOR, **fields}
    return await _sent(cluster, "ideas.commands", record, wait)


async def set_status(
    cluster: Cluster, workspace: str, board: str, *, idea_id: str, status: str, wait: float, **fields: str | None
) -> Commanded:
    """Send a status to ``ideas.status``; wait up to *wait* seconds for the decisions."""
    now = datetime.now(UTC).isoformat()
    record = {
        "id": uuid.uuid4().hex,
        "workspace": workspace,
        "board": board,
        "idea_id": idea_id,
        "status": status,
        "updated_at": now,
        **fields,
    }
    return await _sent(cluster, "ideas.status", record, wait)


async def _sent(cluster: Cluster, topic: str, record: dict[str, Any], wait: float) -> Commanded:
    """Publish *record* and follow it by its origin: raw record, then board event, then decisions."""
    value = json.dumps({name: value for name, value in record.items() if value is not None}, ensure_ascii=False).encode()
    key = board_key(record["workspace"], record["board"]).encode()
    tail = await cluster.tail([topic, "board.events", "board.decisions"])
    async with tail:
        await tail.catch_up()
        await cluster.publish([Output(topic, key, value, key)])
        deadline = time.monotonic() + wait
        decisions: list[Decision] = []
        while not decisions and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            await tail.catch_up()
            origins = {raw.origin for raw in tail.records[topic] if raw.value == value}
            events = {e.event_id for e in decoded(codec(), BoardEvent, tail.records["board.events"]) if e.origin in origins}
            decisions = [d for d in in_order(decoded(codec(), Decision, tail.records["board.decisions"])) if d.event_id in events]
        return Commanded(record["id"], decisions)
