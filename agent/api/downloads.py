"""Resumable downloads from storage hosts, without the API key and with every answer checked.

The host is whatever the link says, so it is trusted with nothing.  A link that comes in an answer
could lead into the gym's own network: to the router, to a camera, to this box's own page.  So only
HTTPS is followed, and an address is judged by what it is: by a list of what is public for version
6, where most is not in use, and of what is not for version 4.  Source: the IANA special-purpose
address registries (RFC 6890), as of 2025.

The host gets no key and no cookie.  Its name is resolved once, every address is judged, and the
connection goes to just that address (a name that is resolved again could say another).  Redirects
are followed by hand, each judged like the first.  Proxies of the environment are left aside: behind
one, nobody could know where a name leads.  Nothing is unpacked, and nothing is larger or slower
than it may be.
"""

import re
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

import httpx

from agent import __version__
from agent.api.responses import ApiResponse, requested_wait_s
from agent.api.tls import tls_context, tls_fault, tls_words
from agent.api.transfer import DeadlineExceededError, DownloadDeadline, ExchangeWatchdog, Timeouts
from agent.clock import Now
from agent.errors import (
    HostUnreachableError,
    LinkExpiredError,
    RejectedDownloadError,
    TemporaryDownloadError,
    kind_words,
)

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
    """Return the link that an answer contains.

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

# With words for people.  The order matters where ranges overlap: the first that fits names it.
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
    """Return an address as a resolver gives it, its zone left out.

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


_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")
_OF_NONE = re.compile(r"bytes \*/(\d{1,15})")
_LINK_IS_OLD = frozenset({400, 401, 403, 404, 410})  # 400: so answers one large host, expired
_NOT_NOW = frozenset({408, 421, 425, 429})
_VIDEO_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/mp4"})
_MOST_VALIDATOR_CHARS = 256


class RemoteFileChanged(Exception):  # not an error: the part that is here is of no use
    """The host has another file than that of which a part is here: begin from its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """What a file was, or is, at its host."""

    validator: str | None = None  # its tag, or the date of its last change; None: neither is usable
    total_bytes: int | None = None  # as the host announced it; None: it did not


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeResponse:
    """An answer whose body is to be taken."""

    origin: RemoteFile
    start: int  # where its body belongs in the file
    can_resume: bool  # whether the rest could be fetched another time
    is_complete: bool = False  # nothing is missing: there is no body


def range_headers(have_bytes: int, origin: RemoteFile | None) -> dict[str, str]:
    """Return the headers that ask for what is missing of a file, if it is the same still."""
    if have_bytes == 0 or origin is None or origin.validator is None:
        return {}
    return {"Range": f"bytes={have_bytes}-", "If-Range": origin.validator}


def read_head(
    status: int,
    headers: Mapping[str, str],
    *,
    have_bytes: int,
    origin: RemoteFile | None,
    most_bytes: int,
    now_s: float,
) -> RangeResponse:
    """Return what an answer brings.

    Args:
        status, headers: of the answer; a mapping that takes names in any case.
        have_bytes: of the file, here already and asked to be gone on with.
        origin: of what is here.
        most_bytes: a larger file is not wanted.
        now_s: Unix time, for a Retry-After given as a date.

    Raises:
        RemoteFileChanged: what is here is of no use any more.
        DownloadError: there is nothing to download.
    """
    if status == 416 and have_bytes:
        return _nothing_left(headers, have_bytes, origin)
    if status not in {200, 206}:
        raise _refusal(status, headers, now_s)
    _check_kind(headers)
    accepted = _rest(headers, have_bytes, origin) if status == 206 else _whole(headers)
    total = accepted.origin.total_bytes
    if total is not None and total > most_bytes:
        raise too_large(most_bytes)
    return accepted


def too_large(most_bytes: int) -> RejectedDownloadError:
    """Return the refusal of a file that is larger than is wanted."""
    return RejectedDownloadError(
        f"it is larger than the {most_bytes / 1e6:g} MB of results.max_video_mb"
    )


def _whole(headers: Mapping[str, str]) -> RangeResponse:
    """Read an answer that brings a file from its beginning."""
    validator = _validator(headers)
    ranges = headers.get("Accept-Ranges", "").strip().lower() == "bytes"
    return RangeResponse(
        origin=RemoteFile(validator=validator, total_bytes=_length(headers)),
        start=0,
        can_resume=ranges and validator is not None,
    )


def _rest(headers: Mapping[str, str], have_bytes: int, origin: RemoteFile | None) -> RangeResponse:
    """Read an answer that brings what is missing; any other part, or another file, is of no use."""
    start, total = _place(headers)
    if start != have_bytes or origin is None or _validator(headers) not in {None, origin.validator}:
        raise RemoteFileChanged
    whole = RemoteFile(validator=origin.validator, total_bytes=total)
    return RangeResponse(origin=whole, start=start, can_resume=True)


def _nothing_left(
    headers: Mapping[str, str], have_bytes: int, origin: RemoteFile | None
) -> RangeResponse:
    """Read the answer to a request beyond the end of the file."""
    match = _OF_NONE.fullmatch(headers.get("Content-Range", ""))
    if match is None or int(match[1]) != have_bytes or origin is None:
        raise RemoteFileChanged
    whole = RemoteFile(validator=origin.validator, total_bytes=have_bytes)
    return RangeResponse(origin=whole, start=have_bytes, can_resume=True, is_complete=True)


def _refusal(
    status: int, headers: Mapping[str, str], now_s: float
) -> LinkExpiredError | TemporaryDownloadError | RejectedDownloadError:
    if status in _LINK_IS_OLD:
        return LinkExpiredError(f"the link does not work (HTTP {status}): it may have expired")
    if status in _NOT_NOW or status >= 500:
        answer = ApiResponse(
            status=status,
            body=b"",
            retry_after=headers.get("Retry-After"),
            date=headers.get("Date"),
        )
        return TemporaryDownloadError(
            f"the storage host answers HTTP {status}",
            retry_after_s=requested_wait_s(answer, now_s=now_s),
        )
    return RejectedDownloadError(f"the storage host answers HTTP {status}, which is not a file")


def _check_kind(headers: Mapping[str, str]) -> None:
    """Refuse what says itself that it is no video, or packs it."""
    if headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise RejectedDownloadError("the storage host compressed the video unasked")
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in _VIDEO_TYPES and not kind.startswith("video/"):
        shown = kind[:40] if re.fullmatch(r"[a-z0-9.+/-]{1,200}", kind) else "something unnamed"
        raise RejectedDownloadError(f"it is not a video but {shown}")


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text[:16]) if text.isascii() and text.isdigit() else None


def _place(headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Return where a part belongs, and the size of the whole."""
    match = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if match is None:
        raise RemoteFileChanged
    return int(match[1]), None if match[3] == "*" else int(match[3])


