"""The API over HTTP.  The only module that knows httpx; its errors become ours here."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from agent import __version__
from agent.api.answers import Answer, Made, lane_fault, session_made, upload_failure
from agent.api.body import ClipBody
from agent.api.payloads import Account, not_our_api, read_account
from agent.api.sessions import ListedSession, read_sessions
from agent.api.tls import tls_fault, tls_words
from agent.clock import Now
from agent.errors import LaneError, NotMadeError, OutcomeUnknownError

KeyHeader = Literal["Authorization", "API-KEY"]  # the two forms that the vendor's pages name
KEY_HEADERS: tuple[KeyHeader, ...] = ("Authorization", "API-KEY")

_STATUS_PATH = "/user-management/organization-status/"
_SESSIONS_PATH = "/session-management/sessions/"
_MOST_ANSWER_BYTES = 32 << 20  # more is no answer
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each part of an exchange may take, in seconds."""

    connect_s: float = 10.0
    write_s: float = 30.0  # for one part of the body
    answer_s: float = 120.0  # after the whole body went out


class ApiClient(AbstractContextManager["ApiClient"]):
    """One API host."""

    def __init__(
        self,
        base_url: str,
        *,
        now: Now,
        timeouts: Timeouts | None = None,
        ca_file: Path | None = None,
    ) -> None:
        times = timeouts or Timeouts()
        self._now = now
        self._http = httpx.Client(
            base_url=base_url,
            headers={"User-Agent": f"spotter/{__version__}", "Accept": "application/json"},
            timeout=httpx.Timeout(times.answer_s, connect=times.connect_s, write=times.write_s),
            verify=_tls(ca_file),
            follow_redirects=False,
            # A connection the server closed meanwhile would leave an upload's outcome unknown.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def organization_status(self, key: ApiKey) -> Account:
        """Return whose key it is.

        Raises:
            LaneError: no answer, or one that is not about an account.
        """
        with self._asked(_STATUS_PATH, key) as response:
            answer = _read(response)
        if answer.status != 200:
            raise lane_fault(answer, now_s=self._now().utc_s)
        return read_account(answer)

    def sessions(self, key: ApiKey, visit: Callable[[ListedSession], None]) -> bool:
        """Show every session of the account to `visit`; False where the API says there are none.

        Raises:
            LaneError: no answer, or one that is no list; `visit` may have seen a part of it.
        """
        with self._asked(_SESSIONS_PATH, key) as response:
            if response.status_code != 200:
                answer = _read(response)
                if answer.status == 404 and answer.error_words() is not None:
                    return False
                raise lane_fault(answer, now_s=self._now().utc_s)
            try:
                for session in read_sessions(_bounded(response.iter_bytes())):
                    visit(session)
            except ValueError:
                raise not_our_api("the session list") from None
        return True

    def upload(
        self, path: str, *, fields: Mapping[str, str], file_name: str, body: ClipBody, key: ApiKey
    ) -> Made:
        """Send a clip and return the session that was made of it.

        Raises:
            NotMadeError, OutcomeUnknownError, LaneError, RefusedError: as the retry table says.
        """
        with self._upload_errors(body):
            request = self._http.build_request(
                "POST",
                path,
                data=dict(fields),
                files={"video": (file_name, body, "video/mp4")},
                headers=key.headers(),
            )
            answer = _read(self._http.send(request, stream=True))
        made = session_made(answer)
        if made is None:
            raise upload_failure(answer, body_complete=body.is_complete, now_s=self._now().utc_s)
        return made

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __exit__(self, *_ended: object) -> None:
        self.close()

    @contextmanager
    def _asked(self, path: str, key: ApiKey) -> Iterator[httpx.Response]:
        """Ask a question that changes nothing; what goes wrong meanwhile is the lane's fault."""
        try:
            request = self._http.build_request("GET", path, headers=key.headers())
            response = self._http.send(request, stream=True)
            try:
                yield response
            finally:
                response.close()
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._lane_error(error) from error

    @contextmanager
    def _upload_errors(self, body: ClipBody) -> Iterator[None]:
        try:
            yield
        except _CONNECTING as error:
            raise self._lane_error(error) from error
        except httpx.RequestError as error:
            told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            if body.is_complete:
                raise OutcomeUnknownError(f"sent whole, no answer ({told})") from error
            raise NotMadeError(f"connection lost after {body.sent_bytes} bytes ({told})") from error

    def _lane_error(self, error: Exception) -> LaneError:
        fault = tls_fault(error) if isinstance(error, httpx.ConnectError) else None
        if fault is not None:
            host = self._http.base_url.host
            return LaneError(tls_words(fault, host=host, now=self._now()), reason="tls")
        told = str(error) or type(error).__name__
        return LaneError(f"the API cannot be reached: {told}", reason="network")


def _bounded(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield an answer's parts; one without end is no answer."""
    left_bytes = _MOST_LIST_BYTES
    for part in parts:
        left_bytes -= len(part)
        if left_bytes < 0:
            raise ValueError("the answer has no end")
        yield part


def _tls(ca_file: Path | None) -> ssl.SSLContext | bool:
    return True if ca_file is None else ssl.create_default_context(cafile=str(ca_file))


def _read(response: httpx.Response) -> Answer:
    """Read an answer up to a bound; what is longer is cut and will not be taken for JSON."""
    body = bytearray()
    try:
        for part in response.iter_bytes():
            body += part
            if len(body) > _MOST_ANSWER_BYTES:
                break
    finally:
        response.close()
    return Answer(
        status=response.status_code,
        body=bytes(body[:_MOST_ANSWER_BYTES]),
        retry_after=response.headers.get("Retry-After"),
        date=response.headers.get("Date"),
    )
