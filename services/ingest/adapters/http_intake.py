"""The HTTP side of the intake: ``POST /v1/NAME`` is answered once the broker has the body, or with what to do instead."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry

from services.common.errors import ConfigurationError, TransientError
from services.common.logs import get_logger
from services.ingest.adapters.metrics import IntakeMetrics
from services.ingest.adapters.unsubscribe_page import UnsubscribePage
from services.ingest.domain.intaking import Bucket, Deliveries
from services.ingest.domain.signatures import delivery_id, verify
from services.ingest.intake import Endpoint
from services.ingest.ports import Publish
from services.ingest.settings import IngestSettings

log = get_logger(__name__)

_STATUS = {"unsigned": 401, "bad_signature": 401, "out_of_window": 401}
_RETRY_SECONDS = 5


class HttpIntake:
    """Serves the endpoints. A body that is not accepted is not published, but where the broker's answer is late: that may come twice."""

    def __init__(
        self,
        settings: IngestSettings,
        endpoints: Sequence[Endpoint],
        publish: Publish,
        registry: CollectorRegistry,
        *,
        page: UnsubscribePage | None = None,
    ) -> None:
        self._settings = settings
        self._endpoints = {endpoint.spec.name: endpoint for endpoint in endpoints}
        self._buckets = {endpoint.spec.name: Bucket(endpoint.spec.rate, endpoint.spec.burst) for endpoint in endpoints}
        self._deliveries = {endpoint.spec.name: Deliveries() for endpoint in endpoints}
        self._publish = publish
        self._page = page
        self._waiting = 0
        self._metrics = IntakeMetrics(registry)
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Begin to answer; return the port.

        Raises:
            ConfigurationError: The port is in use.
        """
        app = web.Application(client_max_size=self._settings.intake_body_bytes)
        app.router.add_post("/v1/{endpoint}", self._post)
        if self._page is not None:
            self._page.add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=self._settings.intake_wait_seconds)
        await self._runner.setup()
        host, port = self._settings.intake_host, self._settings.intake_port
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise ConfigurationError(
                f"port {port} on {host} cannot be opened ({error.strerror}); set GROUNDSWELL_INTAKE_PORT to a free one"
            ) from error
        bound: int = self._runner.addresses[0][1]
        log.info("intake_listening", host=host, port=bound, endpoints=sorted(self._endpoints))
        return bound

    async def stop(self) -> None:
        """Take no more requests, and answer those at hand."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        endpoint = self._endpoints.get(request.match_info["endpoint"])
        if endpoint is None:
            return _answer(404, "no such endpoint")
        name, began = endpoint.spec.name, time.monotonic()
        outcome, response = await self._decided(endpoint, request)
        self._metrics.answered(name, outcome, time.monotonic() - began)
        return response

    async def _decided(self, endpoint: Endpoint, request: web.Request) -> tuple[str, web.Response]:
        pause = self._buckets[endpoint.spec.name].wait(time.monotonic())
        if pause:
            return "limited", _answer(429, "too many requests", math.ceil(pause))
        try:
            async with asyncio.timeout(self._settings.intake_wait_seconds):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return "too_large", _answer(413, f"more than {self._settings.intake_body_bytes} bytes")
        except TimeoutError:
            return "too_slow", _answer(408, "the body did not come in time")
        return await self._believed(endpoint, request, body)

    async def _believed(self, endpoint: Endpoint, request: web.Request, body: bytes) -> tuple[str, web.Response]:
        refused = verify(endpoint.spec.scheme, endpoint.secrets, request.headers, body, time.time())
        if refused is not None:
            return refused.reason, _answer(_STATUS[refused.reason], refused.reason)
        if endpoint.spec.scheme == "slack" and (challenge := _challenge(body)) is not None:
            return "challenge", web.json_response({"challenge": challenge})
        if not body:
            return "empty", _answer(400, "the body is empty")
        return await self._accepted(endpoint, delivery_id(endpoint.spec.scheme, request.headers), body)

    async def _accepted(self, endpoint: Endpoint, delivery: str | None, body: bytes) -> tuple[str, web.Response]:
        deliveries = self._deliveries[endpoint.spec.name]
        known = "new" if delivery is None else deliveries.known(delivery, body)
        if known == "other_body":
            return "conflict", _answer(422, "this idempotency key was used for another body")
        if known == "accepted":
            return "repeat", _accept(delivery)
        if self._waiting >= self._settings.intake_waiting:
            return "busy", _answer(503, "too many requests wait for the broker", _RETRY_SECONDS)
        self._waiting += 1
        try:
            await self._publish(endpoint.spec.topic, endpoint.spec.name.encode(), body)
        except TransientError:
            return "unavailable", _answer(503, "the broker has not confirmed", _RETRY_SECONDS)
        finally:
            self._waiting -= 1
        if delivery is not None:
            deliveries.accepted(delivery, body)
        return "accepted", _accept(delivery)


def _challenge(body: bytes) -> str | None:
    """Return what Slack wants to hear back before it sends anything; None for an event."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    is_one = isinstance(said, dict) and said.get("type") == "url_verification" and isinstance(said.get("challenge"), str)
    return str(said["challenge"]) if is_one else None


def _accept(delivery: str | None) -> web.Response:
    return web.json_response({"accepted": delivery}, status=202)


def _answer(status: int, problem: str, retry_after: int | None = None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return web.json_response({"error": problem}, status=status, headers=headers)
