"""The clipping stage: find the takes of a capture, attribute them, and cut them.

The list of takes is committed before anything is cut, and cutting reads it: after a crash the
same takes get the same clip codes.  The clips' entries and the end of the capture's analysis
are one commit.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from agent.clipping.analysis_process import (
    AnalysisProcess,
    number_in,
    parts_shown,
    read_recording_clues,
    read_takes,
    report_of_parts,
)
from agent.clipping.clips import (
    ClipCutter,
    ClipRecutter,
    CutSpaceCheck,
    NextRecording,
    RecordingJoiner,
    SkeletonPart,
    nothing_hidden,
)
from agent.clipping.entries import (
    ClippingPolicy,
    CutClip,
    JoinConflictError,
    create_entries,
    duplicate_note,
)
from agent.clock import Now
from agent.disk.space import DiskSpace, is_disk_full
from agent.disk.state_folder import SKELETON_SUFFIX, StateFolder
from agent.errors import AnalysisError, AnalysisFault, plain_words
from agent.failpoints import crash_point
from agent.outbox.models import Capture, ClipFile, Take, TakeOrigin, derive_clip_code
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import PauseReporter
from agent.outbox.removal import FileRemover
from agent.outbox.states import CaptureState, Reason
from agent.stage import WAKE_ONLY, ShutdownRequested, StageName, Wake
from agent.station.assignments import timeline_of
from agent.station.attribution import UndecidableError
from agent.station.overlaps import Plan, alone, apart
from agent.station.recording_pause import CapturePermission, CaptureView, capture_view
from agent.station.recording_time import RecordingTime, recording_time

_LOOKED_AGAIN_S = 5.0  # a stop may have been undone meanwhile


class RecordingPauseFilter:
    """Keeps captures, or parts of them, from analysis while recording was paused."""

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        *,
        now: Now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._now = now
        self._monotonic = monotonic
        self._removal = FileRemover(outbox, folder, now=now)
        self._waiting: dict[int, float] = {}  # monotonic times, by capture

    def waiting(self) -> set[int]:
        """Return the captures that wait until a stop can no longer be undone."""
        now_s = self._monotonic()
        self._waiting = {name: due_s for name, due_s in self._waiting.items() if due_s > now_s}
        return set(self._waiting)

    def next_look_s(self) -> float | None:
        """Return in how many seconds one of them is due; None where none waits."""
        due_s = min(self._waiting.values(), default=None)
        return None if due_s is None else max(0.0, due_s - self._monotonic())

    def lets_through(self, capture: Capture, recorded: RecordingTime) -> bool:
        """Tell whether a capture may be analysed; if not, it is discarded, held or postponed.

        The parts of it that stay hidden are recorded.

        Args:
            capture: one that is being analysed.
            recorded: when it was filmed.
        """
        with self._outbox.transaction():  # nobody undoes a stop while its footage goes
            now = self._now()
            view = capture_view(timeline_of(self._outbox, now=now), recorded, now=now)
            if view.permission is CapturePermission.DOUBTFUL and self._was_allowed(capture):
                view = CaptureView(permission=CapturePermission.ALLOWED)
            if view.permission is CapturePermission.ALLOWED or view.undo_left_s <= 0:
                self._outbox.captures.record_hidden(capture, view.hidden)
            if view.permission is not CapturePermission.ALLOWED and view.undo_left_s > 0:
                self._let_wait(capture, view.undo_left_s)
                return False
            if view.permission is CapturePermission.FORBIDDEN:
                self._discard(capture)
            elif view.permission is CapturePermission.DOUBTFUL:
                self._quarantine(capture)
        if view.permission is CapturePermission.FORBIDDEN:
            crash_point("hidden")
            self._removal.finish()
            log.info("capture discarded", capture=capture.name, reason=Reason.FILMING_STOPPED)
        return view.permission in {CapturePermission.ALLOWED, CapturePermission.PARTLY}

    def _let_wait(self, capture: Capture, left_s: float) -> None:
        self._waiting[capture.id] = self._monotonic() + min(left_s, _LOOKED_AGAIN_S)
        self._outbox.captures.move(
            capture,
            CaptureState.CAPTURED,
            now_s=self._now().utc_s,
            reason=Reason.STOP_CAN_BE_UNDONE,
        )
        if capture.reason != Reason.STOP_CAN_BE_UNDONE:
            log.info("capture postponed", capture=capture.name, reason=Reason.STOP_CAN_BE_UNDONE)

    def _discard(self, capture: Capture) -> None:
        now_s = self._now().utc_s
        self._outbox.captures.move(
            capture, CaptureState.DISCARDED, now_s=now_s, reason=Reason.FILMING_STOPPED
        )
        self._outbox.clearing.begin_original(capture.id, now_s=now_s)

    def _quarantine(self, capture: Capture) -> None:
        self._outbox.captures.move(
            capture,
            CaptureState.QUARANTINED,
            now_s=self._now().utc_s,
            reason=Reason.FILMING_MAY_BE_STOPPED,
        )
        log.warning(
            "capture quarantined", capture=capture.name, reason=Reason.FILMING_MAY_BE_STOPPED
        )

    def _was_allowed(self, capture: Capture) -> bool:
        """Tell whether a person let it be analysed after it was quarantined."""
        events = self._outbox.events.of_capture(capture.id)
        return any(event.reason == Reason.FILMING_MAY_BE_STOPPED for event in events)


_LOOKED_AHEAD = 64  # captures, of which some may be offered to other machines
_LOOK_FOR_NEXT_S = 0.5  # how often it is asked whether clips must still wait for the next recording
_STAYS_WARM_S = 1.0  # the child, before it is asked again whether a capture is expected
_BOX_AT_FAULT_S = 60.0  # how long a box that cannot analyse is left alone
_FILE_AT_FAULT = frozenset(
    {
        AnalysisFault.UNREADABLE,
        AnalysisFault.INCOMPLETE,
        AnalysisFault.NO_VIDEO,
        AnalysisFault.REFUSED,
    }
)
# What no code of ours raises on purpose: something about this one capture was not thought of.
_UNFORESEEN = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)

log = structlog.get_logger(stage=StageName.CLIPPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedCapture:
    """A capture that may be analysed elsewhere."""

    capture: Capture  # as it waits for that
    path: Path
    duration_s: float
    options: Mapping[str, object]  # of the analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportElsewhere:
    """What was found in a capture elsewhere, checked like this station's own."""

    report: Mapping[str, object]
    skeleton: str | None  # the landmarks, as the analysis writes them


