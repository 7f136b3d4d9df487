"""Cutting clips, cutting them again, and joining takes that span several recordings.

The athlete's landmarks are kept with each clip, cut from what the analysis saw of its recordings.
Their file is JSON: `schema` (1), `bones` (pairs of joints), `times_ms` (of the clip, increasing)
and `points`, for each time x and y of every joint in 1/`scale` of the shown picture's width and
height, null for a joint that is not visible.  A later schema only adds to that.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import structlog

from agent.clipping.analysis_process import AnalysisProcess, number_in
from agent.clock import Now
from agent.disk.space import DiskSpace, megabytes
from agent.disk.state_folder import (
    StateFolder,
    fsync_file,
    link_or_copy,
    move_durably,
    open_plain,
    write_durably,
)
from agent.errors import AnalysisError, AnalysisFault
from agent.failpoints import crash_point
from agent.heartbeat import during_io
from agent.outbox.captures import RECENT, Neighbour
from agent.outbox.models import Capture, ClipFile, ClipSource, Entry, Take, TakeOrigin
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import PauseReporter
from agent.outbox.states import TO_BE_LOOKED_INTO, Reason
from agent.stage import StageName
from agent.station.overlaps import (
    LONGEST_GAP_S,
    Compared,
    Kinship,
    Nearby,
    Plan,
    Seam,
    Stretch,
    counts_on,
    gap_between,
    is_told_to_follow,
    kinship,
    kinship_of_names,
    plan_take,
    seam_between,
)
from agent.text import read_json

_MOST_BYTES = 64 << 20
_MS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SkeletonPart:
    """What of one recording is in a clip."""

    path: Path  # of the recording's landmarks
    start_s: float  # in the recording's time
    end_s: float
    later_s: float  # what to add for the clip's time


def cut_skeleton(parts: Sequence[SkeletonPart]) -> bytes | None:
    """Return the landmarks of a clip as its file holds them; None where nothing is known.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is none of ours.
    """
    head: dict[str, Any] = {}
    looks: list[tuple[int, object]] = []
    for part in parts:
        if not part.path.exists():  # analysed by an older version, or in hidden parts
            continue
        known = _read(part.path)
        head = head or {name: known[name] for name in ("schema", "bones", "scale")}
        for at_ms, points in _within(known, part):
            if not looks or at_ms > looks[-1][0]:
                looks.append((at_ms, points))
    if not looks:
        return None
    times_ms, points = zip(*looks, strict=True)
    document = {**head, "times_ms": times_ms, "points": points}
    return json.dumps(document, separators=(",", ":")).encode()


def _within(known: dict[str, Any], part: SkeletonPart) -> Iterator[tuple[int, object]]:
    for at_ms, points in zip(known["times_ms"], known["points"], strict=True):
        if part.start_s * _MS <= at_ms <= part.end_s * _MS:
            yield round(at_ms + part.later_s * _MS), points


def _read(path: Path) -> dict[str, Any]:
    with open_plain(path) as file:
        document = read_json(file.read(_MOST_BYTES))
    wanted = {"schema", "bones", "scale", "times_ms", "points"}
    if not isinstance(document, dict) or not wanted <= document.keys():
        raise ValueError(f"{path.name} holds no landmarks")
    return document


_NEXT_FRAMES_S = 1.0  # which a frame before them may be made of


class ClipCutter:
    """Cuts the clips of a capture into the work folder."""

    def __init__(
        self, child: AnalysisProcess, folder: StateFolder, *, options: Mapping[str, object]
    ) -> None:
        self._child = child
        self._folder = folder
        self._options = dict(options)  # how clips are cut

    def cut(
        self,
        capture: Path,
        take: Take,
        *,
        clip_code: str,
        rendition: Mapping[str, object] | None = None,
    ) -> ClipFile:
        """Cut one take's clip; doing it again gives the same file its place again.

        Args:
            capture, take: what to cut, and from what.
            clip_code: the clip's name.
            rendition: other options than the station's.

        Raises:
            AnalysisError: the cut failed.
            OSError: the disk refused.
        """
        with _dropped_on_error(self._folder.tmp / f"{clip_code}.mp4") as unfinished:
            result = self._child.ask(
                "cut",
                path=str(capture),
                start_s=take.start_s,
                end_s=take.end_s,
                out=str(unfinished),
                options={**self._options, **(rendition or {})},
            )
            log.info("clip cut", clip=clip_code, method=result["method"], why=result["why"])
            crash_point("clip-cut")
            return self._keep(
                unfinished,
                seconds=number_in(result, "clip_seconds"),
                method=str(result["method"]),
                why=str(result["why"]),
            )

    def keep_whole(self, capture: Path, *, clip_code: str, seconds: float) -> ClipFile:
        """Make a capture's whole file its clip, without analysing it."""
        unfinished = self._folder.tmp / f"{clip_code}{capture.suffix}"
        unfinished.unlink(missing_ok=True)
        with during_io(3 * capture.stat().st_size):
            link_or_copy(capture, unfinished)
        return self._keep(unfinished, seconds=seconds)

    def draw_pictures(self, capture: Path, take: Take, *, clip_code: str) -> None:
        """Draw a take's poster and filmstrip; a clip is as good without them."""
        middle_s = (take.active_start_s + take.active_end_s) / 2
        poster_at_s = middle_s if take.decisive_s is None else take.decisive_s
        stretch = {"start_s": take.start_s, "end_s": take.end_s}
        poster, strip = self._folder.pictures_of(clip_code)
        self._draw("poster", poster.name, path=str(capture), at_s=poster_at_s)
        if poster.exists():
            small = self._folder.thumbnail_of(clip_code)
            self._draw("thumbnail", small.name, path=str(poster))
        self._draw("filmstrip", strip.name, path=str(capture), **stretch)

    def keep_skeleton(self, parts: Sequence[SkeletonPart], *, clip_code: str) -> None:
        """Keep the athlete's landmarks in a clip; a clip is as good without them."""
        path = self._folder.skeleton_of(clip_code)
        try:
            content = cut_skeleton(parts)
            if content is not None:
                write_durably(path, content, tmp=self._folder.tmp)
        except (OSError, ValueError, TypeError) as error:
            log.warning("picture drawing failed", picture=path.name, error=str(error))

    @contextmanager
    def beside(self, stored_name: str, suffix: str) -> Iterator[str]:
        """Give a path to write something of a capture to, and keep what was written there."""
        with _dropped_on_error((self._folder.tmp / stored_name).with_suffix(suffix)) as unfinished:
            yield str(unfinished)
            if unfinished.exists():
                fsync_file(unfinished)
                move_durably(unfinished, self._folder.pictures / unfinished.name)

    def _draw(self, operation: str, name: str, **fields: object) -> None:
        try:
            with _dropped_on_error(self._folder.tmp / name) as unfinished:
                self._child.ask(operation, out=str(unfinished), **fields)
                fsync_file(unfinished)
                move_durably(unfinished, self._folder.pictures / name)
        except (AnalysisError, OSError) as error:
            log.warning("picture drawing failed", picture=name, error=str(error))

    def _keep(
        self, unfinished: Path, *, seconds: float, method: str = "whole", why: str | None = None
    ) -> ClipFile:
        size_bytes = unfinished.stat().st_size
        with during_io(2 * size_bytes):
            fsync_file(unfinished)
            with unfinished.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        move_durably(unfinished, self._folder.clips / unfinished.name)
        crash_point("clip-kept")
        return ClipFile(
            stored_name=unfinished.name,
            sha256=sha256,
            size_bytes=size_bytes,
            seconds=seconds,
            cut_method=method,
            cut_why=why,
        )


