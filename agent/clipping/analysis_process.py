"""The analysis as a child process, which may crash, hang or exhaust memory alone.

The child speaks JSON, one line a message.  It is started when there is work, or soon will
be, stays warm while there is more, and is watched: a silence or a size beyond its bound ends it.
The framing is checked by a child of its own.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from agent.errors import AnalysisError, AnalysisFault
from agent.heartbeat import allow, beat
from agent.outbox.models import Take
from agent.settings import Settings
from agent.stage import StageName
from agent.station.recording_time import Inside, creation_s
from agent.text import read_json

_REFERENCE_POSE_MS = 15.0  # of the machine on which the bounds were chosen
_SLOWEST = 20.0  # a box slower than that is not waited for any longer
_UNMEASURED = (
    5.0  # how slow a box may be at its first analysis; doubled after each without a result
)
_TICK_S = 1.0  # how often a silent child is checked
_LAST_WORDS = 20  # lines of the child's log that are kept to explain its end
_NICE = 10  # the recorder on the same box comes first
# glibc: pictures go back to the system when they are done with, instead of staying in the heap.
_ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_ARENA_MAX": "2"}
# NumPy's and OpenCV's linear algebra: nothing here is large enough to be shared among threads, and
# threads that wait for work take more of a start than anything else.
_THREADS = {"OPENBLAS_NUM_THREADS": "1"}
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")

log = structlog.get_logger(stage=StageName.CLIPPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildLimits:
    """What a child may use."""

    stall_s: float = 60.0  # without a sign of progress, on the reference machine
    memory_bytes: int = 1500 << 20  # resident


class AnalysisProcess:
    """The analysis in its own process; used by one thread at a time."""

    def __init__(
        self,
        *,
        limits: ChildLimits,
        check: Callable[[], None],
        model: Path | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        self._limits = limits
        self._check = check
        self._known_picture = {"op": "check", "model": None if model is None else str(model)}
        self._on_progress = on_progress
        self._running: _Running | None = None
        self._slowness: float | None = None  # of this box against the reference machine
        self._presumed = _UNMEASURED  # the same, until it is measured

    def ask(self, operation: str, **fields: object) -> Mapping[str, object]:
        """Let the child do one thing and return its result.

        Raises:
            AnalysisError: it refused, crashed, stalled or grew too large.
            whatever `check` raises: the daemon ends; the child is ended too.
        """
        child = self._warm()
        if self._slowness is None:
            self._measure(child)
        return self._exchange(child, {"op": operation, **fields})

    def warm_up(self) -> None:
        """Start the child and let it load its model, before there is work.

        Raises:
            whatever `check` raises: the daemon ends.
        """
        if self._running is None:
            with contextlib.suppress(AnalysisError):  # the next request raises it again
                self._measure(self._warm())

    @property
    def process_id(self) -> int | None:
        """The living child's process, or None."""
        return None if self._running is None else self._running.process_id

    def self_test_passes(self) -> bool:
        """Tell whether a fresh child finds the athlete in the picture known to hold one.

        No file is to blame where the first analysis already failed, by which the box is measured.
        """
        self.close()
        if self._slowness is None:
            return False
        try:
            return bool(self._measure(self._warm()).get("found"))
        except AnalysisError as error:
            log.error("self-test failed", error=str(error))
            return False

    def _measure(self, child: "_Running") -> Mapping[str, object]:
        """Let a child analyse the known picture, and learn from it how slow this box is.

        An analysis without a result leaves the box unmeasured, and gives the next more time.
        """
        self._slowness = None
        try:
            found = self._exchange(child, self._known_picture)
        except AnalysisError:
            self._presumed = min(2 * self._presumed, _SLOWEST)
            raise
        self._slowness, self._presumed = _slowness(found), _UNMEASURED
        return found

    def close(self) -> None:
        """End the child and give its memory back."""
        if self._running is not None:
            self._running.end()
            self._running = None

    def _warm(self) -> "_Running":
        if self._running is None:
            self._running = _Running()
        return self._running

    def _exchange(self, child: "_Running", request: Mapping[str, object]) -> Mapping[str, object]:
        try:
            child.send(request)
            return self._await_result(child)
        except AnalysisError as error:
            if error.fault in _FATAL:
                self.close()
            raise
        except BaseException:
            self.close()
            raise

    def _await_result(self, child: "_Running") -> Mapping[str, object]:
        stall_s = self._limits.stall_s * (self._slowness or self._presumed)
        with allow(stall_s):
            return self._await_within(child, stall_s)

    def _await_within(self, child: "_Running", stall_s: float) -> Mapping[str, object]:
        heard_s = time.monotonic()
        while True:
            self._check()
            message = child.receive(_TICK_S)
            if message is not None:
                heard_s = time.monotonic()
                beat(waits_s=stall_s)
                result = self._read(message)
                if result is not None:
                    return result
            if child.resident_bytes() > self._limits.memory_bytes:
                raise AnalysisError("it took too much memory", fault=AnalysisFault.MEMORY)
            if time.monotonic() - heard_s > stall_s:
                raise AnalysisError(f"no progress for {stall_s:.0f} s", fault=AnalysisFault.STALLED)

    def _read(self, message: Mapping[str, object]) -> Mapping[str, object] | None:
        """Return the result in a message, or None where it is only a sign of progress."""
        result, error = message.get("result"), message.get("error")
        if isinstance(result, Mapping):
            return result
        if isinstance(error, Mapping):
            cause = error.get("cause")
            raise AnalysisError(
                str(error.get("message")),
                fault=_fault(error.get("kind")),
                cause=None if cause is None else str(cause),
            )
        progress = message.get("progress")
        if self._on_progress is not None and isinstance(progress, int | float):
            self._on_progress(float(progress))
        return None


