"""The station's network: the addresses by which others reach this box, and cameras that answer.

Cameras are found by ONVIF's discovery, which most network cameras speak.  One question goes to
everybody in the station's own network; who answers is shown to the person who chooses the camera.
Nothing of an answer is trusted but the address that it came from.
Source: WS-Discovery 1.0 (OASIS), ONVIF Core Specification, chapter 7.
"""

import re
import socket
import time
import uuid
from dataclasses import dataclass
from urllib.parse import unquote

from agent.settings.model import WebSettings, is_loopback
from agent.text import printable

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


def page_remedy(listen: str, reason: str, *, unit: str) -> str:
    """Return what a person does about a page that the daemon of a unit cannot open."""
    if reason == "port_taken":
        port = listen.rpartition(":")[2]
        return f"sudo ss -ltnp 'sport = :{port}' shows which program; or set another web.listen"
    log = f"sudo journalctl -u {unit} -n 20"
    if reason == "address_refused":
        return f"set web.listen to an address of this box and a port from 1024 on; {log}"
    return log


def shared_page_address(settings: WebSettings) -> str | None:
    """Return the page's address for other machines; None where they cannot reach it."""
    is_here = not settings.listen or is_loopback(settings.host)
    return None if is_here else page_address(settings)


EVERYBODY = ("239.255.255.250", 3702)
_MOST_CAMERAS, _MOST_NAME = 24, 60
_ANSWER_BYTES = 65536
_QUESTION = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" '
    'xmlns:n="http://www.onvif.org/ver10/network/wsdl"><s:Header>'
    "<a:MessageID>uuid:{id}</a:MessageID>"
    "<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>"
    "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action></s:Header>"
    "<s:Body><d:Probe><d:Types>n:NetworkVideoTransmitter</d:Types></d:Probe></s:Body></s:Envelope>"
)
_SCOPE = re.compile(r"onvif://www\.onvif\.org/(name|hardware)/([^\s<]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCamera:
    """A camera that answered."""

    host: str  # where its answer came from
    name: str  # as it calls itself; its address where it does not


def find_cameras(*, within_s: float, everybody: tuple[str, int] = EVERYBODY) -> list[NetworkCamera]:
    """Ask which cameras there are, and wait for their answers.

    Args:
        within_s: an answer must come.
        everybody: where the question goes.
    """
    asked = str(uuid.uuid4())
    found: dict[str, NetworkCamera] = {}
    latest_s = time.monotonic() + within_s
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.sendto(_QUESTION.format(id=asked).encode(), everybody)
            while len(found) < _MOST_CAMERAS and (left_s := latest_s - time.monotonic()) > 0:
                link.settimeout(left_s)
                answer, (host, _port) = link.recvfrom(_ANSWER_BYTES)
                camera = camera_of(answer, host, asked)
                if camera is not None:
                    found[host] = camera
    except OSError:  # no network; or nobody answers any more
        pass
    return [found[host] for host in sorted(found)]


def camera_of(answer: bytes, host: str, asked: str) -> NetworkCamera | None:
    """Return the camera that has sent an answer to a question; None for anything else."""
    text = answer.decode(errors="replace")
    if asked not in text or "ProbeMatches" not in text or "NetworkVideoTransmitter" not in text:
        return None
    scopes = dict(_SCOPE.findall(text))
    told = (unquote(scopes[kind]) for kind in ("name", "hardware") if kind in scopes)
    name = printable(" ".join(dict.fromkeys(told)), _MOST_NAME).strip()
    return NetworkCamera(host=host, name=name or host)
