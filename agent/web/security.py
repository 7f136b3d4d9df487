"""Request origin checks and security headers."""

import hashlib
import ipaddress
import re
from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.settings.model import is_loopback
from agent.stage import StageName

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?")
_OWN_SITES = frozenset({"same-origin", "none"})  # none: typed, or scanned
BEARER = "Bearer "
API_PATH = "/api/"  # of what programs call, each with a token of its own
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
class RequestOrigin:
    """What a request says of where it goes and comes from; None where it says nothing."""

    method: str
    host: str
    origin: str | None
    site: str | None  # Sec-Fetch-Site
    mode: str | None  # Sec-Fetch-Mode
    has_bearer: bool = False  # for the API: a token in a header, which no form can send


def comes_from_here(call: RequestOrigin) -> bool:
    """Tell whether a request may come from the page itself, or was typed or scanned by a person.

    A change must name its origin, as every browser does for a form and for a script's request; one
    that only reads has none, and is refused where it is embedded in another site's page.  A program
    with a bearer token has none either; a browser's script that sends a token names its origin.
    """
    if call.origin is not None:
        return _is_same(call.origin, call.host)
    if call.method not in SAFE_METHODS:
        return call.has_bearer
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


log = structlog.get_logger(stage=StageName.PAGE)


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, hosts: Hosts, styles: str) -> None:
        self._app = app
        self._hosts = hosts
        self._headers = security_headers(styles)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it; nothing that goes wrong inside gets out."""
        if scope["type"] != "http":
            return
        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        app = self._app if refusal is None else refusal
        try:
            await app(scope, receive, send_guarded)
        except Exception:  # the page never harms the daemon
            log.exception("request failed", path=scope["path"][:80])
            if not begun:
                sorry = PlainTextResponse("internal error: see the log", 500)
                await sorry(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if not self._hosts.knows(headers.get("host", "")):
            return PlainTextResponse(
                "Unknown host name: open the page by its IP address, or add the name to web.hosts "
                "in the settings.",
                421,
            )
        call = RequestOrigin(
            method=scope["method"],
            host=headers.get("host", ""),
            origin=",".join(headers.getlist("origin")) or None,
            site=headers.get("sec-fetch-site"),
            mode=headers.get("sec-fetch-mode"),
            has_bearer=scope["path"].startswith(API_PATH)
            and headers.get("authorization", "").startswith(BEARER),
        )
        if not comes_from_here(call):
            return PlainTextResponse("cross-origin request rejected", 403)
        return None


def security_headers(styles: str) -> dict[str, str]:
    """Return the headers that every answer gets; `styles` are the only ones a page may use."""
    digest = b64encode(hashlib.sha256(styles.encode()).digest()).decode()
    policy = (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        f"media-src 'self'; manifest-src 'self'; style-src 'sha256-{digest}'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "referrer-policy": "same-origin",  # no-referrer would make the Origin of forms null
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
