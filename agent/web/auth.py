"""Who may use the page: the origin of a request, PIN, pairing and device sessions."""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import socket
from base64 import b32encode, b64encode
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import itsdangerous
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.clock import Now
from agent.disk.state_folder import OF_SESSIONS, StateFolder, load_secret
from agent.outbox.devices import Device, Role
from agent.outbox.outbox import Outbox
from agent.secret_files import fault_of, read_page_secret, text_of
from agent.settings.model import WebSettings, is_loopback, read_tap_token
from agent.stage import StageName
from agent.station.page_settings import begin_setup, end_setup, may_set_up
from agent.token_bucket import TokenBucket
from agent.web.context import DatabaseExecutor

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


_DAY_S = 86400.0
_RENEW_AFTER_S = _DAY_S  # a session in use is renewed once a day
_AHEAD_S = _DAY_S  # a session from further in the future is none: or the clock was far wrong
_PAYLOAD = re.compile(r"([a-z2-7]{1,32})\.(coach|wall|kiosk|setup)\.([0-9]{1,12})")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSession:
    """One device's session."""

    device_id: str
    role: Role
    issued_at: int  # Unix time

    @property
    def payload(self) -> str:
        """What is signed."""
        return f"{self.device_id}.{self.role}.{self.issued_at}"

    def is_old(self, now_s: float) -> bool:
        """Tell whether it should be renewed."""
        return now_s - self.issued_at > _RENEW_AFTER_S


class Signer:
    """Signs sessions, and verifies its own signatures."""

    def __init__(self, secret: bytes, *, lasts_days: float) -> None:
        self._sessions = _signer(secret, "session")
        self._csrf = _signer(secret, "csrf")
        self._lasts_s = lasts_days * _DAY_S

    @property
    def lasts_s(self) -> int:
        """How long a session lasts without use."""
        return round(self._lasts_s)

    def cookie(self, session: LoginSession) -> str:
        """Return a session as a cookie's value."""
        return self._sessions.sign(session.payload).decode()

    def read(self, cookie: str, *, now_s: float) -> LoginSession | None:
        """Return the session of a cookie; None where it is forged, damaged or too old."""
        try:
            payload = self._sessions.unsign(cookie.encode()).decode()
        except (itsdangerous.BadSignature, UnicodeError):
            return None
        parts = _PAYLOAD.fullmatch(payload)
        if parts is None:
            return None
        session = LoginSession(device_id=parts[1], role=Role(parts[2]), issued_at=int(parts[3]))
        age_s = now_s - session.issued_at
        return session if -_AHEAD_S <= age_s <= self._lasts_s else None

    def csrf_token(self, session: LoginSession) -> str:
        """Return the token that every changing request of this device must carry."""
        return self._csrf.get_signature(session.device_id).decode()

    def verify_csrf(self, session: LoginSession, token: str) -> bool:
        """Tell whether a request comes from a page of this device."""
        return self._csrf.verify_signature(session.device_id, token)


def _signer(secret: bytes, purpose: str) -> itsdangerous.Signer:
    """Return what signs for one purpose alone, with a key derived for it."""
    return itsdangerous.Signer(
        secret, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256
    )


SETUP_LASTS_S = 1800.0  # for a device that sets a station up

SHORTEST = 6  # characters of a PIN
_FREE = 3  # wrong PINs of one address without a wait: fingers slip
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 3600.0
_STOCK = 30  # guesses of all addresses at once
_REFILL_S = 120.0  # one guess more
_MOST_ADDRESSES = 1000
_OWN_NETWORK = 64  # bits of an IPv6 address that one household shares


@dataclass(slots=True)
class _Address:
    wrong: int = 0
    blocked_until_s: float = 0.0


