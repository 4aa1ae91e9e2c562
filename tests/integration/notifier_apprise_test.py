"""The long tail: what apprise hands to a real HTTP server, and what it is not allowed to."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import pytest
from aiohttp import web

from services.common.errors import ConfigurationError
from services.notifier.adapters.apprise import AppriseChannel
from services.notifier.domain.letter import Letter
from services.notifier.ports import Accepted, Delivery, Postponed, Refused
from tests.support.alerts import sample_alert
from tests.support.http import serving

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
"""One of its plugins asks for it; the library goes without where it is gone."""

ALERT = sample_alert(title="Dark mode", quote="My eyes hurt.\nPlease!")


def channel(*schemes: str, timeout_seconds: float = 5.0) -> AppriseChannel:
    return AppriseChannel(product="Lumora", schemes=schemes or ("json",), timeout_seconds=timeout_seconds, connections=4)


def letter(address: str, alerts: int = 1) -> Letter:
    return Letter("a" * 24, address, [ALERT] * alerts, ALERT.created_at)


async def send(by: AppriseChannel, *letters: Letter, seconds: float = 30) -> list[Delivery]:
    return list(await by.send([by.compose(each) for each in letters], time.monotonic() + seconds))


def address(url: str) -> str:
    return url.replace("http://", "json://")


@pytest.mark.parametrize(("alerts", "title"), [(1, "Lumora: Dark mode"), (2, "Lumora")])
async def test_title_and_text_arrive(alerts: int, title: str) -> None:
    async with serving() as server:
        assert await send(channel(), letter(address(server.url), alerts)) == [Accepted()]
        [(_, body)] = server.asked
    said = json.loads(body)
    assert said["title"] == title
    told = "You asked for Dark mode: shipped (October release, https://lumora.example/releases/2026.10)\n> My eyes hurt.\n> Please!"
    assert said["message"] == "\n".join([told] * alerts)


async def test_a_no_leaves_a_doubt_and_the_others_still_hear() -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with serving() as fine, serving(refuse) as broken:
        deliveries = await send(channel(), *(letter(address(server.url)) for server in (fine, broken, fine)))
    assert [deliveries[0], deliveries[2]] == [Accepted()] * 2
    assert isinstance(deliveries[1], Postponed)
    assert deliveries[1].unknown
    assert "127.0.0.1" not in deliveries[1].reason


async def test_a_service_that_hangs_costs_its_timeout_and_after_the_deadline_nobody_is_asked() -> None:
    released = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with serving(hang) as server:
        [late] = await send(channel(timeout_seconds=0.2), letter(address(server.url)))
        [untried] = await send(channel(), letter(address(server.url)), seconds=-1)
        released.set()
    assert isinstance(late, Postponed)
    assert (late.tried, late.unknown) == (True, True)
    assert isinstance(untried, Postponed)
    assert not untried.tried


@pytest.mark.parametrize(
    "url", ["xml://127.0.0.1/", "dbus://", "syslog://", "mailto://a:b@example.com", "json", "json://", "json://a\nb", ""]
)
async def test_schemes_that_nobody_allowed_and_what_is_no_address_are_not_written_to(url: str) -> None:
    assert not channel().usable(url)
    assert await send(channel(), letter(url)) == [Refused("the address is not one that is taken here")]


def test_without_schemes_with_unknown_ones_or_without_the_library_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="none is named"):
        AppriseChannel(product="Lumora", schemes=(), timeout_seconds=1, connections=1)
    with pytest.raises(ConfigurationError, match="apprise knows no 'pigeon'"):
        channel("json", "pigeon")
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ConfigurationError, match=r"groundswell\[apprise\]"):
        channel()
