"""The change log: what the database is about to commit, in a file beside it.

One line a commit, written and made durable before the commit.  A line is a checksum, a number
that rises by one, and JSON; blank lines stand between them, so that no single damaged byte costs
more than one line.  What the database loses, the ledger still knows.

    5f0c… 17 {"rows": [["entry", {…}]]}     the rows of one commit, each as it then stood
    81aa… 18 {"void": 17}                   ... which failed after all
    c2d1… 19 {"lost_at": 1795000000.0}      what happened before is not all on record
    03b7… 40 {"begins": […], "rows": 12}    a new ledger: twelve lines that hold the whole outbox

Appending needs the database's write lock, which serialises it over all processes.
"""

import errno
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.disk.state_folder import (
    device_of,
    fsync_folder,
    give_to_owner_of,
    note_seq,
    noted_seq,
    open_plain,
    rewriting,
)
from agent.outbox.journal.snapshots import Key, Sidecars, every_key, order_of, read_image

_APPENDING = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHECK_BYTES = 8
_TAIL_BYTES = 1 << 16
_LONGEST_LINE_BYTES = 1 << 26  # none is nearly as long: what is longer is damage

Image = Mapping[str, object]
Rows = list[tuple[str, Image]]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line that is as it was written."""

    seq: int
    content: Mapping[str, object]

    @property
    def rows(self) -> Rows:
        """The rows of the commit, as kind and image; none where it is no commit."""
        rows = self.content.get("rows")
        return [(str(kind), image) for kind, image in rows] if isinstance(rows, list) else []


@dataclass(slots=True, kw_only=True)
class LogSurvey:
    """What a ledger is worth."""

    first_seq: int | None = None  # None: it has no beginning
    last_seq: int = 0
    damaged: int = 0  # lines that are not as they were written
    torn: bool = False  # the last line is unfinished: its commit was never made
    has_gap: bool = False  # lines are missing
    last_missing: int = -1  # the highest number of which a line is missing
    voided: set[int] = field(default_factory=set)
    written_by: tuple[str, ...] = ()  # the migrations of the Spotter that began it
    lost_at: float | None = None  # Unix time before which the history is incomplete
    _rows_due: int = 0  # lines that the beginning still announces

    @property
    def is_whole(self) -> bool:
        """Whether it contains everything, up to the last commit."""
        return self.first_seq is not None and not self.damaged and not self.has_gap

    def note(self, seq: int, body: bytes) -> None:
        """Take note of the next line that is as it was written."""
        if body.startswith(b'{"begins"') and self.first_seq is None:
            self._begin(seq, json.loads(body))
            return
        if self._rows_due and seq == self.last_seq:
            self._rows_due -= 1
            return
        self.end_beginning()
        if seq != self.last_seq + 1:  # without a beginning, even that line may be in part
            self.note_missing(seq - (self.first_seq is not None))
        self.last_seq = max(self.last_seq, seq)
        if body.startswith(b'{"void"'):
            self.voided.add(int(json.loads(body)["void"]))
        elif body.startswith(b'{"lost_at"'):
            self.lost_at = float(json.loads(body)["lost_at"])

    def end_beginning(self) -> None:
        """Note that no more lines come of those that hold the whole outbox."""
        if self._rows_due:
            self.note_missing(self.last_seq)
            self._rows_due = 0

    def _begin(self, seq: int, header: Mapping[str, Any]) -> None:
        if 0 < self.last_seq < seq - 1:
            self.note_missing(seq - 1)
        if header["rows"] is None:
            self.note_missing(seq)
        self.first_seq = seq
        self.last_seq = max(self.last_seq, seq)
        self.written_by = tuple(header["begins"])
        self.lost_at = header.get("lost_at")
        self._rows_due = header["rows"] or 0

    def note_missing(self, latest: int) -> None:
        """Note that lines are missing, the last of them with this number."""
        self.has_gap = True
        self.last_missing = max(self.last_missing, latest)


class ChangeLog:
    """The file, append only until it is rewritten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._device = device_of(path.parent)
        self._known: tuple[int, int, int] | None = None  # inode, size, and the last line's number

    def append(self, content: Mapping[str, object], *, after: int) -> int:
        """Make one line durable and return its number.

        Args:
            content: what it says.
            after: the number that the database has reached; a ledger that knows less continues
                from there, and shows the gap.

        Raises:
            OSError: it is not durable; what is there of it counts for nothing.
        """
        if device_of(self.path.parent) != self._device:  # never a write to another disk
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(self.path))
        fd = os.open(self.path, _APPENDING, 0o660)
        try:
            found = os.fstat(fd)
            is_new = found.st_size == 0
            seq = max(self._last_seq(fd, found), after) + 1
            line = _encode(seq, content)
            if is_new:
                line = _encode(seq - 1, {"begins": [], "rows": None}) + line
            self._write(fd, line, back_to=found.st_size)
            self._known = (found.st_ino, found.st_size + len(line), seq)
        finally:
            os.close(fd)
        note_seq(self.path.parent, seq)
        if is_new:
            give_to_owner_of(self.path.parent, self.path)
            fsync_folder(self.path.parent)
        return seq

    def read_noted_seq(self) -> int:
        """Return the number that was last noted on the folder itself; 0 where there is none.

        No file's content contains it, so that it shows when older files were put into the folder.
        """
        return noted_seq(self.path.parent)

    def survey(self) -> LogSurvey:
        """Read the whole ledger and say what it is worth."""
        survey, bad_at_end = LogSurvey(), 0
        for seq, body in self._raw():
            if seq is None:
                survey.damaged += 1
                bad_at_end += 1
            else:
                bad_at_end = 0
                survey.note(seq, body)
        survey.end_beginning()
        survey.torn = bad_at_end > 0 and not self._ends_a_line()
        survey.damaged -= survey.torn
        if bad_at_end > survey.torn:
            survey.note_missing(survey.last_seq + bad_at_end - survey.torn)
        return survey

    def lines(self, *, after: int = -1) -> Iterator[LogRecord]:
        """Yield the lines that are as they were written, in order, with greater numbers only."""
        for seq, body in self._raw():
            if seq is not None and seq > after:
                yield LogRecord(seq, json.loads(body))

    def tells_nothing(self, *, after: int, before: int) -> bool:
        """Tell whether every commit between two numbers has failed, as its end surely shows."""
        with open_plain(self.path) as file:
            size_bytes = file.seek(0, os.SEEK_END)
            file.seek(max(0, size_bytes - _TAIL_BYTES))
            tail = file.read()
        commits, voided = set(range(after + 1, before)), set[int]()
        for line in reversed(tail.split(b"\n")):
            seq, body = _decode(line)
            if seq is not None and seq <= after:
                return commits == voided
            if seq is not None and seq < before and body.startswith(b'{"void"'):
                commits.discard(seq)
                voided.add(int(json.loads(body)["void"]))
        return False

    def rewrite(
        self,
        rows: Iterable[tuple[str, Image]],
        *,
        seq: int,
        count: int,
        written_by: Iterable[str],
        lost_at: float | None = None,
    ) -> None:
        """Put a ledger of the whole outbox, as it stands after `seq`, into this one's place.

        Args:
            rows: of the whole outbox.
            seq: the number of all its lines.
            count: of the rows.
            written_by: the migrations that this Spotter knows.
            lost_at: Unix time before which the history is incomplete.

        Raises:
            OSError: the old one stays.
        """
        with rewriting(self.path) as file:
            header = {"begins": list(written_by), "rows": count, "lost_at": lost_at}
            file.write(_encode(seq, header))
            for row in rows:
                file.write(_encode(seq, {"rows": [row]}))
        self._known = None

    def _raw(self) -> Iterator[tuple[int | None, bytes]]:
        """Yield number and body of each line; the number is None where it is damaged."""
        try:
            file = open_plain(self.path)
        except FileNotFoundError:
            return
        with file:
            while line := file.readline(_LONGEST_LINE_BYTES):
                if line.strip():
                    yield _decode(line.rstrip(b"\n"))

    def _ends_a_line(self) -> bool:
        with open_plain(self.path) as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def _last_seq(self, fd: int, found: os.stat_result) -> int:
        if self._known is not None and self._known[:2] == (found.st_ino, found.st_size):
            return self._known[2]
        tail = os.pread(fd, _TAIL_BYTES, max(0, found.st_size - _TAIL_BYTES))
        for line in reversed(tail.split(b"\n")):
            seq, _ = _decode(line)
            if seq is not None:
                return seq
        return max((seq for seq, _ in self._raw() if seq is not None), default=0)

    @staticmethod
    def _write(fd: int, line: bytes, *, back_to: int) -> None:
        try:
            written = 0
            while written < len(line):
                written += os.write(fd, line[written:])
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, back_to)
            raise


