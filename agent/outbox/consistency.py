"""Checks that rows, change log and files agree, and repairs them when the daemon starts."""

import glob
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agent.clock import Now
from agent.disk.state_folder import (
    LEDGER_NAME,
    SKELETON_SUFFIX,
    SMALL,
    STRIP,
    StateFolder,
    acting_as_owner,
    fsync_folder,
    quarantine,
    remove,
)
from agent.errors import AgentError
from agent.outbox import database_file
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.files import StoredFile
from agent.outbox.journal.log import ChangeLog, contradiction
from agent.outbox.journal.snapshots import SIDECAR_SUFFIX, is_unfinished_sidecar
from agent.outbox.models import Entry, derive_clip_code
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import Pause
from agent.outbox.results import DocumentState, Head, NewResult, VideoState, read_head
from agent.outbox.states import SENT, UNSETTLED_ENTRIES, CaptureState, EntryState, Reason
from agent.stage import StageName
from agent.text import plain_name

_SUFFIX = ".json"


class ResultRepair:
    """Brings results and their files together again; what is lost is fetched again."""

    def __init__(self, outbox: Outbox, folder: StateFolder, *, now: Now) -> None:
        self._outbox = outbox
        self._folder = folder
        self._now = now

    def run(self) -> None:
        """Check everything once."""
        documents = self._folder.files_in(self._folder.results)
        found = {path.stem: path for path in documents if path.suffix == _SUFFIX}
        for entry_id, clip_code, size_bytes in list(self._outbox.results.documents()):
            path = found.pop(clip_code, None)
            if path is None or path.stat().st_size != size_bytes:
                log.warning("result document damaged", entry=f"e{entry_id}")
                self._outbox.results.note_document_lost(entry_id, now_s=self._now().utc_s)
        for clip_code, path in sorted(found.items()):
            self._place(clip_code, path)

    def _place(self, clip_code: str, path: Path) -> None:
        """Make a row of a file that has none; one of a clip that needs it no more goes."""
        entry = self._outbox.entries.by_code(clip_code)
        if entry is None:
            quarantine(path, self._folder, why="no clip has this name")
            return
        head = read_head(path)
        if head is None or not self._adopt(entry, head, path.stat().st_size):
            remove(path)
            fsync_folder(path.parent)

    def _adopt(self, entry: Entry, head: Head, size_bytes: int) -> bool:
        """Record a result by its file: of a crash between the two, or of an outbox rebuilt."""
        if head.session_id != entry.session_id or self._outbox.results.of_entry(entry.id):
            return False
        state = DocumentState.PRESENT if head.whole else DocumentState.PARTIAL
        new = NewResult(
            numbers=head.numbers,
            analysed_video_url=None,
            document_bytes=size_bytes,
            document_state=state,
        )
        was_cut_off, now_s = entry.state is EntryState.UPLOADED, self._now().utc_s
        with self._outbox.transaction():
            if not self._outbox.results.record(entry.id, new, now_s=head.got_at):
                return False
            if was_cut_off:
                self._outbox.entries.move(entry, EntryState.COMPLETED, now_s=now_s)
            if was_cut_off or not head.whole:  # the link to the video, and the rest
                self._outbox.results.fetch_again(entry.id, now_s=now_s)
        log.info("result adopted", entry=entry.name, clip=entry.clip_code)
        return True


class VideoRepair:
    """Brings videos and their rows together again."""

    def __init__(self, outbox: Outbox, folder: StateFolder, *, now: Now) -> None:
        self._outbox = outbox
        self._folder = folder
        self._now = now

    def run(self) -> None:
        """Check everything once."""
        videos = self._outbox.videos
        videos.resume_interrupted()
        due = videos.present()
        for path in self._folder.files_in(self._folder.results):
            code, _, kind = path.name.partition(".")
            if kind == "mp4" and code in due and path.stat().st_size == due[code][1]:
                del due[code]
            elif kind == "mp4":
                self._place(code, path)
            elif kind in {"mp4.part", "mp4.note"} and self._state(code) is not VideoState.WANTED:
                remove(path)
        for code, (entry_id, _) in due.items():
            log.warning("analysed video lost", clip=code)
            videos.lose(entry_id)
        fsync_folder(self._folder.results)

    def _place(self, code: str, path: Path) -> None:
        """Adopt a file whose row was not written yet; it got its name when it was whole."""
        entry = self._outbox.entries.by_code(code)
        if entry is None:
            quarantine(path, self._folder, why="no clip has this name")
            return
        size = path.stat().st_size
        is_ours = entry.state in SENT and size > 0
        if not (is_ours and self._outbox.videos.place(entry.id, size, now_s=self._now().utc_s)):
            remove(path)

    def _state(self, code: str) -> VideoState | None:
        entry = self._outbox.entries.by_code(code)
        return None if entry is None else self._outbox.videos.state(entry.id)


log = structlog.get_logger(stage=StageName.START)


