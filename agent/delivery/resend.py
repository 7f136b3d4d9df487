"""Clips of the wrong athlete: resent for the right one, then the wrong session is deleted.

Each pass makes one step of each: a row says what is to be done before it is done, and every step
can be done again: linking a file that is linked, deleting a session that is gone.
"""

from collections.abc import Callable
from pathlib import Path

import structlog

from agent.clock import Now
from agent.delivery.session_changes import SessionDeleter
from agent.disk.state_folder import StateFolder, fsync_file, link_or_copy, move_durably
from agent.errors import ApiUnavailableError
from agent.failpoints import crash_point
from agent.outbox.models import ClipFile, Entry, NewEntry, derive_clip_code
from agent.outbox.outbox import Outbox
from agent.outbox.resends import Resend, ResendState
from agent.outbox.states import SENT, EntryState, FileState
from agent.retry import Backoff
from agent.stage import StageName, Wake

_LOOK_AGAIN_S = 30.0
_ONE_BY_ONE_S = 1.0
_AT_WORK = frozenset({ResendState.ASKED, ResendState.SENDING, ResendState.DELETING})

log = structlog.get_logger(stage=StageName.RESENDING)


class ResendStage:
    """Resends what went to the wrong athlete."""

    name = StageName.RESENDING

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        deleter: SessionDeleter,
        *,
        backoff: Backoff,
        now: Now,
        wake_lane: Wake,
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._deleter = deleter
        self._backoff = backoff
        self._now = now
        self._wake_lane = wake_lane

    def step(self) -> float:
        """Make one step of each clip that is on its way."""
        at_work = self._outbox.resends.in_states(_AT_WORK)
        for resend in at_work:
            _STEPS[resend.state](self, resend)
        return _ONE_BY_ONE_S if at_work else _LOOK_AGAIN_S

    def close(self) -> None:
        """Nothing is held."""

    def _begin(self, resend: Resend) -> None:
        """asked -> sending, once it is too late to undo it."""
        undoable = self._outbox.undoables.by_id(resend.undoable_id)
        assert undoable is not None  # made with it
        if undoable.left_s(self._now()) > 0:
            return
        old = self._entry(resend.entry_id)
        if not self._is_whole(old):
            self._end(resend, ResendState.GIVEN_UP, "the clip is no longer on this box")
            return
        new = self._new_entry(resend, old)
        self._link(old, new)
        crash_point("resend-linked")
        now_s = self._now().utc_s
        with self._outbox.transaction():
            if not self._outbox.undoables.settle(undoable, "done"):
                return  # it was undone at this very moment
            entry = self._outbox.entries.create(new, now_s=now_s)
            self._outbox.resends.move(
                resend, ResendState.SENDING, now_s=now_s, new_entry_id=entry.id
            )
        crash_point("resend-entered")
        log.info("resend queued", entry=old.name, new_entry=entry.name, clip=entry.clip_code)
        self._wake_lane()

    def _follow(self, resend: Resend) -> None:
        """sending -> deleting, once the right session is there."""
        assert resend.new_entry_id is not None  # it has one from `sending` on
        new = self._entry(resend.new_entry_id)
        if new.state in SENT:
            self._outbox.resends.move(resend, ResendState.DELETING, now_s=self._now().utc_s)
            crash_point("resend-delivered")
        elif new.state is EntryState.DISCARDED:
            self._end(resend, ResendState.GIVEN_UP, f"{new.name} was discarded: nothing changed")

    def _delete(self, resend: Resend) -> None:
        """deleting -> done or refused; a session that is gone already is deleted."""
        now_s = self._now().utc_s
        wait_s = resend.due_at - now_s
        if not self._deleter.is_open or 0 < wait_s <= self._backoff.longest_s:
            return  # more: the clock jumped
        try:
            deletion = self._deleter.delete(resend.session_id)
        except ApiUnavailableError as fault:
            failures = resend.failures + 1
            due_at = now_s + self._backoff.delay_s(failures, retry_after_s=fault.retry_after_s)
            self._outbox.resends.move(
                resend,
                ResendState.DELETING,
                now_s=now_s,
                detail=str(fault),
                failures=failures,
                due_at=due_at,
            )
            return
        crash_point("resend-deleted")
        if not deletion.is_gone:
            log.warning(
                "session deletion refused", session=resend.session_id, answer=deletion.words
            )
            self._end(resend, ResendState.REFUSED, f"HTTP {deletion.status}: {deletion.words}")
            return
        assert resend.new_entry_id is not None  # as above
        with self._outbox.transaction():
            new_name = self._entry(resend.new_entry_id).name
            self._outbox.resends.end_old(resend, new_name=new_name, now_s=now_s)
            self._outbox.resends.move(resend, ResendState.DONE, now_s=now_s)
        log.info("session deleted", session=resend.session_id)

    def _end(self, resend: Resend, to: ResendState, detail: str) -> None:
        self._outbox.resends.move(resend, to, now_s=self._now().utc_s, detail=detail)

    def _is_whole(self, old: Entry) -> bool:
        clip = self._folder.clips / old.stored_name
        present = old.file_state is FileState.PRESENT and clip.is_file()
        return present and clip.stat().st_size == old.clip_bytes

    def _new_entry(self, resend: Resend, old: Entry) -> NewEntry:
        sources = self._outbox.resends.sources_of(old.id)
        named_by = sources[-1]  # of a clip over two recordings, the second
        capture = self._outbox.captures.by_id(named_by.capture_id)
        assert capture is not None  # rows are never deleted
        generation = self._outbox.resends.next_generation(named_by)
        code = derive_clip_code(capture.sha256, named_by.take_number, generation)
        suffix = Path(old.stored_name).suffix
        return NewEntry(
            clip_code=code,
            generation=generation,
            sources=sources,
            state=EntryState.READY,
            reason=None,
            due_at=self._now().utc_s,
            clip=ClipFile(
                stored_name=f"{code}{suffix}",
                sha256=old.clip_sha256,
                size_bytes=old.clip_bytes,
                seconds=old.clip_seconds,
                cut_method=old.cut_method or "whole",
                cut_why=old.cut_why,
            ),
            target=resend.target,
            filmed_at=old.filmed_at,
            remarks=old.remarks,
        )

    def _link(self, old: Entry, new: NewEntry) -> None:
        """Give the clip and its pictures their new names beside the old ones: no copy, no wait."""
        clips = self._folder.clips
        pairs = [(clips / old.stored_name, clips / new.clip.stored_name)]
        pictures = (self._folder.beside_clip(code) for code in (old.clip_code, new.clip_code))
        pairs += [pair for pair in zip(*pictures, strict=True) if pair[0].exists()]
        for source, target in pairs:
            if target.exists():
                continue
            unfinished = self._folder.tmp / target.name
            unfinished.unlink(missing_ok=True)
            link_or_copy(source, unfinished)
            fsync_file(unfinished)
            move_durably(unfinished, target)

    def _entry(self, entry_id: int) -> Entry:
        entry = self._outbox.entries.by_id(entry_id)
        assert entry is not None  # rows are never deleted
        return entry


_STEPS: dict[ResendState, Callable[[ResendStage, Resend], None]] = {
    ResendState.ASKED: ResendStage._begin,
    ResendState.SENDING: ResendStage._follow,
    ResendState.DELETING: ResendStage._delete,
}
