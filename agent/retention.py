"""Removes delivered files when their time is over, or earlier when space is short.

Nothing undelivered is ever touched, whatever its age and however full the disk.  When space is
short, what may go goes early: first what the API returned of clips and can return again, then the
clips and pictures that were kept for viewing, then originals, oldest first.  Clearing is row,
unlink, fsync, row: cut off anywhere, the next start finishes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from agent.clock import Instant, Now
from agent.disk.space import DiskSpace
from agent.disk.state_folder import StateFolder, fsync_file, link_or_copy, move_durably
from agent.heartbeat import during_io
from agent.outbox.disk import DiskSample
from agent.outbox.models import Capture, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import PauseReporter
from agent.outbox.recovery import compact_log
from agent.outbox.removal import FileRemover
from agent.outbox.states import SENT
from agent.stage import StageName, Wake, ignore_wake


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
        codes = [entry.clip_code for entry in entries if entry.state in SENT]
        source = self._folder.captures / capture.stored_name
        if not codes or not source.exists():
            return
        unfinished = self._place / f".{codes[0]}.part"
        unfinished.unlink(missing_ok=True)
        try:
            with during_io(3 * source.stat().st_size):
                link_or_copy(source, unfinished)
                fsync_file(unfinished)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        move_durably(unfinished, self._place / f"{codes[0]}{source.suffix}")


_HOUR_S = 3600.0
_EVERY_S = 600.0
_AT_ONCE = 20  # files; between two such rounds the daemon may end
_JUMP_S = _HOUR_S  # a clock that moves so far by itself was wrong before, or is now
_DOUBT_S = 24 * _HOUR_S
_HOWEVER_YOUNG, _NONE = float("inf"), float("-inf")

log = structlog.get_logger(stage=StageName.RETENTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """What the settings say about files that are no longer needed."""

    originals: Literal["delete", "keep", "archive"] = "delete"
    archive: Path | None = None  # for originals = archive
    keep_originals_h: float = 48.0  # after the last clip was delivered
    keep_skipped_days: float = 7.0  # captures without a take
    keep_clips_days: float = 7.0  # clips and their pictures, after delivery
    keep_results_days: float = 30.0  # what the API returned of a session, and its analysed video


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionEvents:
    """Who hears of what was cleared away."""

    on_room: Wake = ignore_wake  # space was short, and some was freed
    on_done: Wake = ignore_wake  # nothing more is to be cleared now


class RetentionStage:
    """Keeps the disk from filling with what the API has long acknowledged."""

    name = StageName.RETENTION

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        space: DiskSpace,
        *,
        policy: RetentionPolicy,
        now: Now,
        events: RetentionEvents | None = None,
    ) -> None:
        self._outbox = outbox
        self._space = space
        self._policy = policy
        self._now = now
        self._events = events or RetentionEvents()
        self._removal = FileRemover(outbox, folder, now=now)
        self._archive = None if policy.archive is None else Archive(policy.archive, folder)
        self._waiting = PauseReporter(outbox.pauses, StageName.RETENTION, now=now)
        self._archiving = PauseReporter(outbox.pauses, StageName.ARCHIVE, now=now)
        self._ages = _Ages()
        self._refused: str | None = None  # why a file could not be removed at the last step
        self._noted_s = 0.0  # when the room was last recorded

    def step(self) -> float:
        """Finish what was begun, then clear what is due, and more where space is short."""
        self._finish()
        now = self._now()
        undone_within_s = self._outbox.undoables.rest_s(now)
        if undone_within_s > 0:  # until then nothing goes that a person may want back
            return undone_within_s
        more = self._clear_aged(now)
        if not self._space.below_comfort():
            self._waiting.end()
        elif self._clear_early():
            more = True
            self._events.on_room()
        if more:
            return 0.0
        self._events.on_done()
        self._note_room(now)
        compact_log(self._outbox)
        return _EVERY_S

    def close(self) -> None:
        """Nothing is held."""

    def _finish(self) -> None:
        """Finish what was begun; what cannot be removed is tried again, and holds nothing up."""
        try:
            self._removal.finish()
        except OSError as error:
            if str(error) != self._refused:
                log.error("file removal failed", error=str(error))
            self._refused = str(error)
        else:
            self._refused = None

    def _clear_aged(self, now: Instant) -> bool:
        """Clear what has stayed for its time; return whether there may be more."""
        policy, believed = self._policy, self._ages.are_believed(now)

        def before(keep_s: float) -> float:
            if keep_s == 0:
                return _HOWEVER_YOUNG
            return now.utc_s - keep_s if believed else _NONE

        results = self._clear_results(before(policy.keep_results_days * 24 * _HOUR_S))
        clips = self._clear_clips(before(policy.keep_clips_days * 24 * _HOUR_S))
        originals = self._clear_originals(
            delivered_before=before(policy.keep_originals_h * _HOUR_S),
            skipped_before=before(policy.keep_skipped_days * 24 * _HOUR_S),
        )
        return results or clips or originals

    def _clear_early(self) -> bool:
        """Clear a little of what may go, the oldest first; return whether there may be more."""
        cleared = (
            self._clear_results(_HOWEVER_YOUNG, while_short=True)
            or self._clear_clips(_HOWEVER_YOUNG, while_short=True)
            or self._clear_originals(
                delivered_before=_HOWEVER_YOUNG, skipped_before=_HOWEVER_YOUNG, while_short=True
            )
        )
        if not cleared and self._space.below_comfort():
            self._say_what_stays()
        return cleared

    def _clear_results(self, got_before: float, *, while_short: bool = False) -> bool:
        found = self._outbox.result_clearing.may_go(got_before=got_before, most=_AT_ONCE)
        for entry_id in found:
            if while_short and not self._space.below_comfort():
                return False
            self._removal.clear_results(entry_id)
        return bool(found)

    def _clear_clips(self, delivered_before: float, *, while_short: bool = False) -> bool:
        found = self._outbox.clearing.clips(delivered_before=delivered_before, most=_AT_ONCE)
        for entry_id in found:
            if while_short and not self._space.below_comfort():
                return False
            self._removal.clear_clip(entry_id)
        return bool(found)

    def _clear_originals(
        self, *, delivered_before: float, skipped_before: float, while_short: bool = False
    ) -> bool:
        if self._policy.originals == "keep":
            return False
        found = self._outbox.clearing.originals(
            delivered_before=delivered_before, skipped_before=skipped_before, most=_AT_ONCE
        )
        for capture_id in found:
            if while_short and not self._space.below_comfort():
                return False
            if not self._is_archived(capture_id):
                return False
            self._removal.clear_original(capture_id)
        return bool(found)

    def _is_archived(self, capture_id: int) -> bool:
        """Put an original into the archive, where a person wants one; False where that fails."""
        if self._archive is None or self._policy.originals != "archive":
            return True
        capture = self._outbox.captures.existing(capture_id)
        if capture.hidden_stretches:
            return True  # an archive is to be viewed; part of this one is not
        try:
            self._archive.keep(capture, self._outbox.entries.of_capture(capture_id))
        except OSError as error:
            self._archiving.begin(
                "archive_failed",
                f"originals cannot be archived and stay: {error.strerror}: {self._policy.archive}",
            )
            return False
        self._archiving.end()
        return True

    def _say_what_stays(self) -> None:
        """Nothing more may go, and space is short: only a person can help."""
        kept = self._policy.originals == "keep"
        self._waiting.begin(
            "nothing_may_go",
            "disk space is low, and nothing else may be cleared automatically: "
            + ("originals = keep also keeps what is delivered" if kept else "it is undelivered")
            + "; free disk space, or discard what is not needed",
        )

    def _note_room(self, now: Instant) -> None:
        if abs(now.utc_s - self._noted_s) < _EVERY_S:
            return
        self._noted_s = now.utc_s
        may_go = self._outbox.rooms.weights().clips_delivered
        may_go += self._outbox.result_clearing.weight_bytes()
        if self._policy.originals != "keep":
            may_go += self._outbox.rooms.delivered_originals_bytes()
        free = self._space.room().free_bytes
        self._outbox.rooms.note(DiskSample(at=now.utc_s, free_bytes=free, may_go_bytes=may_go))


class _Ages:
    """Whether the clock says how old a file is: a clock that was reset makes files years old."""

    def __init__(self) -> None:
        self._offset_s: float | None = None  # of UTC from the time since boot
        self._doubted_until_s = float("-inf")  # since boot

    def are_believed(self, now: Instant) -> bool:
        if not now.trusted:
            return False
        if now.boot_s is None:
            return True
        offset_s = now.utc_s - now.boot_s
        if self._offset_s is not None and abs(offset_s - self._offset_s) > _JUMP_S:
            log.warning("clock jump detected")
            self._doubted_until_s = now.boot_s + _DOUBT_S
        self._offset_s = offset_s
        return now.boot_s >= self._doubted_until_s
