"""What an analysis says of a capture, ready to serialise."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from analysis.quality import Remark
from analysis.video import VideoFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeReport:
    """One take: the clip's bounds, and the movement's inside them, in presentation time."""

    start_s: float
    end_s: float
    active_start_s: float
    active_end_s: float
    reps: int | None
    activity: str | None
    confidence: float  # 0 to 1: how well the body was seen
    clip: str | None = None  # path, once it is cut
    clip_frames: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the analysis took."""

    wall_s: float
    decoded_frames: int
    pose_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an analysis says of a capture."""

    video: VideoFacts
    takes: Sequence[TakeReport]
    quality: Sequence[Remark]
    verdict: Literal["upload", "hold", "skip"]
    cost: Cost

    def to_json(self) -> dict[str, object]:
        """Return the report as scripts see it; times to the millisecond."""
        rounded = _rounded(asdict(self))
        assert isinstance(rounded, dict)  # it was one
        return rounded


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value
