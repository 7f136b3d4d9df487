"""What the sandbox received: the oracle by which "delivered once" is judged."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session that was made of one upload."""

    session_id: str
    title: str
    activity: str
    user_id: str
    endpoint: str  # management or own
    fields: dict[str, str]  # as they were sent
    video_sha256: str
    video_bytes: int
    video_name: str
    video_path: Path | None
    created_at: float  # Unix time


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as it was seen from here."""

    method: str
    path: str
    query: str
    origin: str | None  # the header
    status: int | None  # None: no answer was sent
    body_bytes: int  # read
    sent_bytes: int  # of an answer's body
    is_storage: bool  # whether it came to the storage host
    key_form: str | None  # which header carried a key
    at: float  # Unix time


class Book:
    """Sessions and requests; safe from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sessions: dict[str, Session] = {}
        self._requests: list[Request] = []
        self.on_change: Callable[[str], None] = lambda _line: None

    @property
    def sessions(self) -> list[Session]:
        """Every session that exists, oldest first."""
        with self._changed:
            return list(self._sessions.values())

    @property
    def requests(self) -> list[Request]:
        """Every request that came, in the order in which they ended."""
        with self._changed:
            return list(self._requests)

    def add(self, session: Session) -> None:
        """Enter a session."""
        with self._changed:
            self._sessions[session.session_id] = session
            self._changed.notify_all()
        self.on_change(f"session {session.session_id}  {session.title}  for {session.user_id}")

    def note(self, request: Request) -> None:
        """Enter a request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def find(self, session_id: str) -> Session | None:
        """Return one session, or None."""
        with self._changed:
            return self._sessions.get(session_id)

    def change(self, session_id: str, **changed: Any) -> None:
        """Change a session's title or date."""
        with self._changed:
            self._sessions[session_id] = replace(self._sessions[session_id], **changed)
            self._changed.notify_all()

    def remove(self, session_id: str) -> None:
        """Delete a session."""
        with self._changed:
            del self._sessions[session_id]
            self._changed.notify_all()

    def wait_for(self, condition: Callable[["Book"], bool], timeout_s: float = 10.0) -> bool:
        """Wait until the book fulfils a condition; False if it does not in time."""
        latest_s = time.monotonic() + timeout_s
        with self._changed:
            while not condition(self):
                rest_s = latest_s - time.monotonic()
                if rest_s <= 0 or not self._changed.wait(rest_s):
                    return condition(self)
        return True


def new_session_id() -> str:
    """Return an id as the API makes them: 16 letters and digits."""
    return secrets.token_hex(8)
