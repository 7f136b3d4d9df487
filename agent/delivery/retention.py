"""Clearing away: files whose clips are delivered, once the time a person set has passed.

Nothing undelivered is ever touched.  Clearing is row, unlink, fsync, row: cut off anywhere, the
next start finishes it.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from agent.clock import Now
from agent.crashpoints import crash_point
from agent.outbox.capture import Capture
from agent.outbox.folders import StateFolder, fsync_file, fsync_folder, move_durably
from agent.outbox.states import EntryState, FileState
from agent.outbox.store import Outbox

_HOUR_S = 3600.0
_EVERY_S = 600.0
_DELIVERED = frozenset({EntryState.UPLOADED, EntryState.COMPLETED})

log = structlog.get_logger(stage="retention")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """What the settings say about files that are no longer needed."""

    originals: Literal["delete", "keep", "archive"] = "delete"
    archive: Path | None = None  # for originals = archive
    keep_originals_h: float = 48.0  # after the last clip was delivered
    keep_skipped_days: float = 7.0  # captures without a take


class Retention:
    """Keeps the disk from filling with what the API has long acknowledged."""

    name = "retention"

    def __init__(
        self, outbox: Outbox, folder: StateFolder, *, policy: RetentionPolicy, now: Now
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._policy = policy
        self._now = now

    def step(self) -> float:
        """Finish what was begun, then clear what is due."""
        for capture in self._outbox.captures.clearing():
            self._clear(capture)
        if self._policy.originals == "keep":
            return _EVERY_S
        now_s = self._now().utc_s
        due = self._outbox.captures.clearable(
            delivered_before=now_s - self._policy.keep_originals_h * _HOUR_S,
            skipped_before=now_s - self._policy.keep_skipped_days * 24 * _HOUR_S,
        )
        for capture in due:
            self._clear(capture)
        return _EVERY_S

    def close(self) -> None:
        """Nothing is held."""

    def _clear(self, capture: Capture) -> None:
        entries = self._outbox.entries.of_capture(capture.id)
        delivered = [entry for entry in entries if entry.state in _DELIVERED]
        if self._policy.originals == "archive" and delivered:
            self._archive(capture, delivered[0].clip_code)
        now_s = self._now().utc_s
        self._outbox.captures.set_file_state(capture.id, FileState.CLEARING, now_s=now_s)
        crash_point("clearing")
        for entry in entries:
            (self._folder.clips / entry.stored_name).unlink(missing_ok=True)
            for picture in self._folder.pictures_of(entry.clip_code):
                picture.unlink(missing_ok=True)
            self._outbox.entries.set_file_state(entry.id, FileState.CLEARED, now_s=now_s)
        original = self._folder.captures / capture.stored_name
        original.unlink(missing_ok=True)
        original.with_suffix(".json").unlink(missing_ok=True)
        (self._folder.pictures / original.name).with_suffix(".svg").unlink(missing_ok=True)
        fsync_folder(self._folder.clips)
        fsync_folder(self._folder.captures)
        crash_point("cleared")
        self._outbox.captures.set_file_state(capture.id, FileState.CLEARED, now_s=now_s)
        log.info("cleared", capture=capture.name, bytes=capture.facts.size_bytes)

    def _archive(self, capture: Capture, clip_code: str) -> None:
        """Copy an original into the archive, under its clip code: names stay out of it."""
        source = self._folder.captures / capture.stored_name
        if self._policy.archive is None or not source.exists():
            return
        unfinished = self._policy.archive / f".{clip_code}.part"
        shutil.copyfile(source, unfinished)
        fsync_file(unfinished)
        move_durably(unfinished, self._policy.archive / f"{clip_code}{source.suffix}")
