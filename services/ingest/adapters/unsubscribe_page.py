"""The page behind the links in what people are sent, and the click that mailbox providers make for them (RFC 8058).

``GET`` only shows what could be unsubscribed: links are followed by scanners, too. ``POST`` carries it out, without cookie or login: the
wish becomes a record of ``preferences.raw`` like any other, and is answered once the broker has it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson
from aiohttp import web

from services.common.clock import Clock
from services.common.errors import TransientError
from services.common.ids import make_id
from services.common.unsubscribe import PATH, Subscription, read_token
from services.ingest.domain.intaking import Bucket
from services.ingest.ports import Publish

TOPIC = "preferences.raw"
_RETRY_SECONDS = 5
_RATE, _BURST = 100.0, 200
"""Wishes a second, on average and at once, over all links."""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}
_FRAME = (
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>Messages</title>\n<style>body {{ font: 1.1rem/1.5 sans-serif; max-width: 32rem; margin: 4rem auto; padding: 0 1rem }} "
    "button {{ font: inherit; display: block; margin: 1rem 0; padding: .5rem 1rem }}</style></head>\n<body>\n{}\n</body>\n</html>\n"
)
_BUTTONS = {
    "idea": "No more messages about this idea",
    "channel": "No more messages by this channel",
    "all": "No more messages at all",
}


class UnsubscribePage:
    """Serves ``/unsubscribe/TOKEN``."""

    def __init__(self, secrets: Sequence[str], publish: Publish, clock: Clock) -> None:
        self._secrets = secrets
        self._publish = publish
        self._clock = clock
        self._bucket = Bucket(_RATE, _BURST)

    def add_to(self, app: web.Application) -> None:
        """Answer under the page's path."""
        app.router.add_get(PATH + "{token}", self._show)
        app.router.add_post(PATH + "{token}", self._carry_out)

    async def _show(self, request: web.Request) -> web.Response:
        subscription = self._named(request)
        if subscription is None:
            return _unknown()
        forms = "\n".join(_form(scope, "unsubscribe", words) for scope, words in _BUTTONS.items() if scope in _scopes(subscription))
        return _page(200, f"<h1>Messages about what you asked for</h1>\n{forms}")

    async def _carry_out(self, request: web.Request) -> web.Response:
        subscription = self._named(request)
        if subscription is None:
            return _unknown()
        pause = self._bucket.wait(time.monotonic())
        if pause:
            return _page(429, "<h1>Not done yet</h1>\n<p>Please try again in a minute.</p>", {"Retry-After": str(math.ceil(pause))})
        given = await request.post()
        wanted = _scopes(subscription).get(str(given.get("scope", "channel" if subscription.channel else "all")))
        if wanted is None:
            return _page(400, "<h1>That is none of the choices</h1>\n<p>Please open the link in your message again.</p>")
        opted_out = given.get("wish") != "subscribe"
        try:
            await self._publish(TOPIC, subscription.person_id.encode(), self._record(wanted, opted_out=opted_out))
        except TransientError:
            return _page(503, "<h1>Not done yet</h1>\n<p>Please try again in a minute.</p>", {"Retry-After": str(_RETRY_SECONDS)})
        if not opted_out:
            return _page(200, "<h1>Done</h1>\n<p>You will hear from us again.</p>")
        again = _form(str(given.get("scope", "channel")), "subscribe", "Undo")
        return _page(200, f"<h1>Done</h1>\n<p>What is on its way already may still arrive.</p>\n{again}")

    def _named(self, request: web.Request) -> Subscription | None:
        return read_token(self._secrets, request.match_info["token"])

    def _record(self, wanted: Subscription, *, opted_out: bool) -> bytes:
        now = self._clock.now()
        moment = datetime.fromtimestamp(now / 1_000_000, UTC).isoformat(timespec="microseconds")
        said = {
            "id": make_id(wanted.workspace, "wish", wanted.person_id, wanted.channel or "", wanted.idea_id or "", str(now)),
            "workspace": wanted.workspace,
            "person": {"person_id": wanted.person_id},
            "channel": wanted.channel,
            "idea_id": wanted.idea_id,
            "opted_out": opted_out,
            "updated_at": moment,
        }
        return orjson.dumps({name: value for name, value in said.items() if value is not None})


def _scopes(named: Subscription) -> Mapping[str, Subscription]:
    """Return what whoever holds a link to *named* may choose."""
    everything = Subscription(named.workspace, named.person_id)
    found = {"all": everything}
    if named.channel is not None:
        found["channel"] = Subscription(named.workspace, named.person_id, named.channel)
    if named.idea_id is not None:
        found["idea"] = Subscription(named.workspace, named.person_id, None, named.idea_id)
    return found


def _unknown() -> web.Response:
    return _page(404, "<h1>This link is not one of ours</h1>\n<p>Perhaps it was cut in two: please open it from your message.</p>")


def _form(scope: str, wish: str, words: str) -> str:
    hidden = f'<input type="hidden" name="scope" value="{scope}"><input type="hidden" name="wish" value="{wish}">'
    return f'<form method="post">{hidden}<button>{words}</button></form>'


def _page(status: int, body: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=_FRAME.format(body), content_type="text/html", headers={**_HEADERS, **(headers or {})})
