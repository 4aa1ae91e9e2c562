"""From a wrong mapping or an unknown schema to a dead letter, through the fix, back to its topic and through: once."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import fastavro
import pytest

from services.common.events import BoardEvent
from services.common.paths import ROOT
from services.common.records import Output, Record
from services.console.board import decoded
from services.console.cluster import Cluster
from services.console.context import codec
from services.console.embedded.broker import EmbeddedBroker
from services.console.embedded.stack import stack_kafka
from services.console.lag import measure
from services.console.letters import Letter, read_letters
from services.console.topics import apply_topics

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

_PATIENCE_SECONDS = 120
_TICKET = {"ref": "T-1", "words": "Export drops the fonts", "from": "ann@example.com"}
_CHANNELS = """\
version: 1
channels:
  - {topic: feedback.raw, name: feedback, adapter: canonical}
  - topic: feedback.raw.ticket
    name: ticket
    workspace: lumora
    board: product
    mapping: {id: ref, text: TEXT, author: {email: from}}
"""


class Ingest:
    """Ingest as a process, of the checkout or of a copy of it."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.channels = folder / "channels.yaml"
        self.tree = ROOT
        self._log = folder / "ingest.log"
        self._environment = os.environ | {
            "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "GROUNDSWELL_KAFKA_IDEMPOTENCE": "false",
            "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": "6000",
            "GROUNDSWELL_TOPIC_PARTITIONS": "2",
            "GROUNDSWELL_DATA_DIR": str(folder / "data"),
            "GROUNDSWELL_CHANNELS_FILE": str(self.channels),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "services.ingest"]
            self._process = subprocess.Popen(command, cwd=self.tree, env=self._environment, stderr=log, stdout=log)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(30) == 0, self._log.read_text()[-3000:]


@pytest.fixture
def bootstrap(tmp_path: Path) -> Iterator[str]:
    with EmbeddedBroker(tmp_path / "broker.log") as broker:
        yield broker.bootstrap_servers


@pytest.fixture
async def cluster(bootstrap: str) -> AsyncIterator[Cluster]:
    async with Cluster(stack_kafka(bootstrap)) as connected:
        await apply_topics(connected, partitions=2, replication=1)
        yield connected


@pytest.fixture
def ingest(bootstrap: str, tmp_path: Path) -> Iterator[Ingest]:
    service = Ingest(bootstrap, tmp_path)
    (tmp_path / "data").mkdir()
    service.channels.write_text(_CHANNELS.replace("TEXT", "words"))
    yield service
    service.stop()


