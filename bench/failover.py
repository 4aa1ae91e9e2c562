"""Kills each of three brokers with -9 under load and tells how long outputs stood still, with our worker and with librdkafka beside it.

    GROUNDSWELL_KAFKA_HOME=/tmp/failover python -m bench.failover [--delivery transactions] [--rate 100] [--down 20] [--rounds 1]

Starts a cluster of its own (Java 17, Maven): three brokers, replication 3, min.insync.replicas 2. In turn
the leader of a partition, the active controller, the coordinator of the worker's group and whoever is left are killed, stay down for
``--down`` seconds and are started again. Exits with 1 where outputs of ours stand still for 15 s or more, or anything acknowledged is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from bench.failover_judge import PARTITIONS, QUIET, Kill, Load, Seen, holds, read, report
from services.common.errors import TransientError
from services.console.engines import kafka
from tests.support.worker_process import Tiny, Worker

_LONGEST_SECONDS = 15.0
_QUIET_SECONDS = 10.0
"""Between a restart and the next kill, once all replicas are in sync again."""
_PATIENCE_SECONDS = 180.0
_NODES = (1, 2, 3)


class Cluster:
    """Three brokers, seen from outside."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap} | QUIET)

    def create(self, *topics: str) -> None:
        """Create *topics*; the broker says when a record was appended, not its producer."""
        config = {"message.timestamp.type": "LogAppendTime", "min.insync.replicas": "2"}
        for made in self._admin.create_topics([NewTopic(name, PARTITIONS, 3, config=config) for name in topics]).values():
            made.result()

    def leader(self, topic: str) -> int:
        """Return who leads partition 0 of *topic*."""
        return int(self._admin.list_topics(topic, timeout=10).topics[topic].partitions[0].leader)

    def coordinator(self, group: str) -> int:
        """Return who coordinates *group*; a coordinator that has just moved is asked again."""
        found: list[int] = []

        def known() -> bool:
            admin = AdminClient({"bootstrap.servers": self.bootstrap} | QUIET)  # a used one asks the old coordinator for ever
            found.append(int(admin.describe_consumer_groups([group])[group].result().coordinator.id))
            return True

        _until(known, f"the coordinator of {group}")
        return found[0]

    def controller(self) -> int:
        """Return who is the active controller, by the newest election that any node wrote down."""
        states = [json.loads(path.read_text()) for path in kafka.HOME.glob("node-*/data/__cluster_metadata-0/quorum-state")]
        return int(max(states, key=lambda state: state["leaderEpoch"])["leaderId"])

    def in_sync(self) -> bool:
        """Tell whether every partition of every topic has all of its replicas in sync."""
        topics = self._admin.list_topics(timeout=10).topics.values()
        return all(len(place.isrs) == len(place.replicas) for topic in topics for place in topic.partitions.values())


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            if holds():
                return
        except KafkaException as error:
            print(f"  ({error})", file=sys.stderr)
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {_PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(0.3)


@contextmanager
def _cluster(broker_session_ms: int) -> Iterator[Cluster]:
    if kafka.running() is not None:
        raise SystemExit("a cluster runs in this home; name another folder by GROUNDSWELL_KAFKA_HOME")
    try:
        yield Cluster(kafka.up(len(_NODES), {"broker.session.timeout.ms": broker_session_ms}))
    finally:
        kafka.down()


@contextmanager
def _librdkafka(cluster: Cluster, source: str, target: str, delivery: str) -> Iterator[None]:
    command = ["--bootstrap", cluster.bootstrap, "--source", source, "--target", target, "--group", "failover-librdkafka"]
    command += ["--transactions"] if delivery == "transactions" else []
    process = subprocess.Popen([sys.executable, "-m", "bench.rdkafka_echo", *command])
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Supervisor:
    """Starts our worker again when it ends, as Kubernetes would."""

    def __init__(self, tiny: Tiny) -> None:
        self._tiny = tiny
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Supervisor:
        self._tiny.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    @property
    def workers(self) -> list[Worker]:
        """Every process so far."""
        return self._tiny.processes

    def _run(self) -> None:
        while not self._ending.wait(0.5):
            if not self.workers[-1].running:
                self._tiny.start()


def _kill_each(cluster: Cluster, tiny: Tiny, given: argparse.Namespace) -> list[Kill]:
    """Kill whoever holds each role, then whoever was spared, each after the last has caught up."""
    kills: list[Kill] = []
    for _ in range(given.rounds):
        spared = set(_NODES)
        for wanted in ("leader", "controller", "coordinator", None):
            if wanted is None and not spared:
                break
            holders = {
                "leader": cluster.leader(tiny.source),
                "controller": cluster.controller(),
                "coordinator": cluster.coordinator(tiny.group),
            }
            node = holders[wanted] if wanted is not None else min(spared)
            roles = ", ".join(role for role, holder in holders.items() if holder == node) or "follower of these"
            print(f"kill -9 node {node} ({roles}), wanted: {wanted or 'the one that was spared'}", flush=True)
            at = time.time()
            os.kill(kafka.nodes()[node - 1].pid, signal.SIGKILL)
            time.sleep(given.down)
            try:
                kafka.start_again(node)
            except TransientError as error:  # slow to answer on a busy machine: what follows waits for it
                print(f"  ({error})", file=sys.stderr)
            _until(cluster.in_sync, "all replicas in sync")
            time.sleep(_QUIET_SECONDS)
            spared.discard(node)
            kills.append(Kill(node, roles, at, time.time()))
    return kills


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delivery", choices=["default", "transactions"], default="default")
    parser.add_argument("--rate", type=float, default=100.0, help="records a second")
    parser.add_argument("--down", type=float, default=20.0, help="seconds that a broker stays down")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--broker-session-ms", type=int, default=6000, help="for so long nobody notices; Apache Kafka's own default is 9000"
    )
    parser.add_argument("--keep", type=Path, help="a folder for our worker's log and journal")
    return parser.parse_args()