class PinGuard:
    """Compares PINs, as often as is safe."""

    def __init__(self) -> None:
        self._addresses: dict[str, _Address] = {}
        self._stock = TokenBucket(capacity_s=_STOCK * _REFILL_S)

    def wait_s(self, address: str, *, now_s: float, is_known: bool = False) -> float:
        """Return how long an address has to wait before a PIN is checked; 0: not at all.

        Args:
            address: where it comes from.
            now_s: on a clock that never jumps.
            is_known: a device that may come in has come from there: others' guesses do not count.
        """
        known = self._addresses.get(network_of(address))
        own_s = 0.0 if known is None else max(0.0, known.blocked_until_s - now_s)
        if is_known:
            return own_s
        return max(own_s, self._stock.wait_s(now_s, cost_s=_REFILL_S))

    def is_right(
        self, given: str, pin: str, *, address: str, now_s: float, is_known: bool = False
    ) -> bool:
        """Compare a PIN; ask `wait_s` first, or it is wrong whatever was given.

        Args:
            given: what somebody typed.
            pin: what is right.
            address: where it came from.
            now_s, is_known: as for `wait_s`.
        """
        if self.wait_s(address, now_s=now_s, is_known=is_known) > 0:
            return False
        if hmac.compare_digest(given.encode(), pin.encode()):
            self._addresses.pop(network_of(address), None)
            return True
        if not is_known:
            self._stock.take(_REFILL_S, now_s)
        self._note_wrong(network_of(address), now_s)
        return False

    def _note_wrong(self, network: str, now_s: float) -> None:
        known = self._addresses.pop(network, None) or _Address()
        known.wrong += 1
        if known.wrong >= _FREE:
            wait_s = min(_FIRST_WAIT_S * 2 ** min(known.wrong - _FREE, 20), _LONGEST_WAIT_S)
            known.blocked_until_s = now_s + wait_s
        self._addresses[network] = known  # the latest last
        if len(self._addresses) > _MOST_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]


def network_of(address: str) -> str:
    """Return what one attacker can change least: an IPv4 address, or an IPv6 network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _OWN_NETWORK), strict=False))
    return str(found)


_TAPS_AT_ONCE, _TAP_EVERY_S = 20, 0.5
_GUESSES_AT_ONCE, _GUESS_EVERY_S = 10, 10.0


class TapGuard:
    """Compares the token of card readers, and limits how often they, and others, may ask."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._taps = TokenBucket(capacity_s=_TAPS_AT_ONCE * _TAP_EVERY_S)
        self._guesses: dict[str, TokenBucket] = {}  # by network, the latest last

    def is_reader(self, authorization: str, *, address: str, now_s: float) -> bool | float:
        """Tell whether somebody is a reader that may tap now; or the seconds to wait before.

        Args:
            authorization: the header of this name.
            address: where it came from.
            now_s: on a clock that never jumps.
        """
        network = network_of(address)
        guesses = self._guesses.pop(
            network, TokenBucket(capacity_s=_GUESSES_AT_ONCE * _GUESS_EVERY_S)
        )
        wait_s = guesses.wait_s(now_s, cost_s=_GUESS_EVERY_S)
        if wait_s > 0:
            self._guesses[network] = guesses
            return wait_s
        token = read_tap_token(self._settings, os.environ)
        given = authorization.removeprefix(BEARER)
        if token is None or not hmac.compare_digest(given.encode(), token.encode()):
            guesses.take(_GUESS_EVERY_S, now_s)
            self._guesses[network] = guesses
            if len(self._guesses) > _MOST_ADDRESSES:
                del self._guesses[next(iter(self._guesses))]
            return False
        wait_s = self._taps.wait_s(now_s, cost_s=_TAP_EVERY_S)
        if wait_s > 0:
            return wait_s
        self._taps.take(_TAP_EVERY_S, now_s)
        return True


LONGEST_PIN = 64
_MOST_KNOWN = 64  # addresses

log = structlog.get_logger(stage=StageName.PAGE)


