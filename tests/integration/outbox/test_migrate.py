"""An outbox of an older version is brought up to date with everything in it."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from sqlite_utils import Migrations
from sqlite_utils.db import Database

from agent.clock import read_clock
from agent.disk.state_folder import LEDGER_NAME, StateFolder, StateFolderLock
from agent.errors import OutboxError
from agent.outbox import database_file, schema
from agent.outbox.consistency import ConsistencyCheck
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from tests.factories import NOW_S
from tests.seeded import seed

_FIRST = ("first_schema",)
_OLD = database_file.UP_TO_DATE
_NEW = (*_OLD, "holograms")
_AT_ONCE = 4
_ROUNDS = 6
FULL, WAITING = 2000, 250


def holograms(db: Database) -> None:
    """Change the schema as a later version might."""
    db["entry"].add_column("hologram", str, not_null_default="none")  # type: ignore[union-attr]  # no view
    db["hologram"].create({"id": int, "format": str}, pk="id", strict=True)  # type: ignore[union-attr]


@contextmanager
def version_of(*changes: Callable[[Database], None]) -> Iterator[None]:
    """Run what is inside as a version with these migrations."""
    migrations = Migrations("outbox")
    for change in changes:
        migrations()(change)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", migrations)
        patch.setattr(database_file, "UP_TO_DATE", tuple(change.__name__ for change in changes))
        yield


def later_version() -> AbstractContextManager[None]:
    """Run what is inside as a version with one more migration."""
    return version_of(
        schema.first_schema, schema.groups_and_cards, schema.hub_confirmation, holograms
    )


def old_outbox(root: Path, *, entries: int = 3, waiting: int = 2) -> None:
    """Write an outbox by the present version, which is the older one here."""
    seed(root, entries=entries, waiting=waiting)


def applied_in(path: Path) -> tuple[str, ...]:
    """The migrations that a database file has been through."""
    with closing(sqlite3.connect(path)) as connection:
        return tuple(database_file.applied_migrations(connection))


def states_in(path: Path) -> dict[str, int]:
    """How many clips are in each state."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM entry GROUP BY state"))


def test_up_to_date_names_every_migration_in_order() -> None:
    with Database(memory=True) as empty:
        assert (
            tuple(one.name for one in schema.MIGRATIONS.pending(empty)) == database_file.UP_TO_DATE
        )


def test_an_older_outbox_is_migrated_with_all_that_waits_in_it(tmp_path: Path) -> None:
    old_outbox(tmp_path)
    path = tmp_path / DATABASE_NAME
    before = states_in(path)

    with later_version(), Outbox.open(tmp_path) as outbox:
        row = outbox.database.row("SELECT hologram FROM entry WHERE id = 1")
        assert row is not None and row["hologram"] == "none"
        assert outbox.entries.next_ready(NOW_S) is not None

    assert applied_in(path) == _NEW
    assert states_in(path) == before


