"""Opens the outbox as its owner: checked, replayed from the change log, or rebuilt.

A commit that the database lost, as when its write-ahead log is damaged, is in the ledger; it is
applied again before anything is done.  Rows that contradict the ledger mean that the file is
damaged where no page shows it.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from agent.disk.state_folder import (
    LEDGER_NAME,
    StateFolder,
    born_ns_of,
    fsync_file,
    fsync_folder,
    is_plain,
    quarantine,
)
from agent.failpoints import crash_point
from agent.outbox import database_file
from agent.outbox.database import OutboxDatabase
from agent.outbox.database_file import (
    DATABASE_NAME,
    check_integrity,
    clear_corrupt_mark,
    copy_damaged,
    refuse_newer,
)
from agent.outbox.journal.log import ChangeLog, LogSurvey, contradiction
from agent.outbox.journal.snapshots import Sidecar, Sidecars, apply_image, read_image
from agent.outbox.models import LookFirst, inode_of
from agent.outbox.outbox import Outbox
from agent.stage import StageName

NATURAL_KEYS = {"capture": "sha256", "entry": "clip_code"}
_ENDED = frozenset({"uploaded", "completed", "discarded"})
NOTHING = -1  # the number that a database has reached of which nothing is left

RowKey = tuple[str, object]  # kind and natural key


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Ledger, sidecars, and the number that the state folder itself keeps."""

    ledger: ChangeLog
    survey: LogSurvey
    sidecars: Mapping[RowKey, Sidecar]  # those that are as they were written
    noted_seq: int  # of the last commit, as noted outside of every file's content

    @classmethod
    def read(cls, root: Path) -> "Witnesses":
        """Read all that a state folder holds."""
        ledger = ChangeLog(root / LEDGER_NAME)
        survey = ledger.survey()
        sidecars: dict[RowKey, Sidecar] = {}
        for sidecar in Sidecars(root).all():
            key = sidecar.kind, sidecar.image.get(NATURAL_KEYS[sidecar.kind])
            known = sidecars.get(key)
            if sidecar.seq not in survey.voided and (known is None or known.seq < sidecar.seq):
                sidecars[key] = sidecar
        return cls(
            ledger=ledger, survey=survey, sidecars=sidecars, noted_seq=ledger.read_noted_seq()
        )

    @property
    def last_seq(self) -> int:
        """The highest number of a commit of which there is any trace."""
        told = (self.survey.last_seq, self.survey.last_missing, self.noted_seq)
        return max([*told, *(sidecar.seq for sidecar in self.sidecars.values())])

    @property
    def missing_to(self) -> int:
        """The highest number whose line in the ledger is missing; NOTHING where none is."""
        tail_is_lost = self.last_seq > self.survey.last_seq
        return self.last_seq if tail_is_lost else self.survey.last_missing

    def lack_after(self, reached: int) -> bool:
        """Tell whether the ledger lacks anything that was committed after a number."""
        if self.survey.first_seq is None and reached == NOTHING:
            return True
        return self.missing_to > reached

    @property
    def tell_all(self) -> bool:
        """Whether the ledger contains everything, up to the last commit."""
        return self.survey.is_whole and self.last_seq == self.survey.last_seq

    def agree_with(self, reached: int) -> bool:
        """Tell whether the ledger surely ends with the last commit: a second witness says so."""
        return self.tell_all and self.survey.last_seq in {reached, self.noted_seq}


@dataclass(slots=True, kw_only=True)
class WitnessedRow:
    """What was applied to a database, and how sure the last word on each row is."""

    witnesses: Witnesses
    reached: int  # by the database before
    latest: dict[RowKey, int] = field(default_factory=dict)  # numbers of the ledger's lines
    applied: int = 0  # rows

    def is_sure(self, key: RowKey) -> bool:
        """Tell whether no missing line can have said anything newer of a row.

        A sidecar is written with every line about its row, so it is the last word, unless a later
        line shows that it was not: then an older one was put into its place.
        """
        line_seq = self.latest.get(key, NOTHING)
        if line_seq > self.witnesses.missing_to:
            return True
        sidecar = self.witnesses.sidecars.get(key)
        is_from_rewriting = line_seq == self.witnesses.survey.first_seq
        if sidecar is None or sidecar.is_stale:
            return False
        return sidecar.seq >= line_seq or is_from_rewriting


