"""A service with a store, under transactions on Apache Kafka: killed around its writes and publications, it loses and repeats nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from services.common.paths import ROOT
from services.common.topics import load_topics
from tests.fakes_ingest import BOARD, CHANNELS, WORKSPACE
from tests.integration.loop_transactions_test import BOOTSTRAP, on_kafka
from tests.support.fresh import empty_kafka
from tests.support.topics import Broker, Sent, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300), on_kafka]

_COUNT = 300
_PARTITIONS = 2
_POINTS = ["before_store:2", "after_store:3", "before_publish:2", "after_publish:3", "before_commit:2", "after_commit:2"]


def _start(folder: Path, patch: str | None) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDSWELL_")} | {
        "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": os.environ[BOOTSTRAP],
        "GROUNDSWELL_KAFKA_TRANSACTIONS": "true",
        "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": "6000",
        "GROUNDSWELL_TOPIC_PARTITIONS": str(_PARTITIONS),
        "GROUNDSWELL_DATA_DIR": str(folder),
        "GROUNDSWELL_BATCH_RECORDS": "20",
    }
    module = ["services.ingest"] if patch is None else ["tests.faults.patched", "ingest", patch]
    with (folder / "ingest.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, env=environment, stdout=log, stderr=log)


async def test_killed_at_every_point_in_turn_each_event_is_committed_once(tmp_path: Path) -> None:
    empty_kafka(os.environ[BOOTSTRAP])
    outside = Broker(os.environ[BOOTSTRAP])
    await outside.create(_PARTITIONS, *sorted({*load_topics(), *CHANNELS.topics()}))
    said = [{"id": f"f{number}", "workspace": WORKSPACE, "board": BOARD, "text": f"Wish number {number}"} for number in range(_COUNT)]
    await outside.send("feedback.raw", [Sent(orjson.dumps(one), b"%d" % at, at % _PARTITIONS) for at, one in enumerate(said)])
    for point in _POINTS:
        assert _start(tmp_path, point).wait() == -signal.SIGKILL, (point, (tmp_path / "ingest.log").read_text()[-3000:])
    last = _start(tmp_path, None)
    try:

        async def drained() -> bool:
            return await outside.lag("groundswell-ingest", "feedback.raw") == 0

        await eventually(drained, "everything acknowledged")
    finally:
        last.terminate()
        last.wait(30)
    for topic, least in (("board.events", _COUNT), ("people.events", 0)):
        committed = await outside.read(topic, committed_only=True)
        assert len(committed) >= least
        assert len({(record.key, record.value) for record in committed}) == len(committed), f"{topic} repeats something"
    assert len(await outside.read("board.events", committed_only=True)) == _COUNT
    assert await outside.read("ingest.deadletter") == []
