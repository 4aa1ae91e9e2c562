"""``groundswell deadletters``."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Annotated, Any

import typer

from services.console.cluster import Cluster
from services.console.context import AsJson, Bootstrap, on_cluster
from services.console.failures import CommandFailed, ExitCode
from services.console.letters import Letter, read_letters, replay_letters
from services.console.show import Columns, clipped, console, fields, print_json, table

app = typer.Typer(help="What the services could not use.", no_args_is_help=True)

_Service = Annotated[str | None, typer.Option("--service", help="Only this service's.")]
_Reason = Annotated[str | None, typer.Option("--reason", help="Only those with this reason.")]


@app.command("list")
def list_letters(service: _Service = None, reason: _Reason = None, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """List the dead letters with their reasons."""
    letters = on_cluster(bootstrap, lambda cluster: read_letters(cluster, service=service, reason=reason))
    if as_json:
        print_json([_as_json(letter, body=False) for letter in letters])
        return
    columns: Columns = ["letter", "original", "reason", "what to fix", ("attempt", "right"), ("bytes", "right")]
    rows = [(x.id, x.original, x.reason, clipped(x.detail), x.attempt, None if x.value is None else len(x.value)) for x in letters]
    console().print(table("Dead letters", columns, rows))


@app.command("show")
def show(
    letter: Annotated[str, typer.Argument(help="As listed: service/partition/offset.")],
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with its original bytes."""

    async def work(cluster: Cluster) -> Letter:
        return _chosen(await read_letters(cluster), letter)

    found = on_cluster(bootstrap, work)
    if as_json:
        print_json(_as_json(found, body=True))
        return
    value = found.value
    console().print(
        fields(
            f"Dead letter {found.id}",
            {
                "original": found.original,
                "reason": found.reason,
                "what to fix": found.detail,
                "attempt": found.attempt,
                "key": None if found.key is None else repr(found.key),
                "bytes": None if value is None else len(value),
                "value": "null" if value is None else clipped(value.decode("utf-8", "backslashreplace"), 2000),
            },
        )
    )


@app.command("replay")
def replay(
    letters: Annotated[list[str] | None, typer.Argument(help="As listed; none with --all.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that --service and --reason leave.")] = False,
    service: _Service = None,
    reason: _Reason = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Publish the original bytes to the original topic and partition again; attempts count on."""

    async def work(cluster: Cluster) -> list[Letter]:
        found = await read_letters(cluster, service=service, reason=reason)
        chosen = found if everything else [_chosen(found, wanted) for wanted in letters or ()]
        if not chosen and not everything:
            raise CommandFailed("which letters? Name them as listed, or pass --all", ExitCode.USAGE)
        await replay_letters(cluster, chosen)
        return chosen

    replayed = on_cluster(bootstrap, work)
    if as_json:
        print_json({"replayed": [letter.id for letter in replayed]})
    else:
        console().print(f"{len(replayed):,} dead letters published again")


def _chosen(letters: list[Letter], wanted: str) -> Letter:
    for letter in letters:
        if letter.id == wanted:
            return letter
    raise CommandFailed(f"no dead letter is called {wanted!r}; `groundswell deadletters list` names them", ExitCode.USAGE)


def _as_json(letter: Letter, *, body: bool) -> dict[str, Any]:
    entry = {name: value for name, value in asdict(letter).items() if name not in ("key", "value", "headers")}
    if body:
        entry["key_base64"] = None if letter.key is None else base64.b64encode(letter.key).decode()
        entry["value_base64"] = None if letter.value is None else base64.b64encode(letter.value).decode()
        entry["headers"] = {name: value.decode("utf-8", "replace") for name, value in letter.headers}
    return entry