def apply_newer(
    connection: sqlite3.Connection, witnesses: Witnesses, *, reached: int
) -> WitnessedRow:
    """Apply what the witnesses know of each row beyond what the database has reached."""
    known = WitnessedRow(witnesses=witnesses, reached=reached)
    for line in witnesses.ledger.lines(after=reached):
        if line.seq in witnesses.survey.voided:
            continue
        for kind, image in line.rows:
            known.applied += _apply(connection, kind, image)
            if kind in NATURAL_KEYS:
                known.latest[kind, image.get(NATURAL_KEYS[kind])] = line.seq
    for key, sidecar in sorted(witnesses.sidecars.items(), key=lambda s: (s[0][0], s[1].seq)):
        is_newer = sidecar.seq > known.latest.get(key, reached)
        if is_newer or (not witnesses.survey.is_whole and _ends(connection, sidecar)):
            known.applied += _apply(connection, sidecar.kind, sidecar.image)
    return known


def doubt(connection: sqlite3.Connection, known: WitnessedRow, *, now_s: float) -> list[int]:
    """Let nothing go out unseen whose last word may be lost; return the ids of these clips.

    What was ready may have been sent, or held or discarded by a person: it is looked up, and held
    if it is not there.  Where the witnesses merely disagree, a look-up is enough.
    """
    rows = connection.execute(
        "SELECT id, clip_code, state FROM entry WHERE state IN"
        " ('ready', 'uploading', 'uncertain', 'held', 'dead')"
    ).fetchall()
    unsure = [(row[0], row[2]) for row in rows if not known.is_sure(("entry", row[1]))]
    is_lost = known.witnesses.lack_after(known.reached)
    for entry_id, state in unsure:
        if is_lost and state in {"ready", "uploading", "uncertain"}:
            connection.execute(
                "UPDATE entry SET state = 'uncertain', look_first = ?, due_at = ? WHERE id = ?",
                (LookFirst.THEN_HOLD, now_s, entry_id),
            )
        else:
            connection.execute(
                "UPDATE entry SET look_first = ? WHERE id = ? AND look_first = 0",
                (LookFirst.PROVE, entry_id),
            )
    return [entry_id for entry_id, _ in unsure]


def note_lost_history(
    connection: sqlite3.Connection, *, now_s: float, doubt_all: bool = False
) -> float:
    """Remember that what happened before this moment is not all known, and return the moment.

    A clock that is behind must not make the moment an earlier one than what is on record.

    Args:
        connection: of the database.
        now_s: Unix time.
        doubt_all: whether the outbox itself is an older one, though whole: then every unsent clip
            of before is looked up before it is sent.
    """
    connection.execute(
        """
        UPDATE ledger_mark SET history_lost = max(history_lost, :lost), lost_at = max(:now,
            coalesce(lost_at, 0), coalesce((SELECT max(admitted_at) FROM capture), 0),
            coalesce((SELECT max(changed_at) FROM entry), 0))
        """,
        {"now": now_s, "lost": int(not doubt_all)},
    )
    (lost_at,) = connection.execute("SELECT lost_at FROM ledger_mark WHERE id = 1").fetchone()
    if doubt_all:
        connection.execute(
            "UPDATE entry SET look_first = ? WHERE session_id IS NULL AND state != 'discarded'"
            " AND look_first = 0 AND coalesce(filmed_at, 0) < ?",
            (LookFirst.PROVE, lost_at),
        )
    return float(lost_at)


def _ends(connection: sqlite3.Connection, sidecar: Sidecar) -> bool:
    """Tell whether a sidecar says that a clip has ended, of which the row knows nothing.

    Only a damaged row can be like that: no clip leaves such a state.
    """
    if sidecar.kind != "entry" or sidecar.image.get("state") not in _ENDED:
        return False
    query = "SELECT state FROM entry WHERE clip_code = ?"
    row = connection.execute(query, (sidecar.image["clip_code"],)).fetchone()
    return row is not None and row[0] not in _ENDED


def _apply(connection: sqlite3.Connection, kind: str, image: Mapping[str, object]) -> bool:
    """Apply one image; one that does not fit costs no more than itself."""
    try:
        apply_image(connection, kind, image)
    except (sqlite3.IntegrityError, KeyError, TypeError, ValueError) as error:
        log.error("record rejected", kind=kind, error=str(error))
        return False
    return True


