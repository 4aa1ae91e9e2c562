"""``groundswell publish``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.common.ids import is_slug
from services.console.cluster import Cluster
from services.console.context import AsJson, Board, Bootstrap, Workspace, on_cluster
from services.console.failures import CommandFailed, ExitCode, reported
from services.console.publishing import chunks, outputs_of
from services.console.rows import read_rows
from services.console.show import console, print_json


def publish(
    file: Annotated[Path, typer.Argument(help="CSV with a header, or JSONL.")],
    *,
    topic: Annotated[str, typer.Option(help="The raw topic.")] = "feedback.raw",
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Publish a file to a raw topic, every delivery confirmed.

    Rows with id and text become feedback in the canonical form; JSON objects that name their workspace are sent as they are. All rows
    go to one partition, so that their order stays.
    """
    with reported():
        for name in (workspace, board):
            if not is_slug(name):
                raise CommandFailed(f"{name!r} is no name: 1-63 of a-z 0-9 . _ -, a letter or digit first", ExitCode.USAGE)
        rows = read_rows(file)
        outputs = outputs_of(file, rows, topic, workspace, board)

    async def work(cluster: Cluster) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), disable=as_json) as progress:
            task = progress.add_task(f"publishing to {topic}", total=len(outputs))
            for chunk in chunks(outputs):
                await cluster.publish(chunk)
                progress.advance(task, len(chunk))

    on_cluster(bootstrap, work)
    if as_json:
        print_json({"topic": topic, "published": len(outputs)})
    else:
        console().print(f"{len(outputs):,} records published to {topic} and confirmed")
