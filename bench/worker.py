"""Measures our worker loop beside a bare aiokafka loop, Quix Streams, Faust and FastStream: Avro in, Avro out, confirmed, committed.

    python -m bench.worker [--events 60000] [--rounds 5] [--bootstrap HOST:PORT] [--only ours --only "bare aiokafka"]

Exits with 1 where our loop costs more than 1.5 times the bare loop's CPU per event, or as much as Quix Streams' or more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.common.codec import Codec
from services.common.events import BoardEvent
from services.common.ids import event_id, feedback_id, person_id
from services.common.registry import open_schemas
from services.console.embedded.broker import EmbeddedBroker

_LOOPS = {
    "ours": "ours",
    "bare aiokafka": "bare",
    "Quix Streams": "quix_streams",
    "Faust agent": "faust_agent",
    "FastStream": "faststream_publisher",
}
_OF_BARE = 1.5
_SHARE = {"Faust agent": 4, "FastStream": 4}
"""The slow ones carry this fraction of the events: their cost per event does not depend on it, and nobody has all day."""
_RUN_SECONDS = 300
_WISHES = (
    "Please let me export a board as PDF, my client cannot open the link that I send",
    "Dark mode hurts less at night; the white canvas is far too bright for me in the evening",
    "The app forgets which board I had open when my laptop comes back from sleep",
)


@dataclass(frozen=True, slots=True)
class Run:
    """One contender's run."""

    events_per_second: float
    cpu_micros: float
    """CPU time of the process, all threads, in microseconds an event."""


def sample(number: int) -> BoardEvent:
    """Return a submitted piece of feedback, about 300 bytes when framed."""
    external = str(number)
    return BoardEvent(
        event_id=event_id("lumora", "submitted", external),
        type="submitted",
        workspace="lumora",
        board="product",
        source="feedback.raw",
        occurred_at=1_760_000_000_000_000 + number,
        ingested_at=1_760_000_000_100_000 + number,
        origin=f"feedback.raw/3/{number}",
        feedback_id=feedback_id("lumora", "email", external),
        external_id=external,
        person_id=person_id("lumora", f"email:person{number % 997}@example.com"),
        text=_WISHES[number % len(_WISHES)],
        language="en",
    )


async def prepare(bootstrap: str, source: str, target: str, events: int, replication: int = 1) -> float:
    """Create both topics and fill *source*; return the mean size of a value in bytes."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(source, 1, replication), NewTopic(target, 1, replication)])
    await admin.close()
    codec = Codec(open_schemas(None))
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=256 * 1024)
    await producer.start()
    size = 0
    batch = producer.create_batch()
    for number in range(events):
        output = codec.output(sample(number))
        size += len(output.value or b"")
        while batch.append(key=output.key, value=output.value, timestamp=None) is None:
            await (await producer.send_batch(batch, source, partition=0))
            batch = producer.create_batch()
    await (await producer.send_batch(batch, source, partition=0))
    await producer.stop()
    return size / events


def run_loop(contender: str, bootstrap: str, source: str, target: str, events: int, **more: str) -> Run:
    """Run *contender* as a process, with *more* environment variables, until it has carried *events* from *source* to *target*."""
    command = [sys.executable, "-m", f"bench.worker_loops.{_LOOPS[contender]}", "--bootstrap", bootstrap, "--source", source]
    command += ["--target", target, "--group", f"group-{source}", "--events", str(events)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | more
    done = subprocess.run(command, capture_output=True, text=True, timeout=_RUN_SECONDS, check=False, env=environment)
    results = [line for line in done.stdout.splitlines() if '{"seconds"' in line]
    if done.returncode != 0 or not results:
        raise SystemExit(f"{contender} failed with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    figures = json.loads(results[-1][results[-1].index("{") :])
    return Run(figures["events"] / figures["seconds"], figures["cpu_seconds"] / figures["events"] * 1e6)


@contextmanager
def _broker(bootstrap: str | None) -> Iterator[str]:
    if bootstrap is not None:
        yield bootstrap
        return
    with tempfile.TemporaryDirectory() as folder, EmbeddedBroker(Path(folder) / "broker.log") as broker:
        yield broker.bootstrap_servers


def measure(names: Sequence[str], rounds: int, events: int, bootstrap: str | None) -> dict[str, list[Run]]:
    """Run every contender once a round, in turn, each time on fresh topics and a fresh broker where it is ours."""
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for number in range(rounds):
        order = [names[(number + place) % len(names)] for place in range(len(names))]
        for name in order:
            with _broker(bootstrap) as servers:
                source = f"bench-{os.getpid()}-{number}-{_LOOPS[name]}"
                share = events // _SHARE.get(name, 1)
                size = asyncio.run(prepare(servers, source, f"{source}-out", share))
                run = run_loop(name, servers, source, f"{source}-out", share)
            runs[name].append(run)
            print(
                f"round {number + 1} {name:<13} {run.events_per_second:>9,.0f} events/s {run.cpu_micros:>7.1f} µs CPU/event  ({size:.0f} B)"
            )
    return runs


def verdict(cpu: dict[str, float]) -> list[str]:
    """Return what falls short of the bar, given each contender's median CPU µs per event."""
    failures = []
    if "bare aiokafka" in cpu and cpu["ours"] > _OF_BARE * cpu["bare aiokafka"]:
        failures.append(f"our loop costs {cpu['ours'] / cpu['bare aiokafka']:.2f} times the bare loop's CPU; {_OF_BARE} are allowed")
    if "Quix Streams" in cpu and cpu["ours"] >= cpu["Quix Streams"]:
        failures.append(f"our loop costs {cpu['ours']:.1f} µs an event, Quix Streams {cpu['Quix Streams']:.1f}; ours must be less")
    return failures


def main() -> None:
    """Measure, print the table, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bootstrap", help="a real Kafka; without it the embedded broker is started")
    parser.add_argument("--only", action="append", choices=_LOOPS, help="ours is always measured")
    given = parser.parse_args()
    names = [name for name in _LOOPS if name == "ours" or given.only is None or name in given.only]
    runs = measure(names, given.rounds, given.events, given.bootstrap)
    cpu = {name: statistics.median(run.cpu_micros for run in found) for name, found in runs.items()}
    print("\n| loop | events/s (median) | CPU µs/event (median, min-max) | of the bare loop's CPU |\n|---|---|---|---|")
    for name, found in runs.items():
        spread = f"{min(run.cpu_micros for run in found):.1f}-{max(run.cpu_micros for run in found):.1f}"
        rate = statistics.median(run.events_per_second for run in found)
        ratio = f"{cpu[name] / cpu['bare aiokafka']:.2f}" if "bare aiokafka" in cpu else "-"
        print(f"| {name} | {rate:,.0f} | {cpu[name]:.1f} ({spread}) | {ratio} |")
    failures = verdict(cpu)
    for failure in failures:
        print(f"BELOW THE BAR: {failure}", file=sys.stderr)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
