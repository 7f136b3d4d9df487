"""What became of sessions: follow-ups until their analysis has ended, then documents and videos.

Follow-ups go waiting -> completed | failed | gone | not_seen.  The last three may still become
completed: by a later request, while there is a `due_at`, or by a person's.  Rows are made and ended
by triggers on the entries too, so that whatever gave an entry its session, it is followed.

The row of a result holds what the station shows; everything that the API returned is beside it in a
file, which was durable before the row was.  File and row may be lost: the API still has them.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

from agent.disk.state_folder import (
    StateFolder,
    fsync_file,
    give_to_owner_of,
    move_durably,
    write_new,
)
from agent.outbox.database import OutboxDatabase, Row, built, count_by_state
from agent.outbox.models import Entry
from agent.text import read_json

Number = float | int | str | bool


class DocumentState(StrEnum):
    """What there is of the file with everything that the API returned."""

    NONE = "none"
    PARTIAL = "partial"  # what the list contained: no angles, no timestamps
    PRESENT = "present"
    CLEARING = "clearing"  # may be gone: unlinking was begun
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came back of one clip, as it stood when it was read."""

    entry_id: int
    session_id: str
    got_at: float  # Unix time
    numbers: Mapping[str, Number]  # every metric that is a plain value, by its path
    analysed_video_url: str | None = field(repr=False)  # a signed link: never shown unasked
    url_at: float | None  # when the API gave it: it may expire
    document_state: DocumentState
    document_bytes: int
    video_state: str  # of the fetched video: none, wanted, fetching, present, cleared or failed
    video_detail: str | None
    video_bytes: int

    @classmethod
    def from_row(cls, row: Row) -> "Result":
        """Build a result from a row of its table."""
        return built(
            cls,
            row,
            numbers=json.loads(row["numbers"]),
            document_state=DocumentState(row["document_state"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResult:
    """What an answer of the API says of a session whose analysis is there."""

    numbers: Mapping[str, Number]
    analysed_video_url: str | None = field(repr=False)
    document_bytes: int  # of the file that holds everything; 0: there is none
    document_state: DocumentState = DocumentState.PRESENT


class Results:
    """The table of results."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def of_entry(self, entry_id: int) -> Result | None:
        """Return what came back of a clip, or None."""
        return self._db.one(Result.from_row, "SELECT * FROM result WHERE entry_id = ?", (entry_id,))

    def of_entries(self, entry_ids: Collection[int]) -> dict[int, Result]:
        """Return what came back of some clips, by their id."""
        query = "SELECT * FROM result WHERE entry_id IN (SELECT value FROM json_each(?))"
        rows = self._db.rows(query, (json.dumps(list(entry_ids)),))
        return {result.entry_id: result for result in map(Result.from_row, rows)}

    def record(self, entry_id: int, new: NewResult, *, now_s: float) -> bool:
        """Keep what came back, in the place of what came before; the fetched video stays.

        False where the clip is nobody's any more: its athlete was forgotten, or it was discarded.
        """
        values = {
            "id": entry_id,
            "now": now_s,
            "numbers": json.dumps(dict(new.numbers)),
            "url": new.analysed_video_url,
            "bytes": new.document_bytes,
            "file": new.document_state if new.document_bytes else DocumentState.NONE,
        }
        return bool(self._db.change(RECORD, values))

    def note_link(self, entry_id: int, url: str, *, now_s: float) -> None:
        """Keep a fresh link to the analysed video."""
        self._db.change(
            "UPDATE result SET analysed_video_url = ?, url_at = ? WHERE entry_id = ?",
            (url, now_s, entry_id),
        )

    def documents(self) -> Iterator[tuple[int, str, int]]:
        """Yield entry id, clip code and size of every file that should be there."""
        for row in self._db.rows(DOCUMENTS):
            yield int(row["id"]), str(row["clip_code"]), int(row["document_bytes"])

    def note_document_lost(self, entry_id: int, *, now_s: float) -> None:
        """Let a file that is missing or torn be fetched again."""
        with self._db.transaction():
            self._db.change(
                "UPDATE result SET document_state = 'none', document_bytes = 0 WHERE entry_id = ?",
                (entry_id,),
            )
            self.fetch_again(entry_id, now_s=now_s)

    def fetch_again(self, entry_id: int, *, now_s: float) -> None:
        """Let the whole document of a completed session be asked for once more."""
        self._db.change(
            "UPDATE follow_up SET due_at = ?, failures = 0, fence = fence + 1"
            " WHERE entry_id = ? AND state = 'completed'",
            (now_s, entry_id),
        )

    def forget(self, entry_ids: Collection[int], *, now_s: float) -> None:
        """Let nothing be known of what came of some clips, and nobody ask again."""
        ids = {"ids": json.dumps(list(entry_ids)), "now": now_s}
        with self._db.transaction():
            for statement in FORGET:
                self._db.change(statement, ids)


# A signed link is given again with every answer; none in a later one leaves the one we have.
RECORD = """
INSERT INTO result (entry_id, session_id, got_at, numbers, analysed_video_url, url_at,
                    document_state, document_bytes)
SELECT id, session_id, :now, :numbers, :url, iif(:url IS NULL, NULL, :now), :file, :bytes
  FROM entry
 WHERE id = :id AND session_id IS NOT NULL AND state IN ('uploaded', 'completed')
   AND NOT (user_id IS NULL AND recipient = 'unknown')
ON CONFLICT (entry_id) DO UPDATE SET
    session_id = excluded.session_id, got_at = excluded.got_at, numbers = excluded.numbers,
    analysed_video_url = coalesce(excluded.analysed_video_url, analysed_video_url),
    url_at = coalesce(excluded.url_at, url_at),
    document_state = excluded.document_state, document_bytes = excluded.document_bytes
"""

DOCUMENTS = """
SELECT entry.id, entry.clip_code, result.document_bytes
  FROM result JOIN entry ON entry.id = result.entry_id
 WHERE result.document_state IN ('partial', 'present')
"""  # index: result_on_disk
# The row goes: no number of theirs stays.  Their files are removed by name, row or none.
FORGET = (
    """
    UPDATE follow_up SET state = 'gone', detail = 'its athlete was forgotten', due_at = NULL,
                         fence = fence + 1, changed_at = :now
     WHERE entry_id IN (SELECT value FROM json_each(:ids))
    """,
    "DELETE FROM result WHERE entry_id IN (SELECT value FROM json_each(:ids))",
)


MOST_DOCUMENT_BYTES = 16 << 20
_MOST_HEAD_BYTES = 1 << 18
_OPENING, _BETWEEN = b'{"spotter": ', b',\n"session": '


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What Spotter made of a document."""

    session_id: str
    got_at: float  # Unix time
    whole: bool  # False: it is what the list contained, without angles and timestamps
    numbers: Mapping[str, Number]


def write_document(
    folder: StateFolder, clip_code: str, head: Head, session: Mapping[str, object]
) -> int:
    """Write a document so that it is there whole or not at all; return its size.

    0 where it is too large or nested too deep to be kept.

    Raises:
        OSError: the disk refuses; what was there before stays.
    """
    try:
        content = b"".join((_OPENING, _encoded(asdict(head)), _BETWEEN, _encoded(session), b"}\n"))
    except RecursionError:
        return 0
    if len(content) > MOST_DOCUMENT_BYTES:
        return 0
    path = folder.result_document(clip_code)
    unfinished = folder.tmp / f"{path.name}.{os.getpid()}"  # a command may write at the same time
    try:
        write_new(unfinished, content)
        give_to_owner_of(folder.root, unfinished)  # a command may be root's
        fsync_file(unfinished)
        move_durably(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return len(content)


def read_head(path: Path) -> Head | None:
    """Return the head of a document, or None where there is none as we write it."""
    try:
        with path.open("rb") as file:
            line = file.readline(_MOST_HEAD_BYTES)
            file.seek(-2, os.SEEK_END)
            ends = file.read() == b"}\n"
    except OSError:
        return None
    if not (ends and line.startswith(_OPENING) and line.endswith(b",\n")):
        return None
    try:
        return Head(**read_json(line[len(_OPENING) : -2]))
    except (ValueError, TypeError):
        return None


def read_session(path: Path) -> Mapping[str, object] | None:
    """Return what the API returned, as it came, or None where there is no such document."""
    try:
        with path.open("rb") as file:
            told = read_json(file.read(MOST_DOCUMENT_BYTES + 1))
    except (OSError, ValueError):
        return None
    session = told.get("session") if isinstance(told, Mapping) else None
    return session if isinstance(session, Mapping) else None


def _encoded(value: object) -> bytes:
    """Return JSON that any reader takes: what is no number there is null."""
    try:
        return json.dumps(value, allow_nan=False).encode("ascii")
    except ValueError:
        plain = json.loads(json.dumps(value), parse_constant=lambda _name: None)
        return json.dumps(plain).encode("ascii")


class VideoState(StrEnum):
    """What there is of an analysed video."""

    NONE = "none"
    WANTED = "wanted"
    FETCHING = "fetching"  # in the hands of the one living daemon
    PRESENT = "present"
    CLEARED = "cleared"  # was here, and went for its age or for space
    FAILED = "failed"  # not fetched, and why is on record


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedVideo:
    """An analysed video that is requested."""

    entry_id: int
    clip_code: str
    activity: str
    session_id: str
    link: str | None = field(repr=False)  # signed: as it was given the last time


_video = partial(built, WantedVideo)


class Videos:
    """The columns about videos in the table of results."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def want(self, entry_id: int, *, now_s: float) -> VideoState | None:
        """Request a clip's analysed video; return what there is of it, None for no result."""
        self._db.change(WANT, {"id": entry_id, "now": now_s})
        return self.state(entry_id)

    def want_all(self, *, got_after: float, now_s: float) -> int:
        """Request every video that was never requested, of results from then on."""
        return self._db.change(WANT_ALL, {"after": got_after, "now": now_s})

    def state(self, entry_id: int) -> VideoState | None:
        """Return what there is of a clip's analysed video; None where there is no result."""
        row = self._db.row("SELECT video_state FROM result WHERE entry_id = ?", (entry_id,))
        return None if row is None else VideoState(str(row["video_state"]))

    def wanted(self, *, most: int) -> list[WantedVideo]:
        """Return what is requested, the latest takes first."""
        return self._db.all(_video, WANTED, (most,))

    def of_entry(self, entry_id: int) -> WantedVideo | None:
        """Return what is needed to fetch a clip's analysed video, requested or not."""
        return self._db.one(_video, f"{_JOINED} WHERE result.entry_id = ?", (entry_id,))

    def begin(self, entry_id: int) -> bool:
        """wanted -> fetching."""
        return self._move(entry_id, VideoState.WANTED, VideoState.FETCHING)

    def put_back(self, entry_id: int, detail: str | None) -> bool:
        """fetching -> wanted: it comes another time, from where it broke off."""
        return self._move(entry_id, VideoState.FETCHING, VideoState.WANTED, detail)

    def fail(self, entry_id: int, detail: str) -> bool:
        """fetching -> failed, until somebody requests it again."""
        return self._move(entry_id, VideoState.FETCHING, VideoState.FAILED, detail)

    def place(self, entry_id: int, size_bytes: int, *, now_s: float) -> bool:
        """fetching | wanted | none -> present; False where it is not requested any more."""
        return bool(self._db.change(PLACE, {"id": entry_id, "bytes": size_bytes, "now": now_s}))

    def lose(self, entry_id: int) -> None:
        """present -> none: its file is not there, or torn."""
        self._db.change(LOSE, (entry_id,))

    def oldest_present(self, *, but: int, older_than: int | None = None) -> int | None:
        """Return the entry of the oldest take whose video is here, or None.

        Args:
            but: not this one.
            older_than: only of entries before this one.
        """
        return self._db.value(int, OLDEST, {"but": but, "before": older_than or _ANY})

    def resume_interrupted(self) -> int:
        """Put back what the last run, or a step that failed, held in its hands."""
        return self._db.change(RESUME)

    def present(self) -> dict[str, tuple[int, int]]:
        """Return entry id and size of every video that should be here, by its clip code."""
        return {
            str(row["clip_code"]): (int(row["id"]), int(row["video_bytes"]))
            for row in self._db.rows(PRESENT)
        }

    def _move(
        self, entry_id: int, leaves: VideoState, to: VideoState, detail: str | None = None
    ) -> bool:
        return bool(self._db.change(MOVE, (to, detail, entry_id, leaves)))


_ANY = 1 << 62  # more than any id
_JOINED = """
SELECT result.entry_id, entry.clip_code, entry.activity, result.session_id,
       result.analysed_video_url AS link
  FROM result JOIN entry ON entry.id = result.entry_id
"""
WANTED = f"""
{_JOINED} WHERE result.video_state = 'wanted' ORDER BY result.entry_id DESC LIMIT ?
"""  # index: result_by_video
PRESENT = """
SELECT entry.id, entry.clip_code, result.video_bytes
  FROM result JOIN entry ON entry.id = result.entry_id WHERE result.video_state = 'present'
"""  # index: result_by_video
OLDEST = """
SELECT entry_id FROM result
 WHERE video_state = 'present' AND entry_id != :but AND entry_id < :before
 ORDER BY entry_id LIMIT 1
"""  # index: result_by_video
WANT = """
UPDATE result SET video_state = 'wanted', video_detail = NULL, video_at = :now
 WHERE entry_id = :id AND video_state IN ('none', 'cleared', 'failed')
"""
WANT_ALL = """
UPDATE result SET video_state = 'wanted', video_detail = NULL, video_at = :now
 WHERE video_state = 'none' AND got_at > :after
"""  # index: result_by_video
MOVE = """
UPDATE result SET video_state = ?, video_detail = ? WHERE entry_id = ? AND video_state = ?
"""
PLACE = """
UPDATE result SET video_state = 'present', video_detail = NULL, video_bytes = :bytes,
                  video_at = :now
 WHERE entry_id = :id AND video_state IN ('fetching', 'wanted', 'none')
"""
LOSE = """
UPDATE result SET video_state = 'none', video_bytes = 0
 WHERE entry_id = ? AND video_state = 'present'
"""
RESUME = "UPDATE result SET video_state = 'wanted' WHERE video_state = 'fetching'"


class FollowUpState(StrEnum):
    """What is known of a session's analysis."""

    WAITING = "waiting"  # not there yet
    COMPLETED = "completed"  # there
    FAILED = "failed"  # the API says that it failed
    GONE = "gone"  # the API does not know the session, or its clip was discarded
    NOT_SEEN = "not_seen"  # did not come in time: looked for no more


FOLLOW_UP_WORDS: dict[FollowUpState, str] = {
    FollowUpState.WAITING: "its analysis is pending",
    FollowUpState.COMPLETED: "its analysis is complete",
    FollowUpState.FAILED: "its analysis failed at the API",
    FollowUpState.GONE: "the session no longer exists at the API",
    FollowUpState.NOT_SEEN: "its analysis was not completed in time: check again with --look",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """One session that is asked about, as it stood when it was read."""

    entry_id: int
    session_id: str
    state: FollowUpState
    detail: str | None  # the reason in words
    fence: int  # raised by every change; who holds an older one changes nothing
    polls: int  # requests that were answered
    failures: int  # requests in a row that the API failed on
    absences: int  # requests in a row that did not find the session
    due_at: float | None  # Unix time of the next request; None: there is none any more
    began_at: float
    first_asked_at: float | None
    last_asked_at: float | None
    changed_at: float
    clip_code: str  # the entry's
    activity: str  # the entry's
    filmed_at: float | None  # the entry's

    @property
    def words(self) -> str:
        """What is known of the analysis, for a person."""
        told = FOLLOW_UP_WORDS[self.state]
        return f"{told}: {self.detail}" if self.detail else told

    @classmethod
    def from_row(cls, row: Row) -> "FollowUp":
        """Build a follow-up from a row of its table, joined with its entry."""
        return built(cls, row, state=FollowUpState(row["state"]))


class FollowUps:
    """The table of follow-ups."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def of_entry(self, entry_id: int) -> FollowUp | None:
        """Return what is known of a clip's session; None where it has none."""
        return self._db.one(
            FollowUp.from_row, f"{_FOLLOWED} WHERE follow_up.entry_id = ?", (entry_id,)
        )

    def of_entries(self, entry_ids: Collection[int]) -> dict[int, FollowUp]:
        """Return what is known of some clips' sessions, by the clip's id."""
        rows = self._db.rows(OF_ENTRIES, (json.dumps(list(entry_ids)),))
        return {found.entry_id: found for found in map(FollowUp.from_row, rows)}

    def due(
        self, now_s: float, *, first_look_s: float, most: int, farthest_s: float
    ) -> list[FollowUp]:
        """Return the sessions that are due to be asked about, the longest due first.

        Those that are completed come last: all that is missing of them is the whole document.

        Args:
            now_s: Unix time.
            first_look_s: how long after its upload a session is first due.
            most: no more than so many.
            farthest_s: no request is planned further off: one that is means that the clock jumped.
        """
        limits = {"now": now_s, "first": first_look_s, "most": most, "farthest": farthest_s}
        return self._db.all(FollowUp.from_row, DUE, limits)

    def open(self, *, most: int) -> list[FollowUp]:
        """Return the sessions that are still looked for, due or not, the longest waiting first."""
        return self._db.all(FollowUp.from_row, OPEN, (most,))

    def next_due_at(self, *, first_look_s: float) -> float | None:
        """Return when the next session is due, or None."""
        return self._db.value(float, NEXT_DUE, {"first": first_look_s})

    def note(
        self, follow_up: FollowUp, changes: Mapping[str, object], *, now_s: float
    ) -> FollowUp | None:
        """Set columns of one that is as the caller knows it; None where somebody was first.

        Args:
            follow_up: as it was read; its fence guards the change.
            changes: the columns and their new values.
            now_s: Unix time.
        """
        values = {**changes, "changed_at": now_s}
        settings = ", ".join(f"{column} = ?" for column in values)
        changed = self._db.change(
            f"UPDATE follow_up SET {settings}, fence = fence + 1 WHERE entry_id = ? AND fence = ?",  # noqa: S608  # column names are ours
            (*values.values(), follow_up.entry_id, follow_up.fence),
        )
        return self.of_entry(follow_up.entry_id) if changed else None

    def resume(self, entry_id: int, *, now_s: float) -> bool:
        """Request an analysis again, as on the first day; False where there is nothing to do."""
        return bool(self._db.change(RESUME_FOLLOWING, {"id": entry_id, "now": now_s}))

    def counts(self) -> dict[str, int]:
        """Return how many sessions are in each state."""
        return count_by_state(self._db, "follow_up", FollowUpState)

    def oldest_waiting_at(self) -> float | None:
        """Return since when the longest waiting session waits for its analysis, or None."""
        return self._db.value(
            float, "SELECT min(began_at) AS at FROM follow_up WHERE state = 'waiting'"
        )


_FOLLOWED = """
SELECT follow_up.*, entry.clip_code, entry.activity, entry.filmed_at
  FROM follow_up JOIN entry ON entry.id = follow_up.entry_id
"""
OF_ENTRIES = f"""
{_FOLLOWED} WHERE follow_up.entry_id IN (SELECT value FROM json_each(?))
"""  # noqa: S608  # our own words
# The few that are still looked for, whatever their number of requests: a partial index holds them.
_FIRST = "iif(follow_up.last_asked_at IS NULL, :first, 0.0)"
DUE = f"""
{_FOLLOWED}
 WHERE follow_up.due_at >= 0
   AND (follow_up.due_at + {_FIRST} <= :now OR follow_up.due_at > :now + :farthest)
 ORDER BY follow_up.state = 'completed', follow_up.due_at LIMIT :most
"""  # our own words; index: follow_up_due
OPEN = f"""
{_FOLLOWED}
 WHERE follow_up.due_at >= 0 AND follow_up.state != 'completed'
 ORDER BY follow_up.due_at LIMIT ?
"""  # our own words; index: follow_up_due
NEXT_DUE = f"""
SELECT min(due_at + {_FIRST}) AS at FROM follow_up WHERE due_at >= 0
"""  # noqa: S608  # our own words; index: follow_up_due
RESUME_FOLLOWING = """
UPDATE follow_up
   SET state = 'waiting', detail = NULL, polls = 0, failures = 0, absences = 0,
       due_at = :now, began_at = :now, last_asked_at = :now, changed_at = :now, fence = fence + 1
 WHERE entry_id = :id AND state != 'completed'
   AND EXISTS (SELECT 1 FROM entry WHERE id = :id AND state = 'uploaded'
                  AND NOT (user_id IS NULL AND recipient = 'unknown'))
"""


LEAST_LAG_S = 60.0  # an upload sooner after filming than this has the right time by itself


class Dates:
    """The table of sessions' dates."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def next_due(self, now_s: float, *, since_s: float, farthest_s: float) -> Entry | None:
        """Return a delivered clip whose session is to be dated now, or None.

        Args:
            now_s: Unix time.
            since_s: what was delivered before is left as it is.
            farthest_s: what is due later than in so many seconds is due: the clock jumped.
        """
        values = {"now": now_s, "since": since_s, "lag": LEAST_LAG_S, "latest": now_s + farthest_s}
        return self._db.one(Entry.from_row, NEXT_DATED, values)

    def failures(self, entry_id: int) -> int:
        """Return how often in a row a session could not be dated."""
        query = "SELECT failures FROM session_date WHERE entry_id = ?"
        return self._db.number(query, (entry_id,))

    def note(
        self, entry_id: int, state: str, *, due_at: float, failures: int, detail: str | None
    ) -> None:
        """Record its outcome: waiting, dated, or refused for good."""
        self._db.change(
            """
            INSERT INTO session_date (entry_id, state, due_at, failures, detail)
            VALUES (:entry, :state, :due, :failures, :detail)
            ON CONFLICT (entry_id) DO UPDATE SET
                state = :state, due_at = :due, failures = :failures, detail = :detail
            """,
            {
                "entry": entry_id,
                "state": state,
                "due": due_at,
                "failures": failures,
                "detail": detail,
            },
        )


NEXT_DATED = """
SELECT entry.* FROM entry LEFT JOIN session_date AS d ON d.entry_id = entry.id
 WHERE entry.sent_at >= :since AND entry.state IN ('uploaded', 'completed')
   AND entry.session_id IS NOT NULL AND entry.filmed_at IS NOT NULL
   AND entry.sent_at - entry.filmed_at > :lag
   AND (d.entry_id IS NULL
        OR (d.state = 'waiting' AND (d.due_at <= :now OR d.due_at > :latest)))
 ORDER BY entry.sent_at LIMIT 1
"""  # index: entry_by_sending
