"""An outbox that an older Spotter wrote is brought up to date with everything in it."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils.db import Database

from agent.clock import read_clock
from agent.errors import OutboxError
from agent.outbox.capture import TakeOrigin
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.owner import OwnerLock
from agent.outbox.health import DATABASE_NAME
from agent.outbox.repair.recovery import open_as_owner
from agent.outbox.repair.start import Repair
from agent.outbox.schema.migrating import known_migrations
from agent.outbox.schema.migrations import MIGRATIONS
from agent.outbox.schema.version import UP_TO_DATE
from agent.outbox.states import EntryState
from agent.outbox.store import Outbox
from tests.factories import NOW_S
from tests.seeded import multiply

_OLD = ("first_tables",)
_AT_ONCE = 4
_ROUNDS = 6


def old_outbox(path: Path) -> None:
    """Write an outbox as the first release did: a capture, its take and its clip."""
    from sqlite_utils import Database

    with closing(sqlite3.connect(path)) as connection:
        db = Database(connection)
        for migration in MIGRATIONS.pending(db):
            if migration.name in _OLD:
                migration.fn(db)
        connection.execute(
            "CREATE TABLE _sqlite_migrations "
            "(migration_set TEXT, name TEXT, applied_at TEXT, PRIMARY KEY (migration_set, name))"
        )
        connection.execute(
            "INSERT INTO _sqlite_migrations VALUES ('outbox', 'first_tables', '2026-11-01')"
        )
        evidence = (
            '{"grew_until": null, "mtime_s": 1.0, "appeared": '
            '{"utc_s": 1.0, "boot_id": null, "boot_s": null, "trusted": true}}'
        )
        connection.execute(
            "INSERT INTO capture (id, sha256, file_name, stored_name, bytes, mtime_ns, inode,"
            " state, evidence, report, admitted_at, changed_at)"
            " VALUES (1, 'ab', 'a.mp4', 'ab.mp4', 9, 1, 1, 'analysed', ?, '{}', ?, ?)",
            (evidence, NOW_S, NOW_S),
        )
        connection.execute("INSERT INTO take VALUES (1, 1, 0.0, 9.0, 1.0, 8.0, 1, 0.9)")
        connection.execute(
            "INSERT INTO entry (id, clip_code, generation, state, due_at, recipient, user_id,"
            " activity, remarks, stored_name, clip_sha256, clip_bytes, clip_seconds, created_at,"
            " changed_at) VALUES (1, '0123456789', 0, 'ready', ?, 'athlete', 'ann', 'running',"
            " '[]', 'x.mp4', 'cd', 5, 9.0, ?, ?)",
            (NOW_S, NOW_S, NOW_S),
        )
        connection.execute("INSERT INTO entry_capture VALUES (1, 1, 1, 1, 0.0, 9.0)")
        connection.commit()


def test_an_older_outbox_is_upgraded_with_all_that_waits_in_it(tmp_path: Path) -> None:
    old_outbox(tmp_path / DATABASE_NAME)

    with Outbox.open(tmp_path) as outbox:
        capture = outbox.captures.by_id(1)
        assert capture is not None
        (take,) = outbox.takes.of(capture)
        assert (take.reps, take.origin, take.decisive_s) == (1, TakeOrigin.FOUND, None)
        assert outbox.takes.waiting(capture) == [] and outbox.takes.kept(capture) == [take]
        entry = outbox.entries.next_ready(NOW_S)
        assert entry is not None and (entry.user_id, entry.cut_method) == ("ann", None)
        assert [event.word for event in outbox.events.of_capture(1)] == ["analysed"]
        assert [event.word for event in outbox.events.of_entry(1)] == ["ready"]


def test_what_an_outbox_is_up_to_date_with_is_every_migration_there_is() -> None:
    assert known_migrations() == UP_TO_DATE


def test_an_upgrade_keeps_a_copy_of_before_and_begins_the_ledger(tmp_path: Path) -> None:
    old_outbox(tmp_path / DATABASE_NAME)
    StateFolder(tmp_path).prepare()

    with open_as_owner(tmp_path, now_s=NOW_S) as outbox:
        survey = outbox.database.journal.ledger.survey()
        assert survey.is_whole and survey.written_by == known_migrations()
    (copy,) = tmp_path.glob(f"{DATABASE_NAME}.before-*")
    with closing(sqlite3.connect(copy)) as before:
        assert before.execute("SELECT clip_code FROM entry").fetchall() == [("0123456789",)]
        assert before.execute("SELECT count(*) FROM _sqlite_migrations").fetchone() == (1,)

    (tmp_path / DATABASE_NAME).unlink()  # from now on the ledger stands in for it
    with open_as_owner(tmp_path, now_s=NOW_S) as rebuilt:
        entry = rebuilt.entries.by_code("0123456789")
        assert entry is not None and (entry.user_id, entry.state) == ("ann", EntryState.READY)


@pytest.mark.parametrize("is_old", [True, False])
def test_several_may_upgrade_or_make_an_outbox_at_the_same_moment(
    tmp_path: Path, is_old: bool
) -> None:
    for number in range(_ROUNDS):
        root = tmp_path / str(number)
        root.mkdir()
        if is_old:
            old_outbox(root / DATABASE_NAME)
        together = threading.Barrier(_AT_ONCE)
        with ThreadPoolExecutor(_AT_ONCE) as several:
            opened = [several.submit(opened_with, together, root) for _ in range(_AT_ONCE)]
        assert [one.result() for one in opened] == [sorted(UP_TO_DATE)] * _AT_ONCE
        copies = list(root.glob(f"{DATABASE_NAME}.before-*"))
        assert len(copies) == is_old
        for copy in copies:
            with closing(sqlite3.connect(copy)) as before:
                assert before.execute("SELECT name FROM _sqlite_migrations").fetchall() == [_OLD]


def test_the_owner_of_the_folder_upgrades_its_outbox(tmp_path: Path) -> None:
    old_outbox(tmp_path / DATABASE_NAME)
    lock = OwnerLock(StateFolder(tmp_path))
    lock.take()
    with open_as_owner(tmp_path, now_s=NOW_S) as outbox:
        assert sorted(outbox.database._applied()) == sorted(UP_TO_DATE)
    lock.release()


def opened_with(together: threading.Barrier, root: Path) -> list[str]:
    """Open an outbox in the same moment as others; return what it is up to date with."""
    together.wait()
    with Outbox.open(root) as outbox:
        outbox.pauses.forget()
        return sorted(outbox.database._applied())


def test_an_upgrade_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / DATABASE_NAME
    old_outbox(path)

    def fail(db: Database) -> None:
        apply(db)
        raise sqlite3.OperationalError("database or disk is full")

    apply = MIGRATIONS.apply
    monkeypatch.setattr(MIGRATIONS, "apply", fail)
    with pytest.raises(OutboxError, match="full"):
        Outbox.open(tmp_path)

    with closing(sqlite3.connect(path)) as before:
        assert before.execute("SELECT name FROM _sqlite_migrations").fetchall() == [
            ("first_tables",)
        ]
    monkeypatch.undo()
    with Outbox.open(tmp_path) as outbox:
        assert outbox.entries.by_code("0123456789") is not None


FULL, WAITING = 2000, 250


def full_old_outbox(folder: StateFolder) -> None:
    """Write a full outbox as the first release did, with the files of all that waits in it."""
    folder.prepare()
    old_outbox(folder.root / DATABASE_NAME)
    multiply(folder.root / DATABASE_NAME, entries=FULL, waiting=WAITING)
    with closing(sqlite3.connect(folder.root / DATABASE_NAME)) as connection, connection:
        connection.execute(
            "UPDATE entry SET state = 'uploaded', file_state = 'cleared' WHERE id = 1"
        )
        connection.execute("UPDATE capture SET file_state = 'cleared' WHERE id = 1")
    for number in range(FULL - WAITING + 1, FULL + 1):
        (folder.captures / f"{number:010d}.mp4").write_bytes(b"c" * 9)
        (folder.clips / f"{number:010d}.mp4").write_bytes(b"x" * 5)


def files_of(folder: StateFolder) -> dict[Path, tuple[int, int]]:
    """Every recording with its size and its time."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for place in (folder.captures, folder.clips)
        for path in place.glob("*.mp4")
    }