class AnalysisElsewhere:
    """Other machines that analyse captures for this station; here, there are none."""

    def out(self) -> set[int]:
        """Return the captures that are being analysed elsewhere."""
        return set()

    def room(self) -> int:
        """Return how many captures may be offered now."""
        return 0

    def choose(self, waiting: Sequence[int]) -> int | None:  # noqa: ARG002  # nobody to choose for
        """Return which of the captures that wait, oldest first, is offered next; None for none."""
        return None

    def offer(self, offered: OfferedCapture) -> bool:  # noqa: ARG002  # as above
        """Offer a capture; False where the station must analyse it itself."""
        return False

    def result(self, capture: Capture) -> ReportElsewhere | None:  # noqa: ARG002  # as above
        """Return what was found elsewhere in a capture that was claimed; None for nothing."""
        return None

    def take_back(self) -> bool:
        """Take a capture back that nobody has begun: the station has nothing else to do."""
        return False


@dataclass(frozen=True, slots=True)
class ClippingNeighbours:
    """What the stage asks of the disk and of intake, and how it wakes delivery."""

    space: DiskSpace
    wake_next: Wake
    arriving: Callable[[], Iterable[str]] = list  # names of recordings under way
    is_expected: Callable[[], bool] = lambda: False  # whether a capture is about to be ingested
    elsewhere: AnalysisElsewhere = field(default_factory=AnalysisElsewhere)


