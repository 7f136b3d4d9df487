"""Before and after every request: whether it was meant for this page, and the headers it gets."""

import hashlib
from base64 import b64encode

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.stage import StageName
from agent.web.access.origin import Call, Hosts, comes_from_here

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
        call = Call(
            method=scope["method"],
            host=headers.get("host", ""),
            origin=",".join(headers.getlist("origin")) or None,
            site=headers.get("sec-fetch-site"),
            mode=headers.get("sec-fetch-mode"),
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
