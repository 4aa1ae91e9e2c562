"""``groundswell deadletters``."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from services.common.deadletter import REPLAY
from services.common.registry import RegistryIds
from services.common.settings import Settings, load_settings
from services.console.cluster import Cluster
from services.console.contents import Contents, contents_of, veiled
from services.console.context import AsJson, Bootstrap, codec, on_cluster
from services.console.failures import CommandFailed, ExitCode
from services.console.letter_replays import Replay, read_replays, replay_letters
from services.console.letters import Letter, read_letters, scan_letters
from services.console.show import Columns, clipped, console, fields, print_json, table

app = typer.Typer(help="What the services could not use.", no_args_is_help=True)

_SHOWN_CHARACTERS = 4_000
_OURS = ("__connect.errors.", REPLAY)
_Replays = Mapping[str, Sequence[Replay]]

_Service = Annotated[str | None, typer.Option("--service", help="Only this service's.")]
_Reason = Annotated[str | None, typer.Option("--reason", help="Only those with this reason.")]


@app.command("list")
def list_letters(
    service: _Service = None,
    reason: _Reason = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Letters listed after the reasons; --json lists all.")] = 50,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """List the dead letters by reason, and how often each was replayed."""

    async def work(cluster: Cluster) -> tuple[list[Letter], _Replays]:
        return await read_letters(cluster, service=service, reason=reason, bodies=False), await read_replays(cluster)

    letters, replays = on_cluster(bootstrap, work)
    letters.sort(key=lambda x: (x.service, x.topic, x.reason, x.buried_ms, x.id))
    if as_json:
        print_json([_as_json(letter, replays) for letter in letters])
        return
    console().print(_reasons(letters, replays))
    if letters and limit:
        console().print(_letters(letters[:limit], replays))
    if len(letters) > limit:
        console().print(f"{len(letters) - limit:,} letters more; --limit or --json shows them, --service and --reason choose")


@app.command("show")
def show(
    letter: Annotated[str, typer.Argument(help="As listed: service/partition/offset.")],
    reveal: Annotated[bool, typer.Option("--reveal", help="Print what it says, key and headers, personal data included.")] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter, decoded where possible, with its replays; without --reveal nothing that may say who wrote it."""

    async def work(cluster: Cluster) -> tuple[Letter, list[Letter], _Replays]:
        chosen: list[Letter] = []
        back: list[Letter] = []
        async for found in scan_letters(cluster):
            chosen += [one for one in found if one.id == letter]
            back += [one for one in found if one.replay_of == letter]
        if not chosen:
            raise _unknown([letter])
        return chosen[0], back, await read_replays(cluster)

    found, back, replays = on_cluster(bootstrap, work)
    contents = on_contents(found)
    if as_json:
        shown = _as_json(found, replays) | {"came_back_as": [one.id for one in back], "form": contents.form}
        print_json(shown | (_revealed(found, contents) if reveal else {"decoded": veiled(contents.decoded)}))
        return
    console().print(fields(f"Dead letter {found.id}", _described(found, contents, back, replays, reveal=reveal)))