class ConsistencyCheck:
    """Brings rows and files of a state folder together again."""

    def __init__(self, outbox: Outbox, folder: StateFolder, *, now: Now) -> None:
        self._outbox = outbox
        self._folder = folder
        self._now = now

    def run(self) -> None:
        """Check everything once."""
        for capture in self._outbox.files.captures():
            path = self._folder.captures / capture.stored_name
            if _size(path) < capture.size_bytes:  # one that grew is dealt with when it is sent
                self._capture_is_damaged(capture, path)
        self._outbox.files.forget_settled_damage()
        for clip in self._outbox.files.clips():
            path = self._folder.clips / clip.stored_name
            if _size(path) != clip.size_bytes:
                self._clip_is_damaged(clip, path)
        self._place_strays(self._codes_to_come())
        ResultRepair(self._outbox, self._folder, now=self._now).run()
        VideoRepair(self._outbox, self._folder, now=self._now).run()

    def _capture_is_damaged(self, capture: StoredFile, path: Path) -> None:
        """Keep what is left of it; one that was not analysed yet waits for a person."""
        exists = path.exists()
        log.error("capture file damaged", capture=f"c{capture.id}", missing=not exists)
        if capture.state != CaptureState.CAPTURED:
            if exists:
                quarantine(path, self._folder, why="it is shorter than it was")
            self._outbox.files.note_gone("capture", capture.id, now_s=self._now().utc_s)
            return
        found = self._outbox.captures.existing(capture.id)
        reason = Reason.CAPTURE_DAMAGED if exists else Reason.CAPTURE_MISSING
        self._outbox.captures.move(
            found, CaptureState.QUARANTINED, now_s=self._now().utc_s, reason=reason
        )

    def _clip_is_damaged(self, clip: StoredFile, path: Path) -> None:
        now_s = self._now().utc_s
        if clip.state in UNSETTLED_ENTRIES:
            log.error("clip file damaged", entry=f"e{clip.id}", missing=not path.exists())
            self._outbox.files.note_damage(clip.id, now_s=now_s)
        elif not path.exists():
            log.warning("clip file lost", entry=f"e{clip.id}", state=clip.state)
            self._outbox.files.note_gone("entry", clip.id, now_s=now_s)

    def _place_strays(self, to_come: set[str]) -> None:
        """Quarantine clips and pictures that belong to nothing; leave those that are to come."""
        files = self._outbox.files
        for path in self._folder.files_in(self._folder.clips):
            code = path.name.partition(".")[0]
            if is_unfinished_sidecar(path):
                remove(path)
            elif path.suffix == SIDECAR_SUFFIX and not _has_video(path):
                if not files.known(code):
                    self._put_aside(path)
            elif code not in to_come and not files.known(path.name):
                self._put_aside(path)
        for path in self._folder.files_in(self._folder.pictures):
            code = path.stem.removesuffix(STRIP).removesuffix(SMALL)
            if code not in to_come and not self._belongs(path, code):
                self._put_aside(path)

    def _belongs(self, picture: Path, code: str) -> bool:
        """Tell whether a picture, or landmarks, are of a clip or a capture that has a row."""
        of_capture = picture.suffix in {".svg", SKELETON_SUFFIX}
        if of_capture and self._outbox.files.known_capture(code):
            return True
        return picture.suffix != ".svg" and self._outbox.files.known(code)

    def _put_aside(self, path: Path) -> None:
        quarantine(path, self._folder, why="no record has this name")

    def _codes_to_come(self) -> set[str]:
        """Return the codes of clips that may have been cut already and get their rows later."""
        waiting = self._outbox.captures.in_state(CaptureState.CAPTURED, CaptureState.ANALYSING)
        return {
            derive_clip_code(capture.sha256, take.number)
            for capture in waiting
            for take in self._outbox.takes.waiting(capture)
        }


