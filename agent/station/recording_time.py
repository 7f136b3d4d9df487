"""When a capture was recorded, weighed from all evidence.  Pure.

Two kinds of evidence decide: what happened here (the file grew at the pace of its pictures, or came
into the folder just when it was written), on the station's clock; and what the camera says of it
(in the container, in the name, in a file time that a copy kept), on the camera's clock.  A
recorder's sidecar is both.  They are compared:

- Filming cannot end after the file was complete here; a reading that says so is impossible.
- Growth is filming only at the pace of the pictures: a copy is faster or slower than its content.
- What the camera says of a late copy is believed where a person vouches for its clock by saying
  its offset, be it 0; else it may be the word of one wrong clock, however often it is repeated.
- Android and some others write the end of the recording as its creation time.  Where it is not
  known which, the name or a kept file time of the same clock may decide; else both are readings.
- A camera whose clock was reset (1904, 1970, 2000) proves nothing.

Readings that contradict each other remain side by side: whoever asks whose a take is, or whether
it may be deleted, has to find the same answer for all of them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from agent.clock import Instant, iso_utc
from agent.outbox.models import CaptureEvidence

# In the order in which they are tried; a later form finds what an earlier one cannot.
_DATE = (
    re.compile(r"(?<!\d)(20\d\d)Y(\d\d)M(\d\d)D"),  # Yi: 2026Y11M28D19H/34M12S60.mp4
    re.compile(r"(?<!\d)(20\d\d)([-_. /]?)(0[1-9]|1[0-2])\2([0-2]\d|3[01])(?=\D|\d{4,6}(?!\d))"),
    re.compile(r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?([0-2]\d|3[01])(?=\D|\d{4,9}(?!\d)|$)"),
    re.compile(r"(?<!\d)()([0-2]\d|3[01])[-_.]([0-2]\d|3[01])[-_.](20\d\d)(?!\d)"),
)
_TIME = re.compile(
    r"(?<!\d)(?P<h>[01]\d|2[0-3])(?:[-_.:hH/ ]{0,2}(?P<m>[0-5]\d)"
    r"[-_.:mM ]{0,2}(?P<s>[0-5]\d)(?:\d{1,6})?(?!\d)"
    r"|[-_.:hH/](?P<m2>[0-5]\d)(?!\d))"  # four digits alone may be a counter
)
_IN_FOLDER = re.compile(r"(?<!\d)(?P<h>[01]\d|2[0-3])[-.:](?P<m>[0-5]\d)[-.:](?P<s>[0-5]\d)(?!\d)")
_HOUR_12 = re.compile(
    r"(?<!\d)(?P<h>\d{1,2})[.:](?P<m>[0-5]\d)(?:[.:](?P<s>[0-5]\d))?\s*(?P<half>[AaPp]\.?[Mm])"
)
_BY_THE_HOUR = re.compile(  # a folder an hour, a file a minute: 2026-11-28/10/front/15.00.mp4
    r"(20\d\d)-(\d\d)-(\d\d)/(\d\d)/(?:[^/]+/)?(\d\d)[-_.](\d\d)\.\w+$"
)
_EPOCH = re.compile(r"(?<!\d)(1[4-9]\d{8}|2\d{9})(?:(\d{3})|\.(\d{1,6})|-\d{1,6})?(?!\d)")
_IN_UTC = re.compile(r"^PXL_|\dZ(?![A-Za-z])|UTC", re.IGNORECASE)
# What a messenger names, it names when the file is passed on.
_PASSED_ON = re.compile(r"WhatsApp|-WA\d{4}|telegram|signal-20|snapchat|FB_VID|received_", re.I)
_CHAPTER = re.compile(r"^G[HXPL](?P<part>\d\d)\d{4}\.", re.IGNORECASE)  # GoPro: part 2 and up
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTime:
    """When a name says that a recording began, the likeliest reading first."""

    readings: tuple[float, ...]  # Unix times
    precision_s: float = 1.0  # how much later it may have been
    equals: int = 1  # how many of the readings are as likely as the first


def named_time(name: str, *, folder: str = "") -> NamedTime | None:
    """Return when a file was recorded by its name; None where that says nothing.

    Args:
        name: of the file, without its folder.
        folder: below the capture folder; some cameras write the date there.
    """
    if was_passed_on(name):
        return None
    for text in (name, f"{folder}/{name}") if folder else (name,):
        found = _moments(text)
        if found is not None:
            return found
    epoch = _EPOCH.search(name)
    if epoch is None:
        return None
    return NamedTime(readings=(float(f"{epoch[1]}.{epoch[2] or epoch[3] or 0}"),))


def was_passed_on(name: str) -> bool:
    """Tell whether a messenger named a file: such a name says when it was sent."""
    return _PASSED_ON.search(name) is not None


def is_later_chapter(name: str) -> bool:
    """Tell whether a file continues a recording whose creation time it repeats."""
    found = _CHAPTER.match(name)
    return found is not None and int(found["part"]) > 1


def _moments(text: str) -> NamedTime | None:
    in_utc = _IN_UTC.search(text) is not None
    by_the_hour = _BY_THE_HOUR.search(text)
    if by_the_hour is not None:
        return _named(tuple(map(int, by_the_hour.groups())), in_utc=in_utc)
    for year, month, day, end in _dates(text):
        match = _HOUR_12.search(text, end)
        if match is None and "/" in text[end:]:  # the date is a folder's
            match = _IN_FOLDER.search(text.rpartition("/")[2])
        match = match or _TIME.search(_opened(text, end))
        if match is None:
            continue
        time = match.groupdict()
        hour, minute, seconds = int(time["h"]), int(time["m"] or time["m2"]), time["s"]
        if half := time.get("half"):
            hour = hour % 12 + (12 if half[0] in "pP" else 0)
        wall = (year, month, day, hour, minute, int(seconds or 0))
        named = _named(wall, in_utc=in_utc, precision_s=_MINUTE_S if seconds is None else 1.0)
        if named is not None:
            return named
    return None


def _named(wall: tuple[int, ...], *, in_utc: bool, precision_s: float = 1.0) -> NamedTime | None:
    """Return both readings of a date and time on the wall; None where there is no such date."""
    try:
        moment = datetime(*wall)  # type: ignore[arg-type]  # noqa: DTZ001  # six numbers; the zone comes next
    except ValueError:
        return None
    utc_s = moment.replace(tzinfo=UTC).timestamp()
    # In the hour that comes twice when summer time ends, a wall clock shows two moments.
    here = dict.fromkeys((moment.timestamp(), moment.replace(fold=1).timestamp()))
    readings = (utc_s, *here) if in_utc else (*here, utc_s)
    return NamedTime(
        readings=tuple(dict.fromkeys(readings)),
        precision_s=precision_s,
        equals=1 if in_utc else len(here),
    )


def _opened(text: str, end: int) -> str:
    """Return what follows a date, so that digits that touch it are a time of their own."""
    return text[end:].lstrip("T_- .@/")


def _dates(text: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield year, month, day, and where the date ends."""
    for form in _DATE:
        for found in form.finditer(text):
            parts = [int(part) for part in found.groups() if part.isdigit()]
            if len(parts) != 3:
                continue
            if parts[0] < 100:  # the day first; where that is none, the month
                day, month, year = parts
                if month > 12:
                    day, month = month, day
            else:
                year, month, day = parts
            yield year, month, day, found.end()


