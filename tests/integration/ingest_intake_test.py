"""The intake by real HTTP: what it answers, and that it says 202 only once the broker has the body."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from services.common.errors import ConfigurationError, TransientError
from services.common.paths import EXAMPLES
from services.ingest.adapters.http_intake import HttpIntake
from services.ingest.channels import load_channels
from services.ingest.intake import Endpoint, EndpointSpec, load_intake
from services.ingest.settings import IngestSettings
from tests.unit.ingest_signatures_test import signed

_SPEC = EndpointSpec(name="chat", topic="feedback.raw.chat", scheme="slack", secret_variable="CHAT", rate=1000, burst=1000)


class Broker:
    """Takes what it is given when it is told to."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes, bytes]] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.is_away = False

    async def publish(self, topic: str, key: bytes, value: bytes) -> None:
        """Take a record once it may."""
        await self.answers.wait()
        if self.is_away:
            raise TransientError("away")
        self.taken.append((topic, key, value))


class Served:
    """An intake that runs, and a client."""

    def __init__(self, broker: Broker, specs: Sequence[EndpointSpec]) -> None:
        self.broker = broker
        self.registry = CollectorRegistry()
        settings = IngestSettings(intake_port=0, intake_body_bytes=2_000, intake_wait_seconds=5)
        self.intake = HttpIntake(settings, [Endpoint(spec, [b"s3cret"]) for spec in specs], broker.publish, self.registry)
        self.url = ""

    async def post(self, body: bytes, headers: dict[str, str] | None = None, path: str = "chat") -> tuple[int, dict[str, str], object]:
        """Return status, headers and body of the answer; without *headers* the body is signed as Slack does."""
        given = dict(signed("slack", body, int(time.time()))) if headers is None else headers
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}/v1/{path}", data=body, headers=given) as answer:
            text = await answer.text()
            return answer.status, dict(answer.headers), json.loads(text) if text.startswith("{") else text

    def count(self, outcome: str) -> float:
        """Return how many requests ended so."""
        return self.registry.get_sample_value("groundswell_intake_requests_total", {"endpoint": "chat", "outcome": outcome}) or 0.0


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    specs = [
        _SPEC,
        _SPEC.model_copy(update={"name": "slow", "rate": 0.5, "burst": 1}),
        _SPEC.model_copy(update={"name": "code", "scheme": "github"}),
    ]
    running = Served(Broker(), specs)
    running.url = f"http://127.0.0.1:{await running.intake.start()}"
    yield running
    await running.intake.stop()


async def test_a_body_is_accepted_byte_for_byte_once_the_broker_has_it(served: Served) -> None:
    served.broker.answers.clear()
    posting = asyncio.create_task(served.post(b'{"event": 1}'))
    done, _ = await asyncio.wait({posting}, timeout=0.3)
    assert not done
    assert served.broker.taken == []
    served.broker.answers.set()
    assert (await posting)[0] == 202
    assert served.broker.taken == [("feedback.raw.chat", b"chat", b'{"event": 1}')]
    assert served.count("accepted") == 1


async def test_without_the_broker_the_sender_is_told_when_to_come_again(served: Served) -> None:
    served.broker.is_away = True
    status, headers, _ = await served.post(b"{}")
    assert (status, headers["Retry-After"]) == (503, "5")
    served.broker.is_away = False
    assert (await served.post(b"{}"))[0] == 202


async def test_what_is_not_signed_or_signed_by_another_is_not_published(served: Served) -> None:
    assert (await served.post(b"{}", {}))[0] == 401
    wrong = dict(signed("slack", b"{ }", int(time.time())))
    assert (await served.post(b"{}", wrong))[0] == 401
    assert (await served.post(b"{}", dict(signed("slack", b"{}", int(time.time()) - 1_000))))[0] == 401
    assert served.broker.taken == []
    assert [served.count(name) for name in ("unsigned", "bad_signature", "out_of_window")] == [1, 1, 1]


async def test_slacks_challenge_is_answered_and_not_published(served: Served) -> None:
    body = b'{"type": "url_verification", "challenge": "abc"}'
    status, _, answer = await served.post(body)
    assert (status, answer) == (200, {"challenge": "abc"})
    assert (await served.post(body, {}))[0] == 401
    assert served.broker.taken == []


async def test_the_same_delivery_is_published_once(served: Served) -> None:
    headers = {**signed("github", b"{}"), "X-GitHub-Delivery": "d-1"}
    assert [(await served.post(b"{}", headers, "code"))[0] for _ in range(3)] == [202, 202, 202]
    assert len(served.broker.taken) == 1
    other = {**signed("github", b"[]"), "X-GitHub-Delivery": "d-1"}
    assert (await served.post(b"[]", other, "code"))[0] == 422


async def test_what_is_too_large_too_many_or_nowhere_is_refused(served: Served) -> None:
    assert (await served.post(b"x" * 2_001))[0] == 413
    assert (await served.post(b"x" * 2_000))[0] == 202
    assert (await served.post(b"{}", path="nowhere"))[0] == 404
    assert (await served.post(b""))[0] == 400
    assert (await served.post(b"{}", path="slow"))[0] == 202
    status, headers, _ = await served.post(b"{}", path="slow")
    assert (status, int(headers["Retry-After"]) >= 1) == (429, True)


def test_the_example_is_one() -> None:
    topics = load_channels(EXAMPLES / "channels.yaml").topics()
    given = {"CHAT_SECRET": "a", "SURVEY_SECRET": "b", "PRODUCT_SECRET": "whsec_c2VjcmV0"}
    assert [endpoint.spec.name for endpoint in load_intake(EXAMPLES / "intake.yaml", topics, given)] == ["chat", "survey", "product"]


def test_the_file_names_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "intake.yaml"
    path.write_text("version: 1\nendpoints:\n  - {name: chat, topic: feedback.raw.chat, scheme: slack, secret_variable: CHAT}\n")
    topics = ["feedback.raw.chat"]
    (endpoint,) = load_intake(path, topics, {"CHAT": "new old"})
    assert endpoint.secrets == [b"new", b"old"]
    with pytest.raises(ConfigurationError, match="CHAT holds no secret"):
        load_intake(path, topics, {})
    with pytest.raises(ConfigurationError, match=r"feedback\.raw\.chat is none that ingest reads"):
        load_intake(path, [], {"CHAT": "x"})
    path.write_text("version: 1\nendpoints:\n  - {name: chat, topic: feedback.raw.chat, scheme: none, secret_variable: CHAT}\n")
    with pytest.raises(ConfigurationError, match=r"intake\.yaml:3.*scheme"):
        load_intake(path, topics, {})
