"""Topics, created as their contracts say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.common.errors import ConfigurationError
from services.common.settings import load_settings
from services.common.topics import TopicContract, load_topics
from services.console.cluster import Cluster
from services.ingest.channels import load_channels
from services.ingest.settings import IngestSettings


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one topic."""

    topic: str
    partitions: int
    state: Literal["created", "unchanged"]


def feedback_topics() -> list[str]:
    """Return every raw topic of feedback that ``channels.yaml`` names, in its order.

    Raises:
        ConfigurationError: Names the file, the line and the field.
    """
    return load_channels(load_settings(IngestSettings).channels_file).topics()


def wanted_topics() -> dict[str, TopicContract]:
    """Return the contract of every topic by name; a channel's raw topic takes that of ``feedback.raw``."""
    contracts = load_topics()
    canonical = contracts["feedback.raw"]
    for topic in feedback_topics():
        contracts.setdefault(topic, canonical.model_copy(update={"topic": topic}))
    return contracts


async def apply_topics(cluster: Cluster, *, partitions: int | None, replication: int) -> list[Applied]:
    """Create the topics that are missing; repeating the call changes nothing.

    Args:
        cluster: Where.
        partitions: Overrides the contracts' counts, dead letters' included.
        replication: How many brokers keep each partition.

    Raises:
        ConfigurationError: A topic has another partition count; none was created.
    """
    wanted = wanted_topics()
    existing = await cluster.topics()
    for name, contract in wanted.items():
        count, found = partitions or contract.partitions, existing.get(name)
        if found is not None and found != count and contract.partition_by != "producer":
            raise ConfigurationError(
                f"topic {name} has {found} partitions, wanted are {count}; keys would move: pass --partitions {found}, "
                "or follow the stop-and-drain procedure of docs/RUNBOOK.md"
            )
    applied = []
    for name, contract in wanted.items():
        if name in existing:
            applied.append(Applied(name, existing[name], "unchanged"))
        else:
            count = partitions or contract.partitions
            await cluster.create(contract, partitions=count, replication=replication)
            applied.append(Applied(name, count, "created"))
    return applied
