"""A large outbox in a few seconds: one real clip, and copies of its rows."""

import sqlite3
from contextlib import closing
from pathlib import Path

from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.outbox import Outbox
from tests.factories import ready_entry


def seed(state_folder: Path, *, entries: int, waiting: int) -> None:
    """Fill an outbox with so many clips, of which so many wait and the others are delivered."""
    with Outbox.open(state_folder) as outbox:
        ready_entry(outbox, 1)
    multiply(state_folder / DATABASE_NAME, entries=entries, waiting=waiting)


def multiply(database: Path, *, entries: int, waiting: int) -> None:
    """Make so many of the one capture and the one clip in a database, of whatever version."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.create_function("code", 1, "{:010d}".format)
        waits = f"n > {entries - waiting}"
        file_name = "code(n) || '.mp4'"
        on_disk = {"file_state": f"iif({waits}, 'present', 'cleared')"}
        for table, changed in (
            (
                "capture",
                {"id": "n", "sha256": "code(n)", "stored_name": "code(n) || '.mp4'", **on_disk},
            ),
            (
                "entry",
                {
                    "id": "n",
                    "clip_code": "code(n)",
                    "stored_name": file_name,
                    "due_at": "due_at + n",
                    "created_at": "created_at + n",
                    "state": f"iif({waits}, 'ready', 'uploaded')",
                    "session_id": f"iif({waits}, NULL, code(n))",
                    "sent_at": f"iif({waits}, NULL, created_at + n)",
                    **on_disk,
                },
            ),
            ("entry_capture", {"entry_id": "n", "capture_id": "n"}),
        ):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(changed.get(name, name) for name in names)
            connection.execute(
                f"WITH RECURSIVE number (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM number"  # noqa: S608  # our own tables
                f" WHERE n < {entries}) INSERT INTO {table} ({', '.join(names)})"
                f" SELECT {values} FROM number JOIN {table} ON {table}.rowid = 1"
            )
        connection.execute("UPDATE capture SET state = 'analysed'")
