"""How fast messages may leave: so many a minute by each channel, and to each domain that takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from services.common.clock import Micros
from services.notifier.domain.manners import Hold

_MINUTE: Micros = 60_000_000
_BURST: Micros = 1_000_000
"""So much of a minute's allowance may leave at once."""
EVERY_OTHER = "*"


@dataclass(frozen=True, slots=True)
class Limits:
    """Messages a minute, over all workers."""

    channels: Mapping[str, float] = field(default_factory=dict)
    domains: Mapping[str, float] = field(default_factory=dict)
    """``*`` is every domain that is not named."""


class Pace:
    """Gives each message its moment.

    Lives in memory: what was put off comes again by its due row and asks again, so that losing this loses no message and sends none twice.
    A limit is shared out by partitions, so that no worker has to ask another.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._share = 1.0
        self._free_at: dict[str, Micros] = {}
        """When the next message may leave, if they leave evenly."""
        self._queued_until: dict[str, Micros] = {}
        """The moment that was given last to one that was put off."""

    def share(self, part: float) -> None:
        """Keep to *part* (0-1) of the limits from now on."""
        self._share = part

    def ask(self, channel: str, address: str, now: Micros) -> Hold | None:
        """Take a message's place *now*, or return until when it has to wait."""
        if not self._limits.channels and not self._limits.domains:
            return None
        keys = self._keys(channel, address)
        for name, every, reason in keys:
            if self._free_at.get(name, now) - now > _BURST:
                until = max(self._queued_until.get(name, now), self._free_at[name]) + every
                self._queued_until[name] = until
                return Hold(until, reason)
        for name, every, _ in keys:
            self._free_at[name] = max(self._free_at.get(name, now), now) + every
        return None

    def _keys(self, channel: str, address: str) -> list[tuple[str, Micros, str]]:
        found: list[tuple[str, float, str]] = []
        if channel in self._limits.channels:
            found.append((channel, self._limits.channels[channel], f"no more messages a minute leave by {channel}"))
        domain = domain_of(address)
        by_domain = self._limits.domains.get(domain, self._limits.domains.get(EVERY_OTHER))
        if domain and by_domain is not None:
            found.append((f"{channel} {domain}", by_domain, f"no more messages a minute leave by {channel} to their domain"))
        return [(name, int(_MINUTE / (a_minute * self._share)), reason) for name, a_minute, reason in found]


def domain_of(address: str) -> str:
    """Return the domain of a mailbox or the host of a URL, in lower case; nothing for what has neither."""
    if "://" in address:
        try:
            return (urlsplit(address).hostname or "").lower()
        except ValueError:
            return ""
    return address.rpartition("@")[2].lower() if "@" in address else ""