def _size(path: Path) -> int:
    """Return a file's size, less than any where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def _has_video(sidecar: Path) -> bool:
    others = sidecar.parent.glob(f"{glob.escape(sidecar.stem)}.*")
    return any(path.suffix != SIDECAR_SUFFIX for path in others)


_WAIT_FOR_LOCK_S = 3.0
_SOME = 20

# What must hold of every row, whatever happened; each with what it would mean.
_INVARIANTS = {
    "delivered without a session": """
        SELECT 'e' || id FROM entry
         WHERE state IN ('uploaded', 'completed') AND session_id IS NULL
    """,
    "a session without follow-up": """
        SELECT 'e' || id FROM entry WHERE state IN ('uploaded', 'completed')
           AND id NOT IN (SELECT entry_id FROM follow_up)
    """,
    "a clip without a capture": """
        SELECT 'e' || id FROM entry WHERE id NOT IN (SELECT entry_id FROM entry_capture)
    """,
    "not delivered, but cleared": """
        SELECT 'e' || id FROM entry WHERE file_state IN ('clearing', 'cleared')
           AND state IN ('ready', 'held', 'uploading', 'uncertain')
    """,
    "not analysed, but cleared": """
        SELECT 'c' || id FROM capture WHERE file_state IN ('clearing', 'cleared')
           AND state IN ('captured', 'analysing')
    """,
}
_FILES = {
    "captures": """
        SELECT 'c' || id, stored_name, bytes FROM capture
         WHERE file_state = 'present' ORDER BY id
    """,
    "clips": """
        SELECT 'e' || id, stored_name, clip_bytes FROM entry
         WHERE file_state = 'present' AND state NOT IN ('uploaded', 'completed', 'discarded')
         ORDER BY id
    """,
}


@dataclass(slots=True, kw_only=True)
class Audit:
    """What an outbox is worth; lists hold names as people use them, the first of many."""

    busy: bool = False  # somebody writes: nothing was compared
    newer: list[str] = field(default_factory=list)  # migrations that this version does not know
    pending: list[str] = field(default_factory=list)  # those that the next start applies
    contradicts: str | None = None  # what speaks against the rows
    behind: int = 0  # lines of the ledger that the database has not seen
    ledger_damaged: int = 0  # lines
    broken_rules: dict[str, list[str]] = field(default_factory=dict)
    missing_files: list[str] = field(default_factory=list)
    other_size: list[str] = field(default_factory=list)


def audit(root: Path) -> Audit:
    """Check the outbox of a state folder whose database can be read.

    The write lock is held meanwhile, for only then do rows and ledger describe the same moment.

    Raises:
        sqlite3.Error: it cannot be read, or not written by this user.
    """
    found = Audit()
    uri = f"{(root / DATABASE_NAME).resolve().as_uri()}?mode=rw"
    with closing(
        sqlite3.connect(uri, uri=True, timeout=_WAIT_FOR_LOCK_S, isolation_level=None)
    ) as connection:
        applied = database_file.binding(connection, database_file.applied_migrations(connection))
        found.newer = [name for name in applied if name not in database_file.UP_TO_DATE]
        found.pending = [name for name in database_file.UP_TO_DATE if name not in applied]
        if found.newer or found.pending:
            return found  # its tables are not the ones we know
        with _locked(connection) as is_ours:
            if not is_ours:
                found.busy = True
                return found
            _compare(connection, ChangeLog(root / LEDGER_NAME), found)
            _look_at_files(connection, StateFolder(root), found)
            for rule, query in _INVARIANTS.items():
                rows = connection.execute(query).fetchmany(_SOME)
                if rows:
                    found.broken_rules[rule] = [str(row[0]) for row in rows]
    return found


@contextmanager
def opened_as_it_is(root: Path) -> Iterator[Outbox | None]:
    """Open an outbox to read from it; None where there is none, or opening would change it.

    Root has the rights of the folder's owner alone meanwhile.
    """
    with acting_as_owner(root), _opened_as_it_is(root) as outbox:
        yield outbox


def stored_pause(root: Path, part: str) -> Pause | None:
    """Return the pause that the owner of a state folder has recorded for one of its parts.

    Returns:
        None where there is none, or the outbox cannot be read, which is judged elsewhere.
    """
    with suppress(sqlite3.Error, AgentError, OSError), opened_as_it_is(root) as outbox:
        pauses = [] if outbox is None else outbox.pauses.all()
        return next((pause for pause in pauses if pause.part == part), None)
    return None


@contextmanager
def _opened_as_it_is(root: Path) -> Iterator[Outbox | None]:
    path = root / DATABASE_NAME
    if not path.exists() or not path.stat().st_size:
        yield None
        return
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        applied = database_file.applied_migrations(connection)
        is_current = database_file.binding(connection, applied) == database_file.UP_TO_DATE
    if not is_current:
        yield None
        return
    with Outbox.open(root) as outbox:
        yield outbox


@contextmanager
def _locked(connection: sqlite3.Connection) -> Iterator[bool]:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        yield False
        return
    try:
        yield True
    finally:
        connection.rollback()


def _compare(connection: sqlite3.Connection, ledger: ChangeLog, found: Audit) -> None:
    survey = ledger.survey()
    (reached,) = connection.execute("SELECT seq FROM ledger_mark WHERE id = 1").fetchone()
    found.ledger_damaged = max(survey.damaged, int(survey.last_seq < reached))
    failed = sum(seq > reached for seq in survey.voided)  # each with the line that says so
    found.behind = max(0, survey.last_seq - reached - 2 * failed)
    if (
        not found.behind and survey.last_seq >= reached
    ):  # else the next start makes good what is missing before it compares
        found.contradicts = contradiction(connection, ledger, survey)


def _look_at_files(connection: sqlite3.Connection, folder: StateFolder, found: Audit) -> None:
    for place, query in _FILES.items():
        for name, stored_name, size_bytes in connection.execute(query):
            if plain_name(stored_name) != stored_name:
                found.broken_rules.setdefault("a file's name that is a path", []).append(name)
                continue
            try:
                size = (folder.root / place / stored_name).stat().st_size
            except OSError:
                found.missing_files.append(name)
                continue
            if size != size_bytes:
                found.other_size.append(name)
