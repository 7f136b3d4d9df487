"""What a start sets right about results: rows without their file, files without their row."""

from pathlib import Path

import structlog

from agent.clock import Now
from agent.outbox.disk.folders import StateFolder, fsync_folder, quarantine, remove
from agent.outbox.entry import Entry
from agent.outbox.results.documents import Head, read_head
from agent.outbox.results.record import DocumentState, NewResult
from agent.outbox.states import EntryState
from agent.outbox.store import Outbox
from agent.stage import StageName

_SUFFIX = ".json"

log = structlog.get_logger(stage=StageName.START)


class ResultRepair:
    """Brings results and their files together again; what is lost is fetched again."""

    def __init__(self, outbox: Outbox, folder: StateFolder, *, now: Now) -> None:
        self._outbox = outbox
        self._folder = folder
        self._now = now

    def run(self) -> None:
        """Look at everything once."""
        documents = self._folder.files_in(self._folder.results)
        found = {path.stem: path for path in documents if path.suffix == _SUFFIX}
        for entry_id, clip_code, size_bytes in list(self._outbox.results.documents()):
            path = found.pop(clip_code, None)
            if path is None or path.stat().st_size != size_bytes:
                log.warning("result document damaged", entry=f"e{entry_id}")
                self._outbox.results.note_document_lost(entry_id, now_s=self._now().utc_s)
        for clip_code, path in sorted(found.items()):
            self._place(clip_code, path)

    def _place(self, clip_code: str, path: Path) -> None:
        """Make a row of a file that has none; one of a clip that needs it no more goes."""
        entry = self._outbox.entries.by_code(clip_code)
        if entry is None:
            quarantine(path, self._folder, why="no clip has this name")
            return
        head = read_head(path)
        if head is None or not self._adopt(entry, head, path.stat().st_size):
            remove(path)
            fsync_folder(path.parent)

    def _adopt(self, entry: Entry, head: Head, size_bytes: int) -> bool:
        """Record a result by its file: of a crash between the two, or of an outbox made anew."""
        if head.session_id != entry.session_id or self._outbox.results.of_entry(entry.id):
            return False
        state = DocumentState.PRESENT if head.whole else DocumentState.PARTIAL
        new = NewResult(
            numbers=head.numbers,
            analysed_video_url=None,
            document_bytes=size_bytes,
            document_state=state,
        )
        was_cut_off, now_s = entry.state is EntryState.UPLOADED, self._now().utc_s
        with self._outbox.transaction():
            if not self._outbox.results.record(entry.id, new, now_s=head.got_at):
                return False
            if was_cut_off:
                self._outbox.entries.move(entry, EntryState.COMPLETED, now_s=now_s)
            if was_cut_off or not head.whole:  # the link to the video, and the rest
                self._outbox.results.fetch_again(entry.id, now_s=now_s)
        log.info("result adopted", entry=entry.name, clip=entry.clip_code)
        return True
