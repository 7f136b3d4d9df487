"""The account that a sandbox plays: keys, athletes, sessions, processing."""

import hashlib
import hmac
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from agent.sandbox.faults import NO_FAULT, FaultPlan, PlannedFault


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSession:
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
    sent_bytes: int  # of an answer's body
    is_storage: bool  # whether it came to the storage host
    key_form: str | None  # which header carried a key
    at: float  # Unix time


class RequestLog:
    """Sessions and requests; safe from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sessions: dict[str, SandboxSession] = {}
        self._requests: list[Request] = []
        self.on_change: Callable[[str], None] = lambda _line: None

    @property
    def sessions(self) -> list[SandboxSession]:
        """Every session that exists, oldest first."""
        with self._changed:
            return list(self._sessions.values())

    @property
    def requests(self) -> list[Request]:
        """Every request, in the order of their answers: entered before the answer is sent whole."""
        with self._changed:
            return list(self._requests)

    def add(self, session: SandboxSession) -> None:
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

    def find(self, session_id: str) -> SandboxSession | None:
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

    def wait_for(self, condition: Callable[["RequestLog"], bool], timeout_s: float = 300.0) -> bool:
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


OWNER_UID = "owner-0001"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxKey:
    """An API key that the sandbox accepts."""

    token: str
    role: str  # admin, subadmin or user
    uid: str = OWNER_UID

    @property
    def is_admins(self) -> bool:
        """Whether it may do more than send its owner's own clips."""
        return self.role != "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxAthlete:
    """One athlete of the account."""

    user_uid: str
    display_name: str

    def document(self) -> dict[str, object]:
        """Return the athlete as the API lists them."""
        return {
            "user_uid": self.user_uid,
            "display_name": self.display_name,
            "email": f"{self.user_uid}@example.org",
            "phone": "",
            "created_at": "2026-01-05T09:00:00Z",
            "age": "27",
            "weight": 71.5,
            "height": 176,
            "leg_length": 0.91,
            "ycom": 0 if self.user_uid == "athlete-0005" else 0.96,
            "gender": "",
            "shoeSize": "",
            "brand": "",
            "shoeModel": "",
        }


ATHLETES = (
    SandboxAthlete(user_uid=OWNER_UID, display_name="Olga Owner"),
    SandboxAthlete(user_uid="someUserId123", display_name="Ada Example"),
    SandboxAthlete(user_uid="athlete-0002", display_name="Jörg Müller"),
    SandboxAthlete(user_uid="athlete-0003", display_name="李小龍"),
    SandboxAthlete(user_uid="athlete-0004", display_name="Анна Петрова"),
    SandboxAthlete(user_uid="athlete-0005", display_name="ياسمين"),
)
_NAMES = (  # given name and family name, in many scripts and directions
    *("Zoë Ångström", "Łukasz Żółć", "Nguyễn Ánh", "Σοφία Παπαδοπούλου", "Ольга Щукина"),
    *("محمد الأمين", "שירה כהן", "अनन्या शर्मा", "ธนกร ใจดี", "김민준", "さくら 田中", "王小明"),
    *("ანა ბერიძე", "Արամ Պետրոսյան", "ሰላም ተስፋዬ", "தமிழ் செல்வி", "O'Brien-Smith 3rd"),
)


def roster(count: int) -> tuple[SandboxAthlete, ...]:
    """Return an account's athletes: those that every sandbox has, and more up to `count`."""
    drawn = (
        SandboxAthlete(
            user_uid=f"athlete-{number:04}",
            display_name=f"{_NAMES[number % len(_NAMES)]} {number}",
        )
        for number in range(len(ATHLETES), count)
    )
    return (*ATHLETES, *drawn) if count > len(ATHLETES) else ATHLETES[: max(count, 1)]


PLACE = "processing"
Span = tuple[float, float]  # seconds, from and to


class ProcessingProgress(StrEnum):
    """How far a session is."""

    UNKNOWN = "unknown"  # not listed yet, and not found
    WORKING = "working"
    MEASURED = "measured"  # its metrics are there, the video waits to be asked for
    READY = "ready"
    FAILED = "failed"


@dataclass(slots=True)
class _Work:
    seconds: float
    fault: PlannedFault
    is_asked_for: bool = False


