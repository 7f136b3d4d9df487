"""A capture's script, and the truth about it: who moves when, and where every joint is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np

from agent.sandbox.drawn import movements
from agent.sandbox.drawn.body import JOINTS, FloatArray, joints_of
from agent.sandbox.drawn.movements import Movement

View = Literal["side", "front"]

_EFFORTS: dict[str, tuple[str, str | None]] = {
    "snatch": ("weightlifting", "snatch"),
    "clean_and_jerk": ("weightlifting", "clean_and_jerk"),
    "countermovement_jump": ("jumping", "Countermovement Jump"),
    "drop_jump": ("jumping", "Drop Jump"),
    "run": ("running", None),
    "run_past": ("running", None),
}
_LIFTS = frozenset({"snatch", "clean_and_jerk"})
FIGURE_SHARE = 0.68  # of the picture's height
FLOOR_SHARE = 0.93  # of the picture's height, from above
_WALK = 0.75  # body heights a second


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a script."""

    what: str  # stand, nobody, walk_in, walk_out, or an effort
    seconds: float | None = None  # None: as long as the movement lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """One true effort."""

    active_start_s: float
    active_end_s: float
    activity: str
    exercise: str | None
    reps: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really happens in a capture."""

    duration_s: float
    efforts: tuple[Effort, ...]
    joints_px: FloatArray  # (frames, joints, 2), NaN where nobody is there; see body.JOINTS


@dataclass(frozen=True, slots=True)
class Moment:
    """What is to be drawn in one frame."""

    joints_px: dict[str, FloatArray] | None  # None: nobody is there
    depth: dict[str, float]  # body heights towards the camera
    bar_px: tuple[float, float] | None  # centre of the bar; None: there is none
    bar_half_px: float
    box_px: tuple[float, float, float, float] | None  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class _Scene:
    """A segment placed in time."""

    segment: Segment
    movement: Movement | None  # None: nobody is there
    start_s: float
    end_s: float


@dataclass(slots=True)
class Storyboard:
    """The script of one capture and the camera's settings."""

    segments: Sequence[Segment]
    view: View = "side"
    width: int = 640
    height: int = 360
    fps: float = 30.0
    seed: int = 1  # of the picture's noise
    noise: float = 0.0  # standard deviation, of 255
    brightness: float = 1.0
    _scenes: list[_Scene] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Place the segments in time.

        Raises:
            ValueError: a segment is unknown, or the picture's sides are odd or too small.
        """
        if self.width % 2 or self.height % 2 or min(self.width, self.height) < 16:
            raise ValueError(f"{self.width}x{self.height}: H.264 needs even sides of 16 px or more")
        self._scenes = []
        at_s = 0.0
        for index, segment in enumerate(self.segments):
            movement = self._movement(index, segment)
            length_s = segment.seconds or (movement.duration_s if movement else 1.0)
            self._scenes.append(_Scene(segment, movement, at_s, at_s + length_s))
            at_s += length_s

    @property
    def duration_s(self) -> float:
        """Length of the capture."""
        return self._scenes[-1].end_s if self._scenes else 0.0

    @property
    def frame_count(self) -> int:
        """How many frames the capture has."""
        return max(1, round(self.duration_s * self.fps))

    @property
    def rate(self) -> Fraction:
        """The frame rate as a fraction."""
        return Fraction(self.fps).limit_denominator(1001)

    @property
    def has_bar(self) -> bool:
        """Whether a barbell lies about."""
        return any(segment.what in _LIFTS for segment in self.segments)

    @property
    def has_box(self) -> bool:
        """Whether a box stands there to jump off."""
        return any(segment.what == "drop_jump" for segment in self.segments)

    def truth(self) -> Truth:
        """Return what really happens, frame by frame."""
        joints = np.full((self.frame_count, len(JOINTS), 2), np.nan)
        for index in range(self.frame_count):
            there = self.moment(index / self.fps).joints_px
            if there is not None:
                joints[index] = [there[name] for name in JOINTS]
        efforts = tuple(
            Effort(
                active_start_s=scene.start_s,
                active_end_s=scene.end_s,
                activity=_EFFORTS[scene.segment.what][0],
                exercise=_EFFORTS[scene.segment.what][1],
                reps=scene.movement.reps,
            )
            for scene in self._scenes
            if scene.segment.what in _EFFORTS and scene.movement is not None
        )
        return Truth(duration_s=self.duration_s, efforts=efforts, joints_px=joints)

    def moment(self, at_s: float) -> Moment:
        """Return what is to be drawn at a moment."""
        scene = next((s for s in self._scenes if at_s < s.end_s), self._scenes[-1])
        movement = scene.movement
        if movement is None:
            return Moment(None, {}, self._bar(None), self._bar_half(), self._box())
        within_s = at_s - scene.start_s
        joints = joints_of(movement.pose(within_s))
        shift = self._shift(scene, within_s)
        held = movement.bar_held(within_s)
        wrists = (joints["left_wrist"] + joints["right_wrist"]) / 2
        return Moment(
            joints_px={name: self._project(joint, shift) for name, joint in joints.items()},
            depth={name: self._depth(joint) for name, joint in joints.items()},
            bar_px=self._bar(wrists if held else None),
            bar_half_px=self._bar_half(),
            box_px=self._box(),
        )

    def _movement(self, index: int, segment: Segment) -> Movement | None:
        seconds = segment.seconds or 3.0
        width_heights = self.width / (self.height * FIGURE_SHARE)
        makers: dict[str, Callable[[], Movement]] = {
            "stand": lambda: self._standing(index, seconds),
            "snatch": movements.snatch,
            "clean_and_jerk": movements.clean_and_jerk,
            "countermovement_jump": movements.countermovement_jump,
            "drop_jump": movements.drop_jump,
            "run": lambda: movements.run(seconds),
            "run_past": lambda: movements.run(seconds, travel=(width_heights + 1) / seconds),
            "walk_in": lambda: movements.walk(seconds, travel=_WALK),
            "walk_out": lambda: movements.walk(seconds, travel=_WALK),
        }
        if segment.what == "nobody":
            return None
        if segment.what not in makers:
            raise ValueError(f"no segment {segment.what!r}: nobody, {', '.join(makers)}")
        return makers[segment.what]()

    def _standing(self, index: int, seconds: float) -> Movement:
        """Stand; on the box if a drop jump is next."""
        following = self.segments[index + 1].what if index + 1 < len(self.segments) else ""
        standing = movements.stand(seconds)
        return movements.on_box(standing) if following == "drop_jump" else standing

    def _shift(self, scene: _Scene, within_s: float) -> float:
        """Return how far through the picture the body is, in body heights from its place."""
        if scene.movement is None or scene.movement.travel == 0.0:
            return 0.0
        length_s = scene.end_s - scene.start_s
        if scene.segment.what == "walk_in":
            return scene.movement.travel * (within_s - length_s)
        if scene.segment.what == "run_past":
            return scene.movement.travel * (within_s - length_s / 2)
        return scene.movement.travel * within_s

    def _project(self, joint: FloatArray, shift: float) -> FloatArray:
        size = self.height * FIGURE_SHARE
        across = joint[0] if self.view == "side" else joint[2]
        return np.array(
            [self.width / 2 + (across + shift) * size, self.height * FLOOR_SHARE - joint[1] * size]
        )

    def _depth(self, joint: FloatArray) -> float:
        """Return how near the camera a joint is: the right side in profile, the front in front."""
        return -float(joint[2]) if self.view == "side" else float(joint[0])

    def _bar(self, wrists: FloatArray | None) -> tuple[float, float] | None:
        if not self.has_bar:
            return None
        on_floor = np.array([0.12, movements.PLATE_RADIUS, 0.0])
        x, y = self._project(on_floor if wrists is None else wrists, 0.0)
        return float(x), float(y)

    def _bar_half(self) -> float:
        return 0.62 * self.height * FIGURE_SHARE

    def _box(self) -> tuple[float, float, float, float] | None:
        if not self.has_box:
            return None
        size, forward = self.height * FIGURE_SHARE, movements.BOX_FORWARD
        middle = self.width / 2 + (forward * size if self.view == "side" else 0.0)
        floor = self.height * FLOOR_SHARE
        return middle - 0.16 * size, floor - movements.BOX_UP * size, middle + 0.16 * size, floor
