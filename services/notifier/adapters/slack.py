"""The channel ``slack``: incoming webhooks. Their addresses are secrets; each takes one message a second."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import orjson

from services.common.clock import Clock, Micros
from services.common.records import Output
from services.notifier.adapters.addresses import web_address
from services.notifier.adapters.posting import Answer, Poster, said_in
from services.notifier.domain.letter import Letter
from services.notifier.ports import Accepted, Delivery, Disabled, Message, Postponed, Refused

SLACK = "slack"
_PACE: Micros = 1_000_000
_TEXT_CHARACTERS = 3_000
"""What a section block takes at most."""
_GONE = (404, 410)
"""The channel or the webhook does not exist any more."""
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class SlackChannel:
    """``Channel`` over Slack's incoming webhooks."""

    name = SLACK
    needs_address = True

    def __init__(self, poster: Poster, clock: Clock, *, product: str, hosts: Sequence[str], plain: bool = False) -> None:
        """Post to *hosts* only, as *product*."""
        self._poster = poster
        self._clock = clock
        self._product = product
        self._hosts = hosts
        self._plain = plain
        self._free_at: dict[str, Micros] = {}

    def usable(self, address: str) -> bool:
        """Tell whether *address* is an incoming webhook."""
        parts = web_address(address, plain=self._plain)
        return parts is not None and parts.hostname in self._hosts

    def compose(self, letter: Letter) -> Message:
        """Return *letter* as a message: the same bytes each time."""
        return Message(letter.address, f"msg_{letter.id}", orjson.dumps({"text": self._text(letter)}))

    async def send(self, messages: Sequence[Message], deadline: float) -> Sequence[Delivery]:
        """Return what became of each of *messages*; of those to one address the first is sent, the others a second later each."""
        now = self._clock.now()
        self._free_at = {address: free for address, free in self._free_at.items() if free > now}
        deliveries: dict[int, Delivery] = {}
        going: list[int] = []
        for place, message in enumerate(messages):
            free = self._free_at.get(message.recipient, now)
            if free > now:
                deliveries[place] = Postponed("Slack takes one message a second", tried=False, until=free)
            else:
                going.append(place)
            self._free_at[message.recipient] = max(free, now) + _PACE
        sent = await self._poster.post_all([messages[place] for place in going], deadline, lambda _: _HEADERS, _judged)
        deliveries |= zip(going, sent, strict=True)
        return [deliveries[place] for place in range(len(messages))]

    def outputs(self, message: Message, letter: Letter) -> Sequence[Output]:  # noqa: ARG002 - the port's shape
        """Return nothing: posts have a wire of their own."""
        return ()

    async def close(self) -> None:
        """Close every connection."""
        await self._poster.close()

    def _text(self, letter: Letter) -> str:
        lines = [f"*{_escaped(self._product)}*"]
        for alert in letter.alerts:
            release = _escaped(alert.release_name or "")
            link = _link(alert.release_url, release)
            lines.append(
                f"You asked for *{_escaped(alert.title)}*: {_escaped(alert.status.replace('_', ' '))}" + (f", {link}" if link else "")
            )
            if alert.quote:
                lines.extend(f"> {line}" for line in _escaped(alert.quote).splitlines())
        text = "\n".join(lines)
        return text if len(text) <= _TEXT_CHARACTERS else text[: _TEXT_CHARACTERS - 1] + "…"


_HEADERS = {"content-type": "application/json"}
_URL_SAFE = ":/?#[]@!$&'()*+,;=%~"


def _link(url: str | None, words: str) -> str:
    if url is None or not url.startswith(("https://", "http://")):
        return words
    return f"<{quote(url, safe=_URL_SAFE)}|{words or 'release notes'}>"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _judged(answer: Answer) -> Delivery:
    if answer.status == 200:
        return Accepted()
    if answer.status in _GONE:
        return Disabled("Slack says that this channel is gone")
    if 400 <= answer.status < 500 and answer.status != 429:
        return Refused(said_in(answer))
    return Postponed(said_in(answer), until=answer.retry_at)