_PARTS = ("", "-wal", "-shm")
_KEPT = 3  # damaged databases that stay for a person to examine
_ENDED_CLIPS = """
SELECT id FROM entry
 WHERE state IN ('held', 'discarded', 'dead')
    OR (state IN ('uploaded', 'completed') AND session_id IS NOT NULL)
"""

# What names somebody or something whose own line in the ledger is lost.
_LOOSE_ENDS = (
    """
    INSERT INTO athlete (id, name, folded, noted_at)
    SELECT guest_id, 'unknown guest', 'unknown guest', 0.0
      FROM (SELECT guest_id FROM entry UNION SELECT guest_id FROM assignment)
     WHERE guest_id IS NOT NULL AND guest_id NOT IN (SELECT id FROM athlete)
    """,
    "DELETE FROM renewal WHERE assignment_id NOT IN (SELECT id FROM assignment)",
    """
    DELETE FROM resend
     WHERE entry_id NOT IN (SELECT id FROM entry)
        OR undoable_id NOT IN (SELECT id FROM undoable)
        OR new_entry_id NOT IN (SELECT id FROM entry)
    """,
    """
    DELETE FROM session_deletion WHERE forgetting_id NOT IN
        (SELECT id FROM forgetting WHERE undoable_id IN (SELECT id FROM undoable))
    """,
    "DELETE FROM forgetting WHERE undoable_id NOT IN (SELECT id FROM undoable)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """What a rebuilt database says of its rebuilding."""

    why: str
    set_aside: str | None  # the damaged one's name now
    now_s: float
    is_lost: bool  # whether what was sent before is not all known


def rebuild(
    root: Path, witnesses: Witnesses, *, why: str, now_s: float, is_copy: bool = False
) -> None:
    """Put a new database into the place of one that cannot be trusted.  Only the owner may.

    Cut off anywhere, the next start begins it again: the new one gets its name when it is whole.

    Args:
        root: the state folder.
        witnesses: all that is known beside the database.
        why: it cannot be trusted.
        now_s: Unix time.
        is_copy: whether the folder comes from a backup: what was sent since is not known.

    Raises:
        OutboxError: a newer Spotter wrote the ledger.
    """
    log.error("database rebuild started", why=why)
    ledger = witnesses.ledger
    refuse_newer(ledger.path, witnesses.survey.written_by)
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    kept_as = copy_damaged(DATABASE_NAME, stamp)
    new = StateFolder(root).tmp / DATABASE_NAME
    damaged = root / DATABASE_NAME
    aside = kept_as if damaged.exists() else None
    is_lost = is_copy or witnesses.lack_after(NOTHING)
    mark = _Mark(why=why, set_aside=aside, now_s=now_s, is_lost=is_lost)
    counts = _build(new, witnesses, damaged, mark)
    crash_point("rebuilt")
    _move_aside(root, kept_as)
    crash_point("damaged-moved-aside")
    fsync_file(new)
    new.replace(damaged)
    fsync_folder(root)
    clear_corrupt_mark(root)
    if not witnesses.tell_all and ledger.path.exists():
        ledger.path.replace(ledger.path.with_name(copy_damaged(LEDGER_NAME, stamp)))
    log.error(
        "database rebuilt",
        damaged=aside,
        **counts,
        **({"ledger": "damaged: affected clips are reconciled first"} if is_lost else {}),
    )


def keep_damaged_ledger(path: Path, *, now_s: float) -> None:
    """Give a damaged ledger a second name, under which it stays for a person to examine."""
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    with suppress(OSError):  # it may be gone, or the disk be full
        os.link(path, path.with_name(copy_damaged(LEDGER_NAME, stamp)), follow_symlinks=False)


def tie_loose_ends(connection: sqlite3.Connection) -> None:
    """Let no row name another one that is lost."""
    for statement in _LOOSE_ENDS:
        connection.execute(statement)


def _unlink_cards(connection: sqlite3.Connection) -> None:
    """Unlink every card where what was said of it last may be lost: it may be another's by now."""
    unlinked = connection.execute("UPDATE card SET athlete = NULL WHERE athlete IS NOT NULL")
    if unlinked.rowcount:
        log.error("cards unlinked", cards=unlinked.rowcount)


def _build(path: Path, witnesses: Witnesses, damaged: Path, mark: _Mark) -> dict[str, int]:
    """Write the new database, closed and whole in one file, and return what is in it."""
    for part in _PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)
    database = OutboxDatabase(path)
    lost_at = mark.now_s if mark.is_lost else witnesses.survey.lost_at
    with database.transaction(record=False):
        connection = database.connection
        connection.execute("PRAGMA defer_foreign_keys = ON")
        known = apply_newer(connection, witnesses, reached=NOTHING)
        if not witnesses.tell_all:
            _take_over(connection, damaged, known)
        tie_loose_ends(connection)
        if not witnesses.tell_all:
            doubt(connection, known, now_s=mark.now_s)
            _unlink_cards(connection)
        connection.execute(
            "UPDATE ledger_mark SET seq = ?, rebuilt_at = ?, rebuilt_why = ?, set_aside = ?",
            (witnesses.last_seq, mark.now_s, mark.why, mark.set_aside),
        )
        if lost_at is not None:
            note_lost_history(connection, now_s=lost_at, doubt_all=witnesses.tell_all)
    counts = {
        name: database.number(f"SELECT count(*) AS n FROM {table}")  # noqa: S608  # our own tables
        for name, table in (("captures", "capture"), ("clips", "entry"), ("said", "assignment"))
    }
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return counts