def _encode(seq: int, content: Mapping[str, object]) -> bytes:
    body = f"{seq} {json.dumps(content, separators=(',', ':'))}".encode()
    return b"\n" + _check(body) + b" " + body + b"\n"


def _decode(line: bytes) -> tuple[int | None, bytes]:
    check, _, body = line.partition(b" ")
    if check != _check(body):
        return None, line
    seq, _, content = body.partition(b" ")
    return int(seq), content


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES).hexdigest().encode()


_ALWAYS = "1"
_CAPTURE_TOLD = """
(NEW.state IS NOT OLD.state AND NEW.state != 'analysing'
     AND NOT (OLD.state = 'analysing' AND NEW.state = 'captured'))
OR (NEW.file_state IS NOT OLD.file_state AND NEW.file_state != 'clearing')
OR NEW.inode IS NOT OLD.inode
OR (NEW.report IS NOT OLD.report AND NEW.report IS NULL)
OR NEW.hidden IS NOT OLD.hidden
"""
_ENTRY_TOLD = """
(NEW.state IS NOT OLD.state AND NEW.state != 'uploading'
     AND (OLD.state != 'uploading' OR NEW.state != 'ready'
          OR EXISTS (SELECT 1 FROM main.attempt
                      WHERE entry_id = NEW.id AND body_complete_at IS NOT NULL)))
OR NEW.session_id IS NOT OLD.session_id OR NEW.title IS NOT OLD.title
OR NEW.recipient IS NOT OLD.recipient OR NEW.user_id IS NOT OLD.user_id
OR NEW.guest_id IS NOT OLD.guest_id OR NEW.look_first IS NOT OLD.look_first
OR NEW.activity IS NOT OLD.activity OR NEW.exercise IS NOT OLD.exercise
OR NEW.barbell_mass_kg IS NOT OLD.barbell_mass_kg OR NEW.incline_deg IS NOT OLD.incline_deg
OR NEW.clip_sha256 IS NOT OLD.clip_sha256 OR NEW.remarks IS NOT OLD.remarks
OR (NEW.file_state IS NOT OLD.file_state AND NEW.file_state != 'clearing')
"""
_TOLD = (
    ("INSERT", "boot", "boot", "NEW.seq", _ALWAYS),
    ("INSERT", "athlete", "athlete", "NEW.id", "NEW.user_id IS NULL"),
    ("UPDATE", "athlete", "athlete", "NEW.id", "NEW.user_id IS NULL"),
    ("INSERT", "capture", "capture", "NEW.id", _ALWAYS),
    ("UPDATE", "capture", "capture", "NEW.id", _CAPTURE_TOLD),
    ("INSERT", "take", "capture", "NEW.capture_id", _ALWAYS),
    ("UPDATE", "take", "capture", "NEW.capture_id", _ALWAYS),
    ("INSERT", "entry", "entry", "NEW.id", _ALWAYS),
    ("UPDATE", "entry", "entry", "NEW.id", _ENTRY_TOLD),
    ("UPDATE", "attempt", "entry", "NEW.entry_id",
     "NEW.kind = 'upload' AND NEW.body_complete_at IS NOT NULL"),
    ("INSERT", "assignment", "assignment", "NEW.id", _ALWAYS),
    ("UPDATE", "assignment", "assignment", "NEW.id", "NEW.taken_back_at IS NOT OLD.taken_back_at"),
    ("INSERT", "renewal", "renewal", "NEW.id", _ALWAYS),
    ("INSERT", "undoable", "undoable", "NEW.id", "NEW.kind IN ('resend', 'forget')"),
    ("INSERT", "resend", "resend", "NEW.id", _ALWAYS),
    ("UPDATE", "resend", "resend", "NEW.id", "NEW.state IS NOT OLD.state"),
    ("INSERT", "forgetting", "forgetting", "NEW.id", _ALWAYS),
    ("UPDATE", "forgetting", "forgetting", "NEW.id", _ALWAYS),
    ("INSERT", "session_deletion", "session_deletion", "NEW.id", _ALWAYS),
    ("UPDATE", "session_deletion", "session_deletion", "NEW.id", "NEW.state IS NOT OLD.state"),
    ("INSERT", "athlete_group", "athlete_group", "NEW.id", _ALWAYS),
    ("UPDATE", "athlete_group", "athlete_group", "NEW.id", _ALWAYS),
    ("INSERT", "card", "card", "NEW.digest", _ALWAYS),
    ("UPDATE", "card", "card", "NEW.digest", _ALWAYS),
    ("INSERT", "lane", "lane", "NEW.host", "NEW.titles_altered"),
    ("UPDATE", "lane", "lane", "NEW.host", "NEW.titles_altered != OLD.titles_altered"),
)  # fmt: skip

