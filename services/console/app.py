"""The command line, put together."""

from __future__ import annotations

import typer

from services.console.commands import (
    channels,
    deadletters,
    ideas,
    notify,
    people,
    publish,
    releases,
    replay,
    schemas,
    segments,
    stack,
    topics,
    trying,
)

app = typer.Typer(
    name="groundswell",
    help="Every channel's feedback, one stream of demand.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command("demo")(stack.demo)
app.command("up")(stack.up)
app.command("publish")(publish.publish)
app.command("lag")(topics.lag)
app.command("replay")(replay.replay)
app.command("releases")(releases.releases)
app.command("try")(trying.try_file)
app.add_typer(channels.app, name="channels")
app.add_typer(ideas.app, name="ideas")
app.add_typer(people.app, name="people")
app.add_typer(segments.app, name="segments")
app.add_typer(notify.app, name="notify")
app.add_typer(deadletters.app, name="deadletters")
app.add_typer(topics.app, name="topics")
app.add_typer(schemas.app, name="schemas")