def _validator(headers: Mapping[str, str]) -> str | None:
    tag = headers.get("ETag", "")
    told = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
    is_usable = told.isascii() and told.isprintable() and 0 < len(told) <= _MOST_VALIDATOR_CHARS
    return told if is_usable else None


ENOUGH_BYTES = 12  # from the beginning, to recognise what it is
_EBML = b"\x1a\x45\xdf\xa3"
_FIRST_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_MOST_BOXES = 100_000


def is_video(beginning: bytes) -> bool:
    """Tell whether a file that begins so is a video."""
    return beginning.startswith(_EBML) or beginning[4:8] in _FIRST_BOXES


def breaks_off(video: BinaryIO, size_bytes: int) -> bool:
    """Tell whether an MP4 ends inside one of its parts, or without its index or pictures.

    Args:
        video: open at any place.
        size_bytes: of the file.
    """
    video.seek(0)
    if video.read(4) == _EBML:
        return False
    at, seen = 0, set()
    for _ in range(_MOST_BOXES):
        if at == size_bytes:
            break
        video.seek(at)
        length, kind = _box(video.read(16), size_bytes - at)
        seen.add(kind)
        at += length
        if length < 8 or at > size_bytes:
            return True
    return b"mdat" not in seen or not seen & {b"moov", b"moof"}


def _box(head: bytes, left_bytes: int) -> tuple[int, bytes]:
    """Return length and kind of the part that begins so; a length of 0 is of no part."""
    if len(head) < 8:
        return 0, b""
    length, kind = struct.unpack(">I4s", head[:8])
    if length == 1 and len(head) == 16:
        (length,) = struct.unpack(">Q", head[8:])
    elif length == 0:  # to the end of the file
        length = left_bytes
    return int(length), bytes(kind)


