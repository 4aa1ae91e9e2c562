"""``groundswell channels``: what examples of a channel's records become, without a broker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.common.settings import load_settings
from services.console.channels import Tried, read_examples, try_records
from services.console.context import AsJson, codec
from services.console.failures import CommandFailed, ExitCode, reported
from services.console.show import console, print_json
from services.ingest.channels import Channels, load_channels
from services.ingest.settings import IngestSettings

app = typer.Typer(help="Where feedback comes from.", no_args_is_help=True)

ChannelsFile = Annotated[Path | None, typer.Option("--channels", help="Another channels.yaml than GROUNDSWELL_CHANNELS_FILE.")]


@app.callback()
def group() -> None:
    """Where feedback comes from."""


@app.command("list")
def list_channels(channels: ChannelsFile = None, as_json: AsJson = False) -> None:
    """List the channels, their topics, and where their feedback goes."""
    with reported():
        found = _load(channels)
    rows = [
        {
            "channel": channel.name,
            "topic": channel.topic,
            "form": channel.format if channel.mapping is not None else "canonical",
            "board": f"{channel.workspace or '(its own)'}/{channel.board or '(its own)'}",
            "mask": list(channel.text.mask),
            "split": channel.text.split,
        }
        for channel in found.channels
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        mask = ", ".join(row["mask"]) or "nothing"
        console().print(
            f"{row['channel']:<14}{row['topic']:<28}{row['form']:<10}{row['board']:<20}masks {mask}; splits {row['split']}", markup=False
        )


@app.command("test")
def try_examples(
    file: Annotated[Path, typer.Argument(help="Examples: JSONL, one JSON document (.json), CSV with a header, or an e-mail (.eml).")],
    channel: Annotated[str, typer.Option(help="The channel's name in the file of channels.")],
    *,
    channels: ChannelsFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what each example becomes, and of what is refused why. Ends with 1 where one would be dead-lettered."""
    with reported():
        found = _load(channels)
        spec = next((one for one in found.channels if one.name == channel), None)
        if spec is None:
            known = ", ".join(one.name for one in found.channels)
            raise CommandFailed(f"no channel {channel!r}; there are {known}", ExitCode.USAGE)
        tried = try_records(spec, read_examples(file), codec().schemas, load_settings(IngestSettings).text_limit)
    if as_json:
        print_json([{"line": one.line, "outcome": one.outcome, "why": one.why, "events": one.events} for one in tried])
    else:
        _show(tried)
    if any(one.outcome == "dead letter" for one in tried):
        raise typer.Exit(1)


def _load(path: Path | None) -> Channels:
    return load_channels(load_settings(IngestSettings).channels_file if path is None else path)


def _show(tried: list[Tried]) -> None:
    for one in tried:
        console().print(f"line {one.line}: {one.outcome}{f': {one.why}' if one.why else ''}", markup=False)
        for event in one.events:
            told = "  ".join(f"{name}={value!r}" for name, value in event.items() if name != "type")
            console().print(f"  {event['type']}  {told}", markup=False)