_REACHED = "SELECT seq FROM ledger_mark WHERE id = 1"
_ADVANCE = "UPDATE ledger_mark SET seq = ? WHERE id = 1"


class PendingChanges:
    """What one connection has changed since its last commit."""

    def __init__(self) -> None:
        self._keys: dict[Key, None] = {}

    def note(self, kind: str, key: object) -> None:
        """Remember a row; called by the triggers."""
        self._keys[(kind, key)] = None

    def take(self) -> list[Key]:
        """Return what was noted, in the order in which it can be applied, and forget it."""
        keys, self._keys = sorted(self._keys, key=order_of), {}
        return keys


class Journal:
    """Ledger and sidecars of one outbox."""

    def __init__(self, ledger: ChangeLog, sidecars: Sidecars) -> None:
        self.ledger = ledger
        self.sidecars = sidecars

    @staticmethod
    def watch(connection: sqlite3.Connection) -> PendingChanges:
        """Note what a connection changes from now on; cut off by an error, it can be done again."""
        changes = PendingChanges()
        connection.create_function("note_change", 2, changes.note)
        connection.execute("PRAGMA temp_store = MEMORY")
        for number, (verb, table, kind, key, condition) in enumerate(_TOLD):
            connection.execute(
                f"CREATE TEMP TRIGGER IF NOT EXISTS told_{number} AFTER {verb} ON main.{table}"
                f" WHEN {condition} BEGIN SELECT note_change('{kind}', {key}); END"
            )
        return changes

    def write(self, connection: sqlite3.Connection, keys: Iterable[Key]) -> int:
        """Make durable what this transaction is about to commit, and return its number.

        Raises:
            OSError: the disk refuses; the transaction must be rolled back.
        """
        rows = [(key[0], read_image(connection, key)) for key in keys]
        (reached,) = connection.execute(_REACHED).fetchone()
        seq = self.ledger.append({"rows": rows}, after=reached)
        try:
            for kind, image in rows:
                self.sidecars.write(kind, image, seq=seq)
            # What does not follow leaves the mark behind: the next start applies what is missing.
            if seq == reached + 1 or self.ledger.tells_nothing(after=reached, before=seq):
                connection.execute(_ADVANCE, (seq,))
        except BaseException:
            self.void(seq)
            raise
        return seq

    def void(self, seq: int) -> None:
        """Say that a commit failed after all, if the disk lets us; else it is restored later."""
        with suppress(OSError):
            self.ledger.append({"void": seq}, after=seq)

    def start_new_log(
        self, connection: sqlite3.Connection, *, seq: int, written_by: list[str]
    ) -> None:
        """Write a ledger of everything that this transaction sees, in the old one's place."""
        keys = every_key(connection)
        (lost_at,) = connection.execute("SELECT lost_at FROM ledger_mark WHERE id = 1").fetchone()
        self.ledger.rewrite(
            ((key[0], read_image(connection, key)) for key in keys),
            seq=seq,
            count=len(keys),
            written_by=written_by,
            lost_at=lost_at,
        )
        connection.execute("UPDATE ledger_mark SET seq = ?", (seq,))