class DownloadTarget(Protocol):
    """Where a file goes: what of it is here, and whose it is."""

    @property
    def have_bytes(self) -> int:
        """How much of it is here."""

    @property
    def origin(self) -> RemoteFile | None:
        """What is here is a part of that; None where nothing is known of it."""

    def begin(self, origin: RemoteFile) -> None:
        """Forget what is here: a file comes from its beginning."""

    def write(self, part: bytes) -> None:
        """Add a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadProgress:
    """How far a file has come."""

    part_bytes: int  # came just now
    have_bytes: int  # in all, that part included
    total_bytes: int | None
    can_resume: bool  # whether the rest could come another time


# Is called before the first part, and of every part before the next is asked for.  It may take its
# time, which is not held against the host; what it raises ends the fetching.
Pace = Callable[[DownloadProgress], None]


class Download:
    """One file on its way into its sink."""

    def __init__(self, sink: DownloadTarget, most_bytes: int, pace: Pace) -> None:
        """Prepare to take a file of at most so many bytes."""
        self._sink = sink
        self._most_bytes = most_bytes
        self._pace = pace
        self.received_bytes = 0  # over all exchanges
        self.paced_s = 0.0  # that were our own request
        self.is_pacing = False

    def headers(self) -> dict[str, str]:
        """Return the headers that ask for what is missing."""
        return range_headers(self._sink.have_bytes, self._sink.origin)

    def take(self, response: httpx.Response, *, now_s: float) -> None:
        """Take the file that an answer brings.

        Raises:
            RemoteFileChanged: what is in the target is of no use: ask for the whole.
            DownloadError: the file did not arrive, or not all of it.
        """
        asked_for_rest = "Range" in response.request.headers
        accepted = read_head(
            response.status_code,
            response.headers,
            have_bytes=self._sink.have_bytes if asked_for_rest else 0,
            origin=self._sink.origin if asked_for_rest else None,
            most_bytes=self._most_bytes,
            now_s=now_s,
        )
        self._look_on(accepted, have_bytes=accepted.start, part_bytes=0)
        if not accepted.is_complete:
            self._receive(response, accepted)

    def _receive(self, response: httpx.Response, accepted: RangeResponse) -> None:
        parts = response.iter_raw()
        if accepted.start == 0:
            parts = self._from_the_beginning(parts, accepted.origin)
        for part in parts:
            self.received_bytes += len(part)
            if self._sink.have_bytes + len(part) > self._most_bytes:
                raise too_large(self._most_bytes)
            self._sink.write(part)
            self._look_on(accepted, have_bytes=self._sink.have_bytes, part_bytes=len(part))
        total = accepted.origin.total_bytes
        if total is not None and self._sink.have_bytes != total:
            raise TemporaryDownloadError(f"{self._sink.have_bytes} of {total} bytes came")

    def _from_the_beginning(self, parts: Iterator[bytes], origin: RemoteFile) -> Iterator[bytes]:
        """Yield the parts of a file once its beginning is that of a video; else nothing is kept."""
        beginning = b""
        while len(beginning) < ENOUGH_BYTES:
            part = next(parts, None)
            if part is None:
                break
            beginning += part
        if not is_video(beginning):
            raise RejectedDownloadError(
                "it is not a video: its first bytes are those of another format"
            )
        self._sink.begin(origin)
        yield beginning
        yield from parts

    def _look_on(self, accepted: RangeResponse, *, have_bytes: int, part_bytes: int) -> None:
        began_s = time.monotonic()
        self.is_pacing = True
        try:
            self._pace(
                DownloadProgress(
                    part_bytes=part_bytes,
                    have_bytes=have_bytes,
                    total_bytes=accepted.origin.total_bytes,
                    can_resume=accepted.can_resume,
                )
            )
        finally:
            self.paced_s += time.monotonic() - began_s
            self.is_pacing = False


_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Storage:
    """Storage hosts, as one API's links name them."""

    def __init__(
        self,
        api_url: str,
        *,
        now: Now,
        timeouts: Timeouts | None = None,
        ca_file: Path | None = None,
        check: Callable[[], None],
        resolve: Resolve = resolve_by_system,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            api_url: the API's address.  Only where that is not public itself, its own addresses
                may be asked here too; and only where it does without TLS, links may.
            now: the station's clock.
            timeouts: None for the usual ones.
            ca_file: a certificate authority to trust beside the usual ones.
            check: what it raises ends any fetching that is under way.
            resolve: finds the addresses of a name.
        """
        api = urlsplit(api_url)
        self._allow_http = api.scheme == "http"
        self._addresses = AllowedAddresses(api.hostname or "", resolve)
        self._now = now
        self._times = timeouts or Timeouts()
        self._ca_file = ca_file
        self._check = check

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """What certificates are judged by: the usual authorities, and one's own.

        Reading them costs a twentieth of a start, and many stations never fetch anything.
        """
        context = tls_context(None)
        if self._ca_file is not None:
            context.load_verify_locations(cafile=str(self._ca_file))
        return context

    def fetch(self, told: object, sink: DownloadTarget, *, most_bytes: int, pace: Pace) -> None:
        """Fetch the video to which a link leads, from where it broke off the last time.

        Args:
            told: the link, as the API gave it.
            sink: where it goes.
            most_bytes: a larger one is not wanted.
            pace: is called before every part, and may wait.

        Raises:
            TemporaryDownloadError: it may come later; what has come is in the target.
            LinkExpiredError: the link opens nothing any more.
            RejectedDownloadError: it is not asked for, or it is no video.
        """
        link = read_link(told, allow_http=self._allow_http)
        try:
            self._follow(link, Download(sink, most_bytes, pace))
        except RemoteFileChanged:
            sink.begin(RemoteFile())
            try:
                self._follow(link, Download(sink, most_bytes, pace))
            except RemoteFileChanged:
                raise TemporaryDownloadError("the storage host sent an unrequested range") from None

    def _follow(self, link: CheckedUrl, taking: Download) -> None:
        """Ask where a link leads, and where that leads, until the file has come."""
        asked: set[httpx.URL] = set()
        for _ in range(_MOST_REDIRECTS + 1):
            if link.url in asked:
                raise RejectedDownloadError(f"{link.host} redirects in a circle")
            asked.add(link.url)
            onward = self._exchange(link, taking)
            if onward is None:
                return
            link = follow(link, onward, allow_http=self._allow_http)
        raise RejectedDownloadError(f"more than {_MOST_REDIRECTS} redirects")

    def _exchange(self, link: CheckedUrl, taking: Download) -> str | None:
        """Ask one host; return where it sends us, or None once the file has come."""
        addresses = self._addresses.of(link.host, link.port)
        began_s, before_s = time.monotonic(), taking.paced_s
        deadline = DownloadDeadline(times=self._times)

        def judge(_unacknowledged_bytes: int) -> None:
            self._check()
            busy_s = time.monotonic() - began_s - (taking.paced_s - before_s)
            if not taking.is_pacing:
                deadline.judge(busy_s, received_bytes=taking.received_bytes)

        with (
            self._errors(link),
            ExchangeWatchdog(judge) as watch,
            httpx.Client(
                verify=self._tls,
                trust_env=False,
                timeout=httpx.Timeout(None, connect=self._times.connect_s),
            ) as http,
        ):
            response = self._ask(
                http, link, addresses=addresses, headers=taking.headers(), trace=watch.trace
            )
            try:
                if response.status_code in _REDIRECTS:
                    return str(response.headers.get("Location", ""))
                taking.take(response, now_s=self._now().utc_s)
            finally:
                response.close()
        return None

    def _ask(
        self,
        http: httpx.Client,
        link: CheckedUrl,
        *,
        addresses: Sequence[Address],
        headers: Mapping[str, str],
        trace: Callable[[str, Mapping[str, object]], None],
    ) -> httpx.Response:
        """Send the request to the first address that can be reached."""
        for address in addresses:
            request = httpx.Request(
                "GET",
                link.to(str(address)),
                headers={
                    "Host": link.host_header,
                    "User-Agent": f"spotter/{__version__}",
                    "Accept": "video/*, application/octet-stream;q=0.9",
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                    **headers,
                },
                extensions={
                    "sni_hostname": link.host,  # and what the certificate is judged by
                    "trace": trace,
                    "timeout": http.timeout.as_dict(),
                },
            )
            try:
                return http.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if address == addresses[-1]:
                    raise
        raise HostUnreachableError(f"{link.host} has no address")

    @contextmanager
    def _errors(self, link: CheckedUrl) -> Iterator[None]:
        """Let foreign errors become ours; none of them contains the link."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            fault = tls_fault(error)
            if fault is not None:
                told = tls_words(fault, host=link.host, now=self._now())
            else:
                told = f"{link.host} cannot be reached"
            raise HostUnreachableError(told) from None
        except DeadlineExceededError as error:
            raise TemporaryDownloadError(f"{link.host}: {error}") from None
        except (httpx.RequestError, httpx.InvalidURL, httpx.StreamError) as error:
            raise TemporaryDownloadError(f"{link.host} broke off: {kind_words(error)}") from None
