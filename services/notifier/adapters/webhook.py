"""The channel ``webhook``: signed posts by the Standard Webhooks specification (1.0), to an address that the person gave."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from standardwebhooks.webhooks import Webhook

from services.common.clock import Clock
from services.common.events import Alert
from services.common.records import Output
from services.notifier.adapters.addresses import web_address
from services.notifier.adapters.posting import Answer, Poster, said_in
from services.notifier.domain.letter import Letter
from services.notifier.ports import Accepted, Delivery, Disabled, Message, Postponed

WEBHOOK = "webhook"
LARGEST_BODY_BYTES = 20_000
_QUOTE_CHARACTERS = 1_000
_TITLE_CHARACTERS = 200


def secret_of(master: str, url: str) -> str:
    """Return the secret that the owner of *url* verifies with, ``whsec_…``: one a URL, so that no receiver can forge for another."""
    return f"whsec_{base64.b64encode(_key(master, url)).decode()}"


def _key(master: str, url: str) -> bytes:
    return hmac.digest(master.encode(), url.encode(), "sha256")


class WebhookChannel:
    """``Channel`` over HTTP."""

    name = WEBHOOK
    needs_address = True

    def __init__(self, poster: Poster, masters: Sequence[str], clock: Clock, *, plain: bool = False) -> None:
        """Sign with secrets made of *masters*, the present one first; the others are on their way out and still sign as well."""
        self._poster = poster
        self._masters = masters
        self._clock = clock
        self._plain = plain

    def usable(self, address: str) -> bool:
        """Tell whether *address* is a URL that messages can be posted to."""
        return web_address(address, plain=self._plain) is not None

    def compose(self, letter: Letter) -> Message:
        """Return *letter* as JSON of less than 20 kB: quotes give way first, then the alerts that a digest has no room for."""
        return Message(letter.address, f"msg_{letter.id}", _body(letter))

    async def send(self, messages: Sequence[Message], deadline: float) -> Sequence[Delivery]:
        """Return what became of each of *messages*, in their order; after *deadline* (monotonic seconds) no more are tried."""
        return await self._poster.post_all(messages, deadline, self._headers, _judged)

    def outputs(self, message: Message, letter: Letter) -> Sequence[Output]:  # noqa: ARG002 - the port's shape
        """Return nothing: posts have a wire of their own."""
        return ()

    async def close(self) -> None:
        """Close every connection."""
        await self._poster.close()

    def _headers(self, message: Message) -> Mapping[str, str]:
        now = datetime.fromtimestamp(self._clock.now() // 1_000_000, UTC)
        body = message.body.decode()
        keys = (_key(master, message.recipient) for master in self._masters)
        return {
            "content-type": "application/json",
            "webhook-id": message.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(Webhook(key).sign(message.message_id, now, body) for key in keys),
        }


def _judged(answer: Answer) -> Delivery:
    """Any answer but 2xx is a failure, a redirect too; 410 means never again."""
    if 200 <= answer.status < 300:
        return Accepted()
    if answer.status == 410:
        return Disabled("the endpoint said that it is gone")
    return Postponed(said_in(answer), until=answer.retry_at if answer.status in (429, 503) else None)


def _body(letter: Letter) -> bytes:
    kind = "ideas.digest" if letter.is_digest else f"idea.{letter.alerts[0].status}"
    at = datetime.fromtimestamp(letter.alerts[-1].created_at / 1_000_000, UTC).isoformat(timespec="milliseconds")
    for quote in (_QUOTE_CHARACTERS, 0):
        for count in range(len(letter.alerts), 0, -1):
            alerts = [_told(alert, quote) for alert in letter.alerts[:count]]
            left = len(letter.alerts) - count
            data = {"alerts": alerts, "omitted": left} if letter.is_digest else alerts[0]
            body = orjson.dumps({"type": kind, "timestamp": at, "data": data})
            if len(body) < LARGEST_BODY_BYTES:
                return body
            if quote:
                break  # without quotes there may be room for all
    raise AssertionError("one alert without its quote has less than 20 kB")


def _told(alert: Alert, quote_characters: int) -> Mapping[str, Any]:
    return {
        "workspace": alert.workspace,
        "board": alert.board,
        "person_id": alert.person_id,
        "idea_id": alert.root_id,
        "feedback_id": alert.feedback_id,
        "status": alert.status,
        "title": alert.title[:_TITLE_CHARACTERS],
        "quote": alert.quote[:quote_characters],
        "release": {
            "id": alert.release_id[:_TITLE_CHARACTERS],
            "name": (alert.release_name or "")[:_TITLE_CHARACTERS] or None,
            "url": alert.release_url,
        },
    }