class Authenticator:
    """Sessions, PINs and pairing of one page."""

    def __init__(
        self,
        settings: WebSettings,
        folder: StateFolder,
        outbox: Outbox,
        database: DatabaseExecutor,
        *,
        now: Now,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._outbox = outbox
        self._desk = database
        self._now = now
        self._pins = PinGuard()
        self._known: dict[str, None] = {}  # addresses from which devices came that are let in
        self.signer = Signer(load_secret(folder, OF_SESSIONS), lasts_days=settings.session_days)
        self.hosts = Hosts.of(
            settings.listen.rpartition(":")[0], own_name=socket.gethostname(), more=settings.hosts
        )
        of_page = settings.page_pin_file is not None and settings.page_pin_file.exists()
        guarded = settings.pin is not None or settings.pin_file is not None or of_page
        self.is_open = is_loopback(settings.host) and not guarded  # for this box alone
        self.over_tls = settings.certificate is not None
        self._cookie = "__Host-spotter" if self.over_tls else "spotter"

    async def session_of(self, request: Request) -> LoginSession | None:
        """Return the session of the device that asks; None where it must come in first."""
        now_s = self._now().utc_s
        session = self.signer.read(request.cookies.get(self._cookie, ""), now_s=now_s)
        if session is not None and await self.lets_in(session):
            self._note_address(request)
            return session
        return self._new(Role.COACH) if self.is_open else None

    async def enter_by_pin(self, pin: str, *, address: str) -> LoginSession | float:
        """Let a device in by its PIN; else return the seconds until the next try may be made."""
        right, boot_s = read_pin(self._settings), self._now().boot_s or 0.0
        is_known = await self._has_come_in_from(address)
        wait_s = self._pins.wait_s(address, now_s=boot_s, is_known=is_known)
        if right is None or wait_s > 0:
            return wait_s
        if not self._pins.is_right(pin, right, address=address, now_s=boot_s, is_known=is_known):
            log.warning("login rejected", method="pin", address=address)
            return self._pins.wait_s(address, now_s=boot_s, is_known=is_known)
        session = self._new(Role.COACH)
        await self._desk.write(
            lambda: self._outbox.devices.add_by_pin(
                device_id=session.device_id, now_s=self._now().utc_s, address=address
            )
        )
        log.info("device logged in", method="pin", device=session.device_id, address=address)
        return session

    async def _has_come_in_from(self, address: str) -> bool:
        """Tell whether a device that may still come in has come from an address, or its network."""
        on_record = await self._desk.read(lambda: self._outbox.devices.addresses(most=_MOST_KNOWN))
        return network_of(address) in {network_of(one) for one in (*on_record, *self._known)}

    async def enter_by_pairing(self, token: str, *, address: str) -> LoginSession | None:
        """Let a device in by its pairing link, which serves once."""
        device_id, now_s = _random_id(), self._now().utc_s

        def pair() -> Device | None:
            devices = self._outbox.devices
            device = devices.pair(token, device_id=device_id, now_s=now_s, address=address)
            is_setup = device is not None and device.role is Role.SETUP
            if is_setup and not begin_setup(self._folder, token, device_id=device_id):
                devices.end(device_id, now_s=now_s)
                return None
            return device

        device = await self._desk.write(pair)
        if device is None:
            return None
        log.info("device paired", device=device.id, role=device.role)
        return LoginSession(device_id=device.id, role=device.role, issued_at=int(now_s))

    async def end_setup(self, address: str) -> LoginSession:
        """End the set-up for every device; return a coach's session for the one that did it."""
        session, now_s = self._new(Role.COACH), self._now().utc_s
        token = _random_id()

        def go_over() -> None:
            end_setup(self._folder)
            with self._outbox.transaction():
                devices = self._outbox.devices
                devices.end_all(Role.SETUP, now_s=now_s)
                devices.offer(token, role=Role.COACH, name="set-up", now_s=now_s, lasts_s=1.0)
                devices.pair(token, device_id=session.device_id, now_s=now_s, address=address)

        await self._desk.write(go_over)
        log.info("set-up finished", device=session.device_id, address=address)
        return session

    async def leave(self, session: LoginSession) -> None:
        """Let a device in no longer."""
        now_s = self._now().utc_s
        await self._desk.write(lambda: self._outbox.devices.end(session.device_id, now_s=now_s))

    def give(self, response: Response, session: LoginSession) -> None:
        """Set a session's cookie, issued now."""
        fresh = LoginSession(
            device_id=session.device_id, role=session.role, issued_at=int(self._now().utc_s)
        )
        response.set_cookie(
            self._cookie,
            self.signer.cookie(fresh),
            max_age=self.signer.lasts_s,
            path="/",
            secure=self.over_tls,
            httponly=True,
            samesite="strict",
        )

    def take_back(self, response: Response) -> None:
        """Remove the session's cookie."""
        response.delete_cookie(
            self._cookie, path="/", secure=self.over_tls, httponly=True, samesite="strict"
        )

    def is_known(self, address: str) -> bool:
        """Tell whether a device that is let in came from an address lately."""
        return address in self._known

    def wants_new_cookie(self, request: Request, session: LoginSession) -> bool:
        """Tell whether a session is new or old enough to be issued again."""
        held = self.signer.read(request.cookies.get(self._cookie, ""), now_s=self._now().utc_s)
        return held != session or session.is_old(self._now().utc_s)

    async def lets_in(self, session: LoginSession) -> bool:
        """Tell whether a session's device may (still) come in."""
        device: Device | None = await self._desk.read(
            lambda: self._outbox.devices.get(session.device_id)
        )
        if device is None:
            return self.is_open and session.role is Role.COACH
        if device.role is Role.SETUP:
            is_in_time = 0 < self.setup_left_s(device) <= SETUP_LASTS_S
            if not is_in_time or not may_set_up(self._folder, device.id):
                return False
        return device.ended_at is None and device.role is session.role

    def setup_left_s(self, device: Device) -> float:
        """Return for how long a device may still set the station up."""
        return device.paired_at + SETUP_LASTS_S - self._now().utc_s

    def _note_address(self, request: Request) -> None:
        if request.client is not None:
            self._known.pop(request.client.host, None)
            self._known[request.client.host] = None  # the latest last
            if len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]

    def _new(self, role: Role) -> LoginSession:
        return LoginSession(device_id=_random_id(), role=role, issued_at=int(self._now().utc_s))


