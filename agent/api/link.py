"""Links that the API tells: anything may stand there.  Pure.

A link is as good as a key: whoever has it may see the video.  So it shows itself to nobody, and
what is said of it names its host alone.
"""

from dataclasses import dataclass, field

import httpx

from agent.errors import UnfitError

_MOST_CHARS = 8192
_PORTS = {"http": 80, "https": 443}
_HOST_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
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


def read_link(told: object, *, allow_http: bool = False) -> Link:
    """Return the link that an answer tells.

    Raises:
        UnfitError: it is none that may be asked.
    """
    if not isinstance(told, str):
        raise UnfitError(f"the link is no text but {_kind(told)}")
    if not told or len(told) > _MOST_CHARS or not told.isprintable() or " " in told:
        raise UnfitError("the link is empty, too long, or holds spaces or control signs")
    try:
        return _checked(httpx.URL(told), allow_http=allow_http)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise UnfitError("the link is no web address") from None


def follow(link: Link, location: str | None, *, allow_http: bool = False) -> Link:
    """Return where a redirect leads.

    Raises:
        UnfitError: nowhere that may be asked.
    """
    if not location:
        raise UnfitError(f"{link.host} redirects to nowhere")
    try:
        to = str(link.url.join(location))
    except (httpx.InvalidURL, ValueError, TypeError):
        raise UnfitError(f"{link.host} redirects to what is no web address") from None
    return read_link(to, allow_http=allow_http and link.scheme == "http")


def _checked(url: httpx.URL, *, allow_http: bool) -> Link:
    scheme, host = url.scheme, url.raw_host.decode("ascii").lower()
    if scheme not in _PORTS:
        raise UnfitError("the link is no web address")
    if scheme == "http" and not allow_http:
        raise UnfitError("the link has no TLS (http instead of https)")
    if url.userinfo:
        raise UnfitError("the link holds a user name")
    if not host or not set(host) <= _HOST_CHARS:
        raise UnfitError("the link names no host")
    port = _PORTS[scheme] if url.port is None else url.port
    if not 0 < port < 65536:
        raise UnfitError("the link names no port")
    return Link(url=url.copy_with(fragment=None), scheme=scheme, host=host, port=port)


def _kind(told: object) -> str:
    names = {type(None): "nothing", bool: "a truth", list: "a list", dict: "an object"}
    return names.get(type(told), "a number")
