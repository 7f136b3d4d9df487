"""The archive: where originals go that a person wants to keep elsewhere."""

from collections.abc import Sequence
from pathlib import Path

from agent.outbox.capture import Capture
from agent.outbox.disk.folders import StateFolder, fsync_file, move_durably
from agent.outbox.disk.linking import link_or_copy
from agent.outbox.entry import Entry
from agent.outbox.states import EntryState
from agent.pulse import moving

_DELIVERED = frozenset({EntryState.UPLOADED, EntryState.COMPLETED})


class Archive:
    """Keeps originals under the code of their first delivered clip: names stay out of it."""

    def __init__(self, place: Path, folder: StateFolder) -> None:
        self._place = place
        self._folder = folder

    def keep(self, capture: Capture, entries: Sequence[Entry]) -> None:
        """Put a capture's original into the archive; one without a delivered clip is not kept.

        Raises:
            OSError: the archive is missing, full or not ours to write.
        """
        codes = [entry.clip_code for entry in entries if entry.state in _DELIVERED]
        source = self._folder.captures / capture.stored_name
        if not codes or not source.exists():
            return
        unfinished = self._place / f".{codes[0]}.part"
        unfinished.unlink(missing_ok=True)
        try:
            with moving(3 * source.stat().st_size):
                link_or_copy(source, unfinished)
                fsync_file(unfinished)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        move_durably(unfinished, self._place / f"{codes[0]}{source.suffix}")
