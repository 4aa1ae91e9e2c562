"""Webhooks and Slack against real HTTP servers of every temper."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.common.clock import SystemClock
from services.notifier.adapters.addresses import Network
from services.notifier.adapters.posting import Poster, Reach
from services.notifier.adapters.slack import SlackChannel
from services.notifier.adapters.webhook import LARGEST_BODY_BYTES, WebhookChannel, secret_of
from services.notifier.domain.letter import Letter
from services.notifier.ports import Accepted, Delivery, Disabled, Message, Postponed, Refused
from tests.support import node
from tests.support.alerts import sample_alert
from tests.support.http import Answering, serving

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
MASTER, OLD_MASTER = "a master secret", "the one before"
ALERT = sample_alert(
    title="Export as PDF & <more>",
    quote="Please let us\nexport a board.",
    created_at=1_790_003_660_000_000,
    release_name="October | release",
    release_url="https://lumora.example/releases/2026.10?a=b|c",
)


def letter(address: str, name: str = "aaaaaaaaaaaaaaaaaaaaaaaa", alerts: int = 1, **changed: Any) -> Letter:
    return Letter(name, address, [replace(ALERT, **changed)] * alerts, ALERT.created_at)


@asynccontextmanager
async def webhooks(networks: Sequence[Network] = LOOPBACK, seconds: float = 5.0) -> AsyncIterator[WebhookChannel]:
    poster = Poster(Reach(seconds, 8, 4, networks, plain=True), SystemClock())
    channel = WebhookChannel(poster, (MASTER, OLD_MASTER), SystemClock(), plain=True)
    yield channel
    await channel.close()


async def post(*letters: Letter, networks: Sequence[Network] = LOOPBACK, seconds: float = 5.0) -> list[Delivery]:
    async with webhooks(networks, seconds) as channel:
        return list(await channel.send([channel.compose(each) for each in letters], time.monotonic() + 30))


def answering(status: int, **headers: str) -> Answering:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def test_the_library_verifies_what_arrives_with_the_secret_of_the_address_and_with_no_other() -> None:
    async with serving() as server:
        assert [Accepted()] == await post(letter(server.url))
        [(headers, body)] = server.asked
    for master in (MASTER, OLD_MASTER):
        told = Webhook(secret_of(master, server.url)).verify(body, dict(headers))
        assert (told["type"], told["data"]["idea_id"]) == ("idea.shipped", "lumora:idea:r")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of(MASTER, "https://another.example/hook")).verify(body, dict(headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of(MASTER, server.url)).verify(body + b" ", dict(headers))
    assert headers["webhook-id"] == "msg_aaaaaaaaaaaaaaaaaaaaaaaa"


@pytest.mark.skipif(node.MISSING, reason="npm is not here: no library of another language verified a signature")
async def test_the_library_of_another_language_verifies_them_too(tmp_path: Path) -> None:
    async with serving() as server:
        await post(letter(server.url, quote="Grüße, 你好 \u2028"))
        [(headers, body)] = server.asked
    (tmp_path / "body").write_bytes(body)
    (tmp_path / "headers.json").write_text(json.dumps({name: value for name, value in headers.items() if name.startswith("webhook-")}))
    assert verified_by_node(tmp_path, secret_of(MASTER, server.url)) == "Grüße, 你好 \u2028\n"
    assert verified_by_node(tmp_path, secret_of("other", server.url)) is None


def verified_by_node(folder: Path, secret: str) -> str | None:
    """Return the quote of the message in *folder*, if the library believes that it is signed with *secret*."""
    script = (
        "const {Webhook} = require('standardwebhooks'), fs = require('fs');"
        "const told = new Webhook(process.argv[1]).verify(fs.readFileSync('body', 'utf8'), JSON.parse(fs.readFileSync('headers.json')));"
        "console.log(told.data.quote);"
    )
    run = node.ran("standardwebhooks@1.0.0", script, folder, secret)
    return run.stdout.decode() if run.returncode == 0 else None


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_two_hundreds_are_taken(status: int) -> None:
    async with serving(answering(status)) as server:
        assert [Accepted()] == await post(letter(server.url))


@pytest.mark.parametrize("status", [301, 307, 400, 404, 500, 503])
async def test_anything_else_is_tried_again_and_no_redirect_is_followed(status: int) -> None:
    async with serving() as inside, serving(answering(status, Location=inside.url)) as server:
        assert [Postponed(f"the other side answered {status}")] == await post(letter(server.url))
        assert inside.asked == []


async def test_gone_is_never_asked_again() -> None:
    async with serving(answering(410)) as server:
        assert [Disabled("the endpoint said that it is gone")] == await post(letter(server.url))


@pytest.mark.parametrize("status", [429, 503])
async def test_the_moment_that_a_server_names_is_waited_for(status: int) -> None:
    before = SystemClock().now()
    async with serving(answering(status, Retry_After="120")) as server:
        [delivery] = await post(letter(server.url))
    assert isinstance(delivery, Postponed)
    assert delivery.until is not None
    assert 120_000_000 <= delivery.until - before <= 180_000_000


@pytest.mark.parametrize("said", ["soon", "-5", "99999999999999999999", "Mon, 99 Nov 2026 00:00:00 GMT"])
async def test_a_moment_that_is_none_does_not_matter(said: str) -> None:
    async with serving(answering(429, Retry_After=said)) as server:
        [delivery] = await post(letter(server.url))
    assert isinstance(delivery, Postponed)
    assert delivery.until is None or delivery.until <= SystemClock().now() + 86_400_000_000


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0"])
async def test_what_only_we_can_reach_is_not_reached(host: str) -> None:
    async with serving() as server:
        port = server.url.split(":")[2].split("/")[0]
        [delivery] = await post(letter(f"http://{host}:{port}/hook"), networks=())
        assert isinstance(delivery, Refused)
        assert server.asked == []


async def test_one_server_that_hangs_holds_up_nobody_else() -> None:
    released = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with serving(hang) as slow, serving() as quick:
        letters = [letter(slow.url, f"slow{number}") for number in range(12)] + [
            letter(quick.url, f"quick{number}") for number in range(20)
        ]
        deliveries = await post(*letters, seconds=0.5)
        released.set()
    tried = [delivery for delivery in deliveries[:12] if isinstance(delivery, Postponed)]
    assert len(tried) == 12
    assert [delivery.unknown for delivery in tried] == [delivery.tried for delivery in tried], "who was asked may have it"
    assert [Accepted()] * 20 == deliveries[12:]


async def test_nobody_there_is_a_failure_without_an_address_in_its_reason() -> None:
    async with serving() as server:
        url = server.url
    [delivery] = await post(letter(url + "?token=secret"))
    assert isinstance(delivery, Postponed)
    assert (delivery.tried, delivery.unknown) == (True, False)
    assert "secret" not in delivery.reason
    assert "127.0.0.1" not in delivery.reason


@pytest.mark.parametrize("alerts", [1, 2, 40, 300])
async def test_a_body_is_below_twenty_kilobytes_and_says_what_it_leaves_out(alerts: int) -> None:
    async with webhooks() as channel:
        body = channel.compose(letter("http://x.example/", alerts=alerts, quote="ü" * 5_000, title="t" * 5_000)).body
    told = json.loads(body)
    assert len(body) < LARGEST_BODY_BYTES
    if alerts > 1:
        assert alerts == len(told["data"]["alerts"]) + told["data"]["omitted"]


@asynccontextmanager
async def slack(hosts: Sequence[str] = ("127.0.0.1",)) -> AsyncIterator[SlackChannel]:
    poster = Poster(Reach(5.0, 8, 4, LOOPBACK, plain=True), SystemClock())
    channel = SlackChannel(poster, SystemClock(), product="Lumora", hosts=hosts, plain=True)
    yield channel
    await channel.close()


async def test_slack_gets_one_message_a_second_and_the_others_later() -> None:
    async with serving() as server, slack() as channel:
        messages = [channel.compose(letter(server.url, f"m{number}")) for number in range(3)]
        first, second, third = await channel.send(messages, time.monotonic() + 10)
    assert len(server.asked) == 1
    assert Accepted() == first
    assert isinstance(second, Postponed)
    assert isinstance(third, Postponed)
    assert not second.tried
    assert second.until is not None
    assert third.until == second.until + 1_000_000


async def test_what_people_wrote_is_text_to_slack_and_nothing_else() -> None:
    async with slack() as channel:
        text = json.loads(channel.compose(letter("http://127.0.0.1/x", quote="<!channel> & <https://evil.example|here>")).body)["text"]
    assert "Export as PDF &amp; &lt;more&gt;" in text
    assert "&lt;!channel&gt;" in text
    assert "<!channel>" not in text
    assert "<https://lumora.example/releases/2026.10?a=b%7Cc|October | release>" in text


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, Accepted), (404, Disabled), (410, Disabled), (400, Refused), (403, Refused), (429, Postponed), (500, Postponed)],
)
async def test_what_slack_answers(status: int, kind: type) -> None:
    async with serving(answering(status)) as server, slack() as channel:
        [delivery] = await channel.send([channel.compose(letter(server.url))], time.monotonic() + 10)
    assert isinstance(delivery, kind)


async def test_only_slack_is_slack() -> None:
    async with slack(hosts=("hooks.slack.com",)) as channel:
        assert channel.usable("https://hooks.slack.com/services/T/B/x")
        assert not channel.usable("https://hooks.slack.com.evil.example/services/T/B/x")


def test_messages_are_the_same_bytes_each_time() -> None:
    def composed() -> Message:
        return WebhookChannel(Poster(Reach(1.0, 1, 1), SystemClock()), (MASTER,), SystemClock()).compose(letter("https://x.example/"))

    assert composed() == composed()