AGREEMENT_S = 120.0
_SEEN_S = 1.5  # what our own eyes may be off by
_EXACT_S = 5.0  # what clocks that are right, and recorders that write late, differ by
_LATE_S = 3.0  # of that, what is no difference between two readings
_SAME_S = 10.0  # readings that are closer are one
_SHORT_S = 10.0  # of what took no longer, start and end are one reading
_WRONG_ZONE_S = 14 * 3600.0  # how far a camera's clock is off that takes local time for UTC
_QUARTER_S = 900.0  # all zones differ by whole ones
_SLOW_MOTION = 1.5  # so much faster than it plays was it filmed, or slower
_TOO_SHORT_S = 3.0  # of what took no longer, the pace cannot be measured
_BURST_S = 2.0  # in which what was held back is written
_RESET_BEFORE_S = datetime(2010, 1, 2, tzinfo=UTC).timestamp()
_DAY_S = 86400.0

CreationIs = Literal["start", "end"]


class RecordedBy(StrEnum):
    """Which evidence of the recording time served."""

    SIDECAR = "sidecar"
    GROWTH = "growth"
    CONTAINER = "container"
    NAME = "name"
    FILE_TIME = "file_time"
    ARRIVAL = "arrival"  # says only when it was filmed at the latest
    UNKNOWN = "unknown"


