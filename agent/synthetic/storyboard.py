"""A capture's script, and its ground truth: who moves when, and where every joint is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agent.synthetic.body import JOINTS, FloatArray, Outfit, placed
from agent.synthetic.motions import PLATE_RADIUS
from agent.synthetic.performance import (
    REPERTOIRE,
    Performance,
    Scene,
    Segment,
    perform,
    rehearse,
)
from agent.synthetic.shapes import Lens, PictureLayer, View

_SMALLEST_PX = 16
_STRANGER = Outfit(
    skin=(176, 124, 92), hair=(34, 28, 26), shirt=(150, 148, 144), shorts=(70, 62, 58)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """One true effort, `[active_start_s, active_end_s)`: from rest to rest, or while in sight."""

    active_start_s: float
    active_end_s: float
    activity: str
    exercise: str | None
    reps: int | None  # None: nothing is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really happens in a capture."""

    duration_s: float
    efforts: tuple[Effort, ...]
    joints_px: FloatArray  # (frames, JOINTS, 2), x and y; NaN where nobody is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Bystander:
    """Somebody else in the picture; what he does is no effort."""

    segments: Sequence[Segment]
    place: tuple[float, float] = (-0.6, 0.9)  # from the athlete's: forward, left; body heights
    turn_deg: float = 0.0  # to the left
    outfit: Outfit = _STRANGER


@dataclass(frozen=True, slots=True)
class ScenePerson:
    """Somebody in the picture."""

    points: FloatArray  # body points in space, (len(POINTS), 3)
    outfit: Outfit


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is before the camera in one frame."""

    people: Sequence[ScenePerson]
    bar: FloatArray | None  # the barbell's middle in space, (3,); None: there is none
    plate_radius: float  # body heights
    has_box: bool
    has_treadmill: bool


@dataclass(frozen=True)
class Storyboard:
    """The script of one capture and the camera's settings."""

    segments: Sequence[Segment]
    view: View = "side"
    width: int = 640  # px, even
    height: int = 360  # px, even
    fps: float = 30.0
    seed: int = 1  # of all chance
    noise: float = 0.0  # of the sensor, standard deviation of 255
    bystanders: Sequence[Bystander] = ()
    layers: Sequence[PictureLayer] = ()  # what disturbs the picture, in this order
    outfit: Outfit = field(default_factory=Outfit)
    plates: Literal["iron", "bumper"] = "iron"  # bumpers are large: they hide much from the side
    bar_rolls: bool = False  # to and fro after it was dropped

    def __post_init__(self) -> None:
        """Refuse what cannot be filmed.

        Raises:
            ValueError: the picture's sides, the rate, or a segment.
        """
        if self.width % 2 or self.height % 2 or min(self.width, self.height) < _SMALLEST_PX:
            raise ValueError(
                f"{self.width}x{self.height}: H.264 needs even sides of {_SMALLEST_PX} px or more"
            )
        if not self.fps > 0:
            raise ValueError(f"{self.fps} frames per second")
        if self.duration_s * self.fps < 0.5:
            raise ValueError(f"{self.duration_s} s at {self.fps} frames per second is not a frame")

    @property
    def lens(self) -> Lens:
        """Return how the camera sees the place."""
        return Lens(self.view, self.width, self.height)

    @property
    def duration_s(self) -> float:
        """Length of the script."""
        return self._scenes[-1].end_s

    @property
    def frame_count(self) -> int:
        """How many frames the capture has."""
        return round(self.duration_s * self.fps)

    @property
    def rate(self) -> Fraction:
        """The frame rate as a fraction."""
        return Fraction(self.fps).limit_denominator(1001)

    @property
    def times_s(self) -> FloatArray:
        """When each frame is taken, (frames,)."""
        times_s: FloatArray = np.arange(self.frame_count) / self.fps
        return times_s

    def truth(self) -> Truth:
        """Return what really happens."""
        joints_px = self.lens.project(self._athlete.points[:, : len(JOINTS)])
        found = [
            self._effort(scene, joints_px)
            for scene in self._scenes
            if scene.what in REPERTOIRE and REPERTOIRE[scene.what].activity
        ]
        return Truth(
            duration_s=self.frame_count / self.fps,
            efforts=_sets([effort for effort in found if effort is not None]),
            joints_px=joints_px,
        )

    def moment(self, index: int) -> Moment:
        """Return what is to be drawn in one frame.

        Raises:
            IndexError: the capture has no such frame.
        """
        if not 0 <= index < self.frame_count:
            raise IndexError(f"frame {index} of {self.frame_count}")
        cast = [(self._athlete, self.outfit)]
        cast += [(p, b.outfit) for p, b in zip(self._others, self.bystanders, strict=True)]
        done = {scene.what for scene in self._scenes}
        return Moment(
            people=[
                ScenePerson(performance.points[index], outfit)
                for performance, outfit in cast
                if not np.isnan(performance.points[index]).any()
            ],
            bar=self._athlete.bar[index] if done & {"snatch", "clean_and_jerk"} else None,
            plate_radius=self._bar_up,
            has_box=bool(done & {"drop_jump", "step_up"}),
            has_treadmill="run" in done,
        )

    @property
    def _bar_up(self) -> float:
        return PLATE_RADIUS[self.plates]

    @cached_property
    def _scenes(self) -> tuple[Scene, ...]:
        return rehearse(self.segments, self.lens, bar_up=self._bar_up, seed=self.seed)

    @cached_property
    def _athlete(self) -> Performance:
        return perform(self._scenes, self.times_s, bar_up=self._bar_up, bar_rolls=self.bar_rolls)

    @cached_property
    def _others(self) -> tuple[Performance, ...]:
        return tuple(
            self._other(bystander, number) for number, bystander in enumerate(self.bystanders)
        )

    def _other(self, bystander: Bystander, number: int) -> Performance:
        scenes = rehearse(
            bystander.segments, self.lens, bar_up=self._bar_up, seed=self.seed + number + 1
        )
        played = perform(scenes, self.times_s, bar_up=self._bar_up)
        turn = np.radians(bystander.turn_deg)
        points = placed(played.points, np.array(bystander.place), turn)
        return Performance(points=points, bar=played.bar)

    def _effort(self, scene: Scene, joints_px: FloatArray) -> Effort | None:
        """Return a scene's effort, or None where nothing of it is in sight."""
        act = REPERTOIRE[scene.what]
        start_s, end_s = scene.start_s, min(scene.end_s, self.frame_count / self.fps)
        during = (self.times_s >= start_s) & (self.times_s < end_s)
        in_sight = np.flatnonzero(during & self._is_in_sight(joints_px))
        if not len(in_sight) or act.activity is None:
            return None
        if len(in_sight) < during.sum():
            start_s, end_s = in_sight[0] / self.fps, (in_sight[-1] + 1) / self.fps
        return Effort(
            active_start_s=float(start_s),
            active_end_s=float(end_s),
            activity=act.activity,
            exercise=act.exercise,
            reps=scene.movement.reps if scene.movement else None,
        )

    def _is_in_sight(self, joints_px: FloatArray) -> NDArray[np.bool_]:
        """Return whether any joint is inside the picture, (frames,)."""
        x, y = joints_px[..., 0], joints_px[..., 1]
        inside: NDArray[np.bool_] = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        is_seen: NDArray[np.bool_] = np.any(inside, axis=1)
        return is_seen


