"""Checks URLs from API answers: only HTTPS to addresses of the public internet.

A link that comes in an answer could lead into the gym's own network: to the router, to a camera,
to this box's own page.  So an address is judged by what it is, and by nothing else: a list of what
is public for version 6, where most is not in use, and of what is not for version 4.

Source: the IANA special-purpose address registries (RFC 6890), as of 2025.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

from agent.errors import HostUnreachableError, RejectedDownloadError

_MOST_CHARS = 8192
_PORTS = {"http": 80, "https": 443}
_HOST_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_:")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedUrl:
    """An address that can be asked; made by `read_link` alone."""

    url: httpx.URL = field(repr=False)
    scheme: str
    host: str  # as it is resolved: ASCII, lower case, without brackets
    port: int

    def to(self, address: str) -> httpx.URL:
        """Return the same link, with an address instead of the host's name."""
        return self.url.copy_with(host=address)

    @property
    def host_header(self) -> str:
        """What the Host header must say."""
        return self.url.netloc.decode("ascii")


def read_link(told: object, *, allow_http: bool = False) -> CheckedUrl:
    """Return the link that an answer tells.

    Raises:
        RejectedDownloadError: it is none that may be asked.
    """
    if not isinstance(told, str):
        raise RejectedDownloadError(f"the link is not text but {_kind(told)}")
    if not told or len(told) > _MOST_CHARS or not told.isprintable() or " " in told:
        raise RejectedDownloadError(
            "the link is empty, too long, or contains spaces or control characters"
        )
    try:
        return _checked(httpx.URL(told), allow_http=allow_http)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise RejectedDownloadError("the link is not a web address") from None


def follow(link: CheckedUrl, location: str | None, *, allow_http: bool = False) -> CheckedUrl:
    """Return where a redirect leads.

    Raises:
        RejectedDownloadError: nowhere that may be asked.
    """
    if not location:
        raise RejectedDownloadError(f"{link.host} redirects without an address")
    try:
        to = str(link.url.join(location))
    except (httpx.InvalidURL, ValueError, TypeError):
        raise RejectedDownloadError(
            f"{link.host} redirects to something that is not a web address"
        ) from None
    return read_link(to, allow_http=allow_http and link.scheme == "http")


def _checked(url: httpx.URL, *, allow_http: bool) -> CheckedUrl:
    scheme, host = url.scheme, url.raw_host.decode("ascii").lower()
    if scheme not in _PORTS:
        raise RejectedDownloadError("the link is not a web address")
    if scheme == "http" and not allow_http:
        raise RejectedDownloadError("the link has no TLS (http instead of https)")
    if url.userinfo:
        raise RejectedDownloadError("the link holds a user name")
    if not host or not set(host) <= _HOST_CHARS:
        raise RejectedDownloadError("the link names no host")
    port = _PORTS[scheme] if url.port is None else url.port
    if not 0 < port < 65536:
        raise RejectedDownloadError("the link names no port")
    return CheckedUrl(url=url.copy_with(fragment=None), scheme=scheme, host=host, port=port)


def _kind(told: object) -> str:
    names = {type(None): "nothing", bool: "a truth", list: "a list", dict: "an object"}
    return names.get(type(told), "a number")


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


_MOST_TRIED = 4  # addresses of one name

Resolve = Callable[[str, int], Sequence[str]]


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host's name, as this box knows them.

    Raises:
        OSError, UnicodeError: it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


class AllowedAddresses:
    """The addresses that links of one API may lead to."""

    def __init__(self, api_host: str, resolve: Resolve) -> None:
        """Judge for one API.

        Args:
            api_host: only where that is in no public network itself, its own addresses may be
                asked too.
            resolve: finds the addresses of a name.
        """
        self._api_host = api_host
        self._resolve = resolve

    def of(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host that may be asked.

        Raises:
            RejectedDownloadError: none may.
            HostUnreachableError: the host is not found.
        """
        found = self._resolved(host, port)
        refused: dict[Address, str] = {}
        own: set[Address] | None = None
        for address in found:
            why = why_not_public(address)
            if why is not None:
                own = self._own_addresses() if own is None else own
                if address not in own:
                    refused[address] = why
        allowed = [address for address in found if address not in refused]
        if not allowed and refused:
            address, why = next(iter(refused.items()))
            raise RejectedDownloadError(f"{host} leads to {address}, which is {why}: not asked")
        return allowed[:_MOST_TRIED]

    def _own_addresses(self) -> set[Address]:
        """Return the API's own addresses, for where it is in no public network itself."""
        try:
            return set(self._resolved(self._api_host, 0))
        except HostUnreachableError:
            return set()

    def _resolved(self, host: str, port: int) -> list[Address]:
        try:
            return [read_address(text) for text in self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError):
            raise HostUnreachableError(f"{host} cannot be found in the network") from None
