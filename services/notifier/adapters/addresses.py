"""Where messages over HTTP may go: to public addresses only, and to the very address that was checked.

People give us URLs; without this guard they could have us ask what only we can reach (server-side request forgery). Names are
resolved once, by the resolver below, and the connection is made to what it returns, so a name that changes its mind between the
check and the connection (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from socket import AddressFamily
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST_URL = 2_000
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 behind NAT64 (RFC 6052)."""


class ForbiddenAddressError(OSError):
    """A host is, or resolves to, an address that messages must not go to; the message names neither."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """What of a URL decides whether and when a message is posted there."""

    hostname: str
    netloc: str
    """Host and port as they are written, in lower case."""
    port: int | None
    is_literal: bool
    """Whether the host is an IP address and no name."""


@lru_cache(maxsize=1024)  # asked three times a message
def web_address(url: str, *, plain: bool = False) -> WebAddress | None:
    """Return *url* taken apart if a message can be posted there: https (http too where *plain*), a host, no login, one line."""
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in (("https", "http") if plain else ("https",)) or not host or port == 0:
        return None
    if parts.username is not None or parts.password is not None or parts.fragment:
        return None
    return WebAddress(host, parts.netloc.lower(), port, _literal(host))


def is_allowed(host: str, networks: Sequence[Network]) -> bool:
    """Tell whether the IP address *host* is public, or in one of *networks*."""
    return _is_allowed(host, tuple(networks))


@lru_cache(maxsize=1024)
def _is_allowed(host: str, networks: tuple[Network, ...]) -> bool:
    address = _embedded(ipaddress.ip_address(host.partition("%")[0]))
    if any(address.version == network.version and address in network for network in networks):
        return True
    return address.is_global and not address.is_multicast and not address.is_reserved


@lru_cache(maxsize=1024)
def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class GuardedResolver(AbstractResolver):
    """Resolves names as *resolver* does; refuses those that lead to any address that is not allowed."""

    def __init__(self, resolver: AbstractResolver, networks: Sequence[Network]) -> None:
        self._resolver = resolver
        self._networks = networks

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AddressFamily.AF_INET) -> list[ResolveResult]:
        """Return the addresses of *host*.

        Raises:
            ForbiddenAddressError: One of them is not allowed.
            OSError: It cannot be resolved.
        """
        found = await self._resolver.resolve(host, port, family)
        if not all(is_allowed(result["host"], self._networks) for result in found):
            raise ForbiddenAddressError("the endpoint's address is not a public one")
        return found

    async def close(self) -> None:
        """Let go of what *resolver* holds."""
        await self._resolver.close()


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 *address* stands for, if it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _TRANSLATED:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
    return address