def groundswell(bootstrap: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.console", "deadletters", *arguments, "--bootstrap", bootstrap]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def told(bootstrap: str, folder: Path, *arguments: str) -> Any:
    ended = groundswell(bootstrap, folder, *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


async def acknowledged(cluster: Cluster) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while any(entry.lag for entry in await measure(cluster) if entry.service == "ingest"):
        assert time.monotonic() < deadline


async def letters(cluster: Cluster, count: int) -> list[Letter]:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(found := await read_letters(cluster, service="ingest")) < count:
        assert time.monotonic() < deadline
    assert len(found) == count
    return sorted(found, key=lambda letter: letter.attempt)


async def events(cluster: Cluster) -> Sequence[BoardEvent]:
    return decoded(codec(), BoardEvent, (await cluster.read(["board.events"]))["board.events"])


async def test_a_wrong_mapping(cluster: Cluster, ingest: Ingest, bootstrap: str, tmp_path: Path) -> None:
    ingest.channels.write_text(_CHANNELS.replace("TEXT", "wrods"))
    ingest.start()
    headers = (("trace", b"t-1"),)
    await cluster.publish([Output("feedback.raw.ticket", b"k1", json.dumps(_TICKET).encode(), b"k1", headers)])
    [letter] = await letters(cluster, 1)
    [listed] = told(bootstrap, tmp_path, "list")
    assert (letter.id, "missing_field", []) == (listed["id"], listed["reason"], listed["replays"])

    # Replayed before the fix it comes back, and both ends of the replay lead to each other.
    first = told(bootstrap, tmp_path, "replay", letter.id)
    _, back = await letters(cluster, 2)
    assert (letter.id, first["replay_id"], 2) == (back.replay_of, back.replay_id, back.attempt)
    shown = told(bootstrap, tmp_path, "show", letter.id)
    assert [back.id] == shown["came_back_as"]
    assert [(first["replay_id"], "confirmed", back.original)] == [(x["replay_id"], x["state"], x["to"]) for x in shown["replays"]]

    ingest.stop()
    ingest.channels.write_text(_CHANNELS.replace("TEXT", "words"))
    ingest.start()
    everything = told(bootstrap, tmp_path, "replay", "--all")
    assert ([back.id], [letter.id]) == (everything["replayed"], everything["replayed_before"])
    await acknowledged(cluster)
    [event] = await events(cluster)
    assert (_TICKET["words"], "T-1", letter.original_ms * 1000) == (event.text, event.external_id, event.occurred_at)

    original, *replayed = sorted((await cluster.read(["feedback.raw.ticket"]))["feedback.raw.ticket"], key=lambda record: record.offset)
    for record in replayed:
        assert _as_published(original) == _as_published(record)
    assert {("trace", b"t-1"), ("groundswell.replay.of", back.id.encode())} <= set(replayed[-1].headers)

    refused = groundswell(bootstrap, tmp_path, "replay", back.id)
    assert refused.returncode == 2
    assert f"{back.id} was published again to feedback.raw.ticket/" in refused.stderr
    told(bootstrap, tmp_path, "replay", back.id, "--again")
    await acknowledged(cluster)
    assert [event] == await events(cluster)
    assert len(await read_letters(cluster)) == 2


def _as_published(record: Record) -> tuple[int, bytes | None, bytes | None, int]:
    return record.partition, record.key, record.value, record.timestamp_ms


async def test_a_missing_schema(cluster: Cluster, ingest: Ingest, bootstrap: str, tmp_path: Path) -> None:
    ingest.start()
    schema = json.loads((ROOT / "schemas" / "avro" / "feedback.raw-v1.avsc").read_text())
    schema["fields"].append({"name": "mood", "type": ["null", "string"], "default": None})
    body = io.BytesIO()
    fastavro.schemaless_writer(
        body, fastavro.parse_schema(schema), {"id": "7", "workspace": "lumora", "board": "b", "text": "Dark mode", "mood": "cross"}
    )
    await cluster.publish([Output("feedback.raw", b"k", struct.pack(">bI", 0, 4_711) + body.getvalue(), b"k")])
    [letter] = await letters(cluster, 1)
    assert letter.reason == "unknown_schema"
    assert told(bootstrap, tmp_path, "show", letter.id)["form"] == "framed, by the schema with id 4711, which nobody knows"

    ingest.stop()
    ingest.tree = _released(tmp_path / "tree", schema, 4_711)
    ingest.start()
    told(bootstrap, tmp_path, "replay", "--all", "--reason", "unknown_schema")
    await acknowledged(cluster)
    assert [event.text for event in await events(cluster)] == ["Dark mode"]
    assert len(await read_letters(cluster)) == 1


def _released(tree: Path, schema: Any, number: int) -> Path:
    """Return a copy of the checkout in which *schema* is the next version of feedback.raw."""
    for folder in ("services", "schemas", "examples"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "schemas" / "avro" / "feedback.raw-v2.avsc").write_text(json.dumps(schema))
    ids = json.loads((tree / "schemas" / "ids.json").read_text())
    ids["feedback.raw-value"]["2"] = number
    (tree / "schemas" / "ids.json").write_text(json.dumps(ids))
    return tree


async def test_what_a_person_wrote_is_printed_only_where_it_is_asked_for(
    cluster: Cluster, ingest: Ingest, bootstrap: str, tmp_path: Path
) -> None:
    ingest.start()
    value = {"id": "7", "workspace": "lumora", "board": "b", "text": ["Ann was here"], "author": {"email": "ann@example.com"}}
    await cluster.publish([Output("feedback.raw", b"key-of-ann", json.dumps(value).encode(), b"k", (("from", b"header-of-ann"),))])
    [letter] = await letters(cluster, 1)
    for arguments in (("list",), ("list", "--json"), ("show", letter.id), ("show", letter.id, "--json")):
        said = groundswell(bootstrap, tmp_path, *arguments)
        assert said.returncode == 0, said.stderr
        assert "ann" not in said.stdout.lower()
        assert "wrong_type" in said.stdout
    revealed = groundswell(bootstrap, tmp_path, "show", letter.id, "--reveal").stdout
    assert all(word in revealed for word in ("Ann was here", "ann@example.com", "key-of-ann", "header-of-ann"))
    assert told(bootstrap, tmp_path, "show", letter.id, "--reveal")["decoded"] == value


async def test_what_has_no_home_is_not_replayed(cluster: Cluster, bootstrap: str, tmp_path: Path) -> None:
    await cluster.publish([Output("dedup.deadletter", b"k", b"a stranger's", b"k")])
    ended = groundswell(bootstrap, tmp_path, "replay", "--all")
    assert ended.returncode == 2
    assert "does not tell where it came from; nothing was published" in ended.stderr
    assert groundswell(bootstrap, tmp_path, "replay", "ingest/0/99").returncode == 2
    assert (await cluster.read(["deadletters.replays"]))["deadletters.replays"] == []
