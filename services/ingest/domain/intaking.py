"""What the intake decides beside signatures: how much is let in, and what was let in already."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Literal, TypeAlias

_REMEMBERED = 10_000


class Bucket:
    """A token bucket: *rate* requests a second on average, *burst* at once. The caller tells the time, in seconds."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at = 0.0

    def wait(self, now: float) -> float:
        """Take a token and return 0; without one, return in how many seconds there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0


Known: TypeAlias = Literal["new", "accepted", "other_body"]


class Deliveries:
    """The last deliveries that the broker has, by the name that their senders gave them.

    In memory: after a restart one that is tried again is published twice, and ingest drops it as a repeat.
    """

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._bodies: OrderedDict[str, bytes] = OrderedDict()

    def known(self, name: str, body: bytes) -> Known:
        """Tell whether the delivery *name* was accepted, and with this *body*."""
        found = self._bodies.get(name)
        return "new" if found is None else "accepted" if found == _digest(body) else "other_body"

    def accepted(self, name: str, body: bytes) -> None:
        """Remember that the broker has the delivery *name*."""
        self._bodies[name] = _digest(body)
        if len(self._bodies) > self._most:
            self._bodies.popitem(last=False)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()
