"""What ``bench/failover.py`` sends, reads and makes of it."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, Producer, TopicPartition

PARTITIONS = 6
KEYS = 60
QUIET = {"log_level": 2}
"""librdkafka tells of every refused connection otherwise."""
_FLUSH_SECONDS = 120.0


@dataclass
class Load:
    """An outside producer, and what became of what it sent."""

    bootstrap: str
    topic: str
    rate: float
    sent: dict[bytes, float] = field(default_factory=dict)
    """When each value was handed over (epoch seconds)."""
    acknowledged: set[bytes] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Produce until ``stop``."""
        options = {"bootstrap.servers": self.bootstrap, "acks": "all", "enable.idempotence": True, "partitioner": "murmur2", "linger.ms": 5}
        producer = Producer(options | QUIET)
        number, begun = 0, time.monotonic()
        while not self._stop.is_set():
            value = b"ok|%d" % number
            self.sent[value] = time.time()
            producer.produce(self.topic, key=b"%d" % (number % KEYS), value=value, on_delivery=self._delivered)
            producer.poll(0)
            number += 1
            self._stop.wait(max(begun + number / self.rate - time.monotonic(), 0))
        producer.flush(_FLUSH_SECONDS)

    def stop(self) -> None:
        """End ``run``, which waits for what is under way."""
        self._stop.set()

    def _delivered(self, error: object, message: object) -> None:
        if error is None:
            self.acknowledged.add(message.value())  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Kill:
    """One broker's death."""

    node: int
    roles: str
    at: float
    """Epoch seconds."""
    until: float
    """When the next one was about to come."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a topic holds in the end."""

    values: Counter[bytes]
    appended: Mapping[int, list[float]]
    """When each partition's records were appended (epoch seconds), in order."""
    first: Mapping[bytes, float]
    """When each value was first appended."""

    def stall(self, since: float, until: float) -> float:
        """Return the longest pause in seconds of any partition, of those that began or ended between *since* and *until*."""
        pauses = [
            after - before
            for moments in self.appended.values()
            for before, after in itertools.pairwise(moments)
            if after > since and before < until
        ]
        return max(pauses, default=until - since)


def read(bootstrap: str, topic: str) -> Seen:
    """Read all that is committed in *topic*."""
    options = {
        "bootstrap.servers": bootstrap,
        "group.id": "failover-judge",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    }
    consumer = Consumer({**options, **QUIET, "auto.offset.reset": "earliest", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    values: Counter[bytes] = Counter()
    appended: defaultdict[int, list[float]] = defaultdict(list)
    first: dict[bytes, float] = {}
    ended: set[int] = set()
    while len(ended) < PARTITIONS:
        for record in consumer.consume(1000, 1.0):
            if record.error() is not None:
                ended.add(record.partition())
                continue
            at = record.timestamp()[1] / 1000
            values[record.value()] += 1
            appended[record.partition()].append(at)
            first[record.value()] = min(at, first.get(record.value(), at))
    consumer.close()
    return Seen(values, appended, first)


def holds(bootstrap: str, topic: str, load: Load) -> bool:
    return load.acknowledged <= read(bootstrap, topic).values.keys()


def report(name: str, seen: Seen, load: Load, kills: list[Kill]) -> tuple[float, int]:
    """Print what one loop did; return its longest stall in seconds and how many acknowledged values it lost."""
    lost = load.acknowledged - seen.values.keys()
    repeats = sum(count - 1 for count in seen.values.values())
    delays = sorted(at - load.sent[value] for value, at in seen.first.items() if load.sent.get(value, 0.0) > kills[0].at - 1)
    stalls = [seen.stall(kill.at, kill.until) for kill in kills]
    print(f"{name}: lost {len(lost)}, repeats {repeats}, longest delay {delays[-1]:.1f} s (from the producer's call to the output)")
    for kill, stall in zip(kills, stalls, strict=True):
        print(f"  {kill.roles:<45} outputs of one partition stood still for {stall:.1f} s")
    return max(stalls), len(lost)
