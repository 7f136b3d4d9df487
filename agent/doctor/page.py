"""Checks of the coach's page: open, rendered without an error, protected on a network."""

import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from agent.clock import LocalTime, read_clock
from agent.daemon.systemd import unit_of
from agent.disk.state_folder import OF_SESSIONS, has_secret
from agent.doctor.check import CheckResult, StationUnderTest, broken, fine, warning
from agent.errors import ConfigError, plain_words
from agent.outbox.consistency import opened_as_it_is, stored_pause
from agent.outbox.outbox import Outbox
from agent.settings.load import how_to_edit
from agent.settings.model import WebSettings, is_loopback, read_tap_token, why_no_tap_token
from agent.stage import StageName, StopFlag
from agent.station.network import page_address, page_remedy
from agent.text import counted
from agent.web.app import make_page
from agent.web.auth import read_pin, why_no_pin
from agent.web.context import DaemonSignals
from agent.web.monitoring import read_token, why_no_token
from agent.web.tls import GivenCertificate, read_given

_AGAIN = "{log}; if a file is missing, install Spotter again (docs/install.md)"
_ANSWERS_WITHIN_S = 10.0
_OPENS_WITHIN_S = 10.0
_LOOKS_EVERY_S = 0.2
_PLACES = ("/", "/login", "/wall", "/page.js", "/icon.svg", "/manifest.webmanifest")
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}  # noqa: S104  # where to ask, not where to listen
_MOST_STEPS = 3  # of being sent on
_CERTIFICATE = "page certificate"
_SOON_DAYS = 30
_DAY_S = 86400.0


def check_page(station: StationUnderTest) -> list[CheckResult]:
    """Request the page as a browser would, and draw what only a paired device may see."""
    listen = station.settings.web.listen
    if not listen:
        return [fine("page", 'turned off (web.listen = "")')]
    host, _, port = listen.rpartition(":")
    name = host.strip("[]")
    called = _EVERYWHERE.get(name, name)
    given = check_given(station.settings.web, now_s=station.now.utc_s)
    if station.runs:
        return [_judge_running(station, called, port), *given]
    if _is_open(called, int(port)):
        return [
            broken(
                "page",
                f"port already in use by another program: {listen}",
                page_remedy(listen, "port_taken", unit=unit_of(station.config)),
            )
        ]
    return [_guarded(station, f"will be at {listen} when the daemon runs"), *given]


def check_given(web: WebSettings, *, now_s: float) -> list[CheckResult]:
    """See that the certificate which a page was given is whole, valid, and for its names.

    Args:
        web: the page's settings.
        now_s: Unix time.
    """
    if web.certificate != "given":
        return []
    assert web.tls_cert and web.tls_key  # checked by the settings
    renew = f"issue a new one (docs/fleet.md) and copy it to {web.tls_cert} and {web.tls_key}"
    try:
        held = read_given(web.tls_cert, web.tls_key)
    except ConfigError as error:
        return [
            broken(
                _CERTIFICATE,
                str(error),
                f"certificate and key must belong together, and both be readable: {renew}",
            )
        ]
    host = urlsplit(page_address(web)).hostname or ""
    wanted = dict.fromkeys([host, *web.hosts])
    return [judge_given(held, wanted, now_s=now_s, renew=renew)]


def judge_given(
    held: GivenCertificate, hosts: Iterable[str], *, now_s: float, renew: str
) -> CheckResult:
    """Judge whether tablets still accept the page's certificate, and by every name of the page."""
    until = LocalTime(now_s).day(held.ends_at)
    days = (held.ends_at - now_s) / _DAY_S
    if days < 0:
        return broken(_CERTIFICATE, f"expired on {until}: tablets refuse the page", renew)
    missing = [host for host in hosts if not held.fits(host)]
    if missing:
        return warning(
            _CERTIFICATE,
            f"not for {', '.join(missing)}, only for {', '.join(sorted(held.names)) or 'no name'}: "
            "tablets show a warning",
            renew,
        )
    if days < _SOON_DAYS:
        return warning(_CERTIFICATE, f"expires on {until}, in {counted(round(days), 'day')}", renew)
    return fine(_CERTIFICATE, f"valid until {until}")


def _judge_running(station: StationUnderTest, host: str, port: str) -> CheckResult:
    """Judge the page of a daemon that runs; one that has just started gets some seconds."""
    listen = station.settings.web.listen
    log = f"sudo journalctl -u {unit_of(station.config)} -n 20"
    latest_s = time.monotonic() + _OPENS_WITHIN_S
    root, opened_at = station.folder.root, (host, int(port))
    while (pause := stored_pause(root, StageName.PAGE)) is None and not _is_open(*opened_at):
        if time.monotonic() > latest_s:
            return broken("page", f"no response at {listen}", _AGAIN.format(log=log))
        threading.Event().wait(_LOOKS_EVERY_S)
    if pause is not None:
        remedy = page_remedy(listen, pause.reason, unit=unit_of(station.config))
        return broken("page", f"not open: {pause.detail}", remedy)
    fault = _fault_of_answers(station, host, port) or _fault_of_drawing(station)
    if fault is not None:
        return broken("page", fault, _AGAIN.format(log=log))
    return _guarded(station, f"at {listen}, works")


