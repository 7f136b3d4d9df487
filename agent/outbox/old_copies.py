"""Copies of the outbox as it once was: of before a migration, and damaged ones set aside.

They are kept for a person to look at; nothing of Spotter reads them.
"""

from pathlib import Path

from agent.outbox.folders import fsync_folder
from agent.outbox.health import DATABASE_NAME
from agent.outbox.ledger import LEDGER_NAME

_COPIES = (
    f"{DATABASE_NAME}.before-*",
    f"{DATABASE_NAME}.damaged-*",
    f"{LEDGER_NAME}.damaged-*",
)


def remove_old_copies(root: Path) -> list[str]:
    """Remove every copy from a state folder, and return their names."""
    names = []
    for path in sorted(path for pattern in _COPIES for path in root.glob(pattern)):
        path.unlink(missing_ok=True)
        names.append(path.name)
    fsync_folder(root)
    return names
