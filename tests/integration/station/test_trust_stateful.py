"""Any order of recordings, copies, clocks, stops, undoings, restarts and assignments.

On a real outbox, with what really decides: the claim, the curtain, the weighing and the entries.
The model is true time, which no box and no camera has.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from agent.clipping.stage import RecordingPauseFilter
from agent.clock import Instant
from agent.disk.state_folder import StateFolder
from agent.errors import RequestError
from agent.outbox.models import Capture, ClipTarget, FileFacts, Take
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, FileState, Reason, Recipient
from agent.station import assignments, clip_actions
from agent.station.assignments import StationRules
from agent.station.attribution import NEAR_EDGE_S, ClipWarning, decide_attribution
from agent.station.recording_pause import start_filming, stop_filming
from agent.station.recording_time import RecordingTime, recording_time
from tests.factories import NOW_S
from tests.filmed import Filmed, recordings

STATION = ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
SECONDS = st.sampled_from([3, 12, 29, 31, 60, 600, 5000])
AGO = st.sampled_from([4, 9, 25, 50, 70, 100, 900])
_NOTHING_S = 0.5  # what is left of a file between two stops, if it is less, is worth no look
_LATE_S = 1.5  # how late recorders write, and clocks that are vouched for may be off


@dataclass(slots=True)
class Stop:
    """One stop of filming, in truth."""

    from_s: float
    to_s: float = float("inf")
    undoable: int | None = None
    renews: "Stop | None" = None  # the one that held when it was said


@dataclass(slots=True)
class Model:
    """What is true."""

    now_s: float = 0.0
    boots: list[float] = field(default_factory=lambda: [-100_000.0])
    came: list[tuple[float, str | None]] = field(default_factory=lambda: [(-1e9, "owner")])
    stops: list[Stop] = field(default_factory=list)

    def see(self, true_s: float) -> Instant:
        """What the box's clocks show."""
        number = max((n for n, at in enumerate(self.boots) if at <= true_s), default=0)
        boot_s = true_s - self.boots[number]
        return Instant(utc_s=NOW_S + true_s, boot_id=f"boot-{number}", boot_s=boot_s)

    def there(self, from_s: float, to_s: float) -> set[str | None]:
        before = [who for at, who in self.came if at <= from_s]
        return {before[-1], *(who for at, who in self.came if from_s < at < to_s)}


