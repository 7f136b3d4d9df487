"""Measuring how well takes are found, against a truth that is known exactly."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.synthetic import SceneCamera
from agent.synthetic.storyboard import Effort
from analysis.inspection import inspect_video
from analysis.pose_model import PoseFinder
from analysis.primitives import Interval, merged
from analysis.report import Report
from analysis.takes import RULES, TakeOptions
from tests.accuracy.captures import Capture


@dataclass(slots=True, kw_only=True)
class Score:
    """How one capture came out."""

    name: str
    efforts: int
    inside: int = 0  # true efforts that lie inside a clip
    excess_s: list[float] = field(default_factory=list)  # of each clip, beyond efforts and padding
    counted: int = 0  # takes whose repetitions are known
    exact: int = 0
    surplus: int = 0  # clips without any effort
    notes: list[str] = field(default_factory=list)


def cache_folder() -> Path:
    """Return where captures are kept: drawing them takes longer than looking at them."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(home) / "spotter" / "accuracy"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def filmed(name: str, capture: Capture, folder: Path) -> Path:
    """Return the file of a capture, drawn where it is not there yet."""
    root = Path(__file__).parents[2]
    sources = [*sorted(root.glob("agent/synthetic/*.py")), root / "tests/drawn_movements.py"]
    drawn_by = b"".join(source.read_bytes() for source in sources)
    mark = hashlib.sha256(repr(capture).encode() + drawn_by).hexdigest()[:12]
    path = folder / f"{name}-{mark}.mp4"
    if not path.exists():
        partial = path.with_suffix(".part.mp4")
        SceneCamera(capture.story(), keyframe_every_s=capture.keyframe_every_s).record(partial)
        partial.rename(path)
    return path


def measure(name: str, capture: Capture, path: Path, finder: PoseFinder) -> Score:
    """Return how well the takes of a capture are found."""
    report = inspect_video(path, TakeOptions(activity=capture.activity), finder=finder)
    return score(name, capture, report)


def score(name: str, capture: Capture, report: Report) -> Score:
    """Compare a report with the truth."""
    truth = capture.story().truth()
    result = Score(name=name, efforts=len(truth.efforts))
    clips = [Interval(start_s=take.start_s, end_s=take.end_s) for take in report.takes]
    for effort in truth.efforts:
        whole = any(holds(clip, effort) for clip in merged(clips, rest_s=0.001))
        result.inside += whole
        if not whole:
            result.notes.append(f"missed {effort.active_start_s:.2f}-{effort.active_end_s:.2f}")
    for clip, take in zip(clips, report.takes, strict=True):
        inside = [effort for effort in truth.efforts if _overlaps(clip, effort)]
        if not inside:
            result.surplus += 1
            result.notes.append(f"surplus {clip.start_s:.2f}-{clip.end_s:.2f}")
            continue
        result.excess_s.append(round(_excess_s(clip, inside, truth.duration_s, capture), 2))
        reps = [effort.reps for effort in inside]
        if all(count is not None for count in reps):
            result.counted += 1
            true = sum(count or 0 for count in reps)
            near = round(0.03 * true) if capture.activity == "running" else 0
            result.exact += take.reps is not None and abs(take.reps - true) <= near
            if take.reps is None or abs(take.reps - true) > near:
                result.notes.append(f"{take.reps} repetitions of {true}")
        if take.looks_like != inside[0].activity:
            result.notes.append(f"named {take.looks_like} ({take.confidence:.2f})")
    return result


def holds(clip: Interval, effort: Effort) -> bool:
    """Tell whether a whole effort lies inside a clip, to a frame."""
    return clip.start_s <= effort.active_start_s + 0.02 and clip.end_s >= effort.active_end_s - 0.05


def _overlaps(clip: Interval, effort: Effort) -> bool:
    return clip.start_s < effort.active_end_s and clip.end_s > effort.active_start_s


def _excess_s(
    clip: Interval, efforts: Sequence[Effort], duration_s: float, capture: Capture
) -> float:
    """Return how much longer the clip is than the efforts in it with their padding."""
    rules = RULES[capture.activity]
    start_s = max(0.0, efforts[0].active_start_s - rules.pad_before_s)
    end_s = min(duration_s, efforts[-1].active_end_s + rules.pad_after_s)
    return clip.seconds - (end_s - start_s)
