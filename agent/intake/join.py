"""One clip for one moment: of a take that several recordings show, or that goes over them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import structlog

from agent.errors import AnalysisError, AnalysisFault
from agent.intake.child import AnalysisChild
from agent.outbox.capture import Capture, Take, TakeOrigin
from agent.outbox.disk.folders import StateFolder
from agent.outbox.entry import Entry, Source
from agent.outbox.joins import RECENT, Neighbour
from agent.outbox.states import TO_BE_LOOKED_INTO
from agent.outbox.store import Outbox
from agent.stage import StageName
from agent.station.adjoining import (
    LONGEST_GAP_S,
    Compared,
    Kinship,
    Seam,
    counts_on,
    gap_between,
    kinship,
    kinship_of_names,
    seam_between,
)
from agent.station.moments import Nearby, Plan, Stretch, plan_take

_WORTH_TELLING_S = 0.2
_SLACK_S = LONGEST_GAP_S + 0.5
_COPIED_LATE_S = 120.0  # so much later than another a file may have come that was filmed with it
_QUIET_SHARE = 1.5  # of a recording's length: so long the next one may take to appear
_LONGEST_QUIET_S = 30.0

log = structlog.get_logger(stage=StageName.CLIPPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A file over several recordings, to be cut and then removed."""

    path: Path
    take_in_file: Take
    words: str  # what it is made of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Relation:
    """How another capture lies beside this one."""

    own_begins_s: float  # presentation time of this one's first frame
    other_begins_s: float  # of the other one's
    begins_at_s: float  # of the other one, in this one's time
    adjoins: bool


class Joiner:
    """Finds the clips that show the same movement, and puts recordings into one file."""

    def __init__(self, outbox: Outbox, folder: StateFolder, child: AnalysisChild) -> None:
        self._outbox = outbox
        self._folder = folder
        self._child = child

    def plan(self, capture: Capture, takes: Sequence[Take]) -> list[Plan]:
        """Decide what to make of the takes of a capture, beside the clips that are there."""
        now = self._outbox.captures.by_id(capture.id)  # with its recording time
        assert now is not None  # rows are never deleted
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

    def join(self, capture: Capture, plan: Plan) -> Join | str:
        """Put the recordings of a plan into one file, or say why they cannot be.

        Raises:
            AnalysisError: the disk is full.
        """
        path = self._folder.tmp / f"{capture.sha256}-joined.mp4"
        told = join_sources(self._child, self._folder, self._outbox, plan.sources, path)
        if isinstance(told, str):
            log.info("recordings not joined", capture=capture.name, why=told)
            path.unlink(missing_ok=True)
            return told
        names = " and ".join(f"c{source.capture_id}" for source in plan.sources)
        log.info("recordings joined", capture=capture.name, captures=names)
        at = next(n for n, one in enumerate(plan.sources) if one.capture_id == capture.id)
        return Join(path=path, take_in_file=shifted(plan.take, told[at]), words=self._words(plan))

    def _words(self, plan: Plan) -> str:
        """Return what a clip over several recordings is made of."""
        told = "over " + " and ".join(f"c{source.capture_id}" for source in plan.sources)
        for source in plan.sources[:-1]:
            capture = self._outbox.captures.by_id(source.capture_id)
            beyond_s = 0.0 if capture is None else source.end_s - (capture.duration_s or 0.0)
            if beyond_s >= _WORTH_TELLING_S:
                told += f", {beyond_s:.1f} s between them were not filmed"
            elif beyond_s <= -_WORTH_TELLING_S:
                told += f", which share {-beyond_s:.1f} s"
        return told

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
        """Tell how another capture lies beside one; None where they have nothing in common."""
        if other.hidden_stretches or capture.hidden_stretches:
            return None  # a comparison looks at pictures, and some of these nobody may see
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
        seam = seam_between(gap, compared, is_next=is_next)
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
            told = self._child.ask(
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
        return Compared(**{field.name: told[field.name] for field in fields(Compared)})  # type: ignore[arg-type]  # the child is our own


class NextRecording:
    """Lets clips go that waited for the recording after theirs, once it is known what it holds."""

    def __init__(
        self, outbox: Outbox, *, send_delay_s: float, arriving: Callable[[], Iterable[str]]
    ) -> None:
        self._outbox = outbox
        self._send_delay_s = send_delay_s
        self._arriving = arriving  # what is being written, or about to be taken in

    def release(self, *, now_s: float) -> int:
        """Let go what needs to wait no longer; return how many clips still wait."""
        waiting = self._outbox.joins.waiting()
        if not waiting:
            return 0
        arriving = list(self._arriving())  # before the rows: what is taken in is in one of both
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
    child: AnalysisChild,
    folder: StateFolder,
    outbox: Outbox,
    sources: Sequence[Source],
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
        capture = outbox.captures.by_id(source.capture_id)
        assert capture is not None  # rows are never deleted
        path = folder.captures / capture.stored_name
        parts.append({"path": str(path), "start_s": source.start_s, "end_s": source.end_s})
    try:
        told = child.ask("join", parts=parts, out=str(out))
    except AnalysisError as error:
        if error.fault is AnalysisFault.NO_SPACE:
            raise
        return str(error)
    shifts_s = told.get("shifts_s")
    return [float(s) for s in shifts_s] if isinstance(shifts_s, list) else str(told["why"])


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
    gap = gap_between(other, capture)
    if gap is not None:
        begins_later_s = gap.middle_s + (other.duration_s or 0.0)
        if abs(begins_later_s) > gap.half_s:
            return begins_later_s > 0
    if counts_on(capture.file_name, other.file_name):
        return False
    return counts_on(other.file_name, capture.file_name) or other.id < capture.id


def _surely_follows(last: Capture, capture: Capture) -> bool:
    """Tell whether a capture was looked into and is not one from before another."""
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
    """Place a clip in the time of the capture that is looked at.

    Args:
        neighbour: the clip.
        at: which of its captures is known to lie beside that one.
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
