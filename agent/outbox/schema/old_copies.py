"""Copies of the outbox as it once was: of before a migration, and damaged ones set aside.

They are kept for a person to look at; nothing of Spotter reads them.
"""

from pathlib import Path

from agent.outbox.disk.folders import LEDGER_NAME, fsync_folder, is_plain
from agent.outbox.health import DATABASE_NAME


def copy_before(name: str, migration: str) -> str:
    """Return what a file is called as it was before a migration; `*` stands for any."""
    return f"{name}.before-{migration}"


def copy_damaged(name: str, stamp: str) -> str:
    """Return what a damaged file is called that was set aside at a moment; `*` stands for any."""
    return f"{name}.damaged-{stamp}"


def remove_old_copies(root: Path) -> list[str]:
    """Remove every copy from a state folder, and return their names."""
    copies = (
        copy_before(DATABASE_NAME, "*"),
        copy_damaged(DATABASE_NAME, "*"),
        copy_damaged(LEDGER_NAME, "*"),
    )
    names = []
    for path in sorted(path for pattern in copies for path in root.glob(pattern)):
        if is_plain(path):
            path.unlink(missing_ok=True)
            names.append(path.name)
    fsync_folder(root)
    return names
