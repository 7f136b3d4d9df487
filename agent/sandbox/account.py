"""The account that a sandbox plays: its keys, its books, its faults."""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.sandbox.book import Book
from agent.sandbox.faults import FaultPlan
from agent.sandbox.links import signed_path
from agent.sandbox.people import ATHLETES, OWNER_UID, Athlete, Key
from agent.sandbox.processing import Processing, Span


class Account:
    """What the endpoints read and write; safe from any thread."""

    def __init__(
        self,
        first_key: Key,
        videos: Path,
        processing_s: float | Span,
        *,
        faults: Sequence[str] = (),
        key_form: str | None = None,
        link_s: float = 3600.0,
        seed: int = 0,
    ) -> None:
        """Open the account.

        Args:
            first_key: the key that is accepted at first.
            videos: where received videos lie.
            processing_s: until a session's analysed video is there; of a span, each session
                draws its own.
            faults: what goes wrong, as `faults.parse_fault` reads it.
            key_form: the only header form that is accepted; None for both.
            link_s: how long a link to a video opens it.
            seed: of what is drawn by chance.
        """
        self.book = Book()
        self.plan = FaultPlan(faults)
        self.videos = videos
        span = processing_s if isinstance(processing_s, tuple) else (processing_s, processing_s)
        self.processing = Processing(span, self.plan, seed=seed)
        self.clock: Callable[[], float] = time.time  # by which sessions are made and analysed
        self.key_form = key_form
        self.link_s = link_s
        self.link_secret = secrets.token_bytes(16)
        self.storage_url = ""  # where videos lie: a host of its own
        self.stopping = threading.Event()
        self.rename: Callable[[str], str] = str  # what becomes of the titles of new sessions
        self.athletes: Sequence[Athlete] = ATHLETES
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

    def key_named(self, token: str | None) -> Key | None:
        """Return an accepted key, or None."""
        return None if token is None else self._keys.get(token)

    def name_of(self, user_uid: str) -> str:
        """Return the name of an athlete."""
        names = {athlete.user_uid: athlete.display_name for athlete in self.athletes}
        return names.get(user_uid, "Somebody")

    def add_key(self, token: str, *, role: str, uid: str = OWNER_UID) -> None:
        """Accept one more key."""
        self._keys[token] = Key(token=token, role=role, uid=uid)

    def replace_key(self, token: str, *, role: str = "admin") -> None:
        """Revoke all keys and accept this one."""
        self._keys = {token: Key(token=token, role=role)}

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
