"""What the analysis costs, against decoding every frame once and against the naive loop."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from agent.clipping.analysis_process import AnalysisProcess, ChildLimits
from analysis.cut.clip import cut_clip
from analysis.inspection import inspect_video
from analysis.pose_model import PoseFinder
from analysis.report import Report
from analysis.takes import TakeOptions
from tests.bench.captures import capture, capture_4k
from tests.bench.profile import print_profile

_ROUNDS = 3
_OPTIONS = TakeOptions(activity="running")
_PROFILED = {"ten", "all", "empty"}
_TITLES = {
    "ten": "60 s of 1080p30, a take of 10 s",
    "all": "60 s of 1080p30, all one take",
    "empty": "60 s of 1080p30, nobody there",
    "single": "60 s of 1080p30, one keyframe",
    "rate": "60 s of 1080p30, a take of 10 s, at a constant 3 Mbit/s",
    "long": "10 min of 1080p30, five takes",
}


def bench_analysis() -> None:
    """Print every figure about the analysis."""
    bench_start()
    with PoseFinder() as finder:
        for name, title in _TITLES.items():
            bench_capture(capture(name), title, finder, naive=name in {"ten", "all"})
            if name in _PROFILED:
                print_profile(capture(name), _OPTIONS, finder)
    bench_memory()


def bench_capture(path: Path, title: str, finder: PoseFinder, *, naive: bool) -> None:
    """Print the analysis's time over decoding's, both taken in turns, and what trimming saves."""
    ours: list[_Spent] = []
    yardstick: list[_Spent] = []
    report = inspect_video(path, _OPTIONS, finder=finder)
    for _ in range(_ROUNDS if not title.startswith("10 min") else 1):
        yardstick.append(_spent(lambda: decode_all(path)))
        ours.append(_spent(lambda: inspect_video(path, _OPTIONS, finder=finder)))
    pairs = list(zip(ours, yardstick, strict=True))
    ratio = statistics.median(a.wall_s / b.wall_s for a, b in pairs)
    cpu_ratio = statistics.median(a.cpu_s / b.cpu_s for a, b in pairs)
    print(
        f"{title}: analysis {ratio:.2f} of decoding every frame once, of its processor time "
        f"{cpu_ratio:.2f} ({statistics.median(spent.wall_s for spent in ours):.1f} s / "
        f"{statistics.median(spent.wall_s for spent in yardstick):.1f} s; "
        f"{report.cost.decoded_frames} frames decoded, {report.cost.pose_frames} looks)"
    )
    if naive:
        naive_s = _spent(lambda: look_at_every_frame(path)).wall_s
        ours_s = statistics.median(spent.wall_s for spent in ours)
        print(f"  naive loop / analysis: {naive_s / ours_s:.1f}")
    print_trimmed(path, report)


def print_trimmed(path: Path, report: Report) -> None:
    """Cut all takes and print what need not be sent."""
    clip_s = clip_bytes = 0.0
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for take in report.takes:
            cut = cut_clip(
                path,
                start_s=take.start_s,
                end_s=take.end_s,
                out=Path(folder) / "clip.mp4",
                on_progress=lambda _done: None,
            )
            clip_s, clip_bytes = clip_s + cut.clip_seconds, clip_bytes + cut.clip_bytes
    size, whole_s = path.stat().st_size, report.video.duration_s
    print(
        f"  trimmed: {whole_s - clip_s:.1f} of {whole_s:.1f} s, {1 - clip_bytes / size:.0%} of "
        f"{size / 1e6:.1f} MB; {len(report.takes)} clips cut in "
        f"{time.perf_counter() - began_s:.1f} s",
        flush=True,
    )


def bench_start() -> None:
    """Print what a cold child costs, apart from what it is asked."""
    began_s = time.perf_counter()
    child = _child()
    child.ask("check")
    print(f"child: {time.perf_counter() - began_s:.1f} s from cold to its first answers")
    child.close()


def bench_memory() -> None:
    """Print the child's largest resident size, for the largest captures."""
    for title, path in (("60 s of 1080p", capture("all")), ("4K", capture_4k())):
        child = _child()
        child.ask("inspect", path=str(path), options={"activity": "running"})
        with tempfile.TemporaryDirectory() as folder:
            clip = str(Path(folder) / "clip.mp4")
            child.ask("cut", path=str(path), start_s=1.0, end_s=5.0, out=clip)
            copied_mib = _peak_mib(child)
            encode = {"method": "encode"}
            child.ask("cut", path=str(path), start_s=1.0, end_s=5.0, out=clip, options=encode)
        print(
            f"child's peak memory, {title}: {copied_mib:.0f} MiB; encoding: {_peak_mib(child):.0f}"
        )
        child.close()


def decode_all(path: Path) -> None:
    """Decode every frame once, with as many threads as FFmpeg likes."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            pass


def look_at_every_frame(path: Path) -> None:
    """Do what a first attempt does: OpenCV reads every frame, the model looks at each."""
    video = cv2.VideoCapture(str(path))
    with PoseFinder() as finder:
        number = 0
        while True:
            there, picture = video.read()
            if not there:
                break
            image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
            finder.find(image, time_s=number / 30)
            number += 1
    video.release()


def _child() -> AnalysisProcess:
    return AnalysisProcess(limits=ChildLimits(), check=lambda: None)


def _peak_mib(child: AnalysisProcess) -> float:
    status = Path(f"/proc/{child.process_id}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


class _Spent(NamedTuple):
    """What an action took; processor time holds on a busy machine too."""

    wall_s: float
    cpu_s: float


def _spent(action: Callable[[], object]) -> _Spent:
    began_s, before_s = time.perf_counter(), time.process_time()
    action()
    return _Spent(time.perf_counter() - began_s, time.process_time() - before_s)
