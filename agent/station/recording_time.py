"""When a capture was filmed, from what was seen of its file.  Pure.

The first evidence that applies serves:

a. Spotter saw the file grow: its last growth, on the station's clock, is the end.  A copy grows
   too; one that keeps the time of its original gives itself away, for no camera dates back what
   it has just written.
b. The container's creation time plus the camera's known offset, if the end that it gives
   agrees with the file's modification time.  A copy keeps the time that the camera gave, so
   both may be the word of one wrong clock: they are believed only where a person has vouched
   for the camera's clock by saying its offset, be it 0.
c. The modification time, if the file appeared in the folder within two minutes of it: a file
   copied in later keeps or makes times that say nothing of the filming.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent.clock import Instant
from agent.outbox.capture import Evidence

AGREEMENT_S = 120.0
_WRONG_ZONE_S = 14 * 3600.0  # how far a camera's clock is off that takes local time for UTC


class RecordedBy(StrEnum):
    """Which evidence of the recording time served."""

    GROWTH = "growth"
    CONTAINER = "container"
    FILE_TIME = "file_time"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTime:
    """When a capture was filmed."""

    by: RecordedBy
    start: Instant  # where unknown: before the earliest moment that any clock names
    end: Instant

    @property
    def is_known(self) -> bool:
        """Whether start and end are more than a guess."""
        return self.by is not RecordedBy.UNKNOWN

    def at(self, position_s: float) -> Instant:
        """Return the moment at which the frame at `position_s` of the capture was filmed."""
        return self.start.shifted(position_s)


def recording_time(
    evidence: Evidence,
    *,
    duration_s: float,
    created_at: float | None,
    clock_offset_s: float | None = None,
) -> RecordingTime:
    """Conclude when a capture was filmed.

    Args:
        evidence: what intake saw of the file.
        duration_s: length of the capture.
        created_at: Unix time of its start by the container, None where it has none.
        clock_offset_s: what must be added to the camera's clock; None where nobody knows.
    """
    if evidence.grew_until is not None and not _was_dated_back(evidence, evidence.grew_until):
        return _ending(RecordedBy.GROWTH, evidence.grew_until, duration_s)
    file_end = _on_our_clock(evidence.mtime_s, evidence.appeared)
    if created_at is not None and clock_offset_s is not None:
        camera_end_s = created_at + clock_offset_s + duration_s
        if abs(camera_end_s - evidence.mtime_s) <= AGREEMENT_S:
            end = file_end.shifted(camera_end_s - evidence.mtime_s)
            return _ending(RecordedBy.CONTAINER, end, duration_s)
    if abs(evidence.appeared.utc_s - evidence.mtime_s) <= AGREEMENT_S:
        return _ending(RecordedBy.FILE_TIME, file_end, duration_s)
    named = [evidence.mtime_s - duration_s, evidence.appeared.utc_s - duration_s]
    if created_at is not None:
        named.append(created_at + (clock_offset_s or 0.0))
    earliest = Instant(utc_s=min(named) - _WRONG_ZONE_S, trusted=evidence.appeared.trusted)
    return RecordingTime(by=RecordedBy.UNKNOWN, start=earliest, end=evidence.appeared)


def creation_s(told: object) -> float | None:
    """Return a container's creation time as Unix time; None where it tells none that is one.

    Whoever writes a file may write any words there.
    """
    try:
        return datetime.fromisoformat(str(told)).timestamp() if told else None
    except (ValueError, OverflowError):
        return None


def _was_dated_back(evidence: Evidence, grew_until: Instant) -> bool:
    """Tell whether a file says that it was last written well before it was seen growing."""
    return grew_until.utc_s - evidence.mtime_s > AGREEMENT_S


def _ending(by: RecordedBy, end: Instant, duration_s: float) -> RecordingTime:
    return RecordingTime(by=by, start=end.shifted(-duration_s), end=end)


def _on_our_clock(utc_s: float, seen: Instant) -> Instant:
    """Return a moment named by UTC, with time since boot where the clock surely ran through.

    Two minutes before or after we looked at the clock ourselves, no jump can hide.
    """
    if abs(utc_s - seen.utc_s) <= AGREEMENT_S:
        return seen.shifted(utc_s - seen.utc_s)
    return Instant(utc_s=utc_s, trusted=seen.trusted)
