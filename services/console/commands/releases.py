"""``groundswell releases``."""

from __future__ import annotations

from dataclasses import asdict

from services.console.cluster import Cluster
from services.console.context import AsJson, Bootstrap, Workspace, on_cluster
from services.console.releases import ReleaseSummary, read_releases
from services.console.show import console, print_json, table


def releases(workspace: Workspace = "lumora", bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Show what became of each release: how many people asked, how many heard, and why the others did not."""

    async def work(cluster: Cluster) -> list[ReleaseSummary]:
        return await read_releases(cluster, workspace)

    found = on_cluster(bootstrap, work)
    if as_json:
        print_json([asdict(summary) for summary in found])
        return
    columns = ["release", "asked", "reached", "waiting", "bounced", "failed", "opted out", "unreachable"]
    console().print(table("Releases", columns, [tuple(str(value) for value in list(asdict(summary).values())[1:]) for summary in found]))
