"""Keeping what came back of a clip: the file first, then its rows in one commit."""

from collections.abc import Mapping

import structlog

from agent.clock import Now
from agent.crashpoints import crash_point
from agent.delivery.looking import Look
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.space import Space, is_disk_full
from agent.outbox.results.documents import Head, write_document
from agent.outbox.results.follow_ups import FollowUp
from agent.outbox.results.record import DocumentState, NewResult
from agent.outbox.states import EntryState
from agent.outbox.store import Outbox
from agent.stage import StageName

_LOOK_FOR_ROOM_S = 3600.0
_NAMES = frozenset({"user_name", "email"})  # the roster alone keeps names

log = structlog.get_logger(stage=StageName.FOLLOW_UP)


class Keeper:
    """Records results."""

    def __init__(self, outbox: Outbox, folder: StateFolder, space: Space, *, now: Now) -> None:
        self._outbox = outbox
        self._folder = folder
        self._space = space
        self._now = now

    def keep(self, follow_up: FollowUp, look: Look, changes: Mapping[str, object]) -> bool:
        """Record what a look showed of a session whose analysis is there.

        Args:
            follow_up: as it was read; False where it moved meanwhile: then nothing is kept.
            look: with what the API told.
            changes: of the follow-up, as `conclusion.after_look` says.
        """
        assert look.analysis is not None  # it is there
        now_s = self._now().utc_s
        head = Head(
            session_id=follow_up.session_id,
            got_at=now_s,
            whole=look.whole,
            numbers=look.analysis.numbers,
        )
        size_bytes = self._write(follow_up, head, look)
        crash_point("result-written")
        new = NewResult(
            numbers=look.analysis.numbers,
            analysed_video_url=look.analysis.link,
            document_bytes=size_bytes or 0,
            document_state=DocumentState.PRESENT if look.whole else DocumentState.PARTIAL,
        )
        if size_bytes is None:  # not now: it completes without, and is fetched later
            changes = {**changes, "due_at": now_s + _LOOK_FOR_ROOM_S}
        is_kept = self._record(follow_up, new, changes, now_s=now_s)
        crash_point("result-recorded")
        if not is_kept and self._outbox.results.of_entry(follow_up.entry_id) is None:
            self._folder.result_document(follow_up.clip_code).unlink(missing_ok=True)
        if is_kept and follow_up.state != "completed":
            log.info(
                "session analysed",
                entry=f"e{follow_up.entry_id}",
                clip=follow_up.clip_code,
                session=follow_up.session_id,
                metrics=len(new.numbers),
            )
        return is_kept

    def _write(self, follow_up: FollowUp, head: Head, look: Look) -> int | None:
        """Write the document; None where the disk has no room for it, or its place refuses."""
        assert look.analysis is not None  # as above
        if self._space.lacks_for_intake():
            return None
        try:
            told = {k: v for k, v in look.analysis.document.items() if k not in _NAMES}
            return write_document(self._folder, follow_up.clip_code, head, told)
        except OSError as error:
            if not is_disk_full(error):  # of this place alone: other sessions must not wait
                log.warning(
                    "result document not stored",
                    entry=f"e{follow_up.entry_id}",
                    detail=str(error.strerror),
                )
            return None

    def _record(
        self,
        follow_up: FollowUp,
        new: NewResult,
        changes: Mapping[str, object],
        *,
        now_s: float,
    ) -> bool:
        with self._outbox.transaction():
            if self._outbox.follow_ups.note(follow_up, changes, now_s=now_s) is None:
                return False
            if not self._outbox.results.record(follow_up.entry_id, new, now_s=now_s):
                return False
            entry = self._outbox.entries.by_id(follow_up.entry_id)
            assert entry is not None  # rows are never deleted
            if entry.state is EntryState.UPLOADED:
                self._outbox.entries.move(entry, EntryState.COMPLETED, now_s=now_s)
        return True
