"""Resumable downloads from storage hosts, without the API key and with every answer checked.

The host is whatever the link says, so it is trusted with nothing.  It gets no key and no cookie.
Its name is resolved once, every address is judged, and the connection goes to just that address
(a name that is resolved again could say another).  Redirects are followed by hand, each judged
like the first.  Proxies of the environment are left aside: behind one, nobody could tell where a
name leads.  Nothing is unpacked, and nothing is larger or slower than it may be.
"""

import re
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

import httpx

from agent import __version__
from agent.api.responses import ApiResponse, requested_wait_s
from agent.api.tls import tls_context, tls_fault, tls_words
from agent.api.transfer import DeadlineExceededError, DownloadDeadline, ExchangeWatchdog, Timeouts
from agent.api.url_guard import (
    Address,
    AllowedAddresses,
    CheckedUrl,
    Resolve,
    follow,
    read_link,
    resolve_by_system,
)
from agent.clock import Now
from agent.errors import (
    HostUnreachableError,
    LinkExpiredError,
    RejectedDownloadError,
    TemporaryDownloadError,
)

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
    total_bytes: int | None = None  # as the host told; None: it did not


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
    """Read the answer to a wish for what lies beyond the end."""
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


ENOUGH_BYTES = 12  # from the beginning, to tell what it is
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


# Is told before the first part, and of every part before the next is asked for.  It may take its
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
        self.paced_s = 0.0  # that were our own wish
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
            told: the link, as the API told it.
            sink: where it goes.
            most_bytes: a larger one is not wanted.
            pace: looks on.

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
        """Let foreign errors become ours; none of them tells the link."""
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
            raise TemporaryDownloadError(
                f"{link.host} broke off ({type(error).__name__})"
            ) from None
