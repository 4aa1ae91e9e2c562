"""``groundswell up`` and ``groundswell demo``."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from services.console.context import run
from services.console.demo.run import run_demo
from services.console.embedded.stack import STACK_FOLDER, STATE_FILE, Engines, Stack
from services.console.failures import reported
from services.console.show import console

Broker: TypeAlias = Annotated[
    str | None, typer.Option("--bootstrap", metavar="HOST:PORT", help="An Apache Kafka with empty topics, instead of an embedded broker.")
]
Store: TypeAlias = Annotated[
    str | None,
    typer.Option("--store", metavar="mongodb://HOST:PORT", help="A MongoDB, for databases of this run, instead of SQLite files."),
]


def up(
    folder: Annotated[Path, typer.Option("--dir", help="Holds state, stores and logs; each run begins afresh.")] = STACK_FOLDER,
    bootstrap: Broker = None,
    store: Store = None,
) -> None:
    """Start the embedded stack and keep it running until Ctrl-C."""
    out = console()

    def say(line: str) -> None:
        out.print(line, markup=False)

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        say("starting the embedded stack …")
        async with Stack(folder, say, engines=Engines(bootstrap, store)) as stack:
            say(f"ready: broker {stack.kafka.bootstrap_servers}, state {folder / STATE_FILE}, mails {stack.mail_log}, logs {stack.logs}")
            say("Ctrl-C stops it")
            watching, stopped = asyncio.create_task(stack.watch()), asyncio.create_task(stop.wait())
            await asyncio.wait((watching, stopped), return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
            watching.cancel()
            say("stopping …")

    with reported():
        run(work)


def demo(
    source: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="Your own feedback, .csv or .jsonl with id and text, instead of the sample."),
    ] = None,
    bootstrap: Broker = None,
    store: Store = None,
) -> None:
    """Start the embedded stack, feed it the bundled sample, show what came of it, and leave nothing running.

    Ends with 1 if a record was lost.
    """
    with reported():
        conserved = run(lambda: run_demo(console(), source, Engines(bootstrap, store)))
    if not conserved:
        raise typer.Exit(1)
