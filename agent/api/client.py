"""The API over HTTP.  Only this package uses httpx; its errors become the agent's own here."""

import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Literal

import httpx

from agent import __version__
from agent.api.contract import path_of, query_of
from agent.api.documents import ListedSession, read_documents, read_session
from agent.api.responses import (
    Account,
    ApiResponse,
    CreatedSession,
    lane_fault,
    not_our_api,
    read_account,
    session_made,
    upload_failure,
)
from agent.api.tls import no_authorities, tls_context, tls_fault, tls_words
from agent.api.transfer import (
    ClipBody,
    DeadlineExceededError,
    ExchangeWatchdog,
    Timeouts,
    UploadDeadline,
    longest_answer_s,
    no_cookies,
)
from agent.clock import Now
from agent.errors import (
    ApiUnavailableError,
    NotCreatedError,
    OutcomeUnknownError,
    TimedOutError,
    plain_words,
)
from agent.settings.model import ApiSettings

ACCEPTED = {"Accept": "application/json", "Accept-Encoding": "gzip"}  # what is asked for
_NAMES = frozenset({"gzip", "x-gzip"})  # one and the same (RFC 9110, 8.4.1.3)
_MOST_AT_ONCE = 256 << 10  # unpacked bytes
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def body_parts(response: httpx.Response) -> Iterator[bytes]:
    """Yield the body of an answer as it arrives, unpacked, in parts that are never large.

    Raises:
        httpx.RequestError: it breaks off, or is not packed as it says.
    """
    parts = response.iter_raw()
    if response.headers.get("Content-Encoding", "").strip().lower() in _NAMES:
        return _unpacked(parts)
    return parts


