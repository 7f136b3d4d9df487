"""Files of storage hosts, to which the API's links lead: fetched without the key, and with doubt.

The host is whatever the link says, so it is trusted with nothing.  It gets no key and no cookie.
Its name is resolved once, every address is judged, and the connection goes to just that address
(a name that is resolved again could say another).  Redirects are followed by hand, each judged
like the first.  Proxies of the environment are left aside: behind one, nobody could tell where a
name leads.  Nothing is unpacked, and nothing is larger or slower than it may be.
"""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from agent import __version__
from agent.api.deadline import DownloadDeadline, OutOfTimeError, Timeouts
from agent.api.link import Link, follow, read_link
from agent.api.partial import Origin, OtherFile
from agent.api.public_address import Address
from agent.api.resolving import Addresses, Resolve, resolve_by_system
from agent.api.taking import Pace, Sink, Taking
from agent.api.tls import tls_context, tls_fault, tls_words
from agent.api.watch import Watch
from agent.clock import Now
from agent.errors import HostUnreachableError, NotNowError, UnfitError

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
        self._addresses = Addresses(api.hostname or "", resolve)
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

    def fetch(self, told: object, sink: Sink, *, most_bytes: int, pace: Pace) -> None:
        """Fetch the video to which a link leads, from where it broke off the last time.

        Args:
            told: the link, as the API told it.
            sink: where it goes.
            most_bytes: a larger one is not wanted.
            pace: looks on.

        Raises:
            NotNowError: it may come later; what has come is in the sink.
            LinkExpiredError: the link opens nothing any more.
            UnfitError: it is not asked for, or it is no video.
        """
        link = read_link(told, allow_http=self._allow_http)
        try:
            self._follow(link, Taking(sink, most_bytes, pace))
        except OtherFile:
            sink.begin(Origin())
            try:
                self._follow(link, Taking(sink, most_bytes, pace))
            except OtherFile:
                raise NotNowError("the storage host answers with parts nobody asked for") from None

    def _follow(self, link: Link, taking: Taking) -> None:
        """Ask where a link leads, and where that leads, until the file has come."""
        asked: set[httpx.URL] = set()
        for _ in range(_MOST_REDIRECTS + 1):
            if link.url in asked:
                raise UnfitError(f"{link.host} redirects in a circle")
            asked.add(link.url)
            onward = self._exchange(link, taking)
            if onward is None:
                return
            link = follow(link, onward, allow_http=self._allow_http)
        raise UnfitError(f"more than {_MOST_REDIRECTS} redirects")

    def _exchange(self, link: Link, taking: Taking) -> str | None:
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
            Watch(judge) as watch,
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
        link: Link,
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
    def _errors(self, link: Link) -> Iterator[None]:
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
        except OutOfTimeError as error:
            raise NotNowError(f"{link.host}: {error}") from None
        except (httpx.RequestError, httpx.InvalidURL, httpx.StreamError) as error:
            raise NotNowError(f"{link.host} broke off ({type(error).__name__})") from None
