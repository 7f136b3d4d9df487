"""Which addresses a link may lead to."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.downloads import read_address, why_not_public


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "of this box itself"),
        ("127.255.255.254", "of this box itself"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("169.254.169.254", "link-local"),
        ("100.64.0.1", "inside a provider's network"),
        ("0.0.0.9", "of no host"),
        ("224.0.0.251", "multicast"),
        ("255.255.255.255", "reserved"),
        ("198.18.0.1", "for benchmarks"),
        ("::1", "of this box itself"),
        ("::", "of no host"),
        ("fe80::1%eth0", "link-local"),
        ("fd12:3456::1", "private"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "for documentation"),
        ("2001:0:1::1", "reserved"),
        ("2002:7f00:1::1", "a tunnel"),
        ("::ffff:127.0.0.1", "of this box itself"),
        ("::ffff:192.168.0.1", "private"),
        ("::127.0.0.1", "reserved"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b:1::1", "reserved"),
        ("100::1", "reserved"),
    ],
)
def test_what_is_not_public_is_named(address: str, why: str) -> None:
    assert why_not_public(read_address(address)) == why


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "223.255.255.255"),
        *("2606:4700::1111", "2a00:1450:4001::200e", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
    ],
)
def test_what_is_public_is_let_through(address: str) -> None:
    assert why_not_public(read_address(address)) is None


@given(st.ip_addresses(v=4))
def test_an_address_that_the_library_calls_private_is_never_let_through(
    address: IPv4Address,
) -> None:
    let_through = why_not_public(address) is None
    if address.is_private or address.is_loopback or address.is_multicast or address.is_reserved:
        assert not let_through
    for v6 in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert (why_not_public(ip_address(v6)) is None) == let_through


@given(st.ip_addresses(v=6))
def test_no_address_of_version_6_outside_the_public_part_is_let_through(
    address: IPv6Address,
) -> None:
    if why_not_public(address) is None and address not in _NAT64_AND_MAPPED:
        assert address.exploded[0] in "23"
        assert not (address.is_private or address.is_link_local or address.is_multicast)


class _Held:
    def __contains__(self, address: IPv6Address) -> bool:
        return address.exploded.startswith(("0064:ff9b:", "0000:0000:0000:0000:0000:ffff:"))


_NAT64_AND_MAPPED = _Held()
