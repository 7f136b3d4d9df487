"""Hosts and origins: whether a request was meant for this page, and comes from it.  Pure.

A foreign page can make a browser send requests here, and by DNS rebinding even under a name of
its own.  So the Host must be a name of this box or an address (which cannot be rebound), and a
changing request must come from the page itself.
"""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.settings.tables import is_loopback

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?")
_OWN_SITES = frozenset({"same-origin", "none"})  # none: typed, or scanned
SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The names under which the page may be called."""

    names: frozenset[str]  # in lower case
    any_address: bool  # listening on the network: any address of this box

    @classmethod
    def of(cls, listen_host: str, *, own_name: str, more: Collection[str]) -> "Hosts":
        """Return the hosts of a page that listens on `listen_host`."""
        names = {listen_host.strip("[]").lower(), *(name.lower() for name in more)}
        on_network = not is_loopback(listen_host.strip("[]"))
        if on_network and own_name:
            names |= {own_name.lower(), f"{own_name.lower()}.local"}
        return cls(names=frozenset(names), any_address=on_network)

    def knows(self, header: str) -> bool:
        """Tell whether a Host header names this page."""
        parts = _HOST.fullmatch(header)
        if parts is None:
            return False
        name = parts[1].strip("[]").lower()
        if name in self.names or is_loopback(name):
            return True
        return self.any_address and _is_address(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a request says of where it goes and comes from; None where it says nothing."""

    method: str
    host: str
    origin: str | None
    site: str | None  # Sec-Fetch-Site
    mode: str | None  # Sec-Fetch-Mode


def comes_from_here(call: Call) -> bool:
    """Tell whether a request may come from the page itself, or was typed or scanned by a person.

    A change must name its origin, as every browser does for a form and for a script's request; one
    that only reads has none, and is refused where it is embedded in another site's page.
    """
    if call.origin is not None:
        return _is_same(call.origin, call.host)
    if call.method not in SAFE_METHODS:
        return False
    return call.site is None or call.site in _OWN_SITES or call.mode == "navigate"


def _is_same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    bare = not (parts.path or parts.query or parts.fragment)
    return bare and parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