class Processing:
    """The works; safe from any thread."""

    def __init__(self, span: Span, plan: FaultPlan) -> None:
        self._span = span
        self._plan = plan
        self._chance = random.Random(0)  # noqa: S311  # a play, no secret
        self._lock = threading.Lock()
        self._works: dict[str, _Work] = {}

    def seed(self, seed: int) -> None:
        """Draw other times from now on, the same ones for the same seed."""
        self._chance.seed(seed)

    def begin(self, session: SandboxSession) -> None:
        """Draw how long a session takes, and what goes wrong with it."""
        self._work(session)

    def progress(self, session: SandboxSession, *, now_s: float) -> ProcessingProgress:
        """Return how far a session is."""
        work = self._work(session)
        passed_s = now_s - session.created_at
        what = work.fault.what
        if what == "late-session" and passed_s < work.fault.number("s", 60.0):
            return ProcessingProgress.UNKNOWN
        if what == "never-done" or passed_s < work.seconds:
            return ProcessingProgress.WORKING
        if what == "failed":
            return ProcessingProgress.FAILED
        if what == "no-rendering" and not work.is_asked_for:
            return ProcessingProgress.MEASURED
        return ProcessingProgress.READY

    def set_span(self, span: Span) -> None:
        """Let sessions whose processing begins from now on take so long."""
        with self._lock:
            self._span = span

    def restart(self) -> None:
        """Process every session again, each for a newly drawn time and with the faults of now."""
        with self._lock:
            self._works.clear()

    def ask_for_video(self, session: SandboxSession) -> None:
        """Let a video that waits for that be drawn."""
        self._work(session).is_asked_for = True

    def fault_of(self, session: SandboxSession) -> PlannedFault:
        """Return what goes wrong with a session."""
        return self._work(session).fault

    def _work(self, session: SandboxSession) -> _Work:
        with self._lock:
            work = self._works.get(session.session_id)
            if work is None:
                fault = self._plan.take(PLACE) or NO_FAULT
                work = _Work(self._chance.uniform(*self._span), fault)
                self._works[session.session_id] = work
            return work


def parse_span(text: str) -> Span:
    """Return the span that a text describes: 5, or 2-90.

    Raises:
        ValueError: it describes none.
    """
    first, _, last = text.partition("-")
    try:
        span = float(first), float(last or first)
    except ValueError:
        raise ValueError(f"no seconds: {text!r}; as in 5, or 2-90") from None
    if not 0 <= span[0] <= span[1]:
        raise ValueError(f"{text!r}: seconds go from few to many, as in 2-90")
    return span


def signed_path(path: str, *, expires_at: float, secret: bytes) -> str:
    """Return a path with what proves, until a Unix time, that it may be read."""
    expires = str(int(expires_at))
    return f"{path}?{urlencode({'expires': expires, 'signature': _sign(path, expires, secret)})}"


def fault_of_link(
    path: str, query: Mapping[str, str], *, secret: bytes, now_s: float
) -> str | None:
    """Return why a link opens nothing, or None where it does."""
    expires = query.get("expires", "")
    told = query.get("signature", "").encode()
    if not hmac.compare_digest(told, _sign(path, expires, secret).encode()):
        return "SignatureDoesNotMatch"
    return "ExpiredToken" if now_s > int(expires) else None


def _sign(path: str, expires: str, secret: bytes) -> str:
    return hmac.new(secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


class SandboxAccount:
    """What the endpoints read and write; safe from any thread."""

    def __init__(
        self,
        first_key: SandboxKey,
        videos: Path,
        processing_s: float | Span,
        *,
        faults: Sequence[str] = (),
    ) -> None:
        """Open the account.

        Args:
            first_key: the key that is accepted at first.
            videos: where received videos are.
            processing_s: until a session's analysed video is there; of a span, each session
                draws its own.
            faults: what goes wrong, as `faults.parse_fault` reads it.
        """
        self.book = RequestLog()
        self.plan = FaultPlan(faults)
        self.videos = videos
        span = processing_s if isinstance(processing_s, tuple) else (processing_s, processing_s)
        self.processing = Processing(span, self.plan)
        self.clock: Callable[[], float] = time.time  # by which sessions are made and analysed
        self.key_form: str | None = None  # the only header form that is accepted; None: both
        self.link_s = 3600.0  # how long a link to a video opens it
        self.link_secret = secrets.token_bytes(16)
        self.storage_url = ""  # where videos are: a host of its own
        self.stopping = threading.Event()
        self.rename: Callable[[str], str] = str  # what becomes of the titles of new sessions
        self.athletes: Sequence[SandboxAthlete] = ATHLETES
        self.old_sessions = 0  # that the account has had for years
        self.plan_name = "Enterprise"
        self.plan_limit: int | None = None  # sessions that its plan has
        self.limit_is_per_user = False
        self.allowed_domain: str | None = None  # from which its keys may be used; None: any
        self.ends_in_slash = False  # how the path of a session to change or delete is written
        self._keys = {first_key.token: first_key}

    @property
    def tokens(self) -> list[str]:
        """The keys it accepts."""
        return list(self._keys)

    def key_named(self, token: str | None) -> SandboxKey | None:
        """Return an accepted key, or None."""
        return None if token is None else self._keys.get(token)

    def name_of(self, user_uid: str) -> str:
        """Return the name of an athlete."""
        names = {athlete.user_uid: athlete.display_name for athlete in self.athletes}
        return names.get(user_uid, "Somebody")

    def add_key(self, token: str, *, role: str, uid: str = OWNER_UID) -> None:
        """Accept one more key."""
        self._keys[token] = SandboxKey(token=token, role=role, uid=uid)

    def replace_key(self, token: str, *, role: str = "admin") -> None:
        """Revoke all keys and accept this one."""
        self._keys = {token: SandboxKey(token=token, role=role)}

    def link(self, path: str) -> str:
        """Return a link that opens a file of the storage host for a while."""
        expires_at = time.time() + self.link_s
        return self.storage_url + signed_path(path, expires_at=expires_at, secret=self.link_secret)

    def add_fault(self, text: str) -> None:
        """Let one more thing go wrong."""
        self.plan.add(text)

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        self.plan.clear()