class TrustMachine(RuleBasedStateMachine):
    """A coach, cameras that lie, and a box."""

    @initialize()
    def open(self) -> None:
        memory = Path("/dev/shm")  # a real file, but without a disk to wait for
        self._temporary = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self._folder = StateFolder(Path(self._temporary.name))
        self._folder.prepare()
        self._model = Model()
        self._filmed: dict[int, Filmed] = {}
        self._outbox = Outbox.open(self._folder.root)
        assignments.record_default(
            self._outbox,
            ClipTarget(recipient=Recipient.ATHLETE, user_id="owner", activity="running"),
            now=self._now(),
        )
        self._pause_filter = self._new_curtain()

    def teardown(self) -> None:
        self._outbox.close()
        self._temporary.cleanup()

    def _now(self) -> Instant:
        return self._model.see(self._model.now_s)

    def _new_curtain(self) -> RecordingPauseFilter:
        return RecordingPauseFilter(
            self._outbox, self._folder, now=self._now, monotonic=lambda: self._model.now_s
        )

    @rule(seconds=SECONDS)
    def let_time_pass(self, seconds: int) -> None:
        self._model.now_s += seconds

    @rule(who=st.sampled_from(["ann", "ben", "cleo"]))
    def assign(self, who: str) -> None:
        self._model.came.append((self._model.now_s, who))
        wanted = ClipTarget(recipient=Recipient.ATHLETE, user_id=who, activity="running")
        assignments.assign(
            self._outbox,
            wanted,
            rules=StationRules(default=STATION),
            now=self._now(),
            set_by="test",
        )

    @rule()
    def be_done(self) -> None:
        self._model.came.append((self._model.now_s, None))
        assignments.assign_nobody(self._outbox, now=self._now(), set_by="test")

    @rule()
    def stop(self) -> None:
        held = next((stop for stop in self._model.stops if stop.to_s == float("inf")), None)
        self._end_stops()
        undoable = stop_filming(self._outbox, now=self._now(), set_by="test")
        self._model.stops.append(Stop(self._model.now_s, undoable=undoable.id, renews=held))

    @rule()
    def go_on(self) -> None:
        self._end_stops()
        start_filming(self._outbox, now=self._now(), set_by="test")

    def _end_stops(self) -> None:
        for stop in self._model.stops:
            stop.to_s = min(stop.to_s, self._model.now_s)

    @precondition(lambda self: self._model.stops)
    @rule()
    def undo_the_last_stop(self) -> None:
        stop = self._model.stops[-1]
        assert stop.undoable is not None
        try:
            clip_actions.undo(self._outbox, stop.undoable, now=self._now())
        except RequestError:
            return
        self._model.stops.remove(stop)
        if stop.renews is not None:
            stop.renews.to_s = stop.to_s  # what was stopped before is stopped again

    @rule(seconds=SECONDS)
    def restart_the_box(self, seconds: int) -> None:
        self._model.now_s += seconds
        self._model.boots.append(self._model.now_s)
        self._outbox.close()
        self._outbox = Outbox.open(self._folder.root)
        self._outbox.assignments.note_boot(self._now().boot_id)
        self._pause_filter = self._new_curtain()

    @rule(data=st.data(), ago_s=AGO)
    def let_a_recording_come(self, data: st.DataObject, ago_s: int) -> None:
        """It was begun some time ago; a copy of it may take until some time from now."""
        began_s = self._model.now_s - ago_s
        filmed = data.draw(recordings(began_s, self._model.see))
        self._model.now_s = max(self._model.now_s, filmed.here_s + 2)
        if self._model.boots[-1] > began_s:
            return  # nobody films while the box restarts
        number = len(self._filmed) + 1
        capture = self._outbox.captures.admit(
            sha256=f"{number:064x}",
            file_name=filmed.name,
            stored_name=f"{number:064x}.mp4",
            facts=FileFacts(size_bytes=1000, mtime_ns=1, inode=number),
            evidence=filmed.evidence,
            now_s=self._now().utc_s,
        )
        (self._folder.captures / capture.stored_name).write_bytes(b"film")
        self._filmed[capture.id] = filmed

    @rule()
    def look_into_what_waits(self) -> None:
        while True:
            capture = self._outbox.captures.claim_next(
                self._now().utc_s, but_not=self._pause_filter.waiting()
            )
            if capture is None:
                break
            filmed = self._filmed[capture.id]
            recorded = recording_time(
                filmed.evidence,
                inside=filmed.inside,
                name=filmed.name,
                clock_offset_s=filmed.clock_offset_s,
            )
            if self._pause_filter.lets_through(capture, recorded):
                self._look_into(capture, filmed, recorded)
        for capture_id, filmed in self._filmed.items():
            self._check_kept(capture_id, filmed)

    look_into_it_again = look_into_what_waits

    def _look_into(self, capture: Capture, filmed: Filmed, recorded: RecordingTime) -> None:
        now = self._outbox.captures.by_id(capture.id)
        assert now is not None
        begins_s, ends_s = filmed.shown_s * 0.4, filmed.shown_s * 0.6
        self._check_unseen(now, filmed)
        self._outbox.captures.move(capture, CaptureState.SKIPPED, now_s=self._now().utc_s)
        if now.hides(begins_s, ends_s):
            return
        take = Take(
            number=1,
            start_s=begins_s,
            end_s=ends_s,
            active_start_s=begins_s,
            active_end_s=ends_s,
        )
        timeline = assignments.timeline_of(self._outbox, now=self._now())
        decision = decide_attribution(take, recorded, timeline, station=STATION, unassigned="hold")
        if decision.state is not EntryState.READY:
            return
        from_s = filmed.start_s + begins_s * filmed.pace
        to_s = filmed.start_s + ends_s * filmed.pace
        who, model = decision.target.user_id, self._model
        nearly = model.there(from_s - NEAR_EDGE_S, to_s + NEAR_EDGE_S)
        is_flagged = ClipWarning.NEAR_CHANGE in decision.remarks and who in nearly
        assert {who} == model.there(from_s, to_s) or is_flagged, recorded.basis

    def _check_unseen(self, capture: Capture, filmed: Filmed) -> None:
        """What may be looked at was not filmed in a stop, but for what recorders write late."""
        recorders = filmed.here_s - filmed.end_s < 1 or filmed.clock_offset_s is not None
        if not recorders:
            return  # whose clock nobody vouches for: it may say another time than the true one
        for stop in self._model.stops:
            first_s, last_s = max(stop.from_s, filmed.start_s), min(stop.to_s, filmed.end_s)
            middle_s = (first_s + last_s) / 2
            if last_s - first_s > 2 * _LATE_S and capture.recorded_by != "unknown":
                at_s = (middle_s - filmed.start_s) / filmed.pace
                claims = capture.hidden_stretches
                assert any(b <= at_s <= e for b, e in claims) or _is_contradicted(filmed)

    def _check_kept(self, capture_id: int, filmed: Filmed) -> None:
        """A file goes only if all of it was filmed in a stop that can no longer be undone."""
        capture = self._outbox.captures.by_id(capture_id)
        assert capture is not None
        if capture.file_state is FileState.PRESENT:
            assert (self._folder.captures / capture.stored_name).exists()
            assert capture.reason != Reason.FILMING_STOPPED
            return
        assert capture.reason == Reason.FILMING_STOPPED
        stretches = sorted((stop.from_s, stop.to_s) for stop in self._model.stops)
        covered_s, seen_s = filmed.start_s, 0.0
        for from_s, to_s in [*stretches, (filmed.end_s, filmed.end_s)]:
            seen_s += max(0.0, min(from_s, filmed.end_s) - covered_s)
            covered_s = max(covered_s, to_s)
        assert seen_s < _NOTHING_S
        first = next(stop for stop in self._model.stops if stop.to_s >= filmed.start_s)
        assert self._model.now_s - first.from_s >= 30


def _is_contradicted(filmed: Filmed) -> bool:
    """Tell whether the station has a reason to take a recording for one of another time."""
    return filmed.clock_offset_s is not None or filmed.here_s - filmed.end_s >= 1


TestTrust = TrustMachine.TestCase
TestTrust.settings = settings(max_examples=90, stateful_step_count=25, deadline=None)
