"""Which URLs people may give us, and which addresses messages may go to."""

from __future__ import annotations

import ipaddress
from socket import AddressFamily

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.adapters.addresses import ForbiddenAddressError, GuardedResolver, is_allowed, web_address

_INSIDE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255",
    "224.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
    "2002:7f00:1::", "64:ff9b::a9fe:a9fe",
]  # fmt: skip


@pytest.mark.parametrize("host", _INSIDE)
def test_addresses_that_only_we_can_reach_are_refused(host: str) -> None:
    assert not is_allowed(host, ())


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_not(host: str) -> None:
    assert is_allowed(host, ())


def test_a_network_of_ones_own_can_be_allowed() -> None:
    own = [ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")]
    assert [is_allowed(host, own) for host in ("10.1.2.3", "::ffff:10.1.2.3", "10.2.0.1", "fd00::1")] == [True, True, False, True]


@given(st.ip_addresses(v=4))
def test_no_way_of_writing_a_private_address_gets_through(address: ipaddress.IPv4Address) -> None:
    plain = is_allowed(str(address), ())
    assert plain == is_allowed(f"::ffff:{address}", ()) == is_allowed(str(ipaddress.IPv6Address((0x64FF9B << 96) | int(address))), ())


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "https://", "https:///path", "https://a b.example/",
        "https://user:secret@example.com/", "https://example.com:0/", "https://example.com:99999/", "https://exa\nmple.com/",
        "https://example.com\\@127.0.0.1/", "https://bücher.example/", "https://example.com/#part", "https://example.com/" + "x" * 2_000,
        "https://[::1/", "javascript:alert(1)", "",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_not_one(url: str) -> None:
    assert web_address(url) is None


def test_a_web_address_is_https_unless_http_is_allowed() -> None:
    parts = web_address("https://Hooks.Example.com:8443/a?b=c")
    assert parts is not None
    assert (parts.hostname, parts.port) == ("hooks.example.com", 8443)
    assert web_address("http://example.com/", plain=True) is not None


class _Told(AbstractResolver):
    """Resolves every name to what it is told, another one each time."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = iter(answers)

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AddressFamily.AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=answer, port=port, family=AddressFamily.AF_INET, proto=0, flags=0)
            for answer in next(self._answers)
        ]

    async def close(self) -> None:
        pass


async def test_a_name_that_leads_inside_is_refused_whatever_it_led_to_before() -> None:
    resolver = GuardedResolver(_Told(["8.8.8.8"], ["8.8.8.8", "127.0.0.1"], ["10.0.0.1"]), ())
    assert [result["host"] for result in await resolver.resolve("rebinding.example", 443)] == ["8.8.8.8"]
    for _ in range(2):
        with pytest.raises(ForbiddenAddressError, match="not a public one"):
            await resolver.resolve("rebinding.example", 443)
