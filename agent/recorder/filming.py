"""Films one camera: packets go through the plan into files, and a report says how it goes.

Everything happens in one thread, which takes what comes from a mailbox in order: packets and
troubles from the reader, orders from the station.  The mailbox holds no more bytes than the ring;
if the disk keeps the thread that long, packets are dropped, counted, and the file ends.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import structlog

from agent.camera_link import FilmingOrder, RecorderReport, RecorderState, RecorderTrouble
from agent.clock import Instant, Now
from agent.errors import AgentError
from agent.recorder.cutting import (
    Action,
    AppendPacket,
    ArmedState,
    Arming,
    BeginFile,
    EndFile,
    EndReason,
    RecordingPlan,
)
from agent.recorder.files import CaptureWriter, StorageError
from agent.recorder.packets import ArrivalClock, StreamPacket, TimeCheck, TimeFault, parameter_set
from agent.recorder.policy import FilmedCamera, RecorderPolicy
from agent.recorder.source import CameraError, CameraFormat, SourcePacket
from agent.retry import Backoff, BackoffTimer
from agent.stage import StageName

LOOK_EVERY_S = 0.2  # at time and orders, while no packet comes
_GATHERED_S = 0.25  # seconds by which a live picture is late
STALLED_S = 2.5  # without a packet, a camera is taken for lost
_MEASURED_S = 5.0
_FAULTS, _WITHIN_S = 3, 10.0  # so many bad times within so long: the camera's clock is not used
_AGREES_S = 2.0  # a camera's clock that is further off proves nothing
_KEYFRAME_WITHIN_S = 30.0  # without one, no file can begin; some cameras send one when opened
_HANGS_S = 10.0  # for which one step of filming takes: only the disk can hold it up
_LOOK_AFTER_EVERY_S = 5.0  # at the folder, while no file grows in it
_STORE_AGAIN = Backoff(base_s=1.0, longest_s=10.0)
_MB = 1_000_000
_STILL_BYTES = 8 * _MB  # since the last keyframe; further ones are not decoded for a picture

log = structlog.get_logger(stage=StageName.RECORDER)


class StillSource:
    """What a picture of this moment is made of: the last keyframe, and what came since."""

    def __init__(self, keyframe: StreamPacket, camera: CameraFormat) -> None:
        self.camera = camera
        self.packets = [keyframe]  # as they came; only ever appended to, so any thread may read
        self._room_bytes = _STILL_BYTES
        self._is_whole = True

    def add(self, packet: StreamPacket) -> None:
        """Take the next packet, as long as there is room and none was lost before it."""
        self._room_bytes -= len(packet.payload)
        if self._is_whole and self._room_bytes > 0:
            self.packets.append(packet)
        else:
            self.end()

    def end(self) -> None:
        """Take no more: what comes now cannot be decoded from here."""
        self._is_whole = False


class Mailbox:
    """What the filming thread has yet to do; never more packets than memory is given for."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._bytes = 0
        self._lock = threading.Lock()
        self._urgent = threading.Event()
        self.dropped = 0

    def put(self, message: object) -> None:
        """Leave a message; a packet is dropped where there is no room for it."""
        if isinstance(message, SourcePacket):
            with self._lock:
                if self._bytes + len(message.payload) > self._most_bytes:
                    self.dropped += 1
                    return
                self._bytes += len(message.payload)
            self._queue.put(message)
            return
        self._queue.put(message)
        self._urgent.set()

    def take(self, within_s: float) -> object | None:
        """Return the next message; None where none came in time."""
        try:
            message = self._queue.get(timeout=within_s)
        except queue.Empty:
            return None
        if isinstance(message, SourcePacket):
            with self._lock:
                self._bytes -= len(message.payload)
        return message

    def gather(self) -> None:
        """Let packets pile up for a moment, until anything else comes: to wake for each costs."""
        if self._queue.empty() and self._urgent.wait(_GATHERED_S):
            self._urgent.clear()


class Gauge:
    """Measures a stream over the last seconds."""

    def __init__(self) -> None:
        self._packets: deque[tuple[float, int]] = deque()
        self._bytes = 0
        self._keyframes: deque[float] = deque(maxlen=4)

    def add(self, packet: StreamPacket) -> None:
        """Take note of a packet."""
        self._packets.append((packet.filmed_s, len(packet.payload)))
        self._bytes += len(packet.payload)
        while self._packets[0][0] < packet.filmed_s - _MEASURED_S:
            self._bytes -= self._packets.popleft()[1]
        if packet.is_keyframe:
            self._keyframes.append(packet.filmed_s)

    def rates(self) -> tuple[float, float]:
        """Return frames and kilobits a second."""
        if len(self._packets) < 2:
            return 0.0, 0.0
        span_s = self._packets[-1][0] - self._packets[0][0]
        if span_s <= 0:
            return 0.0, 0.0
        return (len(self._packets) - 1) / span_s, self._bytes * 8 / 1000 / span_s

    def keyframe_s(self) -> float:
        """Return the longest of the last distances between two keyframes."""
        moments = list(self._keyframes)
        return max((b - a for a, b in pairwise(moments)), default=0.0)