@app.command("replay")
def replay(
    letters: Annotated[list[str] | None, typer.Argument(help="As listed; none with --all.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that --service and --reason leave, except those replayed before.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that were replayed before.")] = False,
    service: _Service = None,
    reason: _Reason = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Publish the original key, bytes and headers to the original topic again, once the reason is mended."""

    async def work(cluster: Cluster) -> tuple[str | None, list[str], list[str]]:
        found = [one.id for one in await read_letters(cluster, service=service, reason=reason, bodies=False)]
        chosen = found if everything else _named(found, letters or ())
        replayed = await read_replays(cluster)
        repeated = [] if again else [one for one in chosen if one in replayed]
        if repeated and not everything:
            raise CommandFailed(_repeated(repeated[0], replayed[repeated[0]]), ExitCode.USAGE)
        left = [one for one in chosen if one not in set(repeated)]
        return (await replay_letters(cluster, codec(), left) if left else None), left, repeated

    replay_id, published, passed = on_cluster(bootstrap, work)
    if as_json:
        print_json({"replay_id": replay_id, "replayed": published, "replayed_before": passed})
        return
    console().print(f"{len(published):,} dead letters published again" + (f" as {replay_id}" if replay_id else ""))
    if passed:
        console().print(f"{len(passed):,} were replayed before and left alone; --again replays them, too")


def on_contents(letter: Letter) -> Contents:
    """Return what *letter* holds, by our schemas and, where one is configured, the registry's."""
    url = load_settings(Settings).schema_registry_url
    schemas = codec().schemas
    return contents_of(letter.value, schemas) if url is None else contents_of(letter.value, schemas, RegistryIds(url).schema_of)


def _named(found: Sequence[str], wanted: Sequence[str]) -> list[str]:
    if not wanted:
        raise CommandFailed("which letters? Name them as listed, or pass --all", ExitCode.USAGE)
    unknown = sorted(set(wanted) - set(found))
    if unknown:
        raise _unknown(unknown)
    return list(dict.fromkeys(wanted))


def _unknown(wanted: Sequence[str]) -> CommandFailed:
    return CommandFailed(f"no dead letter is called {wanted[0]!r}; `groundswell deadletters list` names them", ExitCode.USAGE)


def _repeated(letter: str, replays: Sequence[Replay]) -> str:
    last = replays[-1]
    unsure = "" if last.state == "confirmed" else ", which was not confirmed"
    return f"{letter} was published again to {last.to} at {_moment(last.at_ms)} ({last.replay_id}{unsure}); --again does it once more"


def _reasons(letters: Sequence[Letter], replays: _Replays) -> object:
    groups: defaultdict[tuple[str, str, str], list[Letter]] = defaultdict(list)
    for letter in letters:
        groups[letter.service, letter.topic, letter.reason].append(letter)
    columns: Columns = ["service", "topic", "reason", ("letters", "right"), ("replayed", "right"), "oldest", "newest"]
    rows = [
        (
            *group,
            len(one),
            sum(x.id in replays for x in one),
            _moment(min(x.buried_ms for x in one)),
            _moment(max(x.buried_ms for x in one)),
        )
        for group, one in sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    ]
    return table(f"{len(letters):,} dead letters by reason", columns, rows)


def _letters(letters: Sequence[Letter], replays: _Replays) -> object:
    columns: Columns = ["letter", "original", "reason", "what to fix", ("attempt", "right"), ("bytes", "right"), "replay of", "replayed"]
    rows = [
        (
            x.id,
            x.original,
            x.reason,
            clipped(x.detail),
            x.attempt,
            x.size,
            x.replay_of,
            _moment(replays[x.id][-1].at_ms) if x.id in replays else None,
        )
        for x in letters
    ]
    return table("Dead letters", columns, rows)


def _described(letter: Letter, contents: Contents, back: Sequence[Letter], replays: _Replays, *, reveal: bool) -> dict[str, object]:
    shown = contents.decoded if reveal else veiled(contents.decoded)
    described: dict[str, object] = {
        "original": letter.original,
        "published": _moment(letter.original_ms),
        "set aside": _moment(letter.buried_ms),
        "reason": letter.reason,
        "what to fix": letter.detail,
        "attempt": letter.attempt,
        "replay of": letter.replay_of and f"{letter.replay_of} ({letter.replay_id})",
        "replayed": "\n".join(f"{x.replay_id} to {x.to} at {_moment(x.at_ms)}, {x.state}" for x in replays.get(letter.id, ())) or None,
        "came back as": ", ".join(one.id for one in back) or None,
        "bytes": letter.size if letter.left is None else f"{letter.left:,}, too many for a letter: they are at the original's place",
        "form": contents.form,
        "decoded" if reveal else "decoded (veiled)": None if shown is None else _cut(json.dumps(shown, indent=1, ensure_ascii=False)),
    }
    if not reveal:
        return described
    if contents.decoded is None and letter.value is not None:
        described["value"] = _cut(letter.value.decode("utf-8", "backslashreplace"))
    headers = [f"{name}: {value.decode('utf-8', 'backslashreplace')}" for name, value in letter.headers if not name.startswith(_OURS)]
    return described | {"key": None if letter.key is None else repr(letter.key), "headers": "\n".join(headers) or None}


def _as_json(letter: Letter, replays: _Replays) -> dict[str, Any]:
    entry = {name: value for name, value in asdict(letter).items() if name not in ("key", "value", "headers")}
    return entry | {"replays": [asdict(one) for one in replays.get(letter.id, ())]}


def _revealed(letter: Letter, contents: Contents) -> dict[str, Any]:
    return {
        "decoded": contents.decoded,
        "key_base64": None if letter.key is None else base64.b64encode(letter.key).decode(),
        "value_base64": None if letter.value is None else base64.b64encode(letter.value).decode(),
        "headers": {name: value.decode("utf-8", "replace") for name, value in letter.headers},
    }


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
