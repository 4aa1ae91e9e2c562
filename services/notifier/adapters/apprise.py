"""The channel ``apprise``: the long tail of services that the library of that name knows, without what it cannot say.

It answers yes or no: whether a service refused for good, asked to wait, or took a message whose answer was lost, it does not tell. So a
no leaves a doubt (``Postponed.unknown``), and the channel belongs at the end of the order. Its addresses name any host and some name
programs of this machine: only the schemes that the operator lists are taken.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

import orjson

from services.common.errors import ConfigurationError
from services.common.logs import get_logger
from services.common.records import Output
from services.notifier.domain.letter import Letter
from services.notifier.ports import Accepted, Delivery, Message, Postponed, Refused

log = get_logger(__name__)

APPRISE = "apprise"
_NOT_TRIED = Postponed("not tried yet: the other side is slow", tried=False)
_NO = Postponed("the service did not take it; apprise does not say why", unknown=True)
_LATE = Postponed("the service did not answer", unknown=True)


class AppriseChannel:
    """``Channel`` over the library ``apprise``, which must be installed (``groundswell[apprise]``)."""

    name = APPRISE
    needs_address = True

    def __init__(self, *, product: str, schemes: Collection[str], timeout_seconds: float, connections: int) -> None:
        """Tell of *product*, by addresses of *schemes* only.

        Raises:
            ConfigurationError: The library is not installed, or does not know one of *schemes*.
        """
        try:
            library = import_module("apprise")
        except ImportError:
            raise ConfigurationError("the channel apprise needs its library: pip install 'groundswell[apprise]'") from None
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses, tokens in them and all
        self._make = library.Apprise
        self._product = product
        self._schemes = frozenset(scheme.lower() for scheme in schemes)
        self._timeout = timeout_seconds
        self._connections = connections
        known = {
            scheme
            for plugin in self._make().details()["schemas"]
            for kind in ("protocols", "secure_protocols")
            for scheme in plugin[kind] or ()
        }
        unknown = sorted(self._schemes - known)
        if unknown or not self._schemes:
            what = f"apprise knows no {unknown[0]!r}" if unknown else "none is named"
            raise ConfigurationError(f'GROUNDSWELL_APPRISE_SCHEMES: {what}; expected a list such as ["discord", "tgram"]')
        self._service_of = lru_cache(1024)(self._instantiated)

    def usable(self, address: str) -> bool:
        """Tell whether *address* is an apprise URL of a scheme that is allowed here."""
        return self._service_of(address) is not None

    def compose(self, letter: Letter) -> Message:
        """Return *letter* as title and text: the same bytes each time."""
        first = letter.alerts[0]
        title = self._product if letter.is_digest else f"{self._product}: {first.title}"
        lines: list[str] = []
        for alert in letter.alerts:
            release = ", ".join(part for part in (alert.release_name, alert.release_url) if part)
            lines.append(f"You asked for {alert.title}: {alert.status.replace('_', ' ')}" + (f" ({release})" if release else ""))
            lines.extend(f"> {line}" for line in alert.quote.splitlines())
        return Message(letter.address, f"msg_{letter.id}", orjson.dumps({"title": title, "text": "\n".join(lines)}))

    async def send(self, messages: Sequence[Message], deadline: float) -> Sequence[Delivery]:
        """Return what became of each of *messages*, in their order; after *deadline* (monotonic seconds) no more are tried."""
        free = asyncio.Semaphore(self._connections)

        async def one(message: Message) -> Delivery:
            async with free:
                return _NOT_TRIED if time.monotonic() >= deadline else await self._notified(message)

        return await asyncio.gather(*map(one, messages))

    def outputs(self, message: Message, letter: Letter) -> Sequence[Output]:  # noqa: ARG002 - the port's shape
        """Return nothing: messages have a wire of their own."""
        return ()

    async def _notified(self, message: Message) -> Delivery:
        service = self._service_of(message.recipient)
        if service is None:
            return Refused("the address is not one that is taken here")
        words = orjson.loads(message.body)
        asked = self._make()
        asked.add(service)
        try:
            async with asyncio.timeout(self._timeout):
                return Accepted() if await asked.async_notify(title=words["title"], body=words["text"]) else _NO
        except TimeoutError:
            return _LATE

    def _instantiated(self, address: str) -> Any:
        scheme, separator, _ = address.partition("://")
        if not separator or scheme.lower() not in self._schemes or not address.isprintable():
            return None
        return self._make.instantiate(address, suppress_exceptions=True)
