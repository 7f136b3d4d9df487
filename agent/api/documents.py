"""What the API says of sessions, their results and the account's athletes, parsed leniently.

The API does not fix the fields.  Whatever comes, it is harmless: values of wrong types are passed
over, names and texts are made printable, numbers of them are bounded, and a link is taken for one
only if it looks like one.  Athletes are read page by page, within fixed limits.
"""

import codecs
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import urlencode

from agent.api import contract
from agent.api.responses import ApiResponse, lane_fault, not_our_api
from agent.text import plain, printable, whole_number

_WIDEST_ZONE = timedelta(hours=14)  # the list's times carry no zone
# Of one session: more is no answer, and would become fifty times as much of objects.
_MOST_VALUE_CHARS = 4 << 20
_DAYS = ("%d/%m/%Y", "%Y-%m-%d")
_HOURS = ("%I:%M %p", "%H:%M", "%H:%M:%S", "%I:%M:%S %p")
_SPACE = " \t\r\n"
_AFTER_VALUE = frozenset(_SPACE + ",:}]")


class ListedSession(NamedTuple):
    """One session in the list; what it does not contain, or not as text, is empty."""

    session_id: str
    title: str = ""
    date: str = ""  # DD/MM/YYYY or YYYY-MM-DD, by the server's wall clock, in no known zone
    time: str = ""  # HH:MM AM/PM, or of 24 hours
    activity: str = ""
    user_id: str = ""

    def is_surely_older_than(self, moment: datetime) -> bool:
        """Tell whether the session was created before `moment` (UTC), in any time zone."""
        told = self._told_at()
        return told is not None and told + _WIDEST_ZONE < moment.replace(tzinfo=None)

    def is_surely_newer_than(self, moment: datetime) -> bool:
        """Tell whether the session was created after `moment` (UTC), in any time zone."""
        told = self._told_at()
        return told is not None and told - _WIDEST_ZONE > moment.replace(tzinfo=None)

    def _told_at(self) -> datetime | None:
        """Return when it was created by the server's wall clock, in one of the formats."""
        for day in _DAYS:
            for hour in _HOURS:
                try:
                    return datetime.strptime(f"{self.date} {self.time}", f"{day} {hour}")  # noqa: DTZ007  # the API gives no zone: all are allowed for
                except ValueError:
                    continue
        return None


def read_sessions(parts: Iterable[bytes]) -> Iterator[ListedSession]:
    """Yield the sessions of `{"sessions": {id: {...}, ...}}` while the document arrives.

    Raises:
        ValueError: it is no JSON object, or breaks off.
    """
    for session_id, told in read_documents(parts):
        yield read_session(session_id, told)


def read_documents(parts: Iterable[bytes]) -> Iterator[tuple[str, object]]:
    """Yield the id of each session and what the list contains about it, whatever that is.

    Raises:
        ValueError: as for `read_sessions`.
    """
    document = _Document(parts)
    for key in document.members():
        if key == "sessions" and document.peek() == "{":
            for session_id in document.members():
                yield session_id, document.value()
        else:
            document.value()


