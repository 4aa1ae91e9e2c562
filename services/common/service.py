"""The Faust app that hosts a service: its process, its lifecycle, its signals. Its records move through ``Worker``."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import faust
from faust.app.base import BootStrategy
from mode import Service

from services.common.errors import ConfigurationError
from services.common.guard import die
from services.common.logs import configure_logs
from services.common.settings import KafkaSettings, Settings
from services.common.worker import Wire, Worker


class _NoStreams(BootStrategy):  # type: ignore[misc]  # publishes no types
    """Faust's own consumer, producer and web server stay off: they acknowledge what failed, and cost ten times the CPU."""

    enable_kafka = False
    enable_web = False


def create_app(name: str, settings: Settings, kafka: KafkaSettings, wire: Wire) -> Any:
    """Return the Faust app of service *name*, with the worker loop as a service of it."""

    class App(faust.App):  # type: ignore[misc]  # publishes no types
        BootStrategy = _NoStreams

        def _create_directories(self) -> None:
            """Make none: there are no tables, and a root file system may be read-only."""

    app = App(
        f"groundswell-{name}",
        broker="kafka://unused",
        topic_allow_declare=False,
        worker_redirect_stdouts=False,
        web_enabled=False,
    )

    @app.service
    class Records(Service):  # type: ignore[misc]  # publishes no types
        """Carries the service's records; dies by the crash guard."""

        async def on_start(self) -> None:
            try:
                self._worker = Worker(name, settings, kafka, wire)
            except ConfigurationError as error:
                die(error, messages=True)
            self._running = asyncio.create_task(self._run())

        async def on_stop(self) -> None:
            self._worker.stop()
            await self._running

        async def _run(self) -> None:
            ended: BaseException | None = None
            try:
                await self._worker.run()
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the top of the process
                ended = error
            if ended is not None or not self.should_stop:
                die(ended, messages=settings.log_exception_messages)

    return app


def run_service(name: str, settings: Settings, kafka: KafkaSettings, wire: Wire) -> NoReturn:
    """Run service *name* until a signal ends it; the process's exit code tells why (``services.common.guard.Exit``)."""
    configure_logs(name, settings.log_level)
    app = create_app(name, settings, kafka, wire)
    worker = faust.Worker(app, loglevel=settings.log_level, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()
    raise SystemExit(0)


def refuse(name: str, error: ConfigurationError) -> NoReturn:
    """End the process because its settings cannot be used."""
    configure_logs(name, "INFO")
    die(error, messages=True)