_WORDS = {
    RecordedBy.SIDECAR: "the recorder's sidecar",
    RecordedBy.GROWTH: "the file's growth while recording",
    RecordedBy.CONTAINER: "the creation time in the file",
    RecordedBy.NAME: "the time in the file name",
    RecordedBy.FILE_TIME: "the file's modification time",
    RecordedBy.ARRIVAL: "the time of its arrival here",
    RecordedBy.UNKNOWN: "no reliable evidence",
}


def recorded_by_words(by: str) -> str:
    """Return in words which evidence served."""
    return _WORDS[RecordedBy(by)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What a file's name, times and metadata say about its recording time."""

    length_s: float  # of what is shown
    created_at: float | None = None  # Unix time by the container
    creation_is: CreationIs | None = None  # None: the container does not say
    frames: int = 0
    captured_fps: float | None = None  # where that is not how fast it plays: slow motion

    @property
    def pace(self) -> float:
        """Return how many seconds were filmed for each second that is shown."""
        if not self.captured_fps or self.captured_fps <= 0 or self.length_s <= 0 or not self.frames:
            return 1.0
        pace = self.frames / self.length_s / self.captured_fps
        # A camera that films less in low light does not film slow motion.
        return pace if max(pace, 1 / pace) >= _SLOW_MOTION else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockEvidence:
    """One moment at which a capture may have been filmed."""

    by: RecordedBy
    start: Instant
    end: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTime:
    """When a capture was filmed."""

    by: RecordedBy
    start: Instant  # where unknown: before the earliest moment that any clock names
    end: Instant
    pace: float = 1.0  # seconds filmed for each second shown
    others: tuple[ClockEvidence, ...] = ()  # further readings; where unknown: what is claimed
    is_proof: bool = False  # whether footage may be deleted on the strength of it
    margin_s: float = _EXACT_S  # how far off it may be

    @property
    def is_known(self) -> bool:
        """Whether start and end are more than a guess."""
        return self.by is not RecordedBy.UNKNOWN

    @property
    def readings(self) -> tuple["RecordingTime", ...]:
        """Return every moment at which it may have been filmed, the likeliest first."""
        return (
            self,
            *(replace(self, by=o.by, start=o.start, end=o.end, others=()) for o in self.others),
        )

    @property
    def basis(self) -> str:
        """Say what it rests on, and what contradicts it."""
        others = [
            f"{_WORDS[other.by]} says {iso_utc(other.start.utc_s)} to {iso_utc(other.end.utc_s)}"
            for other in self.others
        ]
        but = "; but " if self.is_known else "; "
        return _WORDS[self.by] + (but + "; ".join(others) if others else "")

    def at(self, position_s: float) -> Instant:
        """Return the moment at which the frame at `position_s` of the capture was filmed."""
        return self.start.shifted(position_s * self.pace)

    def position_s(self, after_start_s: float) -> float:
        """Return where in the capture that is which was filmed so long after its start."""
        return after_start_s / self.pace


def recording_time(
    evidence: CaptureEvidence,
    *,
    inside: Inside,
    name: str = "",
    clock_offset_s: float | None = None,
) -> RecordingTime:
    """Conclude when a capture was filmed.

    Args:
        evidence: what intake saw of the file.
        inside: what the file says of itself.
        name: what the camera program called it.
        clock_offset_s: what must be added to the camera's clock; None where nobody knows.
    """
    weighing = _Weighing(evidence, inside, name, clock_offset_s)
    return replace(weighing.conclude(), pace=inside.pace)


def creation_s(text: object) -> float | None:
    """Return a container's creation time as Unix time; None where it gives none that is one.

    Whoever writes a file may write any words there.
    """
    try:
        return datetime.fromisoformat(str(text)).timestamp() if text else None
    except (ValueError, OverflowError):
        return None


class WriteRate(StrEnum):
    """How fast the bytes of a file came, beside how long what they show took."""

    FITS = "fits"
    SHORT = "short"  # too short, or seen too little of, to decide
    OTHER = "other"  # a copy's


def pace_of_growth(evidence: CaptureEvidence, filmed_s: float) -> WriteRate:
    """Return how the growth that was seen fits the length of what was filmed."""
    samples = evidence.growth
    if len(samples) < 2 or samples[-1][1] <= 0:
        return WriteRate.SHORT
    whole = _pace(samples, filmed_s)
    # What was held from before the event is written at once; then the pace is that of filming.
    late = [sample for sample in samples if samples[0][0].elapsed_s(sample[0]) >= _BURST_S]
    if whole is WriteRate.OTHER and len(late) > 2:
        rest_s = filmed_s * (late[-1][1] - late[0][1]) / late[-1][1]
        if rest_s >= 2 * _TOO_SHORT_S and _pace(late, filmed_s, evenly=True) is WriteRate.FITS:
            return WriteRate.SHORT
    return whole


def _pace(
    samples: Sequence[tuple[Instant, int]], filmed_s: float, *, evenly: bool = False
) -> WriteRate:
    (first, had), (last, has) = samples[0], samples[-1]
    expected_s, took_s = filmed_s * (has - had) / has, first.elapsed_s(last)
    return _compared(took_s, expected_s, whole=evenly or had == 0)


def _compared(took_s: float, expected_s: float, *, whole: bool) -> WriteRate:
    """Compare the seconds for which a file was written with those that it shows."""
    if expected_s < _TOO_SHORT_S:
        return WriteRate.SHORT if took_s < 3 * expected_s + 3 * _TOO_SHORT_S else WriteRate.OTHER
    if whole and 0.85 * expected_s - 1 <= took_s <= 1.15 * expected_s + 3:
        return WriteRate.FITS
    if not whole and 0.5 * expected_s - 1 <= took_s <= 2 * expected_s + 3:
        return WriteRate.SHORT  # bytes do not come evenly
    return WriteRate.OTHER


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the camera says, on its own clock."""

    by: RecordedBy
    starts: tuple[float, ...]  # Unix times, the likeliest first
    zones: tuple[float, ...] = ()  # the same, if it took another zone's time for ours
    equals: int = 1  # how many of `starts` are as likely as the first
    is_rough: bool = False  # good for a contradiction alone
    earlier_s: float = 0.0  # how much earlier it may have begun, unsaid: too little for a reading

    def all(self) -> Iterator[float]:
        yield from self.starts
        yield from self.zones


class _Weighing:
    """One capture's evidence."""

    def __init__(
        self, evidence: CaptureEvidence, inside: Inside, name: str, clock_offset_s: float | None
    ) -> None:
        self._seen = evidence
        self._name = name
        self._length_s = inside.length_s * inside.pace
        self._offset_s = clock_offset_s
        self._complete = evidence.grew_until or evidence.appeared
        grown_s = evidence.born_s
        if grown_s is None and evidence.growth and evidence.growth[0][1] == 0:
            grown_s = evidence.growth[0][0].utc_s
        # A file that says it was last written before its first byte came: a copy kept its time.
        self._kept_time = grown_s is not None and evidence.mtime_s < grown_s - 2.0
        if evidence.grew_until is not None:
            self._kept_time |= evidence.grew_until.utc_s - evidence.mtime_s > AGREEMENT_S
        else:
            self._kept_time |= evidence.appeared.utc_s - evidence.mtime_s > AGREEMENT_S
        self._claims = list(self._claimed(inside))

    def conclude(self) -> RecordingTime:
        reading = self._by_sidecar()
        if reading is not None:
            return reading
        here = self._seen_here()
        vouched = None if self._offset_s is None else self._vouched()
        if here is not None and here.by is RecordedBy.GROWTH and vouched is not None:
            return self._grown(here, vouched)
        if vouched is not None:
            return vouched
        if here is not None:
            return self._unless_contradicted(here)
        return self._prompt() or self._unknown()

    def _by_sidecar(self) -> RecordingTime | None:
        """Return what the recorder wrote beside the file, unless it contradicts the file."""
        sidecar = self._seen.sidecar
        if sidecar is None:
            return None
        off_s = abs(sidecar.start.elapsed_s(sidecar.end) - self._length_s)
        late_s = sidecar.end.utc_s - self._complete.utc_s
        if off_s > _EXACT_S + 0.02 * self._length_s or late_s > _EXACT_S:
            return None
        start = sidecar.end.shifted(-self._length_s)
        margin_s = max(1.0, sidecar.uncertainty_s)
        return RecordingTime(
            by=RecordedBy.SIDECAR, start=start, end=sidecar.end, is_proof=True, margin_s=margin_s
        )

    def _seen_here(self) -> RecordingTime | None:
        """Return what happened in the folder, if it was like that of a live recording."""
        seen = self._seen
        if seen.grew_until is not None and not self._kept_time:
            pace = pace_of_growth(seen, self._length_s)
            if pace is WriteRate.OTHER:
                return None
            return self._ending(RecordedBy.GROWTH, seen.grew_until, proof=pace is WriteRate.FITS)
        if abs(seen.appeared.utc_s - seen.mtime_s) > AGREEMENT_S or was_passed_on(self._name):
            return None
        end = _on_our_clock(min(seen.mtime_s, self._complete.utc_s), seen.appeared)
        if self._kept_time or seen.born_s is None:
            return self._ending(RecordedBy.FILE_TIME, end, margin_s=AGREEMENT_S)
        took_s = seen.mtime_s - seen.born_s
        pace = _compared(took_s, self._length_s, whole=True)
        if pace is WriteRate.OTHER and self._length_s < took_s < _DAY_S:
            return None  # no recorder takes longer than what it records, unless the clock jumped
        return self._ending(RecordedBy.FILE_TIME, end, proof=pace is WriteRate.FITS)

    def _claimed(self, inside: Inside) -> Iterator[_Claim]:
        """Yield what the camera says, the best first."""
        seen, length_s = self._seen, self._length_s
        named = named_time(self._name, folder=seen.folder)
        created = inside.created_at
        if created is not None and self._was_reset(created):
            created = None
        if created is not None and is_later_chapter(self._name):
            yield _Claim(RecordedBy.CONTAINER, (created + length_s,), is_rough=True)
        elif created is not None:
            which = inside.creation_is or self._start_or_end(
                created, None if named is None else named.readings[0]
            )
            starts: tuple[float, ...] = (created,) if which == "start" else (created - length_s,)
            if which is None:
                starts = (created, created - length_s)
            here_s = _zone_s(created)
            zones = tuple(start - here_s for start in starts) if here_s else ()
            is_short = inside.creation_is is None and length_s < _SHORT_S
            yield _Claim(
                RecordedBy.CONTAINER,
                starts,
                zones,
                equals=len(starts),
                earlier_s=length_s if is_short else 0.0,
            )
        if named is not None and not self._was_reset(named.readings[0]):
            starts, zones = named.readings[: named.equals], named.readings[named.equals :]
            if named.precision_s > 1:
                starts += tuple(start + named.precision_s for start in starts)
            yield _Claim(RecordedBy.NAME, starts, zones, equals=len(starts))
        if self._kept_time:
            yield _Claim(RecordedBy.FILE_TIME, (seen.mtime_s - length_s,))

    def _was_reset(self, told_s: float) -> bool:
        """Tell whether a camera's clock was never set: it counts from some new year's day."""
        if told_s < _RESET_BEFORE_S:
            return True
        is_old = self._seen.appeared.utc_s - told_s > 30 * _DAY_S
        moment = datetime.fromtimestamp(told_s, UTC) if told_s < 4e9 else None
        return is_old and moment is not None and (moment.month, moment.day) == (1, 1)

    def _start_or_end(self, created: float, named: float | None) -> CreationIs | None:
        """Return which of the two a creation time is, by what else the same clock says."""
        length_s = self._length_s
        if length_s < _SHORT_S:
            return "start"  # or the end: too close to be told apart
        bounds = [(named, 0.0), (named, -length_s)] if named is not None else []
        if self._kept_time:
            mtime_s = self._seen.mtime_s
            bounds = [(mtime_s, length_s), (mtime_s, 0.0), *bounds]
        for (other, if_start_s), (_, if_end_s) in zip(bounds[::2], bounds[1::2], strict=True):
            for is_, apart_s in (("start", if_start_s), ("end", if_end_s)):
                # Zones apart, they differ by what they should.
                rest_s = (other - created - apart_s + _QUARTER_S / 2) % _QUARTER_S - _QUARTER_S / 2
                if abs(rest_s) <= _EXACT_S - 2:
                    return "start" if is_ == "start" else "end"
        return None

    def _vouched(self) -> RecordingTime | None:
        """Return what the camera says, where a person has said how far its clock is off."""
        assert self._offset_s is not None  # asked by the caller
        found = []
        for claim in self._claims:
            if claim.is_rough:
                continue
            if claim.by is RecordedBy.FILE_TIME and self._offset_s:
                starts = [claim.starts[0], claim.starts[0] + self._offset_s]
            else:
                starts = [start + self._offset_s for start in claim.starts[: claim.equals]]
                starts = [s for s in starts if not self._is_impossible(s)] or [
                    zone + self._offset_s for zone in (*claim.starts[claim.equals :], *claim.zones)
                ]
            starts = [start for start in starts if not self._is_impossible(start)]
            if starts:
                found.append((claim.by, starts))
        if not found:
            return None
        by, (first, *also) = found[0]
        # What counts as one reading is as sharp as it is wide.
        wide_s = [
            abs(s - first) for _, starts in found for s in starts if abs(s - first) <= _SAME_S
        ]
        wide_s += [claim.earlier_s for claim in self._claims if claim.by is by]
        margin_s = max(_EXACT_S, max(wide_s) + _LATE_S)
        others = [(by, start) for start in also]
        for other, starts in found[1:]:
            # The name may be in the camera's own zone; a file may be written again later.
            later = other is RecordedBy.FILE_TIME and starts[0] > first
            same = any(_is_zone_apart(start, first) for start in starts)
            if not later and not same:
                others += [(other, start) for start in starts]
        return self._claiming(by, first, others, proof=True, margin_s=margin_s)

    def _grown(self, here: RecordingTime, vouched: RecordingTime) -> RecordingTime:
        """Return when a file was filmed that grew here, and of which the camera says when, too.

        A slow copy of which only the end was seen to grow, as on a busy box, looks like a short
        recording: then both may be right.
        """
        if not self._agree(here, vouched.start.utc_s, AGREEMENT_S):
            return replace(vouched, is_proof=False)
        if here.is_proof:
            return here
        says = [(one.by, one.start.utc_s) for one in vouched.readings]
        return replace(here, others=self._readings(says, beside=[here.start.utc_s]))

    def _unless_contradicted(self, here: RecordingTime) -> RecordingTime:
        """Return what happened here beside what the camera says, where that is another time."""
        others: list[tuple[RecordedBy, float]] = []
        proof, margin_s = here.is_proof, here.margin_s
        exact = proof and here.by is RecordedBy.GROWTH
        for claim in self._claims:
            possible = [start for start in claim.all() if not self._is_impossible(start)]
            if not possible or claim.by is here.by:
                continue
            nearest = min(possible, key=lambda start: abs(start - here.start.utc_s))
            if not self._agree(here, nearest, AGREEMENT_S):
                others += [(claim.by, start) for start in claim.starts[: claim.equals]]
            elif self._agree(here, nearest, _SAME_S):
                if not proof and nearest in claim.starts:
                    proof, margin_s = True, max(margin_s, _SAME_S)
                others += self._alternatives(claim, here)
            elif not exact:
                others.append((claim.by, nearest))
        readings = self._readings(others, beside=[here.start.utc_s])
        is_far = any(here.start.utc_s - o.start.utc_s > AGREEMENT_S for o in readings)
        if is_far and not here.is_proof:  # a late copy, which no clock that is right has dated
            return self._unknown()
        return replace(here, others=readings, is_proof=proof and not readings, margin_s=margin_s)

    def _alternatives(self, claim: _Claim, here: RecordingTime) -> list[tuple[RecordedBy, float]]:
        """Return what a creation time means that may be the start or the end, without proof."""
        if here.is_proof:
            return []
        equals = claim.starts[: claim.equals]
        return [(claim.by, also) for also in equals if self._agree(here, also, AGREEMENT_S)]

    def _prompt(self) -> RecordingTime | None:
        """Return what the camera says of a copy that came at once after the filming."""
        for claim in self._claims:
            for start in claim.all():
                waited_s = self._complete.utc_s - (start + self._length_s)
                if not self._is_impossible(start) and waited_s <= AGREEMENT_S:
                    others = [
                        (other.by, other.starts[0])
                        for other in self._claims
                        if all(abs(s - start) > AGREEMENT_S for s in other.all())
                    ]
                    # A creation time that may be the start or the end says both.
                    others += [(claim.by, also) for also in claim.starts[: claim.equals]]
                    arrived = self._complete.utc_s - self._length_s
                    others.append((RecordedBy.FILE_TIME, arrived))
                    return self._claiming(
                        claim.by, start, others, proof=False, margin_s=AGREEMENT_S
                    )
        return None

    def _unknown(self) -> RecordingTime:
        seen, length_s = self._seen, self._length_s
        named = [seen.mtime_s - length_s, seen.appeared.utc_s - length_s]
        claims = []
        for claim in self._claims:
            start = claim.starts[0] + (self._offset_s or 0.0)
            named.append(start)
            if not self._is_impossible(start):
                claims.append((claim.by, start))
        earliest = Instant(utc_s=min(named) - _WRONG_ZONE_S, trusted=seen.appeared.trusted)
        return RecordingTime(
            by=RecordedBy.UNKNOWN,
            start=earliest,
            end=self._complete,
            others=self._readings(claims, beside=[]),
        )

    def _claiming(
        self,
        by: RecordedBy,
        start: float,
        others: Sequence[tuple[RecordedBy, float]],
        *,
        proof: bool,
        margin_s: float,
    ) -> RecordingTime:
        reading = self._reading(by, start)
        readings = self._readings(others, beside=[start])
        return RecordingTime(
            by=by,
            start=reading.start,
            end=reading.end,
            others=readings,
            is_proof=proof and not readings,
            margin_s=margin_s,
        )

    def _readings(
        self, claims: Sequence[tuple[RecordedBy, float]], *, beside: Sequence[float]
    ) -> tuple[ClockEvidence, ...]:
        """Return those that are far enough apart to be others."""
        known, readings = list(beside), []
        for by, start in claims:
            if self._is_impossible(start) or any(abs(start - k) <= _SAME_S for k in known):
                continue
            known.append(start)
            readings.append(self._reading(by, start))
        return tuple(readings)

    def _reading(self, by: RecordedBy, start_s: float) -> ClockEvidence:
        """Return a reading; one that ends a little too late ends when the file was complete."""
        end_s = min(start_s + self._length_s, self._complete.utc_s)
        end = _on_our_clock(end_s, self._complete)
        return ClockEvidence(by=by, start=end.shifted(-self._length_s), end=end)

    def _is_impossible(self, start_s: float) -> bool:
        """Tell whether filming would have ended after the file was complete here."""
        return start_s + self._length_s > self._complete.utc_s + _EXACT_S

    def _agree(self, here: RecordingTime, start_s: float, within_s: float) -> bool:
        return abs(here.start.utc_s - start_s) <= within_s

    def _ending(
        self, by: RecordedBy, end: Instant, *, proof: bool = False, margin_s: float = _SEEN_S
    ) -> RecordingTime:
        start = end.shifted(-self._length_s)
        return RecordingTime(by=by, start=start, end=end, is_proof=proof, margin_s=margin_s)


def _zone_s(utc_s: float) -> float:
    """Return how far the clock on the wall here is ahead of UTC at a moment."""
    try:
        offset = datetime.fromtimestamp(utc_s).astimezone().utcoffset()  # local
    except (ValueError, OverflowError, OSError):
        return 0.0
    return 0.0 if offset is None else offset.total_seconds()


def _is_zone_apart(first_s: float, second_s: float) -> bool:
    """Tell whether two moments are the same but for the zones of those who tell them."""
    apart_s = abs(first_s - second_s)
    rest_s = (apart_s + _QUARTER_S / 2) % _QUARTER_S - _QUARTER_S / 2
    return apart_s <= _WRONG_ZONE_S and abs(rest_s) <= _SAME_S


def _on_our_clock(utc_s: float, seen: Instant) -> Instant:
    """Return a moment named by UTC, with time since boot where that is sure.

    Two minutes before or after we looked at the clock ourselves, no jump can hide; and a clock
    that can be trusted shows how long ago it was, whatever the clock said then.
    """
    ago_s = seen.utc_s - utc_s
    is_of_this_boot = seen.trusted and seen.boot_s is not None and 0 <= ago_s < seen.boot_s
    if abs(ago_s) <= AGREEMENT_S or is_of_this_boot:
        return seen.shifted(-ago_s)
    return Instant(utc_s=utc_s, trusted=seen.trusted)