class _Document:
    """JSON that is taken apart member by member."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._bytes = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder(parse_int=whole_number)
        self._text = ""
        self._at = 0

    def members(self) -> Iterator[str]:
        """Yield the keys of the object that begins here; the caller takes each value."""
        self._expect("{")
        if self.peek() == "}":
            self._expect("}")
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise ValueError("a key must be a string")
            self._expect(":")
            yield key
            if self._expect(",}") == "}":
                return

    def peek(self) -> str:
        """Return the next sign that is no space."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            self._pull(1)

    def value(self) -> object:
        """Return the value that begins here; it must be followed by something."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except ValueError:
                end = len(self._text)  # so far: broken, or not yet here
            except RecursionError:
                raise ValueError("nested too deep") from None
            if self._text[end : end + 1] in _AFTER_VALUE:  # a number may continue: 100, then .5
                self._at = end
                return value
            # Twice as much each time, or a long value would be tried again at every part.
            self._pull(len(self._text) - self._at)

    def _expect(self, signs: str) -> str:
        sign = self.peek()
        if sign not in signs:
            raise ValueError(f"{sign!r} where one of {signs!r} belongs")
        self._at += 1
        return sign

    def _pull(self, at_least: int) -> None:
        """Take in more of the document, forgetting what was read."""
        pulled = [self._text[self._at :]]
        if len(pulled[0]) > _MOST_VALUE_CHARS:
            raise ValueError("a value without end")
        wanted = min(max(at_least, 1), _MOST_VALUE_CHARS - len(pulled[0]) + 1)
        while wanted > 0:
            part = next(self._parts, None)
            if part is None:
                self._bytes.decode(b"", final=True)
                break
            pulled.append(self._bytes.decode(part))
            wanted -= len(pulled[-1])
        if not any(pulled[1:]):
            raise ValueError("the document is incomplete")
        self._text, self._at = "".join(pulled), 0


def read_session(session_id: str, told: object) -> ListedSession:
    """Return what the list contains of a session by which it is known."""
    told = told if isinstance(told, dict) else {}
    made = told.get("created_at")
    made = made if isinstance(made, dict) else {}
    return ListedSession(
        plain(session_id),
        title=_text(told.get("title")),
        date=_text(made.get("date")),
        time=_text(made.get("time")),
        activity=_text(told.get("activity")),
        user_id=_text(told.get("user_id")),
    )


def _text(value: object) -> str:
    return plain(value) if isinstance(value, str) else ""


Number = float | int | str | bool
Ask = Callable[[str], ApiResponse]

_LINK_NAMES = ("analyzed_video_url", "analysed_video_url", "analyzedVideoUrl")
_LINK = re.compile(r"https?://[!-~]{1,4000}")
_STATE_NAMES = ("status", "state", "processing_status", "analysis_status")
_FAILED = frozenset({"failed", "failure", "error", "errored", "rejected"})
_WORDS_NAMES = ("error", "error_message", "failure_reason", "message", "detail")
_MOST_WRAPPING = 3  # names beside it; what has more is the session itself
_MOST_NUMBERS = 200
_MOST_NAME = 80
_MOST_TEXT = 200
_MOST_WORDS = 300
_DEEPEST = 6
_MOST_REPETITIONS = 5  # in one session, of which a list holds a value each


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What an answer says of a session."""

    document: Mapping[str, object] = field(repr=False)  # everything, as it came
    numbers: Mapping[str, Number]  # its metrics that are plain values, by their path
    link: str | None = field(repr=False)  # to the analysed video: signed, so it is shown nowhere
    failure: str | None  # the API's words for why there will be no analysis


def session_path(activity: str, session_id: str) -> str:
    """The path of the API for one session."""
    return contract.path_of("session", activity, session_id=session_id)


def export_path(activity: str, session_id: str) -> str:
    """Where the API gives key points, angles and timestamps of one session."""
    return contract.path_of("export", activity, session_id=session_id)


def link_path(activity: str, session_id: str) -> str:
    """Where the API gives the link to an analysed video; asking may make it draw one."""
    flags = dict.fromkeys(contract.rendering_flags(activity), "true")
    query = f"?{urlencode(flags)}" if flags else ""
    return contract.path_of("rendering", session_id=session_id) + query


def read_analysis(told: object, session_id: str) -> Analysis | None:
    """Return what a document says of a session; None where it is none about one.

    Args:
        told: the value that came, whatever it is.
        session_id: of the session that was asked about.
    """
    session = _unwrapped(told, session_id)
    if session is None:
        return None
    return Analysis(
        document=session,
        numbers=dict(_bounded(_plain_values(session.get("metrics"), "", _DEEPEST))),
        link=_link(session),
        failure=_failure(session),
    )


