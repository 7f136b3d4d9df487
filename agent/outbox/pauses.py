"""Stored pauses: of uploads, of stages, and the limits that the API has reported."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from agent.clock import Now
from agent.errors import AgentError
from agent.outbox.database import OutboxDatabase, built
from agent.outbox.models import Entry
from agent.stage import StageName

PLAN_LIMIT = "plan_limit"  # the pause for sessions that are used up: look-ups continue
FOLDER_MISSING = "folder_missing"  # the pause of intake without a capture folder
FOLDER_IN_USE = "folder_in_use"  # the pause of intake while another daemon has that folder
LIMITS_IN_ROW = 2  # athletes whose sessions are used up: it is the plan's limit
TRIAL_AFTER_S = 3600.0  # so long after a refusal for its limit, an athlete's clip is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """The way to one API host, as it stood when it was read."""

    host: str
    paused_reason: str | None = None  # None: open
    paused_detail: str | None = None
    paused_at: float | None = None
    next_probe_at: float | None = None
    probes: int = 0  # probes in a row that failed
    key_header: str | None = None  # which form of the key header this host accepts
    role: str | None = None
    uid: str | None = None  # whose key it is
    answered_at: float | None = None  # last good answer about the account with the present key
    titles_altered: int = 0  # 1: this host changed the title of a session it made
    last_error: str | None = None
    last_error_at: float | None = None
    key_digest: str | None = None  # of the key that all this was said of
    key_expires_at: float | None = None  # Unix time, as the key itself says
    plan: str | None = None  # what the account pays for
    session_number: int | None = None  # sessions of the organization, when it last answered

    @property
    def answers(self) -> bool:
        """Whether the host answers for the key: its sessions may be used up all the same."""
        return self.paused_reason in {None, PLAN_LIMIT}


_lane = partial(built, LaneState)


class Lanes:
    """The table of lanes, one row per host."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def get(self, host: str) -> LaneState:
        """Return the lane to `host`; open and unknown where it was never used."""
        found = self._db.one(_lane, "SELECT * FROM lane WHERE host = ?", (host,))
        return LaneState(host=host) if found is None else found

    def all(self) -> list[LaneState]:
        """Return every lane that was ever used."""
        return self._db.all(_lane, "SELECT * FROM lane")

    def update(self, host: str, changes: Mapping[str, object]) -> LaneState:
        """Set columns of a lane and return it as it then stands."""
        settings = ", ".join(f"{column} = ?" for column in changes)
        with self._db.transaction():
            self._db.change("INSERT OR IGNORE INTO lane (host) VALUES (?)", (host,))
            self._db.change(
                f"UPDATE lane SET {settings} WHERE host = ?",  # noqa: S608  # column names are ours
                (*changes.values(), host),
            )
        return self.get(host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """The clips that wait because the sessions of their athletes are used up."""

    clips: int
    athletes: int
    since: float  # Unix time
    next_try_at: float
    detail: str  # the API's words


class Limits:
    """The athletes whose sessions are used up, and the clips that may go all the same."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def note(self, account: str, user_id: str | None, *, now_s: float, detail: str) -> int:
        """Record a refusal; return for how many athletes in a row there was nothing else."""
        values = {
            "account": account,
            "user": user_id or "",
            "now": now_s,
            "next": now_s + TRIAL_AFTER_S,
            "detail": detail,
        }
        with self._db.transaction():
            self._db.change(_NOTE, values)
            row = self._db.row(_IN_ROW, {"account": account})
        return 0 if row is None else int(row["athletes"])

    def in_row(self, account: str) -> int:
        """Return how many athletes were refused since something was last delivered."""
        return self._db.number(_IN_ROW, {"account": account})

    def next_try_at(self, account: str) -> float | None:
        """Return when the limit of the athlete who was refused last may be tried, or None."""
        return self._db.value(
            float,
            "SELECT max(next_try_at) AS at FROM session_limit WHERE account = ? AND in_row",
            (account,),
        )

    def begin_trial(self, account: str, user_id: str | None, *, now_s: float) -> None:
        """Record beforehand that an athlete's limit is tried: once an hour, whatever happens."""
        self._db.change(
            "UPDATE session_limit SET next_try_at = ? WHERE account = ? AND user_id = ?",
            (now_s + TRIAL_AFTER_S, account, user_id or ""),
        )

    def lift(self, account: str, user_id: str | None) -> None:
        """Record a delivery: its athlete has sessions, and the account too."""
        with self._db.transaction():
            self._db.change(
                "DELETE FROM session_limit WHERE account = ? AND user_id = ?",
                (account, user_id or ""),
            )
            self._db.change(
                "UPDATE session_limit SET in_row = 0, tries = 0 WHERE account = ? AND in_row",
                (account,),
            )

    def try_now(self, account: str | None) -> None:
        """Let every limit of an account be tried at once: a person asks for it."""
        query = "UPDATE session_limit SET next_try_at = 0 WHERE account = ?"
        self._db.change(query, (account or "",))

    def forget(self) -> None:
        """Forget all limits: another key may have other ones."""
        self._db.change("DELETE FROM session_limit")

    def next_free(self, account: str, now_s: float, *, smallest: bool = False) -> Entry | None:
        """Return the clip that is longest due, of an athlete whose sessions are not used up."""
        query = SMALLEST_FREE if smallest else NEXT_FREE
        return self._db.one(Entry.from_row, query, {"account": account, "now": now_s})

    def next_trial(self, account: str, now_s: float) -> Entry | None:
        """Return the smallest clip with which a limit may be tried, of those least often tried."""
        values = {"account": account, "now": now_s, "latest": now_s + TRIAL_AFTER_S}
        return self._db.one(Entry.from_row, NEXT_TRIAL, values)

    def limited(self, account: str | None) -> Limited | None:
        """Return what waits for the limits of an account, or None where nothing does."""
        row = self._db.row(LIMITED, {"account": account or ""})
        if row is None or not row["clips"]:
            return None
        return built(Limited, row)


_NOTE = """
INSERT INTO session_limit (account, user_id, since, next_try_at, tries, in_row, detail)
VALUES (:account, :user, :now, :next, 1, 1, :detail)
ON CONFLICT (account, user_id) DO UPDATE SET
    next_try_at = :next, tries = tries + 1, in_row = 1, detail = :detail
"""

_IN_ROW = """
SELECT count(*) AS athletes FROM session_limit WHERE account = :account AND in_row
"""

NEXT_FREE = """
SELECT * FROM entry WHERE state = 'ready' AND due_at <= :now
   AND coalesce(user_id, '') NOT IN (SELECT user_id FROM session_limit WHERE account = :account)
 ORDER BY due_at, id LIMIT 1
"""  # index: entry_by_state_and_due

SMALLEST_FREE = """
SELECT * FROM entry WHERE state = 'ready' AND due_at <= :now
   AND coalesce(user_id, '') NOT IN (SELECT user_id FROM session_limit WHERE account = :account)
 ORDER BY clip_bytes, id LIMIT 1
"""  # index: entry_by_state_and_due

NEXT_TRIAL = """
SELECT entry.* FROM entry
  JOIN session_limit AS l ON l.account = :account AND l.user_id = coalesce(entry.user_id, '')
 WHERE state = 'ready' AND due_at <= :now
   AND (l.next_try_at <= :now OR l.next_try_at > :latest)
 ORDER BY l.tries, entry.clip_bytes, entry.id LIMIT 1
"""  # index: entry_by_state_and_due

LIMITED = """
SELECT count(*) AS clips, count(DISTINCT l.user_id) AS athletes, min(l.since) AS since,
       min(l.next_try_at) AS next_try_at, max(l.detail) AS detail
  FROM entry JOIN session_limit AS l
    ON l.account = :account AND l.user_id = coalesce(entry.user_id, '')
 WHERE entry.state = 'ready'
"""  # index: entry_by_state_and_due


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """One part of a capture's way that waits."""

    part: str  # intake, analysis, clearing, archive, settings or page
    reason: str  # a stable word, as in disk_full
    detail: str  # in a sentence, with what would help
    since: float  # Unix time


class Pauses:
    """The table of pauses, at most one a part."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def all(self) -> list[Pause]:
        """Return every pause there is."""
        return self._db.all(partial(built, Pause), "SELECT * FROM pause ORDER BY part")

    def begin(self, pause: Pause) -> None:
        """Record a pause; one that continues for the same reason keeps its beginning."""
        self._db.change(
            """
            INSERT INTO pause (part, reason, detail, since) VALUES (?, ?, ?, ?)
            ON CONFLICT (part) DO UPDATE SET
                detail = excluded.detail,
                since = iif(reason = excluded.reason, since, excluded.since),
                reason = excluded.reason
            """,
            (pause.part, pause.reason, pause.detail, pause.since),
        )

    def end(self, part: str) -> None:
        """Forget the pause of a part."""
        self._db.change("DELETE FROM pause WHERE part = ?", (part,))

    def forget(self) -> None:
        """Forget what the last run waited for: this one finds out for itself."""
        self._db.change("DELETE FROM pause")


log = structlog.get_logger()


class PauseReporter:
    """The pause of one stage: begun and ended as often as anybody likes, logged once.

    A pause that cannot be recorded, such as on a disk that is full to the last block, is logged
    all the same and recorded as soon as that goes again.
    """

    def __init__(self, pauses: Pauses, stage: StageName, *, now: Now) -> None:
        self._pauses = pauses
        self._stage = stage
        self._now = now
        self._told: tuple[str, str] | None = None  # reason and detail
        self._recorded = True  # whether the table says so too
        self._since = 0.0

    @property
    def reason(self) -> str | None:
        """Why it waits; None: it does not."""
        return None if self._told is None else self._told[0]

    def begin(self, reason: str, detail: str) -> None:
        """Wait, or keep waiting; the log hears of it once for each reason."""
        if self._told == (reason, detail) and self._recorded:
            return
        if self.reason != reason:
            self._since = self._now().utc_s
            log.error("stage paused", stage=self._stage, reason=reason, detail=detail)
        self._told = (reason, detail)
        self._recorded = self._record(
            Pause(part=self._stage, reason=reason, detail=detail, since=self._since)
        )

    def end(self) -> None:
        """Wait no longer."""
        if self._told is not None:
            log.info("stage resumed", stage=self._stage, after=self.reason)
            self._told, self._recorded = None, False
        if not self._recorded:
            self._recorded = self._record(None)

    def _record(self, pause: Pause | None) -> bool:
        try:
            if pause is None:
                self._pauses.end(self._stage)
            else:
                self._pauses.begin(pause)
        except (sqlite3.DatabaseError, OSError, AgentError):
            return False
        return True
