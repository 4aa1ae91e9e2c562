"""Everything that is read at the start says where it is wrong; what is said in logs quotes no payload."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.common.errors import ConfigurationError, TransientError
from services.common.http import HealthServer
from services.common.logs import configure_logs, frames_of, get_logger
from services.common.settings import KafkaSettings, Settings, load_settings
from services.common.sqlite import Database
from services.common.store import sqlite_path
from services.common.topics import load_topics

_TOPIC = """
topic: board.things
owner: ingest
about: things
producers: [ingest]
consumers: [dedup]
partition_by: board
key: id
value: avro
partitions: 12
cleanup: compact
"""


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GROUNDSWELL_HTTP_PORT", "99999"),
        ("GROUNDSWELL_BATCH_RECORDS", "0"),
        ("GROUNDSWELL_TICK_SECONDS", "soon"),
        ("GROUNDSWELL_LOG_LEVEL", "LOUD"),
        ("GROUNDSWELL_KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("GROUNDSWELL_KAFKA_MAX_POLL_INTERVAL_MS", "1"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"environment: {variable}: "):
        load_settings(KafkaSettings if "KAFKA" in variable else Settings)


def test_a_password_shows_in_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDSWELL_KAFKA_SASL_PASSWORD", "hunter2")
    assert "hunter2" not in repr(load_settings(KafkaSettings))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("partitions: 12", "partitions: none"), "partitions"),
        (("owner: ingest\n", ""), "owner"),
        (("cleanup: compact", "cleanup: sometimes"), "cleanup"),
        (("key: id", "key: id\ncolour: red"), "colour"),
        (("topic: board.things", "topic: other"), "must be named other.yaml"),
        (("key: id", "key: [id"), "line 9"),
    ],
)
def test_a_wrong_topic_file_is_named_with_its_field(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    path = tmp_path / "board.things.yaml"
    path.write_text(_TOPIC)
    assert list(load_topics(tmp_path)) == ["board.things"]
    path.write_text(_TOPIC.replace(*change))
    with pytest.raises(ConfigurationError) as refused:
        load_topics(tmp_path)
    assert str(path) in str(refused.value)
    assert said in str(refused.value)


def test_a_store_url_is_a_file_a_mongodb_or_refused() -> None:
    assert sqlite_path(Settings(data_dir=Path("d")), "dedup") == Path("d/dedup.db")
    assert sqlite_path(Settings(store_url="sqlite:///var/x.db"), "dedup") == Path("///var/x.db")
    assert sqlite_path(Settings(store_url="mongodb://h/d"), "dedup") is None
    for wrong in ("redis://h", "sqlite:", "nonsense"):
        with pytest.raises(ConfigurationError, match="GROUNDSWELL_STORE_URL"):
            sqlite_path(Settings(store_url=wrong), "dedup")


async def test_a_second_worker_on_one_file_is_refused_until_the_first_has_closed_it(tmp_path: Path) -> None:
    first, second = Database(tmp_path / "x.db", ""), Database(tmp_path / "x.db", "")
    await first.open()
    with pytest.raises(ConfigurationError, match="in use by another worker"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


async def test_a_write_is_all_or_nothing_and_a_cancelled_one_leaves_the_next_in_order(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db", "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)")
    await database.open()

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES (1)")
        raise KeyError

    with pytest.raises(KeyError):
        await database.write(half)
    cancelled = asyncio.create_task(database.write(lambda c: c.execute("INSERT INTO t VALUES (2)")))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait((cancelled,))
    await database.write(lambda c: c.execute("INSERT INTO t VALUES (3)"))
    rows = await database.read(lambda c: [n for (n,) in c.execute("SELECT n FROM t ORDER BY n")])
    assert rows in ([3], [2, 3]), "a cancelled write is done or not, and nothing of it comes after the next"
    await database.close()


async def test_a_locked_database_is_transient_trouble(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db", "CREATE TABLE IF NOT EXISTS t (n INTEGER)")
    await database.open()
    await database.read(lambda c: c.execute("PRAGMA busy_timeout=0").fetchall())
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match="locked"):
        await database.write(lambda c: c.execute("INSERT INTO t VALUES (1)"))
    other.execute("ROLLBACK")
    other.close()
    await database.write(lambda c: c.execute("INSERT INTO t VALUES (1)"))
    await database.close()


@pytest.fixture
def own_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("own_logs")
def test_logs_are_json_and_say_where_a_library_failed_but_not_what_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("dedup", "INFO")
    try:
        raise ValueError("ann@example.com wants a refund")
    except ValueError as error:
        logging.getLogger("some.library").exception("it failed")
        get_logger("ours").error("crash", exception=frames_of(error))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["it failed", "crash"]
    assert all(line["exception"][0] == "ValueError" for line in lines)
    assert "example.com" not in json.dumps(lines)
    assert {line["service"] for line in lines} == {"dedup"}


async def test_probes_answer_by_what_holds_and_a_taken_port_is_named() -> None:
    state = {"alive": True, "ready": False}
    server = HealthServer("127.0.0.1", 0, CollectorRegistry(), is_alive=lambda: state["alive"], is_ready=lambda: state["ready"])
    port = await server.start()
    assert await _status(port, "/healthz") == 200
    assert await _status(port, "/readyz") == 503
    state |= {"alive": False, "ready": True}
    assert await _status(port, "/healthz") == 503
    assert await _status(port, "/readyz") == 200
    assert await _status(port, "/metrics") == 200
    second = HealthServer("127.0.0.1", port, CollectorRegistry(), is_alive=lambda: True, is_ready=lambda: True)
    with pytest.raises(ConfigurationError, match=f"port {port} .* GROUNDSWELL_HTTP_PORT"):
        await second.start()
    await second.stop()
    await server.stop()


async def _status(port: int, path: str) -> int:
    def get() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    return await asyncio.to_thread(get)