def read_link(told: object) -> str | None:
    """Return the link in an answer about an analysed video, or None."""
    return _link(told) if isinstance(told, Mapping) else None


def _unwrapped(told: object, session_id: str) -> Mapping[str, object] | None:
    """Return the session in a document that may wrap it: {…}, {"session": {…}}, {id: {…}}."""
    for _ in range(3):
        if not isinstance(told, Mapping):
            return None
        inner = next(
            (
                told[name]
                for name in ("session", "sessions", "data", session_id)
                if isinstance(told.get(name), Mapping)
            ),
            None,
        )
        if inner is None or len(told) > _MOST_WRAPPING:
            return told
        told = inner
    return told if isinstance(told, Mapping) else None


def _link(session: Mapping[str, object]) -> str | None:
    for name in _LINK_NAMES:
        value = session.get(name)
        if isinstance(value, str) and _LINK.fullmatch(value.strip()):
            return value.strip()
    return None


def _failure(session: Mapping[str, object]) -> str | None:
    told = session.get("error")
    states = (session.get(name) for name in _STATE_NAMES)
    has_failed = any(isinstance(s, str) and s.strip().lower() in _FAILED for s in states)
    if not told and not has_failed:
        return None
    words = (session.get(name) for name in _WORDS_NAMES)
    said = next((printable(word, _MOST_WORDS) for word in words if isinstance(word, str)), "")
    return said or "no reason given"


def _plain_values(value: object, path: str, depth: int) -> Iterator[tuple[str, Number]]:
    """Yield every plain value below `value`, each with its path."""
    if isinstance(value, bool | int | float | str):
        if path and _is_worth_keeping(value):
            yield path, printable(value, _MOST_TEXT) if isinstance(value, str) else value
        return
    if depth == 0:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            shown = printable(str(name), _MOST_NAME)
            yield from _plain_values(inner, f"{path}.{shown}" if path else shown, depth - 1)
    elif isinstance(value, list):
        yield from _values_of_list(value, path, depth)


def _values_of_list(value: list[Any], path: str, depth: int) -> Iterator[tuple[str, Number]]:
    """Yield the values of repetitions; a long list of plain values is a curve, and passed over."""
    if "." not in path and _are_of_repetitions(value):
        for position, inner in enumerate(value, start=1):
            yield from _plain_values(inner, path if len(value) == 1 else f"{path}.{position}", 0)
    elif all(isinstance(inner, Mapping) for inner in value):
        for position, inner in enumerate(value, start=1):
            name, inner_value = _named(inner, position)
            yield from _plain_values(inner_value, f"{path}.{name}" if path else name, depth - 1)


def _are_of_repetitions(values: list[object]) -> bool:
    """Tell whether a metric has a value for each of a few repetitions, as for jumps."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return 0 < len(numbers) == len(values) <= _MOST_REPETITIONS and all(
        _is_worth_keeping(number) for number in numbers
    )


def _named(told: Mapping[str, object], position: int) -> tuple[str, object]:
    """Return name and value of {"name": …, "value": …}; of any other object, its position."""
    name = told.get("name")
    if isinstance(name, str) and "value" in told:
        return printable(name, _MOST_NAME), told["value"]
    return str(position), told


def _is_worth_keeping(value: Number) -> bool:
    if isinstance(value, str):
        return bool(value.strip()) and "://" not in value  # a link may be a signed one
    return isinstance(value, bool) or abs(value) < 1e15  # no NaN is; and integers have no end


def _bounded(values: Iterator[tuple[str, Number]]) -> Iterator[tuple[str, Number]]:
    for _, (path, value) in zip(range(_MOST_NUMBERS), values, strict=False):
        yield path[:_MOST_NAME], value


PAGES_PATH = contract.path_of("find_users")
WHOLE_PATH = contract.path_of("users")
MOST_USERS = 20_000
_PAGE = 100  # asked for; a host may give fewer at a time
_HALF = re.compile("[\ud800-\udfff]")  # of a character
_MOST_PAGES = MOST_USERS  # one at a time is the least a page can bring

# What the API's forces and powers are computed from; whether they are there is read, no value is.
BODY_MEASURES = ("weight", "height", "leg_length", "ycom")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One athlete as the account names them; nothing else of a person is read."""

    user_id: str
    name: str = field(repr=False)
    lacks: tuple[str, ...] = ()  # body measures that the account does not have, of BODY_MEASURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """What the account said."""

    users: Sequence[User]
    complete: bool  # whether these are all


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    users: Sequence[User]
    last_id: str | None


