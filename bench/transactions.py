"""What safe delivery costs our worker loop: acks=1, acks=all, the idempotent producer (the default), transactions.

    python -m bench.transactions --bootstrap HOST:PORT [--events 40000] [--rounds 5] [--replication 1] [--rate 100] [--seconds 15]

Needs an Apache Kafka (``make kafka``). Two figures a delivery, all of them in one run, in turn: events/s and CPU with a full topic before
the worker, and, at a steady rate, the time from a record's publication to its output in the hands of a ``read_committed`` reader.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.worker import Run, prepare, run_loop, sample
from bench.worker_loops.ours import DELIVERIES, DELIVERY
from services.common.codec import Codec
from services.common.events import BoardEvent
from services.common.registry import open_schemas

_DEFAULT = "acks=all, idempotent"
_WARM_UP_SECONDS = 5.0
_PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Figures:
    """What was measured of one delivery."""

    runs: list[Run] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """Seconds, of every record of every round."""

    @property
    def rate(self) -> float:
        """Median events/s."""
        return statistics.median(run.events_per_second for run in self.runs)

    @property
    def cpu(self) -> float:
        """Median CPU µs an event."""
        return statistics.median(run.cpu_micros for run in self.runs)

    def delay(self, percent: int) -> float:
        """Return that percentile of the delays, in milliseconds."""
        return statistics.quantiles(self.delays, n=100)[percent - 1] * 1000


async def _delays(delivery: str, bootstrap: str, name: str, *, replication: int, rate: float, seconds: float) -> list[float]:
    """Run a worker; publish *rate* records a second for *seconds*; return how long each took to its output, the warm-up left out."""
    await prepare(bootstrap, name, f"{name}-out", 1, replication)
    command = ["--bootstrap", bootstrap, "--source", name, "--target", f"{name}-out", "--group", name, "--events", "1000000000"]
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.worker_loops.ours",
        *command,
        env={**os.environ, DELIVERY: delivery},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(f"{name}-out", 0)])
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await consumer.getone()  # what ``prepare`` sent: the worker is up
        sending = asyncio.create_task(_send(bootstrap, name, rate, _WARM_UP_SECONDS + seconds))
        delays: list[float] = []
        begun = time.time()
        decode = Codec(open_schemas(None)).frame_decoder(BoardEvent)
        for _ in range(int(rate * (_WARM_UP_SECONDS + seconds))):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                record = await consumer.getone()
            sent = decode(record.value).occurred_at / 1e6
            if sent - begun > _WARM_UP_SECONDS:
                delays.append(time.time() - sent)
        await sending
        return delays
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        await consumer.stop()


async def _send(bootstrap: str, topic: str, rate: float, seconds: float) -> None:
    codec = Codec(open_schemas(None))
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    begun = time.monotonic()
    try:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(begun + number / rate - time.monotonic(), 0))
            output = codec.output(replace(sample(number), occurred_at=int(time.time() * 1e6)))
            await producer.send(topic, key=output.key, value=output.value, partition=0)
    finally:
        await producer.stop()


def measure(given: argparse.Namespace) -> dict[str, Figures]:
    """Measure every delivery once a round, in turn, each time on topics of its own."""
    found = {delivery: Figures() for delivery in DELIVERIES}
    names = list(DELIVERIES)
    for number in range(given.rounds):
        for place in range(len(names)):
            delivery = names[(number + place) % len(names)]
            name = f"bench-{os.getpid()}-{number}-{names.index(delivery)}"
            asyncio.run(prepare(given.bootstrap, name, f"{name}-out", given.events, given.replication))
            run = run_loop("ours", given.bootstrap, name, f"{name}-out", given.events, **{DELIVERY: delivery})
            pace = {"replication": given.replication, "rate": given.rate, "seconds": given.seconds}
            delays = asyncio.run(_delays(delivery, given.bootstrap, f"{name}-paced", **pace))
            found[delivery].runs.append(run)
            found[delivery].delays += delays
            print(
                f"round {number + 1} {delivery:<20} {run.events_per_second:>8,.0f} events/s {run.cpu_micros:>6.1f} µs CPU/event, "
                f"median delay {statistics.median(delays) * 1000:.1f} ms",
                flush=True,
            )
    return found


def table(found: dict[str, Figures]) -> Sequence[str]:
    """Return the figures as a Markdown table, each beside the default's."""
    base = found[_DEFAULT]
    lines = [
        "| delivery | events/s (min-max) | of the default | CPU µs/event (min-max) | of the default | p50 / p95, ms | of the default |",
        "|---|---|---|---|---|---|---|",
    ]
    for delivery, figures in found.items():
        rates, cpus = [run.events_per_second for run in figures.runs], [run.cpu_micros for run in figures.runs]
        lines.append(
            f"| {delivery} | {figures.rate:,.0f} ({min(rates):,.0f}-{max(rates):,.0f}) | {figures.rate / base.rate:.2f} "
            f"| {figures.cpu:.1f} ({min(cpus):.1f}-{max(cpus):.1f}) | {figures.cpu / base.cpu:.2f} "
            f"| {figures.delay(50):.1f} / {figures.delay(95):.1f} | {figures.delay(50) / base.delay(50):.2f} |"
        )
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--replication", type=int, default=1)
    parser.add_argument("--rate", type=float, default=100.0, help="records a second while delays are measured")
    parser.add_argument("--seconds", type=float, default=15.0, help="for so long, each round")
    print("\n".join(["", *table(measure(parser.parse_args()))]))


if __name__ == "__main__":
    main()
