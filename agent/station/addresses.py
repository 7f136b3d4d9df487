"""The addresses by which others on the network reach this box and its page."""

import socket

from agent.settings.model import WebSettings, is_loopback

_ANYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  # compared with, not bound to
_BEYOND = ("192.0.2.1", 9)  # an address of documentation (RFC 5737): no packet goes out


def page_address(settings: WebSettings) -> str:
    """Return the page's address as a browser beside the box would call it."""
    port = settings.listen.rpartition(":")[2]
    if settings.hosts:
        host = settings.hosts[0]
    else:
        host = reached_at(settings.host, otherwise=f"{socket.gethostname()}.local")
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def reached_at(host: str, *, otherwise: str) -> str:
    """Return by which name or address others reach what listens on a host of this box.

    Args:
        host: where it listens, which may be everywhere.
        otherwise: what is returned where this box has no address on a network.
    """
    return (own_address() or otherwise) if host.strip("[]") in _ANYWHERE else host


def own_address() -> str | None:
    """Return this box's address on its network; None where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_BEYOND)
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return address


def shared_page_address(settings: WebSettings) -> str | None:
    """Return the page's address for other machines; None where they cannot reach it."""
    is_here = not settings.listen or is_loopback(settings.host)
    return None if is_here else page_address(settings)
