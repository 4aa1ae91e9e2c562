"""/metrics, /healthz and /readyz, on a port of the service's own."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from services.common.errors import ConfigurationError


class HealthServer:
    """Answers probes from the event loop that moves the records, so a loop that hangs is one that does not answer."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        *,
        is_alive: Callable[[], bool],
        is_ready: Callable[[], bool],
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._is_alive = is_alive
        self._is_ready = is_ready
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Begin to answer; return the port.

        Raises:
            ConfigurationError: The port is in use.
        """
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(
                f"port {self._port} on {self._host} cannot be opened ({error.strerror}); set GROUNDSWELL_HTTP_PORT to a free one"
            ) from error
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        """Stop answering."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _verdict(self._is_alive(), "the poll loop is alive", "the poll loop has shown no sign of life")

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _verdict(self._is_ready(), "partitions are assigned", "no partition is assigned yet")


def _verdict(holds: bool, yes: str, no: str) -> web.Response:
    return web.Response(text=f"{yes if holds else no}\n", status=200 if holds else 503)
