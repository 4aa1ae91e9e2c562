"""``groundswell replay`` as an operator uses it: each service reads again, from the beginning or a moment, with its store and without."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from services.common.events import Idea, IdeaDemand, PersonSegments
from services.common.paths import ROOT
from services.common.records import Output
from services.common.topics import load_topics
from services.console.board import decoded
from services.console.context import codec
from services.console.lag import consumed_topics
from tests.faults.fleet import SERVICES
from tests.faults.folding import fold
from tests.faults.invariants import broken, i4_everyone_hears_once
from tests.faults.load import WORKSPACE
from tests.faults.world import World, opened

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(600)]

_SEED = 7
_CONTRACTS = load_topics()
_OURS = sorted(topic for topic, contract in _CONTRACTS.items() if contract.value == "avro" and not contract.internal)
"""All that the services publish for others."""
_STATES = (Idea.TOPIC, IdeaDemand.TOPIC, PersonSegments.TOPIC)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A stack that has worked through a load, with ideas shipped, persons joined and everyone told."""
    async with opened("embedded", _SEED, print) as running:
        await running.publish(running.load.background())
        await running.publish(running.load.feedback(120))
        await running.settle()
        await _join(running)
        await _ship(running)
        await running.settle(_all_told)
        yield running


def _all_told(evidence: Any) -> bool:
    return next(i4_everyone_hears_once(evidence), None) is None


async def _ship(world: World) -> None:
    boards = fold(world.evidence())
    where = {d["idea_id"]: d["board"] for d in world.evidence().facts("board.decisions") if d["type"] == "opened"}
    ranked = [root for root, _ in sorted(boards.said().items(), key=lambda entry: (-len(entry[1]), entry[0])) if root not in boards.shipped]
    await world.publish(world.load.shipped(ranked[0], where[ranked[0]]))
    other = next(root for root in ranked[1:] if where[root] == where[ranked[0]])
    await world.publish(world.load.merged(other, ranked[0], where[other]))


async def _join(world: World) -> None:
    """Join two persons, part them, and join two others."""
    people = sorted({fact["person_id"] for fact in world.evidence().facts("people.events") if fact["type"] == "profile"})
    commands = [("join", people[0], people[1]), ("separate", people[0], people[1]), ("join", people[2], people[3])]
    records = []
    for number, (command, one, other) in enumerate(commands):
        body = {"id": f"pc-{number}", "workspace": WORKSPACE, "command": command, "person_id": one, "other_person_id": other}
        records.append(Output("people.commands", b"console", json.dumps(body).encode(), b"console"))
    await world.publish(records)
    await world.settle()


async def _command(world: World, service: str, start: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.console", "replay", "--service", service, "--from", start, "--bootstrap", world.kafka.bootstrap_servers),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


def _said(world: World) -> Mapping[str, set[tuple[bytes | None, bytes | None]]]:
    return {topic: {(record.key, record.value) for record in world.tail.records[topic]} for topic in _OURS}


def _facts(said: Mapping[str, set[tuple[bytes | None, bytes | None]]]) -> Mapping[str, set[tuple[bytes | None, bytes | None]]]:
    """Leave the states out: on the way to how they stand they may be said in between as they never stood."""
    return {topic: records for topic, records in said.items() if topic not in _STATES}


def _last(world: World) -> Mapping[tuple[str, str], dict[str, Any]]:
    """Return how each idea, demand and person stands: the fields of the record that compaction would leave."""
    kept = {}
    for kind in (Idea, IdeaDemand, PersonSegments):
        for state in decoded(codec(), kind, world.tail.records[kind.TOPIC]):
            kept[kind.TOPIC, state.key()] = asdict(state)
    return kept


async def _started_anew(world: World, service: str) -> None:
    """Wait until the worker that was started last has begun with its inputs again; until then nobody is behind."""
    while True:
        logs = sorted(world.folder.glob(f"{service}-*.log"), key=lambda log: int(log.stem.rpartition("-")[2]))
        said = logs[-1].read_text()
        assert '"event": "configuration"' not in said, said
        if '"event": "started"' in said:
            assert '"event": "reading_again"' in said
            return
        await asyncio.sleep(0.1)


def _count(world: World, topics: Sequence[str]) -> int:
    return sum(len(world.tail.records[topic]) for topic in topics)


def _middle(world: World, service: str) -> str:
    moments = sorted(record.timestamp_ms for topic in consumed_topics()[service] for record in world.tail.records[topic])
    return datetime.fromtimestamp(moments[len(moments) // 2] / 1000, UTC).isoformat()


def _check_unchanged(
    world: World, said: Mapping[str, set[tuple[bytes | None, bytes | None]]], last: Mapping[tuple[str, str], dict[str, Any]]
) -> None:
    """Hold facts to their bytes and states to how they stand: said again, they may have a later version and moment."""
    assert _facts(said) == _facts(_said(world))
    now = _last(world)
    assert {place: state["version"] for place, state in last.items() if now[place]["version"] < state["version"]} == {}
    changed = {place: [name for name in state if state[name] != now[place][name]] for place, state in last.items()}
    assert {place: names for place, names in changed.items() if set(names) - {"version", "updated_at"}} == {}


@pytest.mark.parametrize("service", SERVICES)
async def test_reading_again_repeats_what_was_said_and_mails_nobody(world: World, service: str) -> None:
    before, last, mails = _said(world), _last(world), world.evidence().mails
    assert mails, "nobody was told anything"
    inputs = consumed_topics()[service]
    for start in ("beginning", _middle(world, service)):
        await world.fleet.scale(service, 0)
        ready = _count(world, inputs)
        said = await _command(world, service, start)
        again = int(said.split(" will read ")[1].split(" ")[0].replace(",", ""))
        assert again == ready if start == "beginning" else 0 < again <= ready, said  # the embedded broker goes by when a record came
        await world.fleet.scale(service, 1)
        await world.settle(_all_told)
        _check_unchanged(world, before, last)
        assert mails == world.evidence().mails, start


@pytest.mark.parametrize("service", SERVICES)
async def test_a_store_that_is_deleted_comes_back(world: World, service: str) -> None:
    """No command is needed: the worker sees that its store is new."""
    before, last, mails = _said(world), _last(world), world.evidence().mails
    await world.fleet.scale(service, 0)
    world.lose_store(service)
    await world.fleet.scale(service, 1)
    await _started_anew(world, service)
    settled = await world.settle(_all_told)
    later = await world.judged(settled)

    assert broken(later) == {}
    _check_unchanged(world, before, last)
    assert mails == later.mails

    await world.publish(world.load.everything_again(), age_seconds=0.0)
    await world.publish(world.load.feedback(20))
    await _ship(world)
    assert broken(await world.judged(await world.settle(_all_told))) == {}


async def test_a_service_that_runs_is_not_set_back(world: World) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.console", "replay", "--service", "dedup", "--bootstrap", world.kafka.bootstrap_servers),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()

    assert process.returncode != 0
    assert b"still run" in said
