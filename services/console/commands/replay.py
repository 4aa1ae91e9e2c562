"""``groundswell replay``: let a service read again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from services.common.kafka_rewind import set_back
from services.console.cluster import Cluster
from services.console.context import Bootstrap, kafka_settings, on_cluster
from services.console.embedded.stack import SERVICES
from services.console.failures import CommandFailed, ExitCode, reported
from services.console.lag import consumed_topics
from services.console.show import console


def replay(
    service: Annotated[str, typer.Option("--service", help="ingest, dedup, segmenter or notifier; its workers must be stopped.")],
    start: Annotated[str, typer.Option("--from", help="`beginning`, or a moment such as 2026-11-21T09:30:00Z.")] = "beginning",
    bootstrap: Bootstrap = None,
) -> None:
    """Let a service read its topics again when it is started next: it says its facts again, byte for byte, and mails nobody.

    Of no use to change what was decided. A store that was deleted needs no command: its worker finds it new, and reads everything itself.
    """
    if service not in SERVICES:
        raise typer.BadParameter(f"expected one of {', '.join(SERVICES)}", param_hint="--service")
    with reported():
        since = _moment(start)

    async def work(cluster: Cluster) -> int:
        counts = await cluster.topics()
        read = consumed_topics()[service]
        partitions = [(topic, number) for topic in read for number in range(counts.get(topic, 0))]
        group = f"groundswell-{service}"
        before = await cluster.committed(group, partitions)
        now = await set_back(kafka_settings(bootstrap), group, partitions, since)
        return sum(max(before[place] - position, 0) for place, position in now.items())

    again = on_cluster(bootstrap, work)
    console().print(f"{service} will read {again:,} records again; start it now")


def _moment(text: str) -> datetime | None:
    if text == "beginning":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(f"--from {text}: expected `beginning` or a moment such as 2026-11-21T09:30:00Z", ExitCode.USAGE) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
