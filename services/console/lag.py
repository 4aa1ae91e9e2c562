"""How far each service's group is behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.common.ports import Partition
from services.common.topics import load_topics
from services.console.cluster import Cluster, Tail
from services.console.embedded.stack import SERVICES
from services.console.topics import feedback_topics


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One service on one topic, over all its partitions."""

    service: str
    topic: str
    end: int
    """How many records were ever written (the sum of end offsets)."""
    lag: int
    """How many of them the service has not acknowledged."""


def consumed_topics() -> dict[str, list[str]]:
    """Return the topics that each service reads."""
    contracts = load_topics().values()
    consumed = {service: sorted(c.topic for c in contracts if service in c.consumers) for service in SERVICES}
    consumed["ingest"] = sorted({*consumed["ingest"], *feedback_topics()})
    return consumed


async def acknowledged(cluster: Cluster, topics: Mapping[str, int]) -> dict[str, dict[Partition, int]]:
    """Return how far each service has acknowledged each partition that it reads; *topics* maps existing ones to their partition counts."""
    return {
        service: await cluster.committed(f"groundswell-{service}", [(topic, n) for topic in read for n in range(topics.get(topic, 0))])
        for service, read in consumed_topics().items()
    }


def lags(positions: Mapping[str, Mapping[Partition, int]], ends: Mapping[Partition, int]) -> list[GroupLag]:
    """Return the lag of each service on each of its topics."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for service, partitions in positions.items():
        for place, position in partitions.items():
            end = ends.get(place, 0)
            total, behind = found.get((service, place[0]), (0, 0))
            found[service, place[0]] = (total + end, behind + max(end - position, 0))
    return [GroupLag(service, topic, total, behind) for (service, topic), (total, behind) in found.items()]


async def measure(cluster: Cluster) -> list[GroupLag]:
    """Return the lag of every service. Positions are read before ends, so a lag of 0 is true at a moment between."""
    topics = await cluster.topics()
    positions = await acknowledged(cluster, topics)
    ends = await cluster.ends(sorted({place[0] for partitions in positions.values() for place in partitions}))
    return lags(positions, ends)


async def measure_from(cluster: Cluster, tail: Tail) -> list[GroupLag]:
    """Like ``measure``, with a *tail* that follows every topic anyhow."""
    positions = await acknowledged(cluster, await cluster.topics())
    await tail.catch_up()
    return lags(positions, tail.ends())