class FilmingLoop:
    """The thread that films."""

    def __init__(
        self, policy: RecorderPolicy, mailbox: Mailbox, *, now: Now, reopen: Callable[[], None]
    ) -> None:
        """Prepare to film.

        Args:
            policy: of the recorder.
            mailbox: where packets, troubles and orders come from.
            now: reads the clock.
            reopen: lets the reader open the camera again, whose stream has changed.
        """
        self._mailbox = mailbox
        self._now = now
        self._reopen = reopen
        self._arming = Arming(policy.arming())
        self._plan = RecordingPlan(policy.cutting)
        self._capture = policy.capture
        self._segment_s = policy.cutting.segment_s
        self._writer = CaptureWriter(
            policy.capture,
            policy.camera.name,
            min_free_bytes=policy.min_free_bytes,
            now=now,
        )
        self._camera = policy.camera
        self._choice: str | None = "" if policy.camera.is_chosen_at_station else None
        self._stream: _StreamState | None = None
        self._storage = _Storage()
        self._trouble: CameraError | None = None
        self._dropped = 0
        self._reported_s = now().boot_s or 0.0  # since boot: when the report was made
        self._looked_after_s = float("-inf")
        self._hangs = False
        self.still: StillSource | None = None
        self.report = self._reported(RecorderState.CONNECTING, ArmedState(armed_by=None, since_s=0))

    def run(self, is_over: Callable[[], bool]) -> None:
        """Film until it is over; the file that grows then is ended whole."""
        while not is_over():
            self.step(self._mailbox.take(LOOK_EVERY_S))
            self._mailbox.gather()
        self._carry_out(self._plan.end(EndReason.SHUTDOWN))

    def report_now(self) -> RecorderReport:
        """Return how the camera does, to one other thread: a disk that hangs holds up this one."""
        now, report, reported_s = self._now(), self.report, self._reported_s
        assert now.boot_s is not None  # the clock of this process
        silent_s = now.boot_s - reported_s
        hung, self._hangs = self._hangs, silent_s > _HANGS_S
        if not self._hangs:
            return report
        error = StorageError(
            f"the capture folder {self._capture} does not answer",
            hint="check its disk, or restart the box: recording resumes once it answers",
            trouble=RecorderTrouble.NOT_WRITABLE,
        )
        if not hung:
            log.error("recording not stored", error=str(error), hint=error.hint)
        return replace(
            report,
            state=RecorderState.NOT_STORED,
            since_s=now.utc_s - silent_s,
            trouble=error.trouble,
            error=_with_hint(error),
        )

    def step(self, message: object | None) -> None:
        """Deal with one message, or with the passing of time."""
        now = self._now()
        if message is not None and not isinstance(message, SourcePacket):
            self._hear(message)
        assert now.boot_s is not None  # the clock of this process
        is_due = now.boot_s - self._looked_after_s >= _LOOK_AFTER_EVERY_S
        if is_due and not self._plan.is_filming and self._storage.may_try():
            self._looked_after_s = now.boot_s
            self._store(self._writer.look_after)
        armed = self._arming.look(now)
        allowed = armed
        if armed.armed_by is not None and not self._storage.may_try():
            allowed = ArmedState(armed_by=None, since_s=armed.since_s)
        if isinstance(message, SourcePacket):
            self._take(message, allowed, now)
        else:
            self._look_for_stall(now)
            self._carry_out(self._plan.look(allowed))
        state, before = self._state(armed), self.report
        is_old = now.boot_s - self._reported_s >= LOOK_EVERY_S  # measuring at every packet costs
        said = state, armed.armed_by, self._choice
        if is_old or said != (before.state, before.armed_by, before.choice):
            self._reported_s = now.boot_s
            self.report = self._reported(state, armed, before)

    def _hear(self, message: object) -> None:
        """Take in what is no packet."""
        match message:
            case FilmingOrder():
                self._arming.hear(message)
            case FilmedCamera():
                self._change_camera(message)
            case CameraFormat():
                self._has_opened(message)
            case CameraError():
                self._has_broken_off(message)

    def _change_camera(self, camera: FilmedCamera) -> None:
        """Film another camera from now on."""
        self._carry_out(self._plan.end(EndReason.STREAM))
        self._plan.ring.clear()
        self._stream = self._trouble = self.still = None
        self._camera, self._choice = camera, camera.choice
        log.info("camera changed", camera=camera.name)

    def _has_opened(self, camera: CameraFormat) -> None:
        self._stream = _StreamState(camera, self._now())
        log.info(
            "camera connected",
            camera=self._camera.name,
            codec=camera.codec,
            size=f"{camera.width}x{camera.height}",
        )

    def _has_broken_off(self, error: CameraError) -> None:
        self._lose(error)
        self._stream = None

    def _look_for_stall(self, now: Instant) -> None:
        """Say so where the camera sends nothing any more; libav takes longer to give it up."""
        stream = self._stream
        assert now.boot_s is not None  # the clock of this process
        if stream is None or self._trouble is not None:
            return
        if now.boot_s - stream.arrived_s > STALLED_S:
            self._lose(CameraError(f"{self._camera.host} sends nothing", hint="is it on?"))

    def _lose(self, error: CameraError) -> None:
        self._carry_out(self._plan.end(EndReason.STREAM))
        if self._trouble is None or str(self._trouble) != str(error):
            log.warning("camera lost", camera=self._camera.name, error=str(error), hint=error.hint)
        self._trouble, self.still = error, None

    def _take(self, source: SourcePacket, armed: ArmedState, now: Instant) -> None:
        stream = self._stream
        if stream is None:
            return
        if source.is_keyframe:
            stream.keyframe_s = source.arrived_s
        elif self._lacks_keyframe(stream, source):
            error = CameraError(
                f"{self._camera.host} sends no keyframe",
                hint="set its keyframe (I-frame) distance to a second or two, without smart codecs",
                trouble=RecorderTrouble.UNREADABLE,
            )
            self._has_broken_off(error)
            self._reopen()
            return
        is_unreadable = self._trouble is not None and (
            self._trouble.trouble is RecorderTrouble.UNREADABLE
        )
        if source.is_keyframe or not is_unreadable:
            self._trouble = None
        self._look_for_dropped()
        if stream.has_changed(source):
            self._break_off("the camera changed its picture")
            self._reopen()
            self._stream = None
            return
        packet, fault = stream.timed(source, now)
        if fault is not None:
            self._break_off(f"timestamp {fault}")
        if packet is None:
            return
        stream.gauge.add(packet)
        self._show(packet, stream.camera)
        self._carry_out(self._plan.take(packet, armed))

    def _lacks_keyframe(self, stream: "_StreamState", source: SourcePacket) -> bool:
        """Tell whether no file can begin for want of a keyframe, or the one that grows end."""
        if not self._camera.is_network:
            return False  # a file would be played from its beginning
        within_s = _KEYFRAME_WITHIN_S
        if self._plan.is_filming:
            within_s = max(within_s, self._segment_s)
        return source.arrived_s - stream.keyframe_s > within_s

    def _show(self, packet: StreamPacket, camera: CameraFormat) -> None:
        """Keep what a picture of this moment can be made of."""
        if packet.is_keyframe:
            self.still = StillSource(packet, camera)
        elif self.still is not None:
            self.still.add(packet)

    def _look_for_dropped(self) -> None:
        if self._mailbox.dropped > self._dropped:
            self._break_off(f"{self._mailbox.dropped - self._dropped} packets dropped")
            self._dropped = self._mailbox.dropped
            if self.still is not None:
                self.still.end()

    def _break_off(self, why: str) -> None:
        """End the file: what comes next does not follow what came before."""
        log.warning("stream interrupted", camera=self._camera.name, reason=why)
        self._carry_out(self._plan.end(EndReason.STREAM))

    def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case BeginFile():
                    stream = self._stream
                    assert stream is not None  # its packet has just come
                    self._store(partial(self._writer.begin, action, stream.camera))
                case AppendPacket():
                    self._store(partial(self._writer.append, action.packet))
                case EndFile():
                    self._end_file(action.reason)

    def _end_file(self, reason: EndReason) -> None:
        delay_s = None if self._stream is None else self._stream.delay_s
        try:
            self._writer.end(reason, delay_s=delay_s, lost=self._mailbox.dropped)
        except StorageError as error:
            self._storage.has_failed(error)

    def _store(self, step: Callable[[], None]) -> None:
        """Do what the disk may refuse: then the file ends, and the ring continues."""
        try:
            step()
        except StorageError as error:
            self._storage.has_failed(error)
            self._plan.end(EndReason.NOT_STORED)
            self._end_file(EndReason.NOT_STORED)
        else:
            self._storage.has_worked()

    def _state(self, armed: ArmedState) -> RecorderState:
        if self._trouble is not None:
            return RecorderState.CAMERA_LOST
        if self._stream is None:
            return RecorderState.CONNECTING
        if self._storage.error is not None:  # also while nobody is to be filmed: a person can act
            return RecorderState.NOT_STORED
        return RecorderState.WATCHING if armed.armed_by is None else RecorderState.RECORDING

    def _reported(
        self, state: RecorderState, armed: ArmedState, before: RecorderReport | None = None
    ) -> RecorderReport:
        stream = self._stream
        error = self._trouble or self._storage.error
        report = RecorderReport(
            camera=self._camera.name,
            state=state,
            since_s=before.since_s if before and before.state is state else self._now().utc_s,
            armed_by=armed.armed_by,
            ring_s=self._plan.ring.seconds,
            ring_bytes=self._plan.ring.size_bytes,
            dropped=self._mailbox.dropped,
            files=self._writer.placed,
            moved=self._plan.has_moved,
            trouble=None if error is None else error.trouble,
            error=None if error is None else _with_hint(error),
            choice=self._choice,
        )
        if stream is not None:
            fps, kbit_s = stream.gauge.rates()
            camera = stream.camera
            report = replace(
                report,
                codec=camera.codec,
                width=camera.width,
                height=camera.height,
                fps=fps,
                kbit_s=kbit_s,
                keyframe_s=stream.gauge.keyframe_s(),
            )
        return report


