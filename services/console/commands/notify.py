"""``groundswell notify``."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from services.console.bounces import opened, publish_bounces
from services.console.cluster import Cluster
from services.console.context import AsJson, Bootstrap, Workspace, codec, on_cluster
from services.console.failures import CommandFailed, ExitCode
from services.console.notifying import Preview, previewed, readable, said
from services.console.show import console, print_json, short, table
from services.console.team_posting import recipient_of, tell_team
from services.notifier.domain.row import Row
from services.notifier.domain.telling import Send
from services.notifier.offline import TOPICS, Foreseen, Release

app = typer.Typer(help="What people are told.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """What people are told."""


@app.command("preview")
def preview(
    idea: Annotated[str, typer.Argument(help="An idea's id, or how its last part begins.")],
    *,
    person: Annotated[str | None, typer.Option(help="Show what this person would be sent, or why nothing.")] = None,
    status: Annotated[str, typer.Option(help="The status that would be said of it.")] = "shipped",
    release_name: Annotated[str | None, typer.Option(help="As the message would name it.")] = None,
    release_url: Annotated[str | None, typer.Option(help="Where it is told of.")] = None,
    reason: Annotated[str | None, typer.Option(help="Of the status.")] = None,
    test_to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send one of the mails to this address, and to nobody else.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide and render everything as the service would now, digests and all; send nothing.")
    ] = False,
    messages_to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="With --dry-run: write each message there, as it would leave.")
    ] = None,
    workspace: Workspace = "lumora",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Say who would hear of IDEA, who not, and why; write nothing to any topic.

    Foreseen by the notifier's own code, with the notifier's own settings (GROUNDSWELL_NOTIFICATIONS_FILE and the others), on what the
    topics say now. Where people were told of the status already, what became of it is shown instead.
    """
    release = Release(status, name=release_name, url=release_url, reason=reason)

    async def work(cluster: Cluster) -> None:
        schemas = codec()
        records = await cluster.read(TOPICS)
        async with previewed(schemas, records, workspace, idea, release) as found:
            if dry_run:
                _show_rows(found.idea_id, await found.rehearsed(messages_to), as_json=as_json)
            else:
                await _show(found, person, test_to, as_json=as_json)

    on_cluster(bootstrap, work)


@app.command("bounces")
def bounces(
    mailbox: Annotated[
        str, typer.Argument(help="Where bounces arrive: a Maildir, an mbox file, or imaps://USER@HOST/FOLDER (GROUNDSWELL_IMAP_PASSWORD).")
    ],
    *,
    every: Annotated[float | None, typer.Option(min=1, metavar="SECONDS", help="Go on, and look again so often; else once.")] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Read what mail servers reported of mails that they had taken, and publish it to notifications.reports.

    Give the mailbox of GROUNDSWELL_SMTP_SENDER. Mails that report nothing of ours stay unread and are counted.
    """

    async def work(cluster: Cluster) -> None:
        schemas = codec()
        while True:
            with opened(mailbox) as found:
                counted = await publish_bounces(cluster.publish, schemas, found)
            if as_json:
                print_json(asdict(counted))
            else:
                console().print(f"{counted.mails} mails: {counted.reports} reports, {counted.others} of something else")
            if every is None:
                return
            await asyncio.sleep(every)

    on_cluster(bootstrap, work)


@app.command("team")
def team(
    *,
    to: Annotated[
        list[str] | None, typer.Option(metavar="CHANNEL:ADDRESS", help="Who gets a summary of each release: email, slack or webhook.")
    ] = None,
    owners: Annotated[bool, typer.Option("--owners", help="Account owners get a copy of what their accounts' people were told.")] = False,
    every: Annotated[float | None, typer.Option(min=1, metavar="SECONDS", help="Go on, and look again so often; else once.")] = None,
    workspace: Workspace = "lumora",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Tell the team what became of each release: who asked, heard, opted out, bounced.

    A summary goes out once a recipient when nobody waits any more, and once where somebody still does a day later. What was sent is
    written down in notifications.summaries. Channels are set up as the notifier's are (GROUNDSWELL_SMTP_*, _SLACK_*, _WEBHOOK_*).
    """

    async def work(cluster: Cluster) -> None:
        recipients = [recipient_of(text) for text in to or ()]
        if not recipients and not owners:
            raise CommandFailed("nobody to tell: give --to CHANNEL:ADDRESS, or --owners", ExitCode.USAGE)
        while True:
            told = await tell_team(cluster, codec(), workspace, recipients, owners=owners)
            if as_json:
                print_json([{"notice": notice, "said": said} for notice, said in told])
            else:
                console().print(table("Told", ["what", "said"], told))
            if every is None:
                return
            await asyncio.sleep(every)

    on_cluster(bootstrap, work)


def _show_rows(idea: str, rows: Sequence[Row], *, as_json: bool) -> None:
    last = [(row.alert.person_id, row.state, row.history[-1]) for row in rows]
    counts = Counter(state for _, state, _ in last)
    if as_json:
        people = [{"person": who, "outcome": state, "channel": word.channel, "reason": word.reason} for who, state, word in last]
        print_json({"idea": idea, "outcomes": counts, "people": people})
        return
    shown = [(short(who), state, word.channel or "", word.reason) for who, state, word in last]
    console().print(table(f"A dry run of {short(idea)}", ["person", "outcome", "channel", "reason"], shown))
    console().print(", ".join(f"{count} {state}" for state, count in counts.items()) or "nobody")


async def _show(found: Preview, person: str | None, test_to: str | None, *, as_json: bool) -> None:
    chosen = _chosen(found, person)
    tested = None if test_to is None or chosen is None else said(await found.send_to(chosen, test_to))
    text = None if chosen is None else _text(found, chosen)
    if as_json:
        print_json(
            {
                "idea": found.idea_id,
                "outcomes": Counter(one.outcome for one in found.foreseen),
                "people": [_row(one) for one in found.foreseen] if person is None else [_row(chosen)] if chosen else [],
                "message": text,
                "test": tested,
            }
        )
        return
    out = console()
    if person is None:
        rows = [(short(one.row.alert.person_id), one.outcome, one.reason) for one in found.foreseen]
        out.print(table(f"Who asked for {short(found.idea_id)}", ["person", "outcome", "how, or why not"], rows))
        out.print(", ".join(f"{count} {outcome}" for outcome, count in Counter(one.outcome for one in found.foreseen).items()) or "nobody")
    if chosen is not None:
        out.print(f"\n{short(chosen.row.alert.person_id)}: {chosen.outcome}, {chosen.reason}")
        out.print(f"\n{text}" if text else "", markup=False)
    if tested is not None:
        out.print(f"test: {tested}", markup=False)


def _chosen(found: Preview, person: str | None) -> Foreseen | None:
    """Return whose message is shown: that of *person*, else the first that would be sent, else the first."""
    if person is not None:
        return found.of(person)
    return next((one for one in found.foreseen if isinstance(one.step, Send)), next(iter(found.foreseen), None))


def _text(found: Preview, one: Foreseen) -> str | None:
    return readable(*found.letter(one)) if isinstance(one.step, Send) else None


def _row(one: Foreseen) -> dict[str, Any]:
    return {"person": one.row.alert.person_id, "outcome": one.outcome, "reason": one.reason, "quote": one.row.alert.quote}