_LASTING: Mapping[str, tuple[str, ...]] = {
    "boot": ("seq", "boot_id"),
    "athlete": ("id", "name", "user_id", "resolved_to"),
    "capture": ("id", "sha256", "state", "file_name", "stored_name", "evidence", "admitted_at"),
    "entry": (
        *("id", "clip_code", "state", "generation", "recipient", "user_id", "guest_id", "activity"),
        *("exercise", "barbell_mass_kg", "incline_deg", "filmed_at", "stored_name"),
        *("clip_sha256", "clip_bytes", "session_id", "title", "created_at"),
    ),
    "assignment": (
        *("id", "layer", "kind", "user_id", "guest_id", "activity", "exercise"),
        *("barbell_mass_kg", "incline_deg", "starts_at", "boot_id", "boot_s"),
        *("clock_trusted", "lasts_s", "idle_s", "set_by", "taken_back_at"),
    ),
    "renewal": ("id", "assignment_id", "at", "boot_id", "boot_s", "clock_trusted", "why"),
    "athlete_group": ("id", "name", "members"),
    "card": ("digest", "athlete"),
}
# States that a clip or a capture may enter without a line in the ledger.
_UNTOLD = {"uploading": "ready", "analysing": "captured"}
_WHICH = {"athlete": "WHERE user_id IS NULL"}  # the others are not in the ledger


