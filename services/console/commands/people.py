"""``groundswell people``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from services.console.cluster import Cluster
from services.console.context import AsJson, Bootstrap, Workspace, on_cluster
from services.console.people import PersonView, read_person
from services.console.show import clipped, console, fields, print_json, short, table

app = typer.Typer(help="The people behind the feedback.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The people behind the feedback."""


@app.command("show")
def show(
    person: Annotated[
        str, typer.Argument(help="An id, how its last part begins, or an alias: email:ann@lumora.example, slack:U123, crm:42.")
    ],
    workspace: Workspace = "lumora",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show a person: aliases, profile, segments with their history, what they asked for and what they were told."""

    async def work(cluster: Cluster) -> PersonView:
        return await read_person(cluster, workspace, person)

    view = on_cluster(bootstrap, work)
    if as_json:
        print_json(asdict(view))
        return
    out = console()
    out.print(fields(view.name or short(view.person_id), {"person": view.person_id, "aliases": ", ".join(view.aliases), **view.profile}))
    out.print(table("Segments", ["scheme", "segment", "since", "cause"], [tuple(entry.values()) for entry in view.segments]))
    out.print(
        table("Asked for", ["idea", "channel", "text"], [(short(x["idea"]), x["channel"], clipped(x["text"], 90)) for x in view.asked])
    )
    out.print(
        table(
            "Told",
            ["idea", "release", "outcome", "reason"],
            [(short(x["idea"]), x["release"], x["outcome"], x["reason"]) for x in view.told],
        )
    )