def nothing_hidden(capture: Capture, start_s: float, end_s: float) -> dict[str, object] | None:
    """Return how a clip is cut beside what nobody may see of its capture; None: as ever.

    Copied packets may hold what was filmed before the clip, or just after, though no player
    shows it.
    """
    beside = capture.hides(0.0, start_s) or capture.hides(end_s, end_s + _NEXT_FRAMES_S)
    return {"method": "encode"} if beside else None


@contextmanager
def _dropped_on_error(unfinished: Path) -> Iterator[Path]:
    """Remove a file that was not finished: on a full disk every byte counts.

    A file whose fsync failed is never trusted again either: the system may have dropped what it
    could not write, and says nothing the second time.  It is cut again.
    """
    try:
        yield unfinished
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


_WORTH_TELLING_S = 0.2
_SLACK_S = LONGEST_GAP_S + 0.5
_COPIED_LATE_S = 120.0  # so much later than another a file may have come that was filmed with it
_QUIET_SHARE = 1.5  # of a recording's length: so long the next one may take to appear
_LONGEST_QUIET_S = 30.0

log = structlog.get_logger(stage=StageName.CLIPPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedRecording:
    """A file over several recordings, to be cut and then removed."""

    path: Path
    take_in_file: Take
    shifts_s: Sequence[float]  # what to add to the times of each source's capture
    words: str  # what it is made of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Relation:
    """The position in time of another capture relative to this one."""

    own_begins_s: float  # presentation time of this one's first frame
    other_begins_s: float  # of the other one's
    begins_at_s: float  # of the other one, in this one's time
    adjoins: bool


class RecordingJoiner:
    """Finds the clips that show the same movement, and puts recordings into one file."""

    def __init__(self, outbox: Outbox, folder: StateFolder, child: AnalysisProcess) -> None:
        self._outbox = outbox
        self._folder = folder
        self._child = child

    def plan(self, capture: Capture, takes: Sequence[Take]) -> list[Plan]:
        """Decide what to make of the takes of a capture, beside the clips that are there."""
        now = self._outbox.captures.existing(capture.id)  # with its recording time
        found = [take for take in takes if take.origin is TakeOrigin.FOUND]
        clips, own_begins_s = self._nearby(now, found) if found else ([], 0.0)
        plans = []
        for take in takes:
            own = Stretch(
                capture_id=now.id,
                take_number=take.number,
                begins_s=own_begins_s,
                ends_s=own_begins_s + (now.duration_s or take.end_s),
                own_begins_s=own_begins_s,
            )
            beside = clips if take.origin is TakeOrigin.FOUND else []
            plans.append(plan_take(take, own, beside))
        return plans

    def join(self, capture: Capture, plan: Plan) -> JoinedRecording | str:
        """Put the recordings of a plan into one file, or say why they cannot be.

        Raises:
            AnalysisError: the disk is full.
        """
        path = self._folder.tmp / f"{capture.sha256}-joined.mp4"
        shifts_s = join_sources(self._child, self._folder, self._outbox, plan.sources, path)
        if isinstance(shifts_s, str):
            log.info("recordings not joined", capture=capture.name, why=shifts_s)
            path.unlink(missing_ok=True)
            return shifts_s
        names = " and ".join(f"c{source.capture_id}" for source in plan.sources)
        log.info("recordings joined", capture=capture.name, captures=names)
        at = next(n for n, one in enumerate(plan.sources) if one.capture_id == capture.id)
        return JoinedRecording(
            path=path,
            take_in_file=shifted(plan.take, shifts_s[at]),
            shifts_s=shifts_s,
            words=self._words(plan),
        )

    def _words(self, plan: Plan) -> str:
        """Return what a clip over several recordings is made of."""
        words = "over " + " and ".join(f"c{source.capture_id}" for source in plan.sources)
        for source in plan.sources[:-1]:
            capture = self._outbox.captures.existing(source.capture_id)
            beyond_s = source.end_s - (capture.duration_s or 0.0)
            if beyond_s >= _WORTH_TELLING_S:
                words += f", {beyond_s:.1f} s between them were not filmed"
            elif beyond_s <= -_WORTH_TELLING_S:
                words += f", which share {-beyond_s:.1f} s"
        return words

    def _nearby(self, capture: Capture, takes: Sequence[Take]) -> tuple[list[Nearby], float]:
        relations: dict[int, _Relation | None] = {}
        clips, own_begins_s = [], 0.0
        for neighbour in self._outbox.joins.near(capture):
            for at, other in reversed(list(enumerate(neighbour.captures))):
                if other.id == capture.id:
                    break  # it is a clip of this very capture
                if not _may_meet(other, neighbour.takes[at], capture, takes):
                    continue
                if other.id not in relations:
                    relations[other.id] = self._relate(other, capture, neighbour.takes[at], takes)
                relation = relations[other.id]
                if relation is not None:
                    own_begins_s = relation.own_begins_s
                    clips.append(_beside(neighbour, at, relation))
                    break
        return clips, own_begins_s

    def _relate(
        self, other: Capture, capture: Capture, theirs: Take, takes: Sequence[Take]
    ) -> _Relation | None:
        """Return where another capture is in time relative to one; None: nothing in common."""
        if other.hidden_stretches or capture.hidden_stretches:
            return None  # a comparison reads pictures, and some of these nobody may see
        kin = kinship(other, capture)
        if kin is Kinship.OTHER or not (self._has_file(other) and self._has_file(capture)):
            return None
        first, second = (other, capture) if _comes_first(other, capture) else (capture, other)
        gap = gap_between(first, second)
        clocks: dict[str, object] = {
            "second_moves_s": theirs.active_start_s if second is other else takes[0].active_start_s
        }
        if gap is not None:
            clocks["shift_s"] = (first.duration_s or 0.0) + gap.middle_s
            clocks["within_s"] = gap.half_s
            clocks["are_sure"] = gap.is_sure
            clocks["may_adjoin"] = gap.least_s <= LONGEST_GAP_S and gap.most_s >= -LONGEST_GAP_S
        compared = self._compare(first, second, clocks)
        if compared is None:
            return None
        is_next = kin is Kinship.SAME and counts_on(first.file_name, second.file_name)
        is_told = is_told_to_follow(first, second)
        seam = seam_between(gap, compared, is_next=is_next, is_told=is_told)
        if isinstance(seam, str):
            log.info("recordings not joined", capture=capture.name, other=other.name, why=seam)
            return None
        return _relation(seam, compared, other_is_first=first is other)

    def _has_file(self, capture: Capture) -> bool:
        return (self._folder.captures / capture.stored_name).exists()

    def _compare(
        self, first: Capture, second: Capture, clocks: dict[str, object]
    ) -> Compared | None:
        try:
            answer = self._child.ask(
                "compare",
                path=str(self._folder.captures / first.stored_name),
                next=str(self._folder.captures / second.stored_name),
                clocks=clocks,
            )
        except AnalysisError as error:
            if error.fault is AnalysisFault.NO_SPACE:
                raise
            log.warning(
                "recording comparison failed",
                capture=first.name,
                other=second.name,
                error=str(error),
            )
            return None
        return Compared(**{field.name: answer[field.name] for field in fields(Compared)})  # type: ignore[arg-type]  # the child is our own


class NextRecording:
    """Lets clips go that waited for the recording after theirs, once it is known what it holds."""

    def __init__(
        self, outbox: Outbox, *, send_delay_s: float, arriving: Callable[[], Iterable[str]]
    ) -> None:
        self._outbox = outbox
        self._send_delay_s = send_delay_s
        self._arriving = arriving  # what is being written, or about to be ingested

    def release(self, *, now_s: float) -> int:
        """Let go what needs to wait no longer; return how many clips still wait."""
        waiting = self._outbox.joins.waiting()
        if not waiting:
            return 0
        arriving = list(self._arriving())  # before the rows: what is ingested is in one of both
        still = 0
        for entry, captures in waiting:
            if captures and self._must_wait(entry, captures, arriving, now_s):
                still += 1
            else:
                due_at = max(now_s, entry.created_at + self._send_delay_s)
                self._outbox.joins.let_go(entry, due_at=due_at)
                log.info("clip wait ended", entry=entry.name, clip=entry.clip_code)
        return still

    def _must_wait(
        self, entry: Entry, captures: Sequence[Capture], arriving: Sequence[str], now_s: float
    ) -> bool:
        if now_s >= entry.due_at:
            return False
        last = captures[-1]
        later = [
            capture
            for capture in self._outbox.joins.behind(max(captures, key=lambda one: one.id))
            if kinship(last, capture) is not Kinship.OTHER
        ]
        if any(capture.state in TO_BE_LOOKED_INTO for capture in later[:RECENT]):
            return not any(_surely_follows(last, capture) for capture in later)
        if any(_surely_follows(last, capture) for capture in later):
            return False
        name = (
            f"{last.evidence.folder}/{last.file_name}" if last.evidence.folder else last.file_name
        )
        if any(kinship_of_names(name, other) is not Kinship.OTHER for other in arriving):
            return True
        quiet_s = min(_QUIET_SHARE * (last.duration_s or 0.0), _LONGEST_QUIET_S)
        return now_s < entry.created_at + quiet_s


def join_sources(
    child: AnalysisProcess,
    folder: StateFolder,
    outbox: Outbox,
    sources: Sequence[ClipSource],
    out: Path,
) -> list[float] | str:
    """Put what a clip is cut from into one file.

    Returns:
        What to add to the times of each source's capture, or in words why it cannot be done.

    Raises:
        AnalysisError: the disk is full.
    """
    parts = []
    for source in sources:
        capture = outbox.captures.existing(source.capture_id)
        path = folder.captures / capture.stored_name
        parts.append({"path": str(path), "start_s": source.start_s, "end_s": source.end_s})
    try:
        answer = child.ask("join", parts=parts, out=str(out))
    except AnalysisError as error:
        if error.fault is AnalysisFault.NO_SPACE:
            raise
        return str(error)
    shifts_s = answer.get("shifts_s")
    return [float(s) for s in shifts_s] if isinstance(shifts_s, list) else str(answer["why"])


def shifted(take: Take, by_s: float) -> Take:
    """Return a take with its times moved."""
    moments = ("start_s", "end_s", "active_start_s", "active_end_s", "decisive_s")
    known = {name: getattr(take, name) for name in moments}
    return replace(take, **{name: at_s + by_s for name, at_s in known.items() if at_s is not None})


def _may_meet(other: Capture, theirs: Take, capture: Capture, takes: Sequence[Take]) -> bool:
    """Tell whether a take of another capture may be close to one of these, by names and clocks."""
    if kinship(other, capture) is Kinship.OTHER:
        return False
    gap = gap_between(other, capture)
    if gap is None or other.duration_s is None:
        return True
    slack_s = _SLACK_S if gap.is_named else _COPIED_LATE_S
    latest_s, earliest_s = other.duration_s + gap.most_s, other.duration_s + gap.least_s
    return any(
        theirs.active_start_s <= take.active_end_s + latest_s + slack_s
        and take.active_start_s + earliest_s - slack_s <= theirs.active_end_s
        for take in takes
    )


def _comes_first(other: Capture, capture: Capture) -> bool:
    """Tell whether another capture was begun before one, as far as is known."""
    if is_told_to_follow(other, capture) or is_told_to_follow(capture, other):
        return is_told_to_follow(other, capture)
    gap = gap_between(other, capture)
    if gap is not None:
        begins_later_s = gap.middle_s + (other.duration_s or 0.0)
        if abs(begins_later_s) > gap.half_s:
            return begins_later_s > 0
    if counts_on(capture.file_name, other.file_name):
        return False
    return counts_on(other.file_name, capture.file_name) or other.id < capture.id


def _surely_follows(last: Capture, capture: Capture) -> bool:
    """Tell whether a capture was analysed and is not one from before another."""
    if capture.state in TO_BE_LOOKED_INTO:
        return False
    gap = gap_between(last, capture)
    return gap is None or gap.most_s + (capture.duration_s or 0.0) > 0


def _relation(seam: Seam, compared: Compared, *, other_is_first: bool) -> _Relation:
    if other_is_first:
        own_s, other_s = compared.second_begins_s, compared.first_begins_s
        begins_at_s = other_s - seam.shift_s
    else:
        own_s, other_s = compared.first_begins_s, compared.second_begins_s
        begins_at_s = other_s + seam.shift_s
    return _Relation(
        own_begins_s=own_s,
        other_begins_s=other_s,
        begins_at_s=begins_at_s,
        adjoins=seam.overlap_s <= 0.0,
    )


def _beside(neighbour: Neighbour, at: int, relation: _Relation) -> Nearby:
    """Place a clip in the time of the capture that is analysed.

    Args:
        neighbour: the clip.
        at: which of its captures is known to be beside that one.
        relation: how.
    """
    shifts_s = [0.0] * len(neighbour.sources)
    shifts_s[at] = relation.begins_at_s - relation.other_begins_s
    for number in range(at, 0, -1):  # where one part ends the next begins
        step_s = neighbour.sources[number].start_s - neighbour.sources[number - 1].end_s
        shifts_s[number - 1] = shifts_s[number] + step_s
    for number in range(at + 1, len(shifts_s)):
        step_s = neighbour.sources[number - 1].end_s - neighbour.sources[number].start_s
        shifts_s[number] = shifts_s[number - 1] + step_s
    stretches = []
    for number, (source, capture) in enumerate(
        zip(neighbour.sources, neighbour.captures, strict=True)
    ):
        own_begins_s = relation.other_begins_s if number == at else 0.0
        begins_s = own_begins_s + shifts_s[number]
        stretches.append(
            Stretch(
                capture_id=capture.id,
                take_number=source.take_number,
                begins_s=begins_s,
                ends_s=begins_s + (capture.duration_s or source.end_s),
                own_begins_s=own_begins_s,
            )
        )
    first, last = neighbour.takes[0], neighbour.takes[-1]
    take = replace(
        last,
        start_s=neighbour.sources[0].start_s + shifts_s[0],
        end_s=neighbour.sources[-1].end_s + shifts_s[-1],
        active_start_s=first.active_start_s + shifts_s[0],
        active_end_s=last.active_end_s + shifts_s[-1],
        begins_before=first.begins_before,
        goes_on=last.goes_on,
    )
    return Nearby(
        entry=neighbour.entry,
        take=take,
        stretches=tuple(stretches),
        adjoins=relation.adjoins,
        is_open=neighbour.is_open,
    )


_SMALLER_PX = 720
_SMALLER_KBIT_S = (100, 2500)  # of the rate; half of what the clip has, within these


Mend = Callable[[Entry], Entry | None]


class ClipRecutter:
    """Cuts clips again that cannot be sent as they are, each once in the life of this process."""

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        child: AnalysisProcess,
        cutter: ClipCutter,
        *,
        now: Now,
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._child = child
        self._cutter = cutter
        self._now = now
        self._tried: set[int] = set()

    def recut_next(self) -> bool:
        """Cut one clip again, damaged ones first; False where there is none that can be."""
        for waiting, mend in (
            (self._outbox.files.damaged, self._replace),
            (self._large, self._shrink),
        ):
            entry = next((e for e in waiting() if e.id not in self._tried), None)
            if entry is not None:
                return self._try(entry, mend)
        return False

    def _large(self) -> list[Entry]:
        """Return the clips that wait for a smaller rendition; a damaged one was tried before."""
        return self._outbox.outcomes.held_because({Reason.TOO_LARGE})

    def _try(self, entry: Entry, mend: Mend) -> bool:
        self._tried.add(entry.id)
        try:
            mended = mend(entry)
        except FileNotFoundError as error:
            log.error(
                "clip recut failed",
                entry=entry.name,
                clip=entry.clip_code,
                error="the file is missing",
                file=str(error.filename),
            )
        except AnalysisError as error:
            if error.fault is AnalysisFault.NO_SPACE:
                self._tried.discard(entry.id)
                return False
            log.error("clip recut failed", entry=entry.name, error=str(error))
        else:
            self._tried.discard(entry.id)
            log.info("clip recut", entry=entry.name, clip=entry.clip_code, done=mended is not None)
        return True

    def _replace(self, entry: Entry) -> Entry | None:
        """Cut a clip whose file is damaged from its capture."""
        clip = self._cut(entry, self._outbox.entries.sources(entry.id))
        return self._outbox.files.mend(entry, clip, now_s=self._now().utc_s)

    def _shrink(self, entry: Entry) -> Entry | None:
        """Make a clip's smaller rendition from the clip itself.

        Cut off between file and row, its size is not what the row says: that is damage, and
        it is cut from its capture in its full size before it is made smaller again.
        """
        path = self._folder.clips / entry.stored_name
        if not path.exists():
            raise FileNotFoundError(2, "missing", str(path))
        clip = self._cutter.cut(
            path,
            _take(0.0, entry.clip_seconds + 1.0),
            clip_code=entry.clip_code,
            rendition=smaller_rendition(entry),
        )
        return self._outbox.files.make_smaller(entry, clip, now_s=self._now().utc_s)

    def _cut(self, entry: Entry, sources: list[tuple[ClipSource, Capture]]) -> ClipFile:
        paths = [self._folder.captures / capture.stored_name for _, capture in sources]
        for path, (_, capture) in zip(paths, sources, strict=True):
            if not path.exists() or path.stat().st_size < capture.facts.size_bytes:
                raise FileNotFoundError(2, "missing", capture.name)
        bounds = [source for source, _ in sources]
        if entry.cut_method == "whole":
            return self._cutter.keep_whole(
                paths[0], clip_code=entry.clip_code, seconds=entry.clip_seconds
            )
        if len(paths) == 1:
            whole = _take(bounds[0].start_s, bounds[0].end_s)
            rendition = nothing_hidden(sources[0][1], whole.start_s, whole.end_s)
            return self._cutter.cut(paths[0], whole, clip_code=entry.clip_code, rendition=rendition)
        return self._cut_joined(entry, bounds)

    def _cut_joined(self, entry: Entry, bounds: list[ClipSource]) -> ClipFile:
        """Cut a clip over several recordings, as it was cut before."""
        joined = self._folder.tmp / f"{entry.clip_code}-joined.mp4"
        try:
            shifts = join_sources(self._child, self._folder, self._outbox, bounds, joined)
            if isinstance(shifts, str):
                raise AnalysisError(shifts, fault=AnalysisFault.INTERNAL)
            whole = _take(bounds[0].start_s + shifts[0], bounds[-1].end_s + shifts[-1])
            return self._cutter.cut(joined, whole, clip_code=entry.clip_code)
        finally:
            joined.unlink(missing_ok=True)


def smaller_rendition(entry: Entry) -> dict[str, object]:
    """Return how a clip is cut that is to have half its rate or less, at no more than 720 px."""
    least, most = _SMALLER_KBIT_S
    half_kbit_s = round(entry.clip_bytes * 8 / 1000 / max(0.1, entry.clip_seconds) / 2)
    return {
        "method": "encode",
        "rendition_height": _SMALLER_PX,
        "rendition_kbit_s": min(most, max(least, half_kbit_s)),
    }


def _take(start_s: float, end_s: float) -> Take:
    """Return what is cut again: its bounds are known, and nothing else is asked for."""
    return Take(number=1, start_s=start_s, end_s=end_s, active_start_s=start_s, active_end_s=end_s)


_MARGIN_BYTES = 4_000_000  # a clip's index, its pictures, and what is written beside it
_PREROLL_S = 4.0  # a lossless cut begins at the keyframe before
_COSTLIEST = 2.0  # a clip that is encoded again may take more than it did; a joined one, twice
_ASKER = "clipping"


def cut_bytes(take: Take, *, capture_bytes: int, capture_s: float) -> int:
    """Return how much a cut may take at most: its share of the capture and more, or all of it."""
    share = (take.end_s - take.start_s + _PREROLL_S) / capture_s if capture_s > 0 else 1.0
    clip_bytes = round(capture_bytes * min(1.0, _COSTLIEST * share))
    return clip_bytes + min(_MARGIN_BYTES, capture_bytes)


class CutSpaceCheck:
    """Lets cuts begin, or says what they wait for."""

    def __init__(self, space: DiskSpace, waiting: PauseReporter) -> None:
        self._space = space
        self._waiting = waiting

    def ask(self, take: Take, *, capture_bytes: int, capture_s: float) -> None:
        """Ask for the room of one clip.

        Raises:
            AnalysisError: there is not enough.
        """
        need = cut_bytes(take, capture_bytes=capture_bytes, capture_s=capture_s)
        lacking = self._space.lacks_for_work(need)
        if lacking:
            self._space.request_space(_ASKER, need)
            raise AnalysisError(
                f"the next clip needs {megabytes(lacking)} more", fault=AnalysisFault.NO_SPACE
            )

    def lacks(self, why: str) -> None:
        """Say that clips wait for room."""
        self._waiting.begin("disk_full", f"clips are waiting to be cut: {why}; free disk space")

    def is_enough(self) -> None:
        """Say that there was room after all."""
        self._space.request_space(_ASKER, None)
        self._waiting.end()
