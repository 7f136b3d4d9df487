"""HTTP responses of the API and the error that each one raises.  Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from agent.api.contract import PLANS_WITH_API
from agent.errors import (
    ApiUnavailableError,
    NotCreatedError,
    OutcomeUnknownError,
    RefusedError,
    UploadError,
)
from agent.text import plain, printable, whole_number

_MOST_WORDS = 300  # of a server's own words that we keep
_MOST_CODE = 60  # signs of its error_code
_TOO_LARGE = 413
_SURELY_NOT_MADE = frozenset({425, 429})
_KEY = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """One HTTP answer, read and bounded."""

    status: int
    body: bytes
    retry_after: str | None = None  # the header as it came
    date: str | None = None  # the server's own clock, as it came
    is_cut: bool = False  # it was longer than anybody wanted to read

    def json(self) -> object:
        """Return the body as JSON, or None where it is none."""
        try:
            return json.loads(self.body, parse_int=whole_number)
        except (ValueError, RecursionError):
            return None

    def error_words(self) -> str | None:
        """Return the server's own words, and its code, if the answer is JSON with an `error`."""
        document = self.json()
        if not isinstance(document, Mapping) or "error" not in document:
            return None
        words, code = printable(str(document["error"]), _MOST_WORDS), document.get("error_code")
        if isinstance(code, bool) or not isinstance(code, str | int) or code == "":
            return words
        return f"{words} [{printable(str(code), _MOST_CODE)}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedSession:
    """The API has made a session."""

    session_id: str
    title: str | None  # as the server says it named the session
    status: int


def session_made(answer: ApiResponse) -> CreatedSession | None:
    """Return the session that a 2xx answer names, or None where it names none."""
    document = answer.json()
    if not 200 <= answer.status < 300 or not isinstance(document, Mapping):
        return None
    session_id, title = document.get("session_id"), document.get("title")
    if not isinstance(session_id, str) or not session_id:
        return None
    return CreatedSession(
        session_id=plain(session_id),
        title=plain(title) if isinstance(title, str) else None,
        status=answer.status,
    )


def upload_failure(answer: ApiResponse, *, body_complete: bool, now_s: float) -> UploadError:
    """Return what an upload's answer without a session means.

    Args:
        answer: what the server said.
        body_complete: whether the last part of the body may have gone out before.
        now_s: Unix time, for a Retry-After given as a date.
    """
    status, words = answer.status, answer.error_words()
    told = f"HTTP {status}" + (f": {words}" if words else "")
    retry_after_s = requested_wait_s(answer, now_s=now_s)
    if status in _SURELY_NOT_MADE:
        return NotCreatedError(told, status=status, retry_after_s=retry_after_s)
    if status == 408 or status >= 500:
        kind = OutcomeUnknownError if body_complete else NotCreatedError
        return kind(told, status=status, retry_after_s=retry_after_s)
    if status < 400 and body_complete:  # a redirect too may come after the deed
        return OutcomeUnknownError(f"{told} without a session_id", status=status)
    if status == _TOO_LARGE or (words is not None and 400 <= status < 500 and status != _KEY):
        return RefusedError(told, status=status)
    return lane_fault(answer, now_s=now_s)


def lane_fault(answer: ApiResponse, *, now_s: float) -> ApiUnavailableError:
    """Return what an answer that is no proper one says of the way to the API."""
    words = answer.error_words()
    if answer.status == _KEY and words is not None:
        return ApiUnavailableError(f"the API refuses the key: {words}", reason="key", status=_KEY)
    if answer.status in {402, 403, 404} and words is not None:
        return ApiUnavailableError(
            f"the API refuses: {words}", reason="account", status=answer.status
        )
    if answer.status in {408, 429} or answer.status >= 500:
        return ApiUnavailableError(
            f"the API answers HTTP {answer.status}",
            reason="server",
            status=answer.status,
            retry_after_s=requested_wait_s(answer, now_s=now_s),
        )
    return ApiUnavailableError(
        f"HTTP {answer.status} is not an answer of the API: a captive portal or a wrong base_url?",
        reason="not_our_api",
        status=answer.status,
    )


def requested_wait_s(answer: ApiResponse, *, now_s: float) -> float | None:
    """Return the seconds that an answer asks to be left alone for, or None.

    A date is meant on the server's clock; where the answer gives that, the box's own may be wrong.
    """
    server_now_s = _http_date_s(answer.date)
    return parse_retry_after(
        answer.retry_after, now_s=now_s if server_now_s is None else server_now_s
    )


def parse_retry_after(header: str | None, *, now_s: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, or None (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    until_s = _http_date_s(text)
    return None if until_s is None else max(0.0, until_s - now_s)


def _http_date_s(text: str | None) -> float | None:
    """Return a date of HTTP as Unix time, or None where it is none."""
    try:
        moment = parsedate_to_datetime(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


_MOST_PLAN = 60  # signs of a plan's name
_MOST_SESSIONS = 1 << 53
_ADMIN_ROLES = frozenset({"admin", "subadmin"})


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Account(_Lenient):
    """Whose key it is: the answer of organization-status."""

    uid: str
    role: str
    payment_type: str | None = None
    session_number: int | None = None

    @field_validator("payment_type", mode="before")
    @classmethod
    def _plain_plan(cls, told: object) -> str | None:
        return printable(told, _MOST_PLAN) if isinstance(told, str) else None

    @field_validator("session_number", mode="before")
    @classmethod
    def _whole_number(cls, told: object) -> int | None:
        is_whole = isinstance(told, int) and not isinstance(told, bool)
        return told if is_whole and 0 <= told < _MOST_SESSIONS else None  # type: ignore[operator, return-value]  # whole, as was seen

    @property
    def has_api_access(self) -> bool:
        """Whether its plan has access to the API, as far as its name is known."""
        plan = (self.payment_type or "").strip().lower()
        return not plan or plan in PLANS_WITH_API

    @property
    def acts_for_others(self) -> bool:
        """Whether this key may send for athletes other than its owner."""
        return self.role.lower().replace("-", "").replace("_", "").replace(" ", "") in _ADMIN_ROLES


def read_account(answer: ApiResponse) -> Account:
    """Return the account that organization-status names.

    Raises:
        ApiUnavailableError: the answer is not one of the API's.
    """
    try:
        return Account.model_validate_json(answer.body)
    except ValidationError:
        raise not_our_api("the account's status") from None


def not_our_api(what: str) -> ApiUnavailableError:
    """Return the fault of a host that answers something else than the API would."""
    return ApiUnavailableError(
        f"{what} does not come from the API: a captive portal or a wrong base_url?",
        reason="not_our_api",
    )