_FATAL = frozenset({AnalysisFault.CRASHED, AnalysisFault.STALLED, AnalysisFault.MEMORY})


def start_child() -> subprocess.Popen[bytes]:
    """Start an analysis process, with pipes for its requests, its answers and its log."""
    return subprocess.Popen(
        # Isolated, and in a folder of root's: nothing that the group writes is imported.
        [sys.executable, "-I", "-u", "-m", "analysis.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        cwd="/",
        start_new_session=True,
    )


class _Running:
    """One living child process and its pipes."""

    def __init__(self) -> None:
        self._process = start_child()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICE)
        assert (
            self._process.stdin and self._process.stdout and self._process.stderr
        )  # all are pipes
        self._requests: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout
        self._unread = b""
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._listener = threading.Thread(
            target=self._listen, args=(self._process.stderr,), name="analysis-log", daemon=True
        )
        self._listener.start()

    @property
    def process_id(self) -> int:
        return self._process.pid

    def send(self, request: Mapping[str, object]) -> None:
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
        except OSError:
            raise self._crashed() from None

    def receive(self, wait_s: float) -> Mapping[str, object] | None:
        """Return the next message, or None if none came in time."""
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], wait_s)
            if not ready:
                return None
            part = os.read(self._answers.fileno(), 1 << 16)
            if not part:
                raise self._crashed()
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        try:
            message = read_json(line)
        except ValueError:
            raise self._crashed() from None
        return message if isinstance(message, Mapping) else None

    def resident_bytes(self) -> int:
        """Return the child's resident size; 0 where it is gone."""
        try:
            statm = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii")
        except OSError:
            return 0
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()
        with contextlib.suppress(OSError):
            self._requests.close()  # flushes what the dead child did not read
        self._answers.close()

    def _listen(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                self._last_words.append(line.decode("utf-8", "replace").rstrip())

    def _crashed(self) -> AnalysisError:
        code = self._process.poll()
        words = self._last_words[-1] if self._last_words else "no error message"
        return AnalysisError(
            f"the analysis ended with code {code}: {words}", fault=AnalysisFault.CRASHED
        )


def number_in(result: Mapping[str, object], name: str) -> float:
    """Return a number of a result."""
    value = result[name]
    assert isinstance(value, int | float)  # the child is our own
    return float(value)


def _environment() -> dict[str, str]:
    """Return the child's environment: no key and no setting of ours is in it."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed_on, **_ALLOCATION, **_THREADS}


def _slowness(checked: Mapping[str, object]) -> float:
    pose_ms = checked.get("pose_ms")
    measured = pose_ms / _REFERENCE_POSE_MS if isinstance(pose_ms, int | float) else 1.0
    return min(max(measured, 1.0), _SLOWEST)


def _fault(kind: object) -> AnalysisFault:
    try:
        return AnalysisFault(str(kind))
    except ValueError:
        return AnalysisFault.INTERNAL


_SHORTEST_PART_S = 0.5
_MOMENTS = ("start_s", "end_s", "active_start_s", "active_end_s", "decisive_s")


def read_recording_clues(probed: Mapping[str, object]) -> Inside:
    """Return what a video file says about when it was recorded."""
    which, fps = probed.get("creation_is"), probed.get("captured_fps")
    return Inside(
        length_s=number_in(probed, "duration_s"),
        created_at=creation_s(probed.get("creation_time")),
        creation_is="start" if which == "start" else "end" if which == "end" else None,
        frames=int(number_in(probed, "packets")),
        captured_fps=float(fps) if isinstance(fps, int | float) else None,
    )


def parts_shown(
    hidden: Sequence[tuple[float, float]], length_s: float
) -> list[tuple[float, float]]:
    """Return the stretches of a capture between those that nobody may see."""
    edges = [0.0, *(edge for stretch in hidden for edge in stretch), length_s]
    parts = zip(edges[::2], edges[1::2], strict=True)
    return [(from_s, to_s) for from_s, to_s in parts if to_s - from_s >= _SHORTEST_PART_S]


def report_of_parts(
    reports: Sequence[tuple[float, Mapping[str, object]]],
    shown: Sequence[tuple[float, float]],
    *,
    length_s: float,
) -> dict[str, object]:
    """Return the reports of a capture's parts as one, in the capture's own time.

    Args:
        reports: where each part begins, and what was found in it.
        shown: the parts.
        length_s: of the capture: a take continues into another one at its ends only.
    """
    takes: list[dict[str, object]] = []
    quality: list[dict[str, object]] = []
    for (begins_s, report), (_, to_s) in zip(reports, shown, strict=True):
        for take in _found(report, "takes") if report.get("verdict") != "skip" else ():
            moved = {name: _later(take.get(name), begins_s, most_s=to_s) for name in _MOMENTS}
            ends = {
                "begins_before": bool(take.get("begins_before")) and begins_s == 0,
                "goes_on": bool(take.get("goes_on")) and to_s >= length_s,
            }
            takes.append({**take, **moved, **ends})
        for remark in _found(report, "quality"):
            quality.append({**remark, "at_s": _later(remark.get("at_s"), begins_s, most_s=to_s)})
    verdicts = {report.get("verdict") for _, report in reports}
    verdict = next((word for word in ("hold", "upload") if word in verdicts), "skip")
    return {"verdict": verdict if takes else "skip", "takes": takes, "quality": quality}


def _found(report: Mapping[str, object], name: str) -> list[dict[str, object]]:
    found = report.get(name)
    return found if isinstance(found, list) else []


def _later(moment: object, by_s: float, *, most_s: float) -> float | None:
    return min(most_s, float(moment) + by_s) if isinstance(moment, int | float) else None


def read_takes(report: Mapping[str, object]) -> list[Take]:
    """Return the takes that a report names; none where its verdict is to skip."""
    found = report.get("takes")
    assert isinstance(found, list)  # the child is our own
    if report.get("verdict") == "skip":
        return []
    return [
        Take(
            number=number,
            start_s=number_in(take, "start_s"),
            end_s=number_in(take, "end_s"),
            active_start_s=number_in(take, "active_start_s"),
            active_end_s=number_in(take, "active_end_s"),
            reps=take.get("reps"),
            confidence=take.get("confidence"),
            decisive_s=take.get("decisive_s"),
            begins_before=bool(take.get("begins_before")),
            goes_on=bool(take.get("goes_on")),
        )
        for number, take in enumerate(found, start=1)
    ]


def tracking_options(settings: Settings) -> dict[str, object]:
    """Return what the analysis is asked for with every capture."""
    analysis = settings.analysis
    return {
        "rules": {
            name: getattr(settings, name).model_dump()
            for name in ("running", "jumping", "weightlifting")
        },
        "zone": zone_corners(analysis.zone),
        "severities": settings.quality.model_dump(),
        "model": None if analysis.model is None else str(analysis.model),
        "reference": None if analysis.reference is None else str(analysis.reference),
    }


def zone_corners(zone: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """Return the corners of a zone; two of them are a rectangle's."""
    if len(zone) != 2:
        return list(zone)
    (left, top), (right, bottom) = zone
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """What the analysis of the camera's picture found."""

    found: bool  # somebody
    remarks: Mapping[str, str]  # a sentence with the remedy, by its code; empty: all is well

    @property
    def is_fine(self) -> bool:
        """Whether training can begin."""
        return not self.remarks


def check_framing(
    picture: Path,
    settings: Settings,
    *,
    activity: str | None = None,
    stored_px: tuple[int, int] | None = None,
    out: Path | None = None,
    empty: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> Framing:
    """Analyse a picture of the athlete at the station.

    Args:
        picture: a picture, or a recording, whose middle is analysed.
        settings: of the station: zone, reference, model.
        activity: what is to be filmed; None: what the station is for.
        stored_px: width and height of the recordings, where the picture is a smaller one.
        out: where it is written with the skeleton on it.
        empty: where it is written without the athlete, to be a reference.
        check: asked repeatedly; what it raises ends the analysis.

    Raises:
        AnalysisError: nothing can be seen in it.
    """
    options = tracking_options(settings)
    rules = {
        "activity": activity or settings.station.activity,
        "zone": options["zone"],
        "reference": options["reference"],
        "stored_px": stored_px,
    }
    child = AnalysisProcess(limits=ChildLimits(), check=check)
    try:
        told = child.ask(
            "framing",
            path=str(picture.resolve()),
            rules=rules,
            model=options["model"],
            out=None if out is None else str(out.resolve()),
            empty=None if empty is None else str(empty.resolve()),
        )
    finally:
        child.close()
    remarks = told["remarks"]
    assert isinstance(remarks, list)  # the child is our own
    return Framing(
        found=bool(told["found"]),
        remarks={str(one["code"]): str(one["message"]) for one in remarks},
    )