def _with_hint(error: AgentError) -> str:
    return f"{error}: {error.hint}" if error.hint else str(error)


class _StreamState:
    """One connection to the camera."""

    def __init__(self, camera: CameraFormat, opened: Instant) -> None:
        self.camera = camera
        self.arrived_s = opened.boot_s or 0.0  # when it last sent anything
        self.keyframe_s = self.arrived_s  # when the last keyframe came, or it was opened
        self.gauge = Gauge()
        self.delay_s: float | None = None  # by the camera's own clock, where it agrees with ours
        self._clock = ArrivalClock()
        self._check = TimeCheck()
        self._faults: deque[float] = deque(maxlen=_FAULTS)
        self._uses_arrival = False
        self._set: bytes | None = None

    def has_changed(self, source: SourcePacket) -> bool:
        """Tell whether a keyframe says that the picture is another one from now on."""
        if not source.is_keyframe:
            return False
        found = parameter_set(source.payload, self.camera.codec)
        before, self._set = self._set, found or self._set
        return before is not None and found is not None and found != before

    def timed(
        self, source: SourcePacket, now: Instant
    ) -> tuple[StreamPacket | None, TimeFault | None]:
        """Return a packet with its times, and what was wrong with the camera's."""
        fault = None
        self.arrived_s = source.arrived_s
        if not self._uses_arrival:
            fault = self._check.fault(source.pts_s, source.arrived_s)
        if fault is not None:
            self._clock = ArrivalClock()
            self._faults.append(source.arrived_s)
            lasted_s = source.arrived_s - self._faults[0]
            often = len(self._faults) == _FAULTS and lasted_s < _WITHIN_S
            self._uses_arrival = often or fault is TimeFault.SPEED
        pts_s = source.arrived_s if self._uses_arrival else source.pts_s
        if pts_s is None:
            return None, fault
        filmed_s = self._clock.filmed_s(pts_s, source.arrived_s)
        self._note_delay(source, filmed_s, now)
        packet = StreamPacket(
            source.payload, pts_s, source.duration_s, source.is_keyframe, filmed_s
        )
        return packet, fault

    def _note_delay(self, source: SourcePacket, filmed_s: float, now: Instant) -> None:
        if source.camera_utc_s is None or now.boot_s is None:
            return
        by_camera_s = now.boot_s - (now.utc_s - source.camera_utc_s)
        delay_s = filmed_s - by_camera_s
        self.delay_s = delay_s if 0.0 <= delay_s <= _AGREES_S else None


class _Storage:
    """Whether the disk takes files; growing pauses between two attempts."""

    def __init__(self) -> None:
        self.error: StorageError | None = None
        self._timer = BackoffTimer(_STORE_AGAIN)

    def may_try(self) -> bool:
        """Tell whether a file may be begun."""
        return self._timer.rest_s() <= 0

    def has_failed(self, error: StorageError) -> None:
        """Take note that the disk refused."""
        if self.error is None or self.error.trouble is not error.trouble:
            log.error("recording not stored", error=str(error), hint=error.hint)
        self.error = error
        self._timer.note_failure()

    def has_worked(self) -> None:
        """Take note that it takes files again."""
        if self.error is not None:
            log.info("recording resumed")
        self.error = None
        self._timer.note_success()