def _unpacked(parts: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        for part in parts:
            left = part
            while left and not unpacker.eof:
                yield unpacker.decompress(left, _MOST_AT_ONCE)
                left = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error:
        raise httpx.DecodingError("the answer is not compressed as declared") from None


KeyHeader = Literal["Authorization", "API-KEY"]  # the two forms that the vendor's pages name
Method = Literal["GET", "POST", "PUT", "DELETE"]
KEY_HEADERS: tuple[KeyHeader, ...] = ("Authorization", "API-KEY")

STATUS_PATH = path_of("organization_status")
_NO_SESSION = "none"
_SESSIONS_PATH = path_of("sessions")
_MOST_FOUND_BYTES = 256 << 10  # of the sessions with one title; more is no answer to that
_OTHER_FORM = frozenset({301, 302, 307, 308, 404})  # where a path wants a slash more, or less
_SILENT_S = 25.0  # a connection that is closed after so long without an answer met a time-out
_MOST_ANSWER_BYTES = 8 << 20  # more is no answer
_MOST_LIST_BYTES = 2 << 30  # of a list that is read as it arrives
_CONNECTING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key and the header in which it is sent."""

    token: str
    header: KeyHeader

    def headers(self) -> dict[str, str]:
        """Return the header that carries the key."""
        if self.header == "Authorization":
            return {"Authorization": f"API-KEY {self.token}"}
        return {"API-KEY": self.token}

    def __repr__(self) -> str:
        return f"ApiKey(header={self.header!r})"  # the token stays out of every message


def _never() -> None:
    """Stand in where nobody ends exchanges from outside."""


class ApiClient(AbstractContextManager["ApiClient"]):
    """One API host."""

    def __init__(
        self,
        base_url: str,
        *,
        now: Now,
        timeouts: Timeouts | None = None,
        ca_file: Path | None = None,
        origin: str | None = None,
        check: Callable[[], None] = _never,
    ) -> None:
        """Prepare the way to a host; nothing is connected yet.

        Args:
            base_url: the host's address.
            now: the station's clock.
            timeouts: None for the usual ones.
            ca_file: a certificate authority to trust instead of the usual ones.
            origin: the address that requests say they come from, for keys bound to a domain.
            check: what it raises ends any exchange that is under way, whatever that waits for.
        """
        self._times = timeouts or Timeouts()
        self._now = now
        self._check = check
        self._base_url = base_url
        self._from = {} if origin is None else {"Origin": origin, "Referer": f"{origin}/"}
        self._ends_in_slash = False  # the path of a session to change or delete, at this host
        self._own_authority = None if ca_file is None else tls_context(ca_file)

    @cached_property
    def _http(self) -> httpx.Client:
        """What is asked; made with the first exchange: reading the usual authorities takes time."""
        return httpx.Client(
            base_url=self._base_url,
            headers={"User-Agent": f"spotter/{__version__}", **ACCEPTED, **self._from},
            timeout=httpx.Timeout(None, connect=self._times.connect_s),  # see `ExchangeWatchdog`
            verify=self._judge(),
            follow_redirects=False,
            cookies=no_cookies(),
            # A connection the server closed meanwhile would leave an upload's outcome unknown.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def _judge(self) -> ssl.SSLContext:
        """What certificates are judged by; a plain address, the sandbox's, shows none."""
        if self._own_authority is not None:
            return self._own_authority
        is_over_tls = httpx.URL(self._base_url).scheme == "https"
        return tls_context(None) if is_over_tls else no_authorities()

    def organization_status(self, key: ApiKey) -> Account:
        """Return whose key it is.

        Raises:
            ApiUnavailableError: no answer, or one that is not about an account.
        """
        with self._asked(STATUS_PATH, key) as response:
            answer = _read(response)
        if answer.status != 200:
            raise lane_fault(answer, now_s=self._now().utc_s)
        return read_account(answer)

    def opens_anything(self, key: ApiKey) -> bool:
        """Tell whether the API serves a key at all: of a session that is none, it says so.

        Raises:
            ApiUnavailableError: no answer.
        """
        answer = self.ask("GET", path_of("session", "running", session_id=_NO_SESSION), key)
        return answer.status == 404 and answer.error_words() is not None

    def sessions(self, key: ApiKey, visit: Callable[[ListedSession], None]) -> bool:
        """Show every session of the account to `visit`; False where the API says there are none.

        Raises:
            ApiUnavailableError: no answer, or not a list; `visit` may have seen a part of it.
        """
        return self.documents(key, lambda id_, told: visit(read_session(id_, told)))

    def documents(self, key: ApiKey, visit: Callable[[str, object], None]) -> bool:
        """Do the same with the id of every session and all that the list contains about it.

        Raises:
            ApiUnavailableError: as for `sessions`.
        """
        return self._documents(_SESSIONS_PATH, key, visit, most_bytes=_MOST_LIST_BYTES)

    def find_sessions(self, key: ApiKey, title: str) -> list[ListedSession]:
        """Return the sessions whose title holds a text, as the API's filter finds them.

        Raises:
            ApiUnavailableError: no answer, or one that is no such list.
        """
        found: list[ListedSession] = []

        def visit(session_id: str, told: object) -> None:
            session = read_session(session_id, told)
            if title.lower() in session.title.lower():  # else the filter lets everything pass
                found.append(session)

        path = query_of("find_sessions", title=title)
        try:
            self._documents(path, key, visit, most_bytes=_MOST_FOUND_BYTES)
        except ApiUnavailableError:
            if not found:
                raise
        return found

    def _documents(
        self, path: str, key: ApiKey, visit: Callable[[str, object], None], *, most_bytes: int
    ) -> bool:
        with self._asked(path, key) as response:
            if response.status_code != 200:
                answer = _read(response)
                if answer.status == 404 and answer.error_words() is not None:
                    return False
                raise lane_fault(answer, now_s=self._now().utc_s)
            try:
                for session_id, told in read_documents(_bounded(body_parts(response), most_bytes)):
                    visit(session_id, told)
            except ValueError:
                raise not_our_api("the session list") from None
        return True

    def change_session(
        self, session_id: str, key: ApiKey, changes: Mapping[str, str]
    ) -> ApiResponse:
        """Change the title or the date of a session, and return the answer.

        Raises:
            ApiUnavailableError: no answer.
        """
        return self._at_session(
            "PUT", path_of("change_session", session_id=session_id), key, changes
        )

    def delete_session(self, session_id: str, key: ApiKey) -> ApiResponse:
        """Delete a session, and return the answer.

        Raises:
            ApiUnavailableError: no answer.
        """
        return self._at_session("DELETE", path_of("delete_session", session_id=session_id), key)

    def _at_session(
        self, method: Method, path: str, key: ApiKey, document: Mapping[str, str] | None = None
    ) -> ApiResponse:
        """Ask at a session's path in the form that served last, else in the other one."""
        for ends_in_slash in (self._ends_in_slash, not self._ends_in_slash):
            form = f"{path}/" if ends_in_slash else path
            answer = self.ask(method, form, key, document=document)
            if answer.status not in _OTHER_FORM or answer.json() is not None:
                self._ends_in_slash = ends_in_slash
                return answer
        return answer

    def ask(
        self,
        method: Method,
        path: str,
        key: ApiKey,
        *,
        document: Mapping[str, object] | None = None,
        most_bytes: int = _MOST_ANSWER_BYTES,
    ) -> ApiResponse:
        """Ask something that may be asked again, and return the answer, whatever it says.

        Args:
            method: of the request.
            path: what is asked.
            key: for whom.
            document: sent along as JSON.
            most_bytes: of an answer; a longer one is cut, and so no JSON.

        Raises:
            ApiUnavailableError: no answer.
        """
        with self._asked(path, key, method=method, document=document) as response:
            return _read(response, most_bytes)

    def save(self, path: str, key: ApiKey, target: IO[bytes], *, most_bytes: int) -> ApiResponse:
        """Write a good answer's body to a file as it arrives, and return the answer without it.

        Raises:
            ApiUnavailableError: no answer, or it broke off; the file may hold a part of it.
        """
        with self._asked(path, key) as response:
            if response.status_code != 200:
                return _read(response)
            left_bytes = most_bytes
            for part in body_parts(response):
                left_bytes -= len(part)
                if left_bytes < 0:
                    break
                target.write(part)
        return ApiResponse(status=200, body=b"", is_cut=left_bytes < 0)

    def upload(
        self, path: str, *, fields: Mapping[str, str], file_name: str, body: ClipBody, key: ApiKey
    ) -> CreatedSession:
        """Send a clip and return the session that was made of it.

        Raises:
            UploadError: one of its subclasses, as the retry table says.
        """
        with self._upload_errors(body), ExchangeWatchdog(self._judge_of(body)) as watch:
            request = self._http.build_request(
                "POST",
                path,
                data=dict(fields),
                files={"video": (file_name, body, "video/mp4")},
                headers=key.headers(),
                extensions={"trace": watch.trace},
            )
            answer = _read(self._http.send(request, stream=True))
        made = session_made(answer)
        if made is None:
            raise upload_failure(answer, body_complete=body.is_complete, now_s=self._now().utc_s)
        return made

    def close(self) -> None:
        """Close the connections, if there were any."""
        if "_http" in self.__dict__:
            self._http.close()

    def __exit__(self, *_ended: object) -> None:
        self.close()

    @contextmanager
    def _asked(
        self,
        path: str,
        key: ApiKey,
        *,
        method: Method = "GET",
        document: Mapping[str, object] | None = None,
    ) -> Iterator[httpx.Response]:
        """Ask what may be asked again; what goes wrong meanwhile is the lane's fault."""
        began_s = time.monotonic()
        answers: list[httpx.Response] = []

        def judge(_unacknowledged_bytes: int) -> None:
            self._check()
            received_bytes = sum(answer.num_bytes_downloaded for answer in answers)
            longest_s = longest_answer_s(self._times, received_bytes=received_bytes)
            if time.monotonic() - began_s > longest_s:
                raise DeadlineExceededError(f"no complete answer within {longest_s:.0f} s")

        try:
            with ExchangeWatchdog(judge) as watch:
                request = self._http.build_request(
                    method,
                    path,
                    headers=key.headers(),
                    json=document,
                    extensions={"trace": watch.trace},
                )
                answers.append(self._http.send(request, stream=True))
                try:
                    yield answers[0]
                finally:
                    answers[0].close()
        except (httpx.RequestError, httpx.InvalidURL, DeadlineExceededError) as error:
            raise self._lane_error(error) from error

    def _judge_of(self, body: ClipBody) -> Callable[[int], None]:
        """Return what watches an upload while it runs."""
        began_s = time.monotonic()
        deadline = UploadDeadline(size_bytes=body.size_bytes, times=self._times)

        def judge(unacknowledged_bytes: int) -> None:
            self._check()
            now_s = time.monotonic()
            is_out = body.is_complete and unacknowledged_bytes == 0
            body.out_at_s = (body.out_at_s or now_s) if is_out else None
            deadline.judge(
                now_s - began_s - body.throttled_s,
                arrived_bytes=body.sent_bytes - unacknowledged_bytes,
                is_out=is_out,
            )

        return judge

    @contextmanager
    def _upload_errors(self, body: ClipBody) -> Iterator[None]:
        try:
            yield
        except _CONNECTING as error:
            raise self._lane_error(error) from error
        except (httpx.RequestError, DeadlineExceededError) as error:
            told = plain_words(error)
            if body.is_complete:
                kind = TimedOutError if _was_silent(error, body) else OutcomeUnknownError
                raise kind(f"sent completely, no answer ({told})") from error
            way = f"{body.sent_bytes} of {body.size_bytes} bytes"
            raise NotCreatedError(f"not sent completely: {way} ({told})") from error

    def _lane_error(self, error: Exception) -> ApiUnavailableError:
        fault = tls_fault(error) if isinstance(error, httpx.ConnectError) else None
        if fault is not None:
            host = self._http.base_url.host
            return ApiUnavailableError(tls_words(fault, host=host, now=self._now()), reason="tls")
        return ApiUnavailableError(
            f"the API cannot be reached: {plain_words(error)}", reason="network"
        )


def _was_silent(error: Exception, body: ClipBody) -> bool:
    """Tell whether an answer did not come in time, for us or for whatever closed the connection."""
    silent_s = 0.0 if body.out_at_s is None else time.monotonic() - body.out_at_s
    return isinstance(error, DeadlineExceededError) or silent_s >= _SILENT_S


def _bounded(parts: Iterator[bytes], most_bytes: int) -> Iterator[bytes]:
    """Yield an answer's parts; one without end is no answer."""
    left_bytes = most_bytes
    for part in parts:
        left_bytes -= len(part)
        if left_bytes < 0:
            raise ValueError("the answer does not end")
        yield part


def _read(response: httpx.Response, most_bytes: int = _MOST_ANSWER_BYTES) -> ApiResponse:
    """Read an answer up to a bound; what is longer is cut and will not be taken for JSON."""
    body = bytearray()
    try:
        for part in body_parts(response):
            body += part
            if len(body) > most_bytes:
                break
    finally:
        response.close()
    return ApiResponse(
        status=response.status_code,
        body=bytes(body[:most_bytes]),
        is_cut=len(body) > most_bytes,
        retry_after=response.headers.get("Retry-After"),
        date=response.headers.get("Date"),
    )


WAIT_S = 10.0


def ask_whose_key(api: ApiSettings, token: str, *, now: Now) -> ApiResponse:
    """Return the answer to the first form of the key that the host takes, else the last one.

    Raises:
        ApiUnavailableError: nobody answered, or the host rejects the key everywhere.
    """
    headers = KEY_HEADERS if api.key_header == "auto" else (api.key_header,)
    keys = [ApiKey(token=token, header=header) for header in headers]
    with ApiClient(
        api.base_url,
        now=now,
        timeouts=Timeouts(connect_s=min(api.connect_timeout_s, WAIT_S), answer_s=WAIT_S),
        ca_file=api.ca_file,
        origin=api.origin,
    ) as client:
        for key in keys:
            answer = client.ask("GET", STATUS_PATH, key)
            if answer.status != 401:
                break
        if answer.status == 403 and not client.opens_anything(key):
            told = f"the API rejects the key everywhere: {answer.error_words()}"
            raise ApiUnavailableError(told, reason="domain", status=403)
    return answer
