"""The page behind unsubscribe links, over HTTP, up to the event that ingest makes of a wish."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import orjson
import pytest
from aiohttp import ClientSession, web

from services.common.clock import SystemClock
from services.common.errors import TransientError
from services.common.events import PersonEvent
from services.common.unsubscribe import PATH, Subscription, token_of
from services.ingest.adapters.unsubscribe_page import UnsubscribePage
from tests.fakes_ingest import WORKSPACE, Front, raw

SECRET = "s" * 32
PERSON, IDEA = f"{WORKSPACE}:person:ann", f"{WORKSPACE}:idea:dark"
MAILED = Subscription(WORKSPACE, PERSON, "email", IDEA)


class Server:
    """The page on a port of its own, and what it published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, bytes]] = []
        self.away = False
        self.base = ""

    async def publish(self, topic: str, key: bytes, value: bytes) -> None:
        if self.away:
            raise TransientError("the broker is away")
        self.published.append((topic, key, value))

    async def events(self) -> list[PersonEvent]:
        """Return what ingest makes of the wishes."""
        return await asyncio.to_thread(self._events)  # the front has an event loop of its own

    def _events(self) -> list[PersonEvent]:
        front = Front()
        return [event for n, (topic, _, value) in enumerate(self.published) for event in front.events(raw(topic, n, orjson.loads(value)))]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    app = web.Application()
    UnsubscribePage([SECRET, "former" * 6], found.publish, SystemClock()).add_to(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.base = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    yield found
    await runner.cleanup()


async def ask(method: str, url: str, **form: str) -> tuple[int, str]:
    async with ClientSession() as session, session.request(method, url, data=form or None) as response:
        assert "Set-Cookie" not in response.headers
        return response.status, await response.text()


async def test_the_click_of_a_mailbox_provider_ends_the_mails_and_nothing_else(server: Server) -> None:
    status, _ = await ask("POST", server.base + token_of(SECRET, MAILED), **{"List-Unsubscribe": "One-Click"})
    [event] = await server.events()
    assert (status, event.type, event.person_id) == (200, "preference", PERSON)
    assert (event.channel, event.idea_id, event.opted_out) == ("email", None, True)


async def test_looking_at_the_page_changes_nothing(server: Server) -> None:
    status, page = await ask("GET", server.base + token_of(SECRET, MAILED))
    assert (status, server.published) == (200, [])
    assert {"idea", "channel", "all"} == set(re.findall(r'name="scope" value="(\w+)"', page))


@pytest.mark.parametrize(("scope", "channel", "idea"), [("idea", None, IDEA), ("channel", "email", None), ("all", None, None)])
async def test_each_choice_is_what_it_says_and_can_be_undone(server: Server, scope: str, channel: str | None, idea: str | None) -> None:
    url = server.base + token_of(SECRET, MAILED)
    await ask("POST", url, scope=scope, wish="unsubscribe")
    await ask("POST", url, scope=scope, wish="subscribe")
    done, undone = await server.events()
    assert [(channel, idea, True), (channel, idea, False)] == [(e.channel, e.idea_id, e.opted_out) for e in (done, undone)]


async def test_clicking_twice_is_no_conflict(server: Server) -> None:
    url = server.base + token_of(SECRET, MAILED)
    for _ in range(2):
        assert (await ask("POST", url))[0] == 200
    assert {True} == {event.opted_out for event in await server.events()}


@pytest.mark.parametrize("token", [token_of("t" * 32, MAILED), token_of(SECRET, MAILED)[:-4], "x", "%2e%2e%2fetc"])
async def test_a_link_that_is_not_ours_unsubscribes_nobody(server: Server, token: str) -> None:
    for method in ("GET", "POST"):
        assert (await ask(method, server.base + token))[0] == 404
    assert server.published == []


async def test_a_choice_that_the_link_does_not_offer_is_refused(server: Server) -> None:
    token = token_of(SECRET, Subscription(WORKSPACE, PERSON, "email"))
    assert (await ask("POST", server.base + token, scope="idea"))[0] == 400
    assert server.published == []


async def test_nothing_is_done_before_the_broker_has_it(server: Server) -> None:
    server.away = True
    status, page = await ask("POST", server.base + token_of(SECRET, MAILED))
    assert status == 503
    assert "Not done yet" in page


async def test_a_link_signed_with_the_former_secret_still_works(server: Server) -> None:
    assert (await ask("POST", server.base + token_of("former" * 6, MAILED)))[0] == 200