class ClippingStage:
    """From an ingested capture to entries that wait for delivery."""

    name = StageName.CLIPPING

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        child: AnalysisProcess,
        neighbours: ClippingNeighbours,
        *,
        policy: ClippingPolicy,
        now: Now,
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._child = child
        self._cutter = ClipCutter(child, folder, options=policy.cut)
        self._room = CutSpaceCheck(
            neighbours.space, PauseReporter(outbox.pauses, StageName.CLIPPING, now=now)
        )
        self._joiner = RecordingJoiner(outbox, folder, child)
        self._recutter = ClipRecutter(outbox, folder, child, self._cutter, now=now)
        self._pause_filter = RecordingPauseFilter(outbox, folder, now=now)
        self._next_recording = NextRecording(
            outbox, send_delay_s=policy.send_delay_s, arriving=neighbours.arriving
        )
        self._policy = policy
        self._now = now
        self._wake_next = neighbours.wake_next
        self._is_expected = neighbours.is_expected
        self._elsewhere = neighbours.elsewhere

    def step(self) -> float:
        """Cut one damaged clip again, offer a capture, or analyse the oldest that waits."""
        now_s = self._now().utc_s
        self._outbox.captures.resume_interrupted(now_s=now_s)  # a step before may have failed
        if self._recutter.recut_next():
            self._wake_next()
            return 0.0
        left_alone = self._pause_filter.waiting() | self._elsewhere.out()
        chosen, own = self._chosen_for_others(left_alone)
        capture = self._outbox.captures.claim_next(now_s, but_not=left_alone.union(own))
        if capture is None:
            return 0.0 if self._elsewhere.take_back() else self._rest()
        if chosen is None and self._elsewhere.room() > 0:  # it may have been admitted meanwhile
            chosen = self._elsewhere.choose([capture.id])
        try:
            return self._process(capture, is_offered=capture.id == chosen)
        except _UNFORESEEN as error:  # it must not come repeatedly, and stop what is behind
            log.exception("analysis crashed", capture=capture.name)
            text = f"unexpected error in Spotter: {plain_words(error)}; report it: spotter support"
            self._quarantine(capture, AnalysisError(text, fault=AnalysisFault.INTERNAL))
        return 0.0

    def _chosen_for_others(self, left_alone: set[int]) -> tuple[int | None, list[int]]:
        """Return which capture is offered to other machines next, and those that wait before it."""
        if self._elsewhere.room() <= 0:
            return None, []
        waiting = self._outbox.captures.waiting_ids(but_not=left_alone, most=_LOOKED_AHEAD)
        chosen = self._elsewhere.choose(waiting)
        return chosen, [] if chosen is None else waiting[: waiting.index(chosen)]

    def _rest(self) -> float:
        """Let clips go that have waited, and return when to check again.

        The child is kept, or started, only where a capture is about to be ingested.
        """
        waits_s = [WAKE_ONLY]
        if self._is_expected():
            self._child.warm_up()
            waits_s.append(_STAYS_WARM_S)
        elif not self._elsewhere.out():  # else there is something to cut soon
            self._child.close()
        if self._let_go():
            waits_s.append(_LOOK_FOR_NEXT_S)
        next_s = self._pause_filter.next_look_s()
        return min([*waits_s, *([] if next_s is None else [next_s])])

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def _process(self, capture: Capture, *, is_offered: bool) -> float:
        """Analyse a capture, or do what its failing says; return how long to leave it then."""
        try:
            self._analyse(capture, is_offered=is_offered)
        except AnalysisError as error:
            return self._judge(capture, error)
        except OSError as error:
            if not is_disk_full(error):
                raise
            return self._wait_for_room(capture, str(error.strerror))
        except JoinConflictError:
            self._move(capture, CaptureState.CAPTURED)  # the takes stay: only cut again
            return 0.0
        except ShutdownRequested:
            self._move(capture, CaptureState.CAPTURED)
            raise
        self._room.is_enough()
        return 0.0

    def _analyse(self, capture: Capture, *, is_offered: bool) -> None:
        self._look_into(capture, is_offered=is_offered)
        self._let_go()

    def _let_go(self) -> int:
        """Let clips go that need to wait no longer for the next recording; return how many wait."""
        waiting = self._next_recording.release(now_s=self._now().utc_s)
        self._wake_next()
        return waiting

    def _look_into(self, capture: Capture, *, is_offered: bool) -> None:
        path = self._folder.captures / capture.stored_name
        recorded = self._recording_time(capture, path)
        if not self._pause_filter.lets_through(capture, recorded):
            return
        shown = self._outbox.captures.existing(capture.id)
        if self._outbox.takes.report(capture.id) is None:
            options = {"activity": self._activity_at(recorded), **self._policy.options}
            if is_offered and not shown.hidden_stretches:
                self._offer(shown, path, options)
                return
            self._find_takes(shown, path, options)
        crash_point("takes-recorded")
        takes = [
            t for t in self._outbox.takes.waiting(capture) if not shown.hides(t.start_s, t.end_s)
        ]
        plans = self._joiner.plan(capture, takes)
        same = [plan for plan in plans if plan.same_as is not None]
        cuts = [self._cut(shown, path, plan) for plan in plans if plan not in same]
        if cuts or self._outbox.takes.kept(capture):
            hold = self._reason_to_hold(capture)
            self._enter(capture, recorded, cuts, hold=hold, same=same)
        else:
            self._skip(capture, same)

    def _skip(self, capture: Capture, same: Sequence[Plan]) -> None:
        now_s, note = self._now().utc_s, duplicate_note(same)
        with self._outbox.transaction():
            for plan in same:
                self._outbox.takes.retire(capture, plan.take, now_s=now_s)
            reason = Reason.SAME_MOMENT if same else None
            self._move(capture, CaptureState.SKIPPED, reason=reason, detail=note)
        log.info("capture skipped", capture=capture.name, why=note or "no takes found")

    def _cut(self, capture: Capture, path: Path, plan: Plan) -> CutClip:
        clip_code = derive_clip_code(capture.sha256, plan.take.number)
        self._room.ask(
            plan.take,
            capture_bytes=capture.facts.size_bytes,
            capture_s=capture.duration_s or 0.0,
        )
        rendition = nothing_hidden(capture, plan.take.start_s, plan.take.end_s)
        if len(plan.sources) == 1:
            clip = self._clip(path, plan.take, clip_code, rendition=rendition)
            self._keep_skeleton(plan, clip_code)
            return CutClip(plan, clip)
        join = self._joiner.join(capture, plan)
        if isinstance(join, str):
            plan = apart(plan, capture.id, why=join)
            clip = self._clip(path, plan.take, clip_code)
            self._keep_skeleton(plan, clip_code)
            return CutClip(plan, clip)
        try:
            clip = self._clip(join.path, join.take_in_file, clip_code)
        finally:
            join.path.unlink(missing_ok=True)
        later_s = [shift_s - join.take_in_file.start_s for shift_s in join.shifts_s]
        self._keep_skeleton(plan, clip_code, later_s)
        why = f"{clip.cut_why}; {join.words}" if clip.cut_why else join.words
        return CutClip(plan, replace(clip, cut_why=why))

    def _keep_skeleton(
        self, plan: Plan, clip_code: str, later_s: Sequence[float] | None = None
    ) -> None:
        """Keep the landmarks of a clip; its time begins with its first source where nobody says."""
        if later_s is None:
            later_s = [-source.start_s for source in plan.sources]
        parts = []
        for source, late_s in zip(plan.sources, later_s, strict=True):
            capture = self._outbox.captures.existing(source.capture_id)
            parts.append(
                SkeletonPart(
                    path=self._folder.skeleton_of_recording(capture.stored_name),
                    start_s=source.start_s,
                    end_s=source.end_s,
                    later_s=late_s,
                )
            )
        self._cutter.keep_skeleton(parts, clip_code=clip_code)

    def _clip(
        self,
        path: Path,
        take: Take,
        clip_code: str,
        *,
        rendition: Mapping[str, object] | None = None,
    ) -> ClipFile:
        clip = self._cutter.cut(path, take, clip_code=clip_code, rendition=rendition)
        if self._policy.posters:
            self._cutter.draw_pictures(path, take, clip_code=clip_code)
        return clip

    def _recording_time(self, capture: Capture, path: Path) -> RecordingTime:
        probed = self._child.ask("probe", path=str(path))
        duration_s = number_in(probed, "duration_s")
        recorded = recording_time(
            capture.evidence,
            inside=read_recording_clues(probed),
            name=capture.file_name,
            clock_offset_s=self._policy.clock_offset_s,
        )
        self._outbox.captures.record_recording_time(
            capture,
            by=recorded.by,
            start_at=recorded.start.utc_s if recorded.is_known else None,
            end_at=recorded.end.utc_s if recorded.is_known else None,
            detail=recorded.basis,
            duration_s=duration_s,
        )
        return recorded

    def _offer(self, capture: Capture, path: Path, options: Mapping[str, object]) -> None:
        """Let a capture wait for another machine, or for this one where none may have it."""
        now_s = self._now().utc_s
        moved = self._outbox.captures.move(
            capture, CaptureState.CAPTURED, now_s=now_s, reason=Reason.AT_WORKER
        )
        if moved is not None:
            self._elsewhere.offer(
                OfferedCapture(
                    capture=moved,
                    path=path,
                    duration_s=capture.duration_s or 0.0,
                    options=options,
                )
            )

    def _find_takes(self, capture: Capture, path: Path, options: Mapping[str, object]) -> None:
        elsewhere = self._elsewhere.result(capture)
        if capture.hidden_stretches:
            report = self._inspect_parts(capture, path, options)
        elif elsewhere is not None:
            report = elsewhere.report
            self._keep_found(capture, elsewhere)
        else:
            with (
                self._cutter.beside(capture.stored_name, ".svg") as plot,
                self._cutter.beside(capture.stored_name, SKELETON_SUFFIX) as skeleton,
            ):
                report = self._child.ask(
                    "inspect", path=str(path), options=options, plot=plot, skeleton=skeleton
                )
        with self._outbox.transaction():
            taken = [*self._outbox.takes.kept(capture), *self._outbox.takes.waiting(capture)]
            found = read_takes(report)
            takes = [take for take in found if not any(take.overlaps(o) for o in taken)]
            self._outbox.takes.record(capture, takes, report=json.dumps(report))
        log.info(
            "capture analysed",
            capture=capture.name,
            takes=len(takes),
            verdict=str(report.get("verdict")),
        )

    def _keep_found(self, capture: Capture, elsewhere: ReportElsewhere) -> None:
        """Keep what the analysis here would have written beside its report."""
        with self._cutter.beside(capture.stored_name, ".svg") as plot:
            self._child.ask("plot", report=elsewhere.report, out=plot)
        if elsewhere.skeleton is not None:
            with self._cutter.beside(capture.stored_name, SKELETON_SUFFIX) as skeleton:
                Path(skeleton).write_text(elsewhere.skeleton, encoding="utf-8")

    def _inspect_parts(
        self, capture: Capture, path: Path, options: Mapping[str, object]
    ) -> Mapping[str, object]:
        """Analyse what may be seen of a capture, each part as a file of its own."""
        reports: list[tuple[float, Mapping[str, object]]] = []
        shown = parts_shown(capture.hidden_stretches, capture.duration_s or 0.0)
        for from_s, to_s in shown:
            part = self._folder.tmp / f"{capture.sha256}-{from_s:.3f}.mp4"
            try:
                self._child.ask(
                    "cut",
                    path=str(path),
                    start_s=from_s,
                    end_s=to_s,
                    out=str(part),
                    options={"method": "encode" if from_s else "auto"},
                )
                report = self._child.ask("inspect", path=str(part), options=options, plot=None)
                reports.append((from_s, report))
            finally:
                part.unlink(missing_ok=True)
        return report_of_parts(reports, shown, length_s=capture.duration_s or 0.0)

    def _activity_at(self, recorded: RecordingTime) -> str:
        """Return what was said to be filmed, as a hint for the analysis."""
        try:
            said = timeline_of(self._outbox, now=self._now()).at(recorded.end).assignment
        except UndecidableError:
            said = None
        return (said and said.activity) or self._policy.station.activity

    def _reason_to_hold(self, capture: Capture) -> Reason | None:
        report = json.loads(self._outbox.takes.report(capture.id) or "{}")
        return Reason.ANALYSIS_HOLD if report.get("verdict") == "hold" else None

    def _enter(
        self,
        capture: Capture,
        recorded: RecordingTime,
        cuts: Sequence[CutClip],
        *,
        hold: Reason | None,
        same: Sequence[Plan] = (),
    ) -> None:
        create_entries(
            self._outbox,
            capture,
            cuts,
            recorded=recorded,
            policy=self._policy,
            hold=hold,
            now=self._now(),
            same=same,
        )

    def _judge(self, capture: Capture, error: AnalysisError) -> float:
        """Find out whether the file or the box is at fault, and act on it."""
        if error.fault in _FILE_AT_FAULT:
            self._quarantine(capture, error)
            return 0.0
        if error.fault is AnalysisFault.NO_SPACE:
            return self._wait_for_room(capture, str(error))
        told = error.cause or str(error)
        log.warning("analysis failed", capture=capture.name, fault=error.fault, detail=told)
        if not self._child.self_test_passes():
            self._move(capture, CaptureState.CAPTURED)
            log.error("analysis postponed", error=str(error))
            return _BOX_AT_FAULT_S
        if self._keep_whole(capture):
            self._let_go()
        else:
            self._quarantine(capture, error)
        return 0.0

    def _wait_for_room(self, capture: Capture, why: str) -> float:
        """Leave a capture as it is until there is room for its clips."""
        self._room.lacks(why)
        self._move(capture, CaptureState.CAPTURED)
        return _BOX_AT_FAULT_S

    def _quarantine(self, capture: Capture, error: AnalysisError) -> None:
        log.warning(
            "capture quarantined", capture=capture.name, reason=error.fault, detail=str(error)
        )
        self._move(capture, CaptureState.QUARANTINED, reason=error.fault, detail=str(error))
        self._let_go()

    def _keep_whole(self, capture: Capture) -> bool:
        """Make the whole file one clip, unless it must not be viewed.

        False if it is no video, has clips already, or holds what nobody may see in part.
        """
        by_hand = (t for t in self._outbox.takes.waiting(capture) if t.origin is TakeOrigin.BY_HAND)
        if self._outbox.takes.kept(capture) or any(by_hand):
            return False
        path = self._folder.captures / capture.stored_name
        try:
            recorded = self._recording_time(capture, path)
        except AnalysisError:
            return False
        if not self._pause_filter.lets_through(capture, recorded):
            return True  # what failed may have failed before that was asked
        shown = self._outbox.captures.existing(capture.id)
        if shown.hidden_stretches:
            return False
        duration_s = shown.duration_s or 0.0
        whole = Take(
            number=1, start_s=0.0, end_s=duration_s, active_start_s=0.0, active_end_s=duration_s
        )
        self._outbox.takes.reset(capture, now_s=self._now().utc_s)
        (whole,) = self._outbox.takes.record(capture, [whole], report="{}")
        clip_code = derive_clip_code(capture.sha256, whole.number)
        clip = self._cutter.keep_whole(path, clip_code=clip_code, seconds=duration_s)
        hold = Reason.ANALYSIS_FAILED if self._policy.on_failure == "hold" else None
        self._enter(capture, recorded, [CutClip(alone(whole, capture.id), clip)], hold=hold)
        return True

    def _move(
        self,
        capture: Capture,
        to: CaptureState,
        *,
        reason: str | None = None,
        detail: str | None = None,
    ) -> None:
        self._outbox.captures.move(
            capture, to, now_s=self._now().utc_s, reason=reason, detail=detail
        )
