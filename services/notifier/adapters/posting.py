"""Posts to other people's servers: bounded in time and number, each server for itself, no redirect followed."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    InvalidURL,
    TCPConnector,
    ThreadedResolver,
)

from services.common.clock import Clock, Micros
from services.common.logs import get_logger
from services.notifier.adapters.addresses import ForbiddenAddressError, GuardedResolver, Network, is_allowed, web_address
from services.notifier.ports import Delivery, Message, Postponed, Refused

log = get_logger(__name__)

_FORBIDDEN = Refused("the endpoint's address is not a public one")
_NOT_TRIED = Postponed("not tried yet: the other side is slow", tried=False)
_LONGEST_WAIT_SECONDS = 24 * 3600
_READ_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    retry_at: Micros | None
    """Not before this moment, where it named one."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How a channel may post."""

    timeout_seconds: float
    connections: int
    """At once, to all servers together."""
    connections_a_host: int
    networks: Sequence[Network] = ()
    """Private addresses that are allowed all the same."""
    plain: bool = False
    """Whether http will do."""


class Poster:
    """Posts messages; never raises for what the other side does or does not do. Opens its session with the first one."""

    def __init__(self, reach: Reach, clock: Clock) -> None:
        self._reach = reach
        self._clock = clock
        self._session: ClientSession | None = None

    async def post_all(
        self,
        messages: Sequence[Message],
        deadline: float,
        headers: Callable[[Message], Mapping[str, str]],
        judge: Callable[[Answer], Delivery],
    ) -> list[Delivery]:
        """Post each of *messages* to its recipient; return what *judge* makes of each answer, in their order.

        After *deadline* (monotonic seconds) no more are tried. A server that is slow holds up its own messages only.
        """
        deliveries: list[Delivery] = [_NOT_TRIED] * len(messages)
        free = asyncio.Semaphore(self._reach.connections)
        by_host: defaultdict[str, list[int]] = defaultdict(list)
        for place, message in enumerate(messages):
            parts = web_address(message.recipient, plain=self._reach.plain)
            by_host["" if parts is None else parts.netloc].append(place)

        async def carry(places: list[int]) -> None:
            while places:
                place = places.pop(0)
                async with free:
                    if time.monotonic() >= deadline:
                        return
                    deliveries[place] = await self._post(messages[place], headers(messages[place]), judge)

        each = self._reach.connections_a_host
        await asyncio.gather(*(carry(places) for places in by_host.values() for _ in range(min(each, len(places)))))
        return deliveries

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, message: Message, headers: Mapping[str, str], judge: Callable[[Answer], Delivery]) -> Delivery:
        parts = web_address(message.recipient, plain=self._reach.plain)
        if parts is None or (parts.is_literal and not is_allowed(parts.hostname, self._reach.networks)):
            return _FORBIDDEN
        try:
            async with self._opened().post(message.recipient, data=message.body, headers=headers, allow_redirects=False) as response:
                await response.content.read(_READ_BYTES)  # a short answer is read to its end, so that the connection can be kept
                return judge(Answer(response.status, self._retry_at(response.headers.get("Retry-After"))))
        except InvalidURL:
            return Refused("the endpoint's address is none")
        except (ClientError, OSError) as error:  # a timeout is an OSError, too
            if isinstance(error.__cause__, ForbiddenAddressError):
                return _FORBIDDEN
            log.warning("post_broken", error=type(error).__name__)
            unasked = isinstance(error, (ClientConnectorError, ConnectionTimeoutError))
            what = "cannot be reached" if unasked else "did not answer"
            return Postponed(f"the other side {what}: {type(error).__name__}", unknown=not unasked)

    def _retry_at(self, said: str | None) -> Micros | None:
        """Return the moment that a Retry-After header names (RFC 9110: seconds or a date), a day ahead at most."""
        if said is None:
            return None
        now = self._clock.now()
        try:
            seconds = float(said) if said.strip().isdigit() else _utc(said) - now / 1_000_000
        except (ValueError, OverflowError):
            return None
        return now + int(min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS) * 1_000_000)

    def _opened(self) -> ClientSession:
        if self._session is None:
            connector = TCPConnector(limit=0, resolver=GuardedResolver(ThreadedResolver(), self._reach.networks), use_dns_cache=False)
            timeout = ClientTimeout(total=self._reach.timeout_seconds, sock_connect=self._reach.timeout_seconds / 2)
            self._session = ClientSession(connector=connector, timeout=timeout, cookie_jar=DummyCookieJar(), trust_env=False)
        return self._session


def _utc(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def said_in(answer: Answer) -> str:
    """Return *answer* as a reason for people: its status alone, for its words may quote what was sent."""
    return f"the other side answered {answer.status}"