def _take_over(connection: sqlite3.Connection, damaged: Path, known: WitnessedRow) -> None:
    """Take over from a damaged database what nothing else contains surely, if it ended there.

    A state that ends a clip is believed: damage does not make one up, and at worst a person is
    asked.  Whatever cannot be read is left.
    """
    taken, left, why = 0, 0, ""
    try:
        with closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)) as old:
            for (entry_id,) in old.execute(_ENDED_CLIPS).fetchall():
                try:
                    image = read_image(old, ("entry", entry_id))
                    if not known.is_sure(("entry", image["clip_code"])):
                        apply_image(connection, "entry", image)
                        taken += 1
                except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
                    left, why = left + 1, str(error)
    except (sqlite3.Error, ValueError, OSError) as error:  # what SQLite says may be no text
        why = str(error)
    if why:
        log.warning("database partly salvaged", rows=taken, unreadable=left, error=why)


def _move_aside(root: Path, name: str) -> None:
    """Keep the damaged database, all its parts, under another name."""
    for part in _PARTS:
        damaged = root / f"{DATABASE_NAME}{part}"
        if damaged.exists():
            damaged.replace(root / f"{name}{part}")
    fsync_folder(root)
    kept = sorted(
        path
        for path in root.glob(copy_damaged(DATABASE_NAME, "*"))
        if not path.name.endswith(_PARTS[1:]) and is_plain(path)
    )
    for old in kept[:-_KEPT]:
        for part in _PARTS:
            with suppress(OSError):
                old.with_name(old.name + part).unlink(missing_ok=True)