def fetch_users(ask: Ask, *, now_s: float) -> Users:
    """Return the athletes of the account.

    Args:
        ask: asks for a path and returns the answer.
        now_s: Unix time, for a Retry-After given as a date.

    Raises:
        ApiUnavailableError: no answer, or one that is not about athletes.
    """
    paged = _fetch_pages(ask, now_s=now_s)
    if paged.complete:
        return paged
    answer = ask(WHOLE_PATH)
    if answer.status != 200:
        if paged.users:
            return paged
        raise lane_fault(answer, now_s=now_s)
    users = _unique(_read_page(answer).users)
    if len(users) < len(paged.users):
        return paged
    return Users(users=users[:MOST_USERS], complete=0 < len(users) <= MOST_USERS)


def _fetch_pages(ask: Ask, *, now_s: float) -> Users:
    """Follow the pages to their end, or to where they go round in circles."""
    found: dict[str, User] = {}
    after: str | None = None
    for _ in range(_MOST_PAGES):
        query = {"limit": str(_PAGE)} | ({} if after is None else {"start_after_id": after})
        answer = ask(f"{PAGES_PATH}?{urlencode(query)}")
        if 400 <= answer.status < 500 and answer.error_words() is not None:
            if answer.status in {401, 403}:
                raise lane_fault(answer, now_s=now_s)
            ended = answer.status == 404 and after is not None  # nobody comes after the last
            return Users(users=list(found.values()), complete=ended)
        if answer.status != 200:
            raise lane_fault(answer, now_s=now_s)
        page = _read_page(answer)
        if not page.users:
            return Users(users=list(found.values()), complete=bool(found))
        before = len(found)
        for user in page.users:
            found.setdefault(user.user_id, user)
        after = page.last_id or page.users[-1].user_id
        if len(found) == before or len(found) > MOST_USERS:
            break
    return Users(users=list(found.values())[:MOST_USERS], complete=False)


def _read_page(answer: ApiResponse) -> _Page:
    """Return the athletes in an answer; one that makes no sense is passed over."""
    document = answer.json()
    listed = document.get("users") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(listed, list):
        raise not_our_api("the list of athletes")
    last_id = document.get("last_uid")
    users = [user for entry in listed if (user := _read_user(entry)) is not None]
    return _Page(users=users, last_id=last_id if _is_id(last_id) else None)


def _read_user(entry: object) -> User | None:
    if not isinstance(entry, Mapping):
        return None
    user_id, name = entry.get("user_uid"), entry.get("display_name")
    if not _is_id(user_id):
        return None
    lacks = tuple(measure for measure in BODY_MEASURES if not _is_measured(entry.get(measure)))
    return User(user_id=user_id, name=name if isinstance(name, str) else "", lacks=lacks)


def _is_id(value: object) -> TypeGuard[str]:
    """Tell whether it can be asked for: half a character, which JSON may hold, fits in no query."""
    return isinstance(value, str) and bool(value) and not _HALF.search(value)


def _is_measured(value: object) -> bool:
    """Tell whether it is a measure, not what stands for none: nothing, zero, or another text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return 0 < float(value) < math.inf
    except (ValueError, OverflowError):
        return False


def _unique(users: Sequence[User]) -> list[User]:
    found: dict[str, User] = {}
    for user in users:
        found.setdefault(user.user_id, user)
    return list(found.values())
