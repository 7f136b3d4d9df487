"""Which addresses a link of somebody else's may lead to: those of the public internet.  Pure.

A link that comes in an answer could lead into the gym's own network: to the router, to a camera,
to this box's own page.  So an address is judged by what it is, and by nothing else: a list of what
is public for version 6, where most is not in use, and of what is not for version 4.

Source: the IANA special-purpose address registries (RFC 6890), as of 2025.
"""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

Address = IPv4Address | IPv6Address

# With words for people.  The order matters where one lies in another: the first that fits names it.
_NOT_PUBLIC_V4 = tuple(
    (IPv4Network(network), words)
    for network, words in (
        ("127.0.0.0/8", "of this box itself"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("169.254.0.0/16", "link-local"),
        ("100.64.0.0/10", "inside a provider's network"),
        ("0.0.0.0/8", "of no host"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),  # the broadcast address with it
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("198.18.0.0/15", "for benchmarks"),
        ("192.88.99.0/24", "reserved"),
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    (IPv6Network(network), words)
    for network, words in (
        ("::1/128", "of this box itself"),
        ("::/128", "of no host"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("fc00::/7", "private"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "for documentation"),
        ("3fff::/20", "for documentation"),
        ("2001::/23", "reserved"),  # tunnels such as Teredo, and other protocols' own
        ("2002::/16", "a tunnel"),  # 6to4: leads to an address of version 4
    )
)
# A network without version 4 reaches its hosts by addresses that hold theirs (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")


def why_not_public(address: Address) -> str | None:
    """Return what kind of address it is, in words, or None where it is a public one."""
    held = _held_v4(address)
    if isinstance(held, IPv4Address):
        return next((words for network, words in _NOT_PUBLIC_V4 if held in network), None)
    for network, words in _NOT_PUBLIC_V6:
        if held in network:
            return words
    return None if held in _PUBLIC_V6 else "reserved"


def read_address(text: str) -> Address:
    """Return an address as a resolver tells it, its zone left out.

    Raises:
        ValueError: it is none.
    """
    return ip_address(text.partition("%")[0])


def _held_v4(address: Address) -> Address:
    """Return the address of version 4 that one of version 6 stands for, else the address."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