def contradiction(
    connection: sqlite3.Connection, ledger: ChangeLog, survey: LogSurvey
) -> str | None:
    """Return what speaks against the rows, or None.

    Args:
        connection: of the database, in whose transaction nothing has been changed yet but by
            the ledger.
        ledger: of the same outbox.
        survey: what it is worth; one that is not whole speaks against nothing.
    """
    if not survey.is_whole:
        return None
    told = _told(ledger, survey)
    try:
        for kind, columns in _LASTING.items():
            query = f"SELECT {', '.join(columns)} FROM {kind} {_WHICH.get(kind, '')}"  # noqa: S608  # our own words
            for row in connection.execute(query):
                if told.pop((kind, row[0]), None) != _digest(row):
                    return f"{kind} {row[0]} is not what the ledger says"
    except sqlite3.OperationalError as error:  # text that is none
        return str(error)
    for kind, key in told:
        return f"{kind} {key} is missing"
    return None


def _told(ledger: ChangeLog, survey: LogSurvey) -> dict[tuple[str, object], bytes]:
    """Return the digests of the latest images, by kind and key."""
    told = {}
    for line in ledger.lines():
        if line.seq in survey.voided:
            continue
        for kind, image in line.rows:
            columns = _LASTING.get(kind)
            if columns is not None:
                told[kind, image[columns[0]]] = _digest([image.get(name) for name in columns])
    return told


def _digest(values: Iterable[object]) -> bytes:
    told = [_UNTOLD.get(value, value) if isinstance(value, str) else value for value in values]
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=8).digest()
