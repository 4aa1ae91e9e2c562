"""``groundswell publish``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console

from services.common.ids import is_slug
from services.common.settings import load_settings
from services.console.cluster import Cluster
from services.console.context import AsJson, Board, Bootstrap, Workspace, codec, on_cluster
from services.console.failures import CommandFailed, ExitCode, reported
from services.console.feeding import Fed, feed
from services.console.publishing import Target
from services.console.rows import Form, form_of, rows_of
from services.console.show import console, print_json
from services.ingest.channels import Channels, load_channels
from services.ingest.decoding import decoders
from services.ingest.settings import IngestSettings

_STDIN = Path("-")


def publish(
    file: Annotated[Path, typer.Argument(help="CSV with a header, JSONL, or an e-mail (.eml); - for standard input.")],
    *,
    channel: Annotated[str | None, typer.Option(help="The channel whose records these are, by its name in the file of channels.")] = None,
    topic: Annotated[str | None, typer.Option(help="The raw topic, where no channel is named.  [default: feedback.raw]")] = None,
    form: Annotated[Form | None, typer.Option("--format", help="What it holds, whatever its ending; of standard input jsonl.")] = None,
    unchecked: Annotated[bool, typer.Option(help="Send what would be dead-lettered, too.")] = False,
    channels: Annotated[Path | None, typer.Option("--channels", help="Another file than GROUNDSWELL_CHANNELS_FILE.")] = None,
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Publish a file, or what a program writes, to a raw topic, every delivery confirmed.

    Rows with id and text become feedback in the canonical form; JSON objects that name their workspace, and records of a channel, are sent
    as they are. Each is read as ingest will read it: what would be refused is named by its line and not sent, and the command ends with 1.
    All rows go to one partition, so that their order stays. Publishing again changes nothing.
    """
    with reported():
        known = load_channels(load_settings(IngestSettings).channels_file if channels is None else channels)
        target = _target(known, channel, topic, workspace, board, unchecked=unchecked)
        form = form or ("jsonl" if file == _STDIN else form_of(file))
        source = _opened(file)
    said, fed = Console(stderr=True, soft_wrap=True), Fed()

    def say(problem: str) -> None:
        said.print(f"groundswell: {problem}", style="red", markup=False, highlight=False)

    async def work(cluster: Cluster) -> None:
        await feed(cluster, file, rows_of(source, file, form), target, say=say, fed=fed)

    on_cluster(bootstrap, work)
    if as_json:
        print_json({"topic": target.topic, "published": fed.published, "refused": fed.refused, "ignored": fed.ignored})
    else:
        left = f"; {fed.refused:,} refused, {fed.ignored:,} ignored" if fed.refused or fed.ignored else ""
        console().print(f"{fed.published:,} records published to {target.topic} and confirmed{left}")
    if fed.refused:
        raise typer.Exit(ExitCode.FAILED)


def _opened(file: Path) -> BinaryIO:
    if file == _STDIN:
        return sys.stdin.buffer
    if not file.is_file():
        raise CommandFailed(f"{file}: no such file", ExitCode.USAGE)
    return file.open("rb")


def _target(known: Channels, channel: str | None, topic: str | None, workspace: str, board: str, *, unchecked: bool) -> Target:
    for name in (workspace, board):
        if not is_slug(name):
            raise CommandFailed(f"{name!r} is no name: 1-63 of a-z 0-9 . _ -, a letter or digit first", ExitCode.USAGE)
    if channel is not None:
        spec = next((one for one in known.channels if one.name == channel), None)
        if spec is None or topic not in (None, spec.topic):
            names = ", ".join(f"{one.name} ({one.topic})" for one in known.channels)
            raise CommandFailed(f"no channel {channel!r}{f' with topic {topic}' if topic else ''}; there are {names}", ExitCode.USAGE)
        topic, workspace, board = spec.topic, spec.workspace or workspace, spec.board or board
    topic = topic or "feedback.raw"
    decode = None if unchecked else decoders(known, codec().schemas, load_settings(IngestSettings).text_limit).get(topic)
    return Target(topic, workspace, board, decode)
