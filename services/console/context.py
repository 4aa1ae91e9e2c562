"""What every command needs: where the broker is, and how to run a coroutine on it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias, TypeVar

import typer

from services.common.codec import Codec
from services.common.registry import open_schemas
from services.common.settings import KafkaSettings, Settings, load_settings
from services.console.cluster import Cluster
from services.console.embedded.stack import STACK_FOLDER, read_state, stack_kafka
from services.console.failures import CommandFailed, ExitCode, reported

T = TypeVar("T")

_BOOTSTRAP_VARIABLE = "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS"

Bootstrap: TypeAlias = Annotated[
    str | None,
    typer.Option("--bootstrap", metavar="HOST:PORT", help=f"The broker; else {_BOOTSTRAP_VARIABLE}, else the stack that `up` keeps here."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables for people.")]
Workspace: TypeAlias = Annotated[str, typer.Option("--workspace", help="The workspace (tenant).")]
Board: TypeAlias = Annotated[str, typer.Option("--board", help="The board in it.")]


def kafka_settings(bootstrap: str | None) -> KafkaSettings:
    """Return how to reach the broker: *bootstrap*, the environment, or the embedded stack that runs in this folder.

    Raises:
        CommandFailed: None of them says where.
        ConfigurationError: A variable is wrong.
    """
    if bootstrap is None and _BOOTSTRAP_VARIABLE not in os.environ:
        state = read_state(STACK_FOLDER)
        if state is None:
            raise CommandFailed(
                f"no stack runs under {STACK_FOLDER}; start one with `groundswell up`, or pass --bootstrap (or {_BOOTSTRAP_VARIABLE})",
                ExitCode.UNAVAILABLE,
            )
        return stack_kafka(state.bootstrap_servers)
    settings = load_settings(KafkaSettings)
    if bootstrap is None:
        return settings
    return stack_kafka(bootstrap) if is_embedded(bootstrap) else settings.model_copy(update={"bootstrap_servers": bootstrap})


def is_embedded(bootstrap_servers: str) -> bool:
    """Tell whether *bootstrap_servers* is the broker of the stack that runs in this folder."""
    state = read_state(STACK_FOLDER)
    return state is not None and state.bootstrap_servers == bootstrap_servers


def on_cluster(bootstrap: str | None, work: Callable[[Cluster], Awaitable[T]]) -> T:
    """Run *work* on the broker and return its result; expected errors end the command with one line."""

    async def connected() -> T:
        async with Cluster(kafka_settings(bootstrap)) as cluster:
            return await work(cluster)

    with reported():
        return run(connected)
    raise AssertionError  # reported() re-raises or ends the command


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run *work* on an event loop of its own, with the Kafka client's own log lines kept back: errors reach the user as one line."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    stopped = False

    async def main() -> T:
        task = asyncio.ensure_future(work())

        def stop() -> None:
            nonlocal stopped
            stopped = True
            task.cancel()  # whoever is inside a `with` leaves it

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if stopped:
            raise CommandFailed("stopped by SIGTERM", ExitCode.STOPPED) from None
        raise


def codec() -> Codec:
    """Return the codec of everything that we publish."""
    return Codec(open_schemas(load_settings(Settings).schema_registry_url))