def schema_in(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Every table, index and trigger of a database, but the record of its migrations."""
    query = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '%migrat%'"
    return set(connection.execute(query))


def test_an_outbox_of_the_first_schema_is_migrated_with_its_content(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    old_outbox(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection, Database(memory=True) as first:
        connection.executescript(
            "DROP TABLE athlete_group; DROP TABLE card; DROP TABLE hub_confirmation;"
            "PRAGMA user_version = 0;"  # its definitions were not marked then
        )
        connection.execute("DELETE FROM _sqlite_migrations WHERE name != 'first_schema'")
        connection.execute(
            "INSERT INTO athlete (user_id, name, folded, noted_at) VALUES ('ada', 'Ada', 'ada', 1)"
        )
        schema.first_schema(first)
        assert schema_in(connection) == schema_in(first.conn)
    before = states_in(path)
    assert applied_in(path) == _FIRST

    with open_as_owner(tmp_path, now_s=NOW_S) as outbox:
        assert (ada := outbox.roster.by_user_id("ada")) is not None and ada.name == "Ada"
        outbox.groups.add("Team", ["ada"], now_s=NOW_S)
        outbox.cards.link("digest", "ada", now_s=NOW_S)
    assert applied_in(path) == database_file.UP_TO_DATE and states_in(path) == before
    (copy,) = tmp_path.glob(f"{DATABASE_NAME}.before-*")
    assert applied_in(copy) == _FIRST and states_in(copy) == before


def test_a_migration_keeps_a_copy_of_before_and_renews_the_ledger(tmp_path: Path) -> None:
    StateFolder(tmp_path).prepare()
    old_outbox(tmp_path)
    path = tmp_path / DATABASE_NAME
    before = states_in(path)
    open_as_owner(tmp_path, now_s=NOW_S).close()

    with later_version():
        with open_as_owner(tmp_path, now_s=NOW_S) as outbox:
            survey = outbox.database.journal.ledger.survey()
            assert survey.is_whole and survey.written_by == _NEW
        (copy,) = tmp_path.glob(f"{DATABASE_NAME}.before-*")
        assert applied_in(copy) == _OLD and states_in(copy) == before

        path.unlink()  # from now on it has to be rebuilt from the ledger
        open_as_owner(tmp_path, now_s=NOW_S).close()
    assert states_in(path) == before


def test_only_the_latest_copies_are_kept(tmp_path: Path) -> None:
    old_outbox(tmp_path)
    for name in ("one", "two", "three"):
        (tmp_path / f"{DATABASE_NAME}.before-{name}").write_bytes(b"a copy")

    with later_version():
        Outbox.open(tmp_path).close()

    kept = {path.name.rpartition("-")[2] for path in tmp_path.glob(f"{DATABASE_NAME}.before-*")}
    assert len(kept) == 2 and "holograms" in kept


@pytest.mark.parametrize("is_old", [True, False])
def test_several_may_migrate_or_make_an_outbox_at_the_same_moment(
    tmp_path: Path, is_old: bool
) -> None:
    for number in range(_ROUNDS):
        root = tmp_path / str(number)
        root.mkdir()
        if is_old:
            old_outbox(root)
        together = threading.Barrier(_AT_ONCE)
        with later_version(), ThreadPoolExecutor(_AT_ONCE) as several:
            opened = [several.submit(opened_with, together, root) for _ in range(_AT_ONCE)]
        assert [one.result() for one in opened] == [_NEW] * _AT_ONCE
        copies = list(root.glob(f"{DATABASE_NAME}.before-*"))
        assert [applied_in(copy) for copy in copies] == [_OLD] * is_old


def opened_with(together: threading.Barrier, root: Path) -> tuple[str, ...]:
    """Open an outbox in the same moment as others; return what it is up to date with."""
    together.wait()
    with Outbox.open(root) as outbox:
        outbox.pauses.forget()
        return tuple(database_file.applied_migrations(outbox.database.connection))


def test_the_owner_of_the_folder_migrates_its_outbox(tmp_path: Path) -> None:
    old_outbox(tmp_path)
    lock = StateFolderLock(StateFolder(tmp_path))
    lock.take()
    with later_version(), open_as_owner(tmp_path, now_s=NOW_S):
        assert applied_in(tmp_path / DATABASE_NAME) == _NEW
    lock.release()


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / DATABASE_NAME
    old_outbox(tmp_path)
    before = states_in(path)

    def fail(db: Database) -> None:
        apply(db)
        raise sqlite3.OperationalError("database or disk is full")

    with later_version():
        apply = schema.MIGRATIONS.apply
        monkeypatch.setattr(schema.MIGRATIONS, "apply", fail)
        with pytest.raises(OutboxError, match="full"):
            Outbox.open(tmp_path)
        assert applied_in(path) == _OLD and states_in(path) == before

        monkeypatch.undo()
        Outbox.open(tmp_path).close()
    assert applied_in(path) == _NEW and states_in(path) == before


def files_of(folder: StateFolder) -> dict[Path, tuple[int, int]]:
    """Every recording with its size and its time."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for place in (folder.captures, folder.clips)
        for path in place.glob("*.mp4")
    }


def start(folder: StateFolder) -> None:
    """Do what every start does."""
    with open_as_owner(folder.root, now_s=NOW_S) as outbox:
        ConsistencyCheck(outbox, folder, now=read_clock).run()
        outbox.resume_interrupted(now_s=NOW_S)