def _sets(efforts: Sequence[Effort]) -> tuple[Effort, ...]:
    """Return the efforts with repetitions that follow each other without rest as one."""
    sets: list[Effort] = []
    for effort in efforts:
        last = sets[-1] if sets else None
        if last and last.active_end_s == effort.active_start_s and last.exercise == effort.exercise:
            sets[-1] = Effort(
                active_start_s=last.active_start_s,
                active_end_s=effort.active_end_s,
                activity=effort.activity,
                exercise=effort.exercise,
                reps=None if effort.reps is None else effort.reps + (last.reps or 0),
            )
        else:
            sets.append(effort)
    return tuple(sets)


def demo() -> Storyboard:
    """A snatch in the middle of much standing about: what the demo films, 24 s of it."""
    return Storyboard(
        [Segment("stand", 10.0), Segment("snatch", 6.0), Segment("stand", 8.0)],
        view="oblique",
        width=960,
        height=540,
    )


def idle(seconds: float = 6.0) -> Storyboard:
    """Somebody stands about and does nothing."""
    return Storyboard([Segment("stand", seconds)])


def nobody(seconds: float = 4.0) -> Storyboard:
    """An empty place."""
    return Storyboard([Segment("nobody", seconds)])


def effort(what: str, *, idle_s: float = 2.0, view: View = "side", repeats: int = 1) -> Storyboard:
    """One kind of effort, with standing about before, between and after."""
    seconds = 4.0 if what == "run" else None
    again = [Segment("step_up")] if what == "drop_jump" else []
    rest = Segment("stand", idle_s)
    segments = [rest, Segment(what, seconds), rest]
    for _ in range(repeats - 1):
        segments += [*again, Segment(what, seconds), rest]
    return Storyboard(segments, view=view)


def walk_through() -> Storyboard:
    """Nobody, then somebody walks in, jumps, and walks out again."""
    return Storyboard(
        [
            *(Segment("nobody", 2.0), Segment("walk_in"), Segment("stand", 3.0)),
            Segment("countermovement_jump"),
            *(Segment("stand", 3.0), Segment("walk_out"), Segment("nobody", 2.0)),
        ]
    )


def run_past(view: View = "side") -> Storyboard:
    """An empty place, through which somebody runs."""
    return Storyboard(
        [Segment("nobody", 1.0), Segment("run_past"), Segment("nobody", 1.0)], view=view
    )


def snatch_beside_bystander() -> Storyboard:
    """A snatch, and somebody behind who walks in, fidgets and goes: he is not to be followed."""
    bystander = Bystander(segments=[Segment("walk_in"), Segment("fidget", 6), Segment("walk_out")])
    return Storyboard(
        [Segment("stand", 4.0), Segment("snatch"), Segment("stand", 4.0)], bystanders=[bystander]
    )


def _both_views(what: str) -> dict[str, Callable[[], Storyboard]]:
    return {what: partial(effort, what), f"{what}_front": partial(effort, what, view="front")}


BY_NAME: dict[str, Callable[[], Storyboard]] = {
    "demo": demo,
    "idle": idle,
    "nobody": nobody,
    "walk_through": walk_through,
    **_both_views("snatch"),
    **_both_views("clean_and_jerk"),
    **_both_views("countermovement_jump"),
    **_both_views("drop_jump"),
    **_both_views("run"),
    "run_past": run_past,
    "run_past_front": partial(run_past, "front"),
    "three_jumps": partial(effort, "countermovement_jump", repeats=3),
    "three_drop_jumps": partial(effort, "drop_jump", repeats=3),
    "three_snatches": partial(effort, "snatch", idle_s=4.0, repeats=3),
    "snatch_beside_bystander": snatch_beside_bystander,
}


def by_name(name: str) -> Storyboard:
    """Return a script.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in BY_NAME:
        raise ValueError(f"no storyboard {name!r}: {', '.join(BY_NAME)}")
    return BY_NAME[name]()
