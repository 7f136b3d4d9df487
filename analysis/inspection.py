"""One look at a capture: sample it, find the body, and conclude."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis.landmarker import PoseFinder
from analysis.landmarks import COUNT, FloatArray, Poses
from analysis.motion import body_speed
from analysis.quality import judge_quality
from analysis.report import Cost, Report, TakeReport
from analysis.reps import count_reps
from analysis.takes import Interval, TakeOptions, find_takes
from analysis.video import Reading, VideoFacts, open_video, sample_frames

Progress = Callable[[float], None]

_LONGEST_PX = 640  # the model looks at 256 px itself; more only costs time


def inspect_video(path: Path, options: TakeOptions, *, on_progress: Progress) -> Report:
    """Return what there is in a capture.

    Raises:
        VideoError: the file cannot be used.
    """
    began_s = time.monotonic()
    with open_video(path) as reading:
        poses, brightness = _look(reading, options, on_progress)
        facts = reading.facts()
    speed = body_speed(poses)
    efforts = find_takes(speed, poses.times_s, duration_s=facts.duration_s, options=options)
    takes = [_take_report(effort, poses, facts, options) for effort in efforts]
    cost = Cost(
        wall_s=time.monotonic() - began_s,
        decoded_frames=reading.frames,
        pose_frames=len(poses.times_s),
    )
    return Report(
        video=facts,
        takes=takes,
        quality=judge_quality(poses, brightness, efforts, damaged_at_s=reading.damaged_at_s),
        verdict="upload" if takes else "skip",
        cost=cost,
    )


def _look(
    reading: Reading, options: TakeOptions, on_progress: Progress
) -> tuple[Poses, FloatArray]:
    """Return the body and the brightness in the sampled frames."""
    times, points, visibilities, brightness = [], [], [], []
    stream = reading.stream
    length_s = float((stream.duration or 0) * (stream.time_base or 0)) or 60.0
    height_px = 0
    model = Path(options.model) if options.model else None
    with PoseFinder(model, sample_fps=options.sample_fps) as finder:
        for sample in sample_frames(reading, sample_fps=options.sample_fps, longest_px=_LONGEST_PX):
            found = finder.find(sample.image)
            nobody = (np.full((COUNT, 2), np.nan), np.zeros(COUNT))
            position, visibility = found if found is not None else nobody
            times.append(sample.time_s)
            points.append(position)
            visibilities.append(visibility)
            brightness.append(float(sample.image.mean()))
            height_px = sample.image.shape[0]
            on_progress(min(0.99, sample.time_s / length_s))
    poses = Poses(
        times_s=np.array(times, dtype=np.float64),
        points_px=np.array(points, dtype=np.float64).reshape(len(times), COUNT, 2),
        visibility=np.array(visibilities, dtype=np.float64).reshape(len(times), COUNT),
        height_px=height_px,
    )
    return poses, np.array(brightness, dtype=np.float64)


def _take_report(
    effort: Interval, poses: Poses, facts: VideoFacts, options: TakeOptions
) -> TakeReport:
    clip = effort.padded(options.pad_s, duration_s=facts.duration_s)
    within = (poses.times_s >= effort.start_s) & (poses.times_s < effort.end_s)
    return TakeReport(
        start_s=clip.start_s,
        end_s=clip.end_s,
        active_start_s=effort.start_s,
        active_end_s=effort.end_s,
        reps=count_reps(poses, options.activity, start_s=effort.start_s, end_s=effort.end_s),
        activity=options.activity,
        confidence=float(poses.visibility[within].mean()) if within.any() else 0.0,
    )