def start(folder: StateFolder) -> dict[str, int]:
    """What every start does; return how many clips are in each state."""
    with open_as_owner(folder.root, now_s=NOW_S) as outbox:
        Repair(outbox, folder, now=read_clock).run()
        outbox.resume_interrupted(now_s=NOW_S)
        return outbox.listing.counts()["entries"]


def test_a_full_outbox_is_upgraded_and_an_older_version_leaves_it_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StateFolder(tmp_path)
    full_old_outbox(folder)
    recordings = files_of(folder)
    assert len(recordings) == 2 * WAITING

    counts = start(folder)

    assert counts == {"ready": WAITING, "uploaded": FULL - WAITING}
    assert files_of(folder) == recordings
    (copy,) = tmp_path.glob(f"{DATABASE_NAME}.before-*")
    with closing(sqlite3.connect(copy)) as before:
        query = "SELECT state, count(*) FROM entry GROUP BY state"
        assert dict(before.execute(query).fetchall()) == counts

    written = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    older = known_migrations()[:-1]
    monkeypatch.setattr("agent.outbox.schema.version.UP_TO_DATE", older)
    with pytest.raises(OutboxError, match=f"newer Spotter.*{known_migrations()[-1]}"):
        start(folder)
    assert {path: path.read_bytes() for path in written} == written
    assert files_of(folder) == recordings

    monkeypatch.undo()
    assert start(folder) == counts