_RECORDS = (
    *(DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", f"{DATABASE_NAME}-journal"),
    *(f"{DATABASE_NAME}.distrusted", LEDGER_NAME, "upgrade.lock", "reserve"),
)
_SMALLEST_TO_SHORTEN_BYTES = 16 << 20
_SHORTEN_BEYOND = 4  # times what the ledger of the whole outbox takes, by the database's size
log = structlog.get_logger(stage=StageName.START)


def open_as_owner(root: Path, *, now_s: float) -> Outbox:
    """Open the outbox of a state folder that this process owns, whatever happened to it.

    Raises:
        OutboxError: a newer Spotter wrote it, or the disk refuses.
    """
    quarantine_strange_records(root)
    why = check_integrity(root)
    witnesses = Witnesses.read(root)
    if why is not None:
        rebuild(root, witnesses, why=why, now_s=now_s)
        witnesses = Witnesses.read(root)
    try:
        return _opened(root, witnesses, now_s=now_s)
    except (_ContradictionError, sqlite3.IntegrityError) as error:
        was_copied = isinstance(error, _ContradictionError) and error.was_copied
        rebuild(root, witnesses, why=str(error), now_s=now_s, is_copy=was_copied)
    return _opened(root, Witnesses.read(root), now_s=now_s, was_rebuilt=True)


def _opened(root: Path, witnesses: Witnesses, *, now_s: float, was_rebuilt: bool = False) -> Outbox:
    """Open the outbox and make good what it lacks; where that fails it is closed again."""
    outbox = Outbox.open(root)
    try:
        _make_good(outbox, witnesses, now_s=now_s, was_rebuilt=was_rebuilt)
    except BaseException:
        outbox.close()
        raise
    return outbox


def quarantine_strange_records(root: Path) -> None:
    """Take away what has the name of a record of the outbox, but is no plain file."""
    for name in _RECORDS:
        path = root / name
        if os.path.lexists(path) and not is_plain(path):
            quarantine(path, StateFolder(root), why="it is not a plain file")


def compact_log(outbox: Outbox) -> None:
    """Rewrite the change log where it has grown far beyond the size of the database."""
    ledger = outbox.database.journal.ledger
    size_bytes = ledger.path.stat().st_size if ledger.path.exists() else 0
    needed_bytes = outbox.database.path.stat().st_size
    if size_bytes > max(_SMALLEST_TO_SHORTEN_BYTES, _SHORTEN_BEYOND * needed_bytes):
        with outbox.database.transaction(record=False):
            _rewrite_log(outbox)


class _ContradictionError(Exception):
    """The rows are not what the ledger says: the database cannot be trusted."""

    def __init__(self, why: str, *, was_copied: bool) -> None:
        super().__init__(why)
        self.was_copied = was_copied


def _make_good(
    outbox: Outbox, witnesses: Witnesses, *, now_s: float, was_rebuilt: bool = False
) -> None:
    """Apply what the database lost, and doubt what may be lost.

    Raises:
        _ContradictionError: the database cannot be trusted; nothing was changed.
    """
    database, survey = outbox.database, witnesses.survey
    with database.transaction(record=False):
        connection = database.connection
        connection.execute("PRAGMA defer_foreign_keys = ON")
        was_copied = _doubt_copy(connection, database.path)
        (reached,) = connection.execute("SELECT seq FROM ledger_mark WHERE id = 1").fetchone()
        known = apply_newer(connection, witnesses, reached=reached)
        why = _contradiction(connection, witnesses, reached)
        if why is not None and not was_rebuilt:
            raise _ContradictionError(why, was_copied=was_copied)
        if why is not None:
            _distrust(witnesses, why, now_s=now_s)
        if known.applied:
            tie_loose_ends(connection)
            log.warning("lost commits replayed", rows=known.applied)
        doubted = [] if witnesses.agree_with(reached) else doubt(connection, known, now_s=now_s)
        lacks = witnesses.lack_after(reached)
        if lacks:
            _unlink_cards(connection)
        lost_at = _note_loss(connection, survey, lacks=lacks, was_copied=was_copied, now_s=now_s)
        if lacks or doubted or not _is_in_step(connection, survey, reached):
            if survey.damaged or survey.last_seq < reached:
                log.error("ledger rewritten", lines=survey.damaged)
                keep_damaged_ledger(witnesses.ledger.path, now_s=now_s)
            _rewrite_log(outbox, last_seq=witnesses.last_seq)
        else:
            seq = survey.last_seq
            if lost_at is not None:
                seq = witnesses.ledger.append({"lost_at": lost_at}, after=seq)
            connection.execute("UPDATE ledger_mark SET seq = ? WHERE seq < ?", (seq, seq))
        _renew_sidecars(connection, database.path.parent, known, doubted)


def _contradiction(
    connection: sqlite3.Connection, witnesses: Witnesses, reached: int
) -> str | None:
    """Return what a ledger that contains everything says against the rows, or None."""
    if not (witnesses.tell_all and witnesses.survey.last_seq >= reached):
        return None
    return contradiction(connection, witnesses.ledger, witnesses.survey)


def _distrust(witnesses: Witnesses, why: str, *, now_s: float) -> None:
    """Treat a ledger as one that lacks lines, so that clips are doubted and it is written again.

    Rows that were just rebuilt from it contradict it: it is damaged itself, as when its lines are
    in another order.
    """
    log.error("ledger distrusted", why=why)
    keep_damaged_ledger(witnesses.ledger.path, now_s=now_s)
    witnesses.survey.note_missing(witnesses.survey.last_seq)


def _is_in_step(connection: sqlite3.Connection, survey: LogSurvey, reached: int) -> bool:
    """Tell whether a ledger can be continued as it is.

    One of a later version is, where that has only added: what it has beyond is for that version.
    """
    written_by = database_file.binding(connection, survey.written_by)
    return survey.is_whole and survey.last_seq >= reached and written_by == database_file.UP_TO_DATE


def _note_loss(
    connection: sqlite3.Connection,
    survey: LogSurvey,
    *,
    lacks: bool,
    was_copied: bool,
    now_s: float,
) -> float | None:
    """Remember a loss that was found now and return its moment; also one from the ledger alone."""
    if lacks or was_copied:
        log.error("upload history lost")
        return note_lost_history(connection, now_s=now_s, doubt_all=was_copied)
    (known,) = connection.execute("SELECT lost_at FROM ledger_mark WHERE id = 1").fetchone()
    if known is None and survey.lost_at is not None:
        note_lost_history(connection, now_s=survey.lost_at, doubt_all=True)
    return None


def _renew_sidecars(
    connection: sqlite3.Connection, root: Path, known: WitnessedRow, doubted: list[int]
) -> None:
    """Let the sidecars say what the rows say, where they say less."""
    sidecars = Sidecars(root)
    (seq,) = connection.execute("SELECT seq FROM ledger_mark WHERE id = 1").fetchone()
    ids = set(doubted)
    stale = {"entry": ids, "capture": set[int]()}
    for (kind, natural_key), line_seq in known.latest.items():
        sidecar = known.witnesses.sidecars.get((kind, natural_key))
        if line_seq != known.witnesses.survey.first_seq and (
            sidecar is None or sidecar.seq < line_seq
        ):
            query = f"SELECT id FROM {kind} WHERE {NATURAL_KEYS[kind]} = ?"  # noqa: S608  # our own words
            stale[kind].update(row[0] for row in connection.execute(query, (natural_key,)))
    for kind, row_ids in stale.items():
        for row_id in sorted(row_ids):
            sidecars.write(kind, read_image(connection, (kind, row_id)), seq=seq)


def _doubt_copy(connection: sqlite3.Connection, path: Path, *, is_said: bool = True) -> bool:
    """Tell whether the database is a copy, from a backup perhaps; have its clips looked up then.

    What was sent since is not in it.  A copied capture is treated as another file.
    """
    query = "SELECT inode, born_ns FROM ledger_mark WHERE id = 1"
    inode, born_ns = connection.execute(query).fetchone()
    own, own_born_ns = inode_of(path.stat()), born_ns_of(path)
    if (inode, born_ns) == (own, own_born_ns):
        return False
    connection.execute("UPDATE ledger_mark SET inode = ?, born_ns = ?", (own, own_born_ns))
    is_copy = inode not in (None, own) or born_ns not in (None, own_born_ns)
    if is_copy and is_said:
        log.warning("outbox copy detected")
    return is_copy


def accept_copy(root: Path) -> None:
    """Let a restored database count as the original: it has no clips that may have been sent.

    Raises:
        OSError: it cannot be examined.
        sqlite3.Error: it cannot be written.
    """
    path = root / DATABASE_NAME
    with closing(sqlite3.connect(path)) as connection:
        _doubt_copy(connection, path, is_said=False)
        connection.commit()


@contextmanager
def rewritten_log(outbox: Outbox) -> Iterator[None]:
    """Make what is done inside one commit, with a ledger that contains nothing of before it.

    Cut off in between, the next start finds either the old rows with the old ledger, or the new
    ledger, by which it makes the rows new.
    """
    with outbox.database.transaction(record=False):
        yield
        _rewrite_log(outbox)
        crash_point("ledger-rewritten")


def _rewrite_log(outbox: Outbox, *, last_seq: int = 0) -> None:
    database = outbox.database
    connection = database.connection
    (reached,) = connection.execute("SELECT seq FROM ledger_mark WHERE id = 1").fetchone()
    last_seq = max(last_seq, reached, database.journal.ledger.survey().last_seq)
    database.journal.start_new_log(
        connection, seq=last_seq + 1, written_by=list(database_file.UP_TO_DATE)
    )
