"""Clips that wait for the next recording, because their capture ended in mid-effort."""

from dataclasses import dataclass

from agent.outbox.capture import Capture, Take
from agent.outbox.captures import Captures
from agent.outbox.database import OutboxDatabase
from agent.outbox.entries import Entries
from agent.outbox.entry import Entry
from agent.outbox.takes import Takes

_RECENT = 8  # captures; one station's recordings come one after the other


@dataclass(frozen=True, slots=True)
class CutOff:
    """An effort that its capture's end cut off, and its clip, which was never sent."""

    capture: Capture
    take: Take
    entry: Entry


class Joins:
    """Which unsent clips may become the first part of a longer one."""

    def __init__(
        self, database: OutboxDatabase, captures: Captures, takes: Takes, entries: Entries
    ) -> None:
        self._db = database
        self._captures = captures
        self._takes = takes
        self._entries = entries

    def cut_off_before(self, capture: Capture) -> list[CutOff]:
        """Return the clips of recent captures that end in mid-effort, the latest first."""
        rows = self._db.rows(CUT_OFF, {"capture": capture.id, "most": _RECENT})
        return [found for row in rows if (found := self._found(int(str(row["entry_id"]))))]

    def wait_no_longer(self, capture: Capture, *, send_delay_s: float, now_s: float) -> None:
        """Let what waited for this capture, and was not joined with it, go its own way."""
        times = {"now": now_s, "delay": send_delay_s}
        self._db.change(LET_GO, {"capture": capture.id, "most": _RECENT, **times})

    def _found(self, entry_id: int) -> CutOff | None:
        entry = self._entries.by_id(entry_id)
        assert entry is not None  # it was found by its id
        captures = self._entries.captures_of(entry_id)
        if len(captures) != 1:  # joined once already: of more than two recordings each is sent
            return None
        capture = self._captures.by_id(captures[0])
        assert capture is not None  # rows are never deleted
        takes = [take for take in self._takes.of(capture) if take.goes_on]
        return CutOff(capture, takes[-1], entry) if takes else None


# A clip whose fence has risen was tried, or a person decided on it: it stays what it is.
CUT_OFF = """
SELECT entry_capture.entry_id FROM entry_capture
  JOIN capture ON capture.id = entry_capture.capture_id
  JOIN take ON take.capture_id = capture.id AND take.number = entry_capture.take_number
  JOIN entry ON entry.id = entry_capture.entry_id
 WHERE entry_capture.capture_id BETWEEN :capture - :most AND :capture - 1
   AND take.goes_on AND take.retired_at IS NULL
   AND entry.state IN ('ready', 'held') AND entry.fence = 0
   AND capture.file_state = 'present'
 ORDER BY entry_capture.capture_id DESC
"""  # index: entry_capture_by_capture

LET_GO = """
UPDATE entry SET due_at = max(:now, created_at + :delay), fence = fence + 1
 WHERE state = 'ready' AND fence = 0 AND due_at > max(:now, created_at + :delay)
   AND id IN (SELECT entry_capture.entry_id FROM entry_capture
                JOIN take ON take.capture_id = entry_capture.capture_id
                         AND take.number = entry_capture.take_number
               WHERE entry_capture.capture_id BETWEEN :capture - :most AND :capture - 1
                 AND take.goes_on)
"""  # index: entry_capture_by_capture