def test_a_full_outbox_is_migrated_and_the_older_version_leaves_it_untouched(
    tmp_path: Path,
) -> None:
    folder = StateFolder(tmp_path)
    path = tmp_path / DATABASE_NAME
    fill(folder)
    before, recordings = states_in(path), files_of(folder)
    assert before["ready"] >= WAITING and len(recordings) >= 2 * WAITING

    with later_version():
        start(folder)
    assert states_in(path) == before and files_of(folder) == recordings
    (copy,) = tmp_path.glob(f"{DATABASE_NAME}.before-*")
    assert states_in(copy) == before

    written = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(OutboxError, match=r"newer Spotter.*holograms"):
        start(folder)
    assert {path: path.read_bytes() for path in written} == written
    assert files_of(folder) == recordings

    with later_version():
        start(folder)
    assert states_in(path) == before


def test_an_addition_leaves_everything_that_was_there_as_it_was() -> None:
    """What the version before works with: its tables, indexes and triggers, to the letter."""
    with Database(memory=True) as grown:
        for migration in schema.MIGRATIONS.pending(grown):
            before = schema_in(grown.conn)
            migration.fn(grown)
            if migration.name not in database_file.ADDITIONS:
                continue
            names = {name for name, _ in before}
            added = schema_in(grown.conn) - before
            assert before <= schema_in(grown.conn)
            assert not [sql for _, sql in added if sql.startswith(("CREATE TRIGGER", "ALTER"))]
            assert not [sql for _, sql in added if _is_unique_index_on(sql, names)]


def _is_unique_index_on(sql: str, tables: set[str]) -> bool:
    return sql.startswith("CREATE UNIQUE INDEX") and any(f" {name} (" in sql for name in tables)


def fill(folder: StateFolder) -> None:
    """Fill an outbox with waiting clips, each with its recording."""
    folder.prepare()
    old_outbox(folder.root, entries=FULL, waiting=WAITING)
    with Outbox.open(folder.root) as outbox:
        files = outbox.files
        for place, rows in (folder.captures, files.captures()), (folder.clips, files.clips()):
            for row in rows:
                (place / row.stored_name).write_bytes(b"x" * row.size_bytes)


def with_room_for_holograms(db: Database) -> None:
    """Add to the schema as a later version might."""
    db.execute("ALTER TABLE entry ADD COLUMN hologram TEXT NOT NULL DEFAULT 'none'")
    db.execute("CREATE TABLE hologram (id INTEGER PRIMARY KEY, format TEXT) STRICT")


@pytest.mark.parametrize("is_released", [True, False])
def test_the_version_before_works_on_with_a_full_outbox_and_nothing_is_lost_on_the_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_released: bool
) -> None:
    """From this version to the one before it, and from one that adds more to this one."""
    released = [schema.first_schema, schema.groups_and_cards, schema.hub_confirmation]
    later = released if is_released else [*released, with_room_for_holograms]
    monkeypatch.setattr(
        database_file,
        "ADDITIONS",
        database_file.ADDITIONS | {change.__name__ for change in later[1:]},
    )
    folder = StateFolder(tmp_path)
    path = tmp_path / DATABASE_NAME
    fill(folder)
    start(folder)
    with version_of(*later):
        start(folder)
    before, recordings, applied = states_in(path), files_of(folder), applied_in(path)
    ledger = (tmp_path / LEDGER_NAME).stat().st_ino
    copies = set(tmp_path.glob(f"{DATABASE_NAME}.*"))

    with version_of(*later[:-1]):
        start(folder)
        with open_as_owner(tmp_path, now_s=NOW_S) as outbox:
            waiting = outbox.entries.next_ready(NOW_S + FULL)
            assert waiting is not None
            claimed = outbox.entries.claim(waiting, now_s=NOW_S + FULL)
            assert claimed is not None
            outbox.attempts.mark_body_complete(claimed[1], now_s=NOW_S + FULL)
        start(folder)  # what was being sent is looked up first
    assert applied_in(path) == applied and files_of(folder) == recordings

    with version_of(*later):
        start(folder)
        after = states_in(path)
        path.unlink()  # the ledger, continued by the version before, tells the same
        start(folder)
    assert after == {**before, "ready": before["ready"] - 1, "uncertain": 1}
    assert states_in(path) == after
    assert (tmp_path / LEDGER_NAME).stat().st_ino == ledger
    assert (
        set(tmp_path.glob(f"{DATABASE_NAME}.*")) == copies
    )  # never migrated again, never set aside
