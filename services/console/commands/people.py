"""``groundswell people``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated

import typer

from services.console.cluster import Cluster
from services.console.context import AsJson, Bootstrap, Workspace, on_cluster
from services.console.erasing import Erased, erase_person
from services.console.joining import command_pair
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


_Who = Annotated[str, typer.Argument(help="An id, how its last part begins, or an alias: email:ann@lumora.example, slack:U123, crm:42.")]
_Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the services.")]


@app.command("erase")
def erase(
    person: _Who,
    workspace: Workspace = "lumora",
    wait: _Wait = 120.0,
    bootstrap: Bootstrap = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have a person forgotten by every service, store and compacted topic; votes go on counting, nameless. Tell what is left until when.

    It cannot be undone. It can be repeated, and goes on where a run was cut off.
    """
    if not yes and not typer.confirm(f"Forget {person} in {workspace} for good?", err=True):
        raise typer.Exit(1)

    async def work(cluster: Cluster) -> Erased:
        return await erase_person(cluster, workspace, person, wait=wait)

    report = on_cluster(bootstrap, work)
    if as_json:
        print_json(asdict(report))
        return
    out = console()
    done = ", ".join(f"{count:,} records of {topic}" for topic, count in report.tombstones.items()) or "nothing of ingest's own topics"
    out.print(f"Forgotten: {', '.join(map(short, report.persons))}. Tombstones for {done}; {report.letters:,} dead letters taken out.")
    out.print("Overwritten records leave compacted topics within a day, tombstones after a week. Ids, links and counts stay.")
    if report.left:
        out.print(table("Left until", ["topic", "records", "gone by"], [(x.topic, f"{x.records:,}", x.until) for x in report.left]))


@app.command("join")
def join(person: _Who, other: _Who, workspace: Workspace = "lumora", wait: _Wait = 20.0, bootstrap: Bootstrap = None) -> None:
    """Let two persons be one human: their votes become one on every board that they wrote on."""
    _pair(lambda cluster: command_pair(cluster, workspace, "join", person, other, wait=wait), bootstrap)


@app.command("separate")
def separate(person: _Who, other: _Who, workspace: Workspace = "lumora", wait: _Wait = 20.0, bootstrap: Bootstrap = None) -> None:
    """Let two persons who were joined be two again, exactly as before."""
    _pair(lambda cluster: command_pair(cluster, workspace, "separate", person, other, wait=wait), bootstrap)


def _pair(work: Callable[[Cluster], Awaitable[str]], bootstrap: str | None) -> None:
    console().print(on_cluster(bootstrap, work))
