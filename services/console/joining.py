"""``groundswell people join`` and ``separate``: the command, and ingest's answer."""

from __future__ import annotations

import asyncio
import json
import time
import uuid

from services.common.deadletter import topic_of
from services.common.events import PersonEvent
from services.common.records import Output
from services.console.board import decoded, find
from services.console.cluster import Cluster
from services.console.context import codec
from services.console.failures import CommandFailed, ExitCode
from services.console.letters import letter_of

_LOOK_AGAIN_SECONDS = 0.3
_COMMANDS, _EVENTS, _LETTERS = "people.commands", "people.events", topic_of("ingest")


async def command_pair(cluster: Cluster, workspace: str, command: str, person: str, other: str, *, wait: float) -> str:
    """Send *command* about two persons (ids, beginnings of ids, or aliases); return what came of it, waiting up to *wait* seconds.

    Raises:
        CommandFailed: Nobody, or more than one, is called so; or ingest refused.
    """
    async with await cluster.tail([_COMMANDS, _EVENTS, _LETTERS]) as tail:
        await tail.catch_up()
        known = [event for event in decoded(codec(), PersonEvent, tail.records[_EVENTS]) if event.workspace == workspace]
        by_alias = {event.alias: event.person_id for event in known if event.type == "alias" and event.alias}
        pair = [by_alias.get(name) or find((event.person_id for event in known), name, "person") for name in (person, other)]
        record = {"id": uuid.uuid4().hex, "workspace": workspace, "command": command, "person_id": pair[0], "other_person_id": pair[1]}
        value = json.dumps(record).encode()
        await cluster.publish([Output(_COMMANDS, pair[0].encode(), value, pair[0].encode())])
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            await tail.catch_up()
            ours = {record.origin for record in tail.records[_COMMANDS] if record.value == value}
            for event in decoded(codec(), PersonEvent, tail.records[_EVENTS]):
                if event.origin in ours:
                    return f"{event.type}: {event.person_id} {'into' if event.type == 'joined' else 'from'} {event.other_person_id}"
            for letter in (letter_of("ingest", record) for record in tail.records[_LETTERS]):
                if letter.original in ours:
                    raise CommandFailed(f"refused: {letter.detail}", ExitCode.USAGE)
        return "nothing came of it so far: it holds already, or ingest is not running (see `groundswell lag`)"
