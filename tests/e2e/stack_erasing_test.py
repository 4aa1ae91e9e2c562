"""A person is forgotten on a running stack: afterwards nothing speaks of her but what the command says, until when it says."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from services.common import ids
from services.common.ids import board_key
from services.common.records import Output, Record
from services.console.board import newest
from services.console.cluster import Cluster, Tail
from services.console.topics import wanted_topics
from tests.e2e.compacting import compacted
from tests.e2e.harness import BOOTSTRAP, StackProcess, decisions, ideas, mongo_url, publish, quiet

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(900)]

WORKSPACE, BOARD = "forgetful", "b"
MARK = "zyxquorble"
MAIL = f"{MARK}@mail.example"


def _record(topic: str, **fields: Any) -> Output:
    key = board_key(WORKSPACE, BOARD).encode()
    return Output(topic, key, json.dumps({"workspace": WORKSPACE, **fields}).encode(), key)


def _said(number: int, author: dict[str, str], text: str, **fields: Any) -> Output:
    return _record("feedback.raw", id=f"f-{number}", board=BOARD, author=author, text=text, **fields)


HER = {"email": MAIL, "alias": f"slack:{MARK}", "name": f"Ms {MARK}"}
FEEDBACK = [
    _said(1, HER, f"Please let me export boards to {MARK} files"),
    _said(2, {"email": "bob@mail.example"}, "Export of a board to a file would help"),
    _said(3, HER, "Dark mode for the night shift"),
    _said(4, {"email": "cid@mail.example"}, "Dark mode for the night shift"),
    _said(1, HER, f"Please let me export whole boards to {MARK} files", revision=1),
    _said(5, {"email": "bob@mail.example"}, "Conflicting"),
    _said(5, HER, f"Conflicting {MARK}"),
    _said(6, {"email": "not an address"}, "Nothing of hers"),
]
KNOWN = [
    _record("people.raw", id=f"crm-{MARK}", email=MAIL, name=f"Ms {MARK}", updated_at="2026-11-21T09:30:00Z", traits={"motto": MARK}),
    _record("activity.raw", id="a-1", person={"email": MAIL}, name=f"opened_{MARK}"),
    _record("activity.raw", id="a-2", person={"email": MAIL}, name="mood", answer=f"{MARK} sad"),
    _record("preferences.raw", id="p-1", person={"email": MAIL}, channel="email", opted_out=False, updated_at="2026-11-21T09:30:00Z"),
]


def _speaking(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if MARK.encode() in (record.value or b"").lower() + (record.key or b"").lower()]


def _present(records: Iterable[Record]) -> list[Record]:
    return list({(record.partition, record.key): record for record in records}.values())


async def _erase(stack: StackProcess, who: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "services.console", "people", "erase", who, "--workspace", WORKSPACE, "--yes", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, "--bootstrap", stack.state.bootstrap_servers, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    report: dict[str, Any] = json.loads(out)
    return report


def _holding(folder: Path) -> list[str]:
    """Return the stores that hold her mark: SQLite's files, free pages included, or collections of a MongoDB."""
    url = mongo_url()
    return _files(folder) if url is None else _collections(url)


def _files(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and any(name in path.name for name in (".db", ".sqlite"))]
    assert files
    return [path.name for path in files if MARK.encode() in path.read_bytes().lower()]


def _collections(url: str) -> list[str]:
    client: MongoClient[dict[str, Any]] = MongoClient(url)
    with client:
        places = [(name, kept) for name in client.list_database_names() for kept in client[name].list_collection_names()]
        return [f"{name}.{kept}" for name, kept in places if any(MARK in repr(row).lower() for row in client[name][kept].find())]


async def test_nothing_speaks_of_her_but_what_the_command_says(stack: StackProcess) -> None:
    async with stack.opened() as (cluster, tail):
        await publish(cluster, [*FEEDBACK, *KNOWN])
        await quiet(cluster, tail)
        hers = {d.idea_id for d in decisions(tail.records["board.decisions"], WORKSPACE) if MARK in (d.text or "")}
        (idea,) = {name for name in hers if name is not None}
        shipped = {
            "id": "s-1",
            "board": BOARD,
            "idea_id": idea,
            "status": "shipped",
            "release_id": "r",
            "updated_at": "2026-11-22T09:30:00Z",
        }
        await publish(cluster, [_record("ideas.status", **shipped)])
        await quiet(cluster, tail)
        before = newest(ideas(tail.records["ideas"], WORKSPACE))
        assert _speaking(tail.records["ideas"])
        assert _holding(stack.folder)

        report = await _erase(stack, f"email:{MAIL}")
        await quiet(cluster, tail)
        contracts = wanted_topics()
        compacted_topics = {name for name, contract in contracts.items() if contract.cleanup == "compact"}
        told = {name: _speaking(_present(r) if name in compacted_topics else r) for name, r in tail.records.items()}

        assert {ids.person_id(WORKSPACE, f"email:{MAIL}")} == set(report["persons"])
        assert [name for name in compacted_topics if told[name]] == []
        left = {entry["topic"] for entry in report["left"]}
        assert {name for name, records in told.items() if name not in compacted_topics and _speaking(await _kept(cluster, name))} <= left
        assert {"feedback.raw", "people.raw"} <= left
        assert _holding(stack.folder) == []
        after = newest(ideas(tail.records["ideas"], WORKSPACE))
        counts = [{name: (i.people, i.mentions, i.status, i.root_id) for name, i in states.items()} for states in (before, after)]
        assert counts[0] == counts[1]
        assert report["tombstones"].keys() == {"board.events", "people.events"}

        again = await _erase(stack, ids.person_id(WORKSPACE, f"email:{MAIL}"))
        assert again["tombstones"] == {}
        if BOOTSTRAP in os.environ:
            spoken = {name for name in compacted_topics if _speaking(await _kept(cluster, name))}
            assert {"board.events", "people.events", "board.decisions", "ideas"} <= spoken  # overwritten, and not compacted yet
            assert await _compacted(cluster, tail, sorted(compacted_topics)) == {}


async def _compacted(cluster: Cluster, tail: Tail, topics: list[str]) -> dict[str, int]:
    """Return where records speak of her although Kafka has compacted: the overwritten ones go, too, and the tombstones."""

    async def go_on(turn: int) -> None:
        others = [_said(1_000 + 40 * turn + n, {"email": f"other-{turn}-{n}@mail.example"}, f"Wish {turn} {n}") for n in range(40)]
        await publish(cluster, others)
        await quiet(cluster, tail)

    read = {"board.events", "people.events", "board.decisions", "accounts"}
    idle = [topic for topic in topics if topic not in read]
    server = os.environ[BOOTSTRAP]
    return await compacted(cluster, server, topics, idle=idle, speaking=_speaking, go_on=go_on, seconds=150)


async def _kept(cluster: Any, topic: str) -> list[Record]:
    records: list[Record] = (await cluster.read([topic]))[topic]
    return records