def _judge_progress(answer: httpx.Response) -> str | None:
    """Return what the daemon itself says is stuck; None where it makes progress."""
    if answer.status_code == 200:
        return None
    try:
        reasons = [str(reason) for reason in answer.json().get("reasons", [])]
    except (ValueError, AttributeError):
        reasons = []
    told = "; ".join(reasons) or f"its page answers {answer.status_code}"
    return f"the daemon makes no progress: {told}"


def _guarded(station: StationUnderTest, found: str) -> CheckResult:
    """Return that the page is well, unless its PIN can be read, or a secret of it is missing."""
    web = station.settings.web
    for file, told, remedy in _missing_secrets(station):
        if not _may_read(file):
            told, remedy = f"not checked: this user may not read {file}", "sudo spotter doctor"
        return warning("page", f"{found}; {told}", remedy)
    if not is_loopback(web.host) and web.certificate is None:
        return warning(
            "page",
            f"at {web.listen}; without TLS the PIN is sent in clear text",
            station.setting('web.tls = "auto"'),
        )
    return fine("page", found)


def _missing_secrets(station: StationUnderTest) -> Iterator[tuple[Path, str, str]]:
    """Yield the files that should hold a secret of the page's, what that means, and what to do."""
    web = station.settings.web
    file = web.tap_token_file
    if file is not None and read_tap_token(web, station.environ) is None:
        yield (
            file,
            f"card readers are rejected: {why_no_tap_token(web, station.environ)}",
            f"openssl rand -hex 24 | sudo tee {file}; it must be readable for the group spotter",
        )
    file = web.pin_file
    if file is not None and read_pin(web) is None:
        yield (
            file,
            f"only paired devices can log in: {why_no_pin(web)}",
            f"{how_to_edit(file)}: the PIN alone, six characters or more; it must be readable for "
            "the group spotter",
        )
    file = web.metrics_token_file
    if file is not None and read_token(web) is None:
        yield (
            file,
            f"/metrics is closed: {why_no_token(web)}",
            f"openssl rand -hex 24 | sudo tee {file}; it must be readable for the group spotter",
        )


def _may_read(file: Path) -> bool:
    try:
        with file.open("rb"):
            return True
    except PermissionError:
        return False
    except OSError:
        return True  # it is missing, or not a file: that is what is reported


def _fault_of_answers(station: StationUnderTest, host: str, port: str) -> str | None:
    """Fetch everything that a browser without a PIN may; return what is wrong, or None."""
    is_over_tls = station.settings.web.certificate is not None
    shown_host = f"[{host}]" if ":" in host else host
    origin = f"{'https' if is_over_tls else 'http'}://{shown_host}:{port}"
    try:
        with httpx.Client(
            verify=_any_certificate(), trust_env=False, timeout=_ANSWERS_WITHIN_S
        ) as visitor:
            for place in _PLACES:
                fault = _fault_of(visitor, origin, place)
                if fault is not None:
                    return fault
            return _judge_progress(visitor.get(f"{origin}/healthz"))
    except httpx.HTTPError as error:
        return f"{origin} is open, but does not respond: {plain_words(error)}"


def _fault_of(visitor: httpx.Client, origin: str, place: str) -> str | None:
    """Fetch one place, however often it sends on; return what is wrong with it, or None."""
    address = origin + place
    for _ in range(_MOST_STEPS):
        answer = visitor.get(address, headers={"accept": "text/html"})
        if not answer.is_redirect:
            break
        address = urljoin(address, answer.headers["location"])
        if not address.startswith(origin + "/"):
            return f"{place} redirects to another site"
    if answer.status_code != 200:
        return f"{place} answers {answer.status_code}: {answer.text[:80].strip()!r}"
    if not answer.content:
        return f"{place} is empty"
    if "text/html" in answer.headers.get("content-type", "") and "/page.js" not in answer.text:
        return f"{place} is not a Spotter page"
    return None


def _fault_of_drawing(station: StationUnderTest) -> str | None:
    """Draw the start page and the wall from the station's own data; return what fails, or None."""
    if not has_secret(station.folder, OF_SESSIONS):
        return None  # the daemon makes it, not the doctor
    try:
        with opened_as_it_is(station.folder.root) as outbox:
            if outbox is not None:
                _draw(station, outbox)
    except sqlite3.Error:
        return None  # the outbox is judged elsewhere
    except Exception as error:  # noqa: BLE001  # whatever a template or its data may raise
        return f"it cannot be rendered: {plain_words(error)}"
    return None


def _draw(station: StationUnderTest, outbox: Outbox) -> None:
    page = make_page(
        station.settings,
        outbox,
        station.folder,
        signs=DaemonSignals(is_filming=lambda: False, wake=lambda: None, stop=StopFlag()),
        now=read_clock,
    )
    with closing(page.database):
        for wall in (False, True):
            page.board.drawing(wall=wall)


def _any_certificate() -> ssl.SSLContext:
    """Return a context that trusts this box's own certificate, without checking who signed it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_open(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(2.0)
        try:
            return probe.connect_ex((host, port)) == 0
        except OSError:
            return False
