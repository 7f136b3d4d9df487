"""What this Spotter's outbox has been through, and what a newer one wrote."""

from collections.abc import Sequence
from pathlib import Path

from agent.errors import OutboxError

# What an up-to-date outbox has been through, in order: one that differs is looked at closely.
UP_TO_DATE = (
    *("first_tables", "takes_by_hand", "takes_cut_off", "events", "held_by_reason", "channels"),
    *("devices", "disk", "ledger", "line", "results", "station", "second_thoughts"),
    *("forgettings", "latest_assignments", "accounts", "own_inode"),
    *("athletes", "lost_history", "erasures", "device_addresses", "limits", "recording_times"),
)


def refuse_newer(path: Path, names: Sequence[str]) -> None:
    """Refuse what a newer Spotter has written, before anything is changed.

    Args:
        path: what was written.
        names: the migrations that its Spotter knew.

    Raises:
        OutboxError: some of them are unknown here.
    """
    newer = [name for name in names if name not in UP_TO_DATE]
    if newer:
        raise OutboxError(
            f"{path} was written by a newer Spotter ({', '.join(newer)})",
            hint="install that version again; nothing was changed",
        )