def _settings(delivery: str) -> dict[str, str]:
    return {
        "TINY_MARKS": "none",
        "GROUNDSWELL_KAFKA_IDEMPOTENCE": "true",
        "GROUNDSWELL_KAFKA_TRANSACTIONS": str(delivery == "transactions").lower(),
        "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": "20000",
        "GROUNDSWELL_KAFKA_REQUEST_TIMEOUT_MS": "30000",
    }


def main() -> None:
    """Start, hurt, judge."""
    given = _asked()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all that was started is stopped
    with ExitStack() as stack:
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        cluster = stack.enter_context(_cluster(given.broker_session_ms))
        tiny = stack.enter_context(Tiny(cluster.bootstrap, "failover", folder, _settings(given.delivery)))
        other = "failover.librdkafka"
        cluster.create(tiny.source, tiny.target, tiny.letters, other)
        load = Load(cluster.bootstrap, tiny.source, given.rate)
        producing = threading.Thread(target=load.run)
        workers = stack.enter_context(Supervisor(tiny)).workers
        stack.enter_context(_librdkafka(cluster, tiny.source, other, given.delivery))
        producing.start()
        try:
            _until(lambda: sum(read(cluster.bootstrap, tiny.target).values.values()) > given.rate, "at work")
            time.sleep(_QUIET_SECONDS)
            kills = _kill_each(cluster, tiny, given)
        finally:
            load.stop()
            producing.join()
        _until(partial(holds, cluster.bootstrap, tiny.target, load), f"everything acknowledged is in {tiny.target}")
        told = {event: sum(len(worker.log(event)) for worker in workers) for event in ("retrying", "stepping_back", "unavailable", "crash")}
        print(f"sent {len(load.sent)}, acknowledged {len(load.acknowledged)}, starts of our worker {len(workers)}, its log: {told}")
        missing = _missing(read(cluster.bootstrap, tiny.source), load, kills)
        stall, lost = report(f"ours ({given.delivery})", read(cluster.bootstrap, tiny.target), load, kills)
        # Ours is told by now, whatever comes of the other one.
        _until(partial(holds, cluster.bootstrap, other, load), f"everything acknowledged is in {other}")
        report("librdkafka", read(cluster.bootstrap, other), load, kills)
    if stall >= _LONGEST_SECONDS or lost or missing:
        raise SystemExit(1)


def _missing(in_source: Seen, load: Load, kills: Sequence[Kill]) -> int:
    """Print and return how many acknowledged records the source topic lacks; print for how long it took none."""
    missing = len(load.acknowledged - in_source.values.keys())
    paused = ", ".join(f"{in_source.stall(kill.at, kill.until):.1f} s" for kill in kills)
    print(f"acknowledged, but not in the source topic: {missing}; appends to one source partition paused for at most {paused}")
    return missing


if __name__ == "__main__":
    main()
