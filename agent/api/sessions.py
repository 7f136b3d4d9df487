"""The list of sessions, read as it arrives: an account of many years needs no more memory."""

import codecs
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from agent.api.texts import plain, whole_number

_WIDEST_ZONE = timedelta(hours=14)  # the list's times carry no zone
# Of one session: more is no answer, and would become fifty times as much of objects.
_MOST_VALUE_CHARS = 4 << 20
_DAYS = ("%d/%m/%Y", "%Y-%m-%d")
_HOURS = ("%I:%M %p", "%H:%M", "%H:%M:%S", "%I:%M:%S %p")
_SPACE = " \t\r\n"
_AFTER_VALUE = frozenset(_SPACE + ",:}]")


class ListedSession(NamedTuple):
    """One session in the list; what it does not tell, or not as a text, is empty."""

    session_id: str
    title: str = ""
    date: str = ""  # DD/MM/YYYY or YYYY-MM-DD, by the server's wall clock, in no known zone
    time: str = ""  # HH:MM AM/PM, or of 24 hours
    activity: str = ""
    user_id: str = ""

    def is_surely_older_than(self, moment: datetime) -> bool:
        """Tell whether the session was made before `moment` (UTC) in whatever zone it is told."""
        told = self._told_at()
        return told is not None and told + _WIDEST_ZONE < moment.replace(tzinfo=None)

    def is_surely_newer_than(self, moment: datetime) -> bool:
        """Tell the same of a session that was made after `moment`."""
        told = self._told_at()
        return told is not None and told - _WIDEST_ZONE > moment.replace(tzinfo=None)

    def _told_at(self) -> datetime | None:
        """Return when it was made by the server's wall clock, in one of the ways it is told."""
        for day in _DAYS:
            for hour in _HOURS:
                try:
                    return datetime.strptime(f"{self.date} {self.time}", f"{day} {hour}")  # noqa: DTZ007  # the API tells no zone: all are allowed for
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
    """Yield the id of each session and what the list tells of it, whatever that is.

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
            if self._text[end : end + 1] in _AFTER_VALUE:  # a number may go on: 100, then .5
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
            raise ValueError("the document breaks off")
        self._text, self._at = "".join(pulled), 0


def read_session(session_id: str, told: object) -> ListedSession:
    """Return what the list tells of a session that it is known by."""
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
