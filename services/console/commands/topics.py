"""``groundswell topics`` and ``groundswell lag``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from services.common.settings import Settings, load_settings
from services.console.cluster import Cluster
from services.console.context import AsJson, Bootstrap, is_embedded, on_cluster
from services.console.embedded.stack import PARTITIONS
from services.console.lag import GroupLag, measure
from services.console.show import console, print_json, table
from services.console.topics import Applied, apply_topics

app = typer.Typer(help="The topics on the broker.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The topics on the broker."""


@app.command("apply")
def apply(
    bootstrap: Bootstrap = None,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Of every topic; else GROUNDSWELL_TOPIC_PARTITIONS, else as schemas/topics says.")
    ] = None,
    replication: Annotated[
        int | None, typer.Option(min=1, help="Replicas of every partition; else GROUNDSWELL_TOPIC_REPLICATION, else 1.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing; a topic with another partition count is refused."""

    async def work(cluster: Cluster) -> list[Applied]:
        settings = load_settings(Settings)
        return await apply_topics(
            cluster,
            partitions=partitions or settings.topic_partitions or (PARTITIONS if is_embedded(cluster.bootstrap_servers) else None),
            replication=replication or settings.topic_replication or 1,
        )

    applied = on_cluster(bootstrap, work)
    if as_json:
        print_json([asdict(entry) for entry in applied])
    else:
        rows = [(entry.topic, entry.partitions, entry.state) for entry in applied]
        console().print(table("Topics", ["topic", ("partitions", "right"), "state"], rows))


def lag(bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Show how far each service is behind the end of each of its topics."""

    async def work(cluster: Cluster) -> list[GroupLag]:
        return await measure(cluster)

    found = on_cluster(bootstrap, work)
    if as_json:
        print_json([asdict(entry) for entry in found])
    else:
        rows = [(entry.service, entry.topic, entry.end, entry.lag) for entry in found]
        console().print(table("Lag", ["service", "topic", ("records", "right"), ("lag", "right")], rows))
