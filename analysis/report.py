"""The report of an analysis, ready to serialise."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np

from analysis.motion import Motion
from analysis.quality import QualityWarning
from analysis.video import VideoFacts

Verdict = Literal["upload", "hold", "skip"]

_MOST_POINTS = 600  # of the curve: more than a plot has px


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeReport:
    """One take: the clip's bounds, and the movement's inside them, in presentation time."""

    start_s: float
    end_s: float
    active_start_s: float
    active_end_s: float
    reps: int | None
    activity: str  # what the station says is done, else what it looks like
    looks_like: str  # running, jumping, weightlifting, other
    confidence: float  # 0 to 1, of that name
    decisive_s: float  # the moment worth a picture
    begins_before: bool  # the movement was under way when the capture began
    goes_on: bool  # it was not over when the capture ended
    clip: str | None = None  # path, once it is cut
    clip_frames: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the analysis took."""

    wall_s: float
    decoded_frames: int
    pose_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How much the athlete moves over the capture."""

    times_s: Sequence[float]
    speed: Sequence[float]  # torso lengths a second; 0 where nobody is found or nothing moves

    @classmethod
    def of(cls, motion: Motion) -> "Curve":
        """Return the curve of a body, thinned to what a plot can show."""
        every = max(1, -(-len(motion.times_s) // _MOST_POINTS))
        speed = np.nan_to_num(motion.speed)
        return cls(
            times_s=[float(time_s) for time_s in motion.times_s[::every]],
            speed=[float(speed[i : i + every].max()) for i in range(0, len(speed), every)],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an analysis says of a capture."""

    video: VideoFacts
    takes: Sequence[TakeReport]
    quality: Sequence[QualityWarning]
    verdict: Verdict
    curve: Curve
    cost: Cost

    def to_json(self) -> dict[str, object]:
        """Return the report as scripts see it; times to the millisecond."""
        rounded = _rounded(asdict(self))
        assert isinstance(rounded, dict)  # it was one
        return rounded

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Return the report that `to_json` gave.

        Raises:
            TypeError: it is none.
        """
        return cls(
            video=VideoFacts(**told["video"]),
            takes=[TakeReport(**take) for take in told["takes"]],
            quality=[QualityWarning(**remark) for remark in told["quality"]],
            verdict=told["verdict"],
            curve=Curve(**told["curve"]),
            cost=Cost(**told["cost"]),
        )


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value
