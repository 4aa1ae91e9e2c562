"""What workers are told of the world around them: broker, stores, mail server, registry, clock."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from services.common.errors import ConfigurationError
from services.common.settings import KafkaSettings
from services.console.embedded.broker import EmbeddedBroker
from services.console.embedded.stack import stack_kafka
from services.console.engines import ferretdb as engine_ferretdb
from services.console.engines import kafka as engine_kafka
from tests.faults.patched import CLOCK, NEXT_RELEASE
from tests.support.fresh import empty_kafka
from tests.support.proxy import TcpProxy

Engine: TypeAlias = Literal["embedded", "real"]
BOOTSTRAP = "GROUNDSWELL_TEST_BOOTSTRAP_SERVERS"
MONGO_URL = "GROUNDSWELL_TEST_MONGO_URL"
PARTITIONS = 4
SESSION_SECONDS = {"embedded": 6, "real": 6}
_MODELS = Path(__file__).resolve().parents[2] / ".groundswell" / "models"


def find_engines() -> None:
    """Take what ``make kafka`` and ``make mongo`` started, where the environment names no others.

    Raises:
        ConfigurationError: There are none.
    """
    for variable, found, remedy in (
        (BOOTSTRAP, engine_kafka.running(), "make kafka"),
        (MONGO_URL, engine_ferretdb.running(), "make mongo"),
    ):
        if variable not in os.environ and found is None:
            raise ConfigurationError(f"run `{remedy}` first, or set {variable}")
        os.environ.setdefault(variable, found or "")


def clock_file(folder: Path) -> Path:
    """Return the file that says by how many seconds the workers' clocks are wrong."""
    return folder / "clock"


def models_folder() -> Path:
    """Return where exported models are kept, for this run and the next ones."""
    return Path(os.environ.get("GROUNDSWELL_MODEL_CACHE", _MODELS))


def open_broker(engine: Engine, folder: Path, stack: AsyncExitStack) -> KafkaSettings:
    """Return how to reach an empty broker, for as long as *stack* is open."""
    if engine == "embedded":
        return stack_kafka(stack.enter_context(EmbeddedBroker(folder / "broker.log")).bootstrap_servers)
    empty_kafka(os.environ[BOOTSTRAP])
    return KafkaSettings(bootstrap_servers=os.environ[BOOTSTRAP], session_timeout_ms=SESSION_SECONDS["real"] * 1000)


def environment(engine: Engine, kafka: KafkaSettings, folder: Path, smtp_port: int, registry_url: str) -> Mapping[str, str]:
    """Return the settings of every worker but its store."""
    return {
        "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "GROUNDSWELL_KAFKA_IDEMPOTENCE": str(kafka.idempotence).lower(),
        "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": str(SESSION_SECONDS[engine] * 1000),
        "GROUNDSWELL_KAFKA_REQUEST_TIMEOUT_MS": "10000",
        "GROUNDSWELL_TOPIC_PARTITIONS": str(PARTITIONS),
        "GROUNDSWELL_DATA_DIR": str(folder / "data"),
        "GROUNDSWELL_BATCH_RECORDS": "40",
        "GROUNDSWELL_STOP_SECONDS": "10",
        "GROUNDSWELL_MODEL_CACHE": str(models_folder()),
        CLOCK: str(clock_file(folder)),
        NEXT_RELEASE: str(folder / "next-release"),
        "GROUNDSWELL_SCHEMA_REGISTRY_URL": registry_url,
        "GROUNDSWELL_SMTP_PORT": str(smtp_port),
        "GROUNDSWELL_SMTP_TIMEOUT_SECONDS": "3",
        "GROUNDSWELL_SMTP_BATCH_SECONDS": "5",
        "GROUNDSWELL_SMTP_RETRY_BASE_SECONDS": "0.5",
        "GROUNDSWELL_SMTP_RETRY_LONGEST_SECONDS": "3",
        "GROUNDSWELL_SMTP_RETRY_ATTEMPTS": "1000",
    }


def store_of(service: str, store: TcpProxy | None, run: str) -> Mapping[str, str]:
    """Return the setting that names the store of *service*, where it is not a file."""
    return {} if store is None else {"GROUNDSWELL_STORE_URL": f"mongodb://127.0.0.1:{store.port}/{database_of(run, service)}"}


def database_of(run: str, service: str) -> str:
    """Return the name of the database of *service* in this run."""
    return f"faults_{run}_{service}"


def port_of(url: str) -> int:
    """Return the port that *url* names."""
    port = urlsplit(url).port
    assert port is not None, f"{MONGO_URL} names no port"
    return port
