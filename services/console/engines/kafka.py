"""Apache Kafka from Maven Central, in KRaft combined mode: one broker, or three for failover."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from services.common.errors import GroundswellError
from services.common.paths import ROOT
from services.console.embedded.broker import free_port
from services.console.engines import ENGINES, daemon

_FETCHED = ENGINES / "kafka"
HOME = Path(os.environ.get("GROUNDSWELL_KAFKA_HOME", _FETCHED)).absolute()
"""Where the brokers keep what they have; another one is another cluster."""
_POM = ROOT / "deploy" / "engines" / "kafka" / "pom.xml"
_PROCESSES = HOME / "processes.json"
_START_SECONDS = 60
_HEAP = "-Xmx512m"


def fetch() -> Path:
    """Return the folder with Kafka's jars, fetched by Maven the first time."""
    lib = _FETCHED / "lib"
    if not (lib / ".complete").exists():
        maven = daemon.tool("mvn", "to fetch Apache Kafka")
        _FETCHED.mkdir(parents=True, exist_ok=True)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={lib}"]
        daemon.run([maven, "-q", "-B", "-f", str(_POM), *goal], _FETCHED)
        (lib / ".complete").touch()
    return lib


def properties(node: int, ports: list[tuple[int, int]], logs: Path, more: Mapping[str, object]) -> str:
    """Return the configuration of *node* (1, 2, …) of a cluster with these (client, controller) *ports*; *more* comes on top."""
    client, controller = ports[node - 1]
    copies = len(ports)
    settings = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{port}" for n, (_, port) in enumerate(ports, 1)),
        "listeners": f"PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{client}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": logs,
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": max(copies - 1, 1),
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.num.partitions": 8,
        "transaction.state.log.min.isr": max(copies - 1, 1),
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": max(copies - 1, 1),
        "group.initial.rebalance.delay.ms": 0,
        "broker.session.timeout.ms": 6000,
        "group.min.session.timeout.ms": 1000,  # tests of what happens after a session do not want to wait for six seconds
        **more,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def up(brokers: int, more: Mapping[str, object] | None = None) -> str:
    """Start *brokers* empty brokers, with *more* settings, on free ports; return their bootstrap servers once all of them answer."""
    java = daemon.tool("java", "to run Apache Kafka (17 or newer)")
    lib = fetch()
    down()
    HOME.mkdir(parents=True, exist_ok=True)
    jars = f"{lib}/*"
    cluster = daemon.run([java, "-cp", jars, "kafka.tools.StorageTool", "random-uuid"], HOME).split()[-1]
    ports = [(free_port(), free_port()) for _ in range(brokers)]
    started = []
    for node in range(1, brokers + 1):
        folder = HOME / f"node-{node}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        config = folder / "server.properties"
        config.write_text(properties(node, ports, folder / "data", more or {}))
        daemon.run([java, "-cp", jars, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config)], folder)
        started.append(_run(node))
        daemon.remember(_PROCESSES, started)
    for node, (process, (client, _)) in enumerate(zip(started, ports, strict=True), 1):
        daemon.wait_for_port(process, client, HOME / f"node-{node}" / "server.log", _START_SECONDS)
    servers = ",".join(f"127.0.0.1:{client}" for client, _ in ports)
    (HOME / "bootstrap").write_text(servers)
    return servers


def _run(node: int) -> daemon.Daemon:
    java, folder = daemon.tool("java", "to run Apache Kafka (17 or newer)"), HOME / f"node-{node}"
    command = [java, _HEAP, "-cp", f"{_FETCHED / 'lib'}/*", "kafka.Kafka", str(folder / "server.properties")]
    return daemon.start(command, folder / "server.log")


def running() -> str | None:
    """Return the bootstrap servers of what ``up`` started, or None."""
    path = HOME / "bootstrap"
    return path.read_text() if path.exists() else None


def nodes() -> list[daemon.Daemon]:
    """Return the brokers that ``up`` started: node 1, node 2, …"""
    return daemon.recall(_PROCESSES)


def start_again(node: int) -> None:
    """Start *node* (1, 2, …), which has ended, with what it wrote; return when it answers.

    Raises:
        TransientError: It does not answer within a minute.
    """
    brokers = nodes()
    brokers[node - 1] = _run(node)
    daemon.remember(_PROCESSES, brokers)
    port = int((running() or "").split(",")[node - 1].rpartition(":")[2])
    daemon.wait_for_port(brokers[node - 1], port, HOME / f"node-{node}" / "server.log", _START_SECONDS)


def down() -> int:
    """Stop what ``up`` started; return how many brokers still ran."""
    (HOME / "bootstrap").unlink(missing_ok=True)
    return daemon.stop_all(_PROCESSES)


def main() -> int:
    """Start or stop Apache Kafka from the command line."""
    parser = argparse.ArgumentParser(prog="python -m services.console.engines.kafka", description=__doc__)
    parser.add_argument("action", choices=["up", "down"])
    parser.add_argument("--brokers", type=int, choices=[1, 3], default=1)
    arguments = parser.parse_args()
    try:
        if arguments.action == "up":
            sys.stdout.write(f"GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS={up(arguments.brokers)}\n")
        else:
            sys.stdout.write(f"{down()} brokers stopped\n")
    except GroundswellError as error:
        sys.stderr.write(f"{error}\n")
        return 69
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