def read_pin(settings: WebSettings) -> str | None:
    """Return the PIN, read again every time; None where there is none that is long enough.

    One in the settings themselves goes first, then the one that was set on the page, then the file.
    """
    if settings.pin is not None:
        return _checked(settings.pin.get_secret_value())
    of_page = None if settings.page_pin_file is None else read_page_secret(settings.page_pin_file)
    if of_page is not None and _checked(of_page) is not None:
        return of_page
    return None if settings.pin_file is None else _checked(_content(settings.pin_file))


def why_no_pin(settings: WebSettings) -> str:
    """Return why `read_pin` finds none although `pin_file` is set, in words for a person."""
    assert settings.pin_file is not None  # else none is meant
    form = f"{SHORTEST} to {LONGEST_PIN} characters in one line"
    fault = fault_of(
        settings.pin_file, name="PIN", form=form, accepts=lambda text: _checked(text) is not None
    )
    return fault or f"no PIN in {settings.pin_file}"


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return text_of(file.read(LONGEST_PIN * 4)) or ""
    except OSError:
        return ""


def _checked(text: str) -> str | None:
    pin = text.strip()
    return pin if SHORTEST <= len(pin) <= LONGEST_PIN and pin.isprintable() else None


def _random_id() -> str:
    return b32encode(secrets.token_bytes(10)).decode().lower()
