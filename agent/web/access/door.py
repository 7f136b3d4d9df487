"""The page's door: which device is at it, and how it gets in."""

import secrets
import socket
from base64 import b32encode
from pathlib import Path

import structlog
from starlette.requests import Request
from starlette.responses import Response

from agent.clock import Now
from agent.outbox.disk.folders import StateFolder
from agent.outbox.people.devices import Device, Role
from agent.outbox.store import Outbox
from agent.settings.tables import is_loopback
from agent.settings.web import WebSettings
from agent.stage import StageName
from agent.web.access.origin import Hosts
from agent.web.access.pins import SHORTEST, PinGuard, network_of
from agent.web.access.secret import load_secret
from agent.web.access.sessions import Session, Signer
from agent.web.desk import Desk

_LONGEST_PIN = 64
_MOST_KNOWN = 64  # addresses

log = structlog.get_logger(stage=StageName.PAGE)


class Door:
    """Sessions, PINs and pairing of one page."""

    def __init__(
        self, settings: WebSettings, folder: StateFolder, outbox: Outbox, desk: Desk, *, now: Now
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._desk = desk
        self._now = now
        self._pins = PinGuard()
        self._known: dict[str, None] = {}  # addresses from which devices came that are let in
        self.signer = Signer(load_secret(folder), lasts_days=settings.session_days)
        host = settings.listen.rpartition(":")[0]
        self.hosts = Hosts.of(host, own_name=socket.gethostname(), more=settings.hosts)
        guarded = settings.pin is not None or settings.pin_file is not None
        self.is_open = is_loopback(host.strip("[]")) and not guarded  # for this box alone
        self.over_tls = settings.tls != "off"
        self._cookie = "__Host-spotter" if self.over_tls else "spotter"

    async def session_of(self, request: Request) -> Session | None:
        """Return the session of the device that asks; None where it must come in first."""
        now_s = self._now().utc_s
        session = self.signer.read(request.cookies.get(self._cookie, ""), now_s=now_s)
        if session is not None and await self.lets_in(session):
            self._note_address(request)
            return session
        return self._new(Role.COACH) if self.is_open else None

    async def enter_by_pin(self, pin: str, *, address: str) -> Session | float:
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

    async def enter_by_pairing(self, token: str, *, address: str) -> Session | None:
        """Let a device in by its pairing link, which serves once."""
        device_id, now_s = _random_id(), self._now().utc_s
        device = await self._desk.write(
            lambda: self._outbox.devices.pair(
                token, device_id=device_id, now_s=now_s, address=address
            )
        )
        if device is None:
            return None
        log.info("device paired", device=device.id, role=device.role)
        return Session(device_id=device.id, role=device.role, issued_at=int(now_s))

    async def leave(self, session: Session) -> None:
        """Let a device in no longer."""
        now_s = self._now().utc_s
        await self._desk.write(lambda: self._outbox.devices.end(session.device_id, now_s=now_s))

    def give(self, response: Response, session: Session) -> None:
        """Set a session's cookie, issued now."""
        fresh = Session(
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

    def wants_new_cookie(self, request: Request, session: Session) -> bool:
        """Tell whether a session is new or old enough to be issued again."""
        held = self.signer.read(request.cookies.get(self._cookie, ""), now_s=self._now().utc_s)
        return held != session or session.is_old(self._now().utc_s)

    async def lets_in(self, session: Session) -> bool:
        """Tell whether a session's device may (still) come in."""
        device: Device | None = await self._desk.read(
            lambda: self._outbox.devices.get(session.device_id)
        )
        if device is None:
            return self.is_open and session.role is Role.COACH
        return device.ended_at is None and device.role is session.role

    def _note_address(self, request: Request) -> None:
        if request.client is not None:
            self._known.pop(request.client.host, None)
            self._known[request.client.host] = None  # the latest last
            if len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]

    def _new(self, role: Role) -> Session:
        return Session(device_id=_random_id(), role=role, issued_at=int(self._now().utc_s))


def read_pin(settings: WebSettings) -> str | None:
    """Return the PIN, read anew every time; None where there is none that is long enough."""
    if settings.pin is not None:
        return _checked(settings.pin.get_secret_value())
    return None if settings.pin_file is None else _checked(_content(settings.pin_file))


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_PIN * 2).decode()
    except (OSError, UnicodeDecodeError):
        return ""


def _checked(text: str) -> str | None:
    pin = text.strip()
    return pin if SHORTEST <= len(pin) <= _LONGEST_PIN else None


def _random_id() -> str:
    return b32encode(secrets.token_bytes(10)).decode().lower()
