"""One person following a script: the pose of the body at every time.  Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agent.synthetic import gait, lifts, motions
from agent.synthetic import lifts as synthetic_lifts
from agent.synthetic.body import POINTS, FloatArray, joints_of
from agent.synthetic.lifts import BOX_FORWARD, BOX_UP, bar_path
from agent.synthetic.motions import DrawnMovement, on_top
from agent.synthetic.shapes import Lens

_SOME_S = 3.0  # for what lasts as long as one likes


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePlan:
    """Where and when a movement happens."""

    seconds: float | None  # as long as is wanted; None: as long as it takes
    half_crossing: float  # body heights from the athlete's place to outside the picture
    heading_deg: float  # which way one faces who goes through the picture
    bar_up: float  # how high the bar lies, body heights
    phase: float  # where in the swaying of a standing body it begins, rad


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do."""

    make: Callable[[ScenePlan], DrawnMovement]
    activity: str | None = None  # None: no effort
    exercise: str | None = None


def _lift(make: Callable[..., DrawnMovement], stage: ScenePlan) -> DrawnMovement:
    """Return a lift; more time than it takes is spent motionless, with the hands at the bar."""
    shortest = make(bar_up=stage.bar_up)
    spare_s = max(0.0, (stage.seconds or 0.0) - shortest.duration_s)
    return make(lifts.SHORTEST_SET_S + spare_s, bar_up=stage.bar_up)


def _crossing(make: Callable[..., DrawnMovement], stage: ScenePlan, share: float) -> DrawnMovement:
    return make(
        share * stage.half_crossing, heading_deg=stage.heading_deg, duration_s=stage.seconds
    )


REPERTOIRE: dict[str, Act] = {
    "stand": Act(lambda stage: motions.stand(stage.seconds or _SOME_S, phase=stage.phase)),
    "fidget": Act(lambda stage: motions.fidget(stage.seconds or _SOME_S)),
    "chalk": Act(lambda stage: motions.chalk(stage.seconds or _SOME_S)),
    "walk_in": Act(lambda stage: _crossing(gait.walk_in, stage, 1.0)),
    "walk_out": Act(lambda stage: _crossing(gait.walk_out, stage, 1.0)),
    "step_up": Act(lambda _: synthetic_lifts.step_up()),
    "snatch": Act(lambda stage: _lift(lifts.snatch, stage), "weightlifting", "snatch"),
    "clean_and_jerk": Act(
        lambda stage: _lift(lifts.clean_and_jerk, stage), "weightlifting", "clean_and_jerk"
    ),
    "squats": Act(lambda _: motions.squats(), "weightlifting"),
    "raises": Act(lambda _: motions.raises(), "weightlifting"),
    "countermovement_jump": Act(
        lambda _: synthetic_lifts.countermovement_jump(), "jumping", "Countermovement Jump"
    ),
    "drop_jump": Act(lambda _: synthetic_lifts.drop_jump(), "jumping", "Drop Jump"),
    "run": Act(lambda stage: gait.run(stage.seconds or _SOME_S), "running"),
    "run_past": Act(lambda stage: _crossing(gait.run_past, stage, 2.0), "running"),
}


_HANDS = [POINTS.index("left_hand"), POINTS.index("right_hand")]
_QUIET = ("nobody", "stand", "fidget", "chalk")  # what can be done on the floor and on the box
_LANDED_S = 1.0  # after it was let go a bar is on the floor
_ROLL, _ROLL_PERIOD_S, _ROLLS_S = 0.10, 1.7, 8.0  # body heights, and how long until it lies still


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a script."""

    what: str  # nobody, or a name of the repertoire
    seconds: float | None = None  # None: as long as the movement takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A segment placed in time, `[start_s, end_s)`."""

    what: str
    movement: DrawnMovement | None  # None: nobody is there
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Where somebody and the barbell are at every frame."""

    points: FloatArray  # (T, POINTS, 3), in space; NaN where nobody is there
    bar: FloatArray  # (T, 3), the bar's middle


def rehearse(
    segments: Sequence[Segment], lens: Lens, *, bar_up: float, seed: int
) -> tuple[Scene, ...]:
    """Return the segments of a script, one after the other in time.

    Raises:
        ValueError: a segment is unknown, or cannot be done there or in that time.
    """
    if not segments:
        raise ValueError("a script needs at least one segment")
    scenes: list[Scene] = []
    is_on_box = _begins_on_box(segments)
    at_s = 0.0
    for number, segment in enumerate(segments):
        _check_place(segment.what, is_on_box=is_on_box)
        movement = _movement(segment, lens, bar_up=bar_up, phase=1.7 * seed + number)
        if movement and is_on_box and segment.what in _QUIET:
            movement = on_top(movement, forward=BOX_FORWARD, up=BOX_UP)
        is_on_box = segment.what == "step_up" or (is_on_box and segment.what != "drop_jump")
        end_s = at_s + (movement.duration_s if movement else segment.seconds or 1.0)
        scenes.append(Scene(what=segment.what, movement=movement, start_s=at_s, end_s=end_s))
        at_s = end_s
    return tuple(scenes)


def perform(
    scenes: Sequence[Scene], times_s: FloatArray, *, bar_up: float, bar_rolls: bool = False
) -> Performance:
    """Return where the body is at every moment, (T,); the last posture holds after the end.

    A bar that `bar_rolls` goes to and fro on the floor for some seconds after it was dropped.
    """
    points = np.full((len(times_s), len(POINTS), 3), np.nan)
    bar = np.empty((len(times_s), 3))
    ends_s = [scene.end_s for scene in scenes[:-1]] + [np.inf]
    for scene, end_s in zip(scenes, ends_s, strict=True):
        rows = (times_s >= scene.start_s) & (times_s < end_s)
        seconds = times_s[rows] - scene.start_s
        movement = scene.movement
        if movement is not None:
            joints = joints_of(movement.postures(seconds))
            points[rows] = np.stack([joints[name] for name in POINTS], axis=1)
        hands = points[rows][:, _HANDS].mean(axis=1)
        bar[rows] = bar_path(movement.grip if movement else None, seconds, hands, bar_up=bar_up)
    if bar_rolls:
        bar[:, 0] += _rolling(scenes, times_s)
    return Performance(points=points, bar=bar)


def _rolling(scenes: Sequence[Scene], times_s: FloatArray) -> FloatArray:
    """Return how far forward of its place a dropped bar rolls at every moment, (T,)."""
    forward = np.zeros(len(times_s))
    for scene in scenes:
        if scene.movement is not None and scene.movement.grip is not None:
            seconds = times_s - scene.start_s - scene.movement.grip.released_s - _LANDED_S
            left = np.clip(1 - seconds / _ROLLS_S, 0.0, 1.0) * (seconds > 0)
            forward += _ROLL * left**2 * np.sin(2 * np.pi * seconds / _ROLL_PERIOD_S)
    return forward


def moved(points: FloatArray, *, place: tuple[float, float], turn_deg: float) -> FloatArray:
    """Return body points (..., 3) turned to the left, and moved forward and left by `place`."""
    turn = np.radians(turn_deg)
    forward, left = points[..., 0], points[..., 2]
    return np.stack(
        [
            place[0] + forward * np.cos(turn) - left * np.sin(turn),
            points[..., 1],
            place[1] + forward * np.sin(turn) + left * np.cos(turn),
        ],
        axis=-1,
    )


def _movement(segment: Segment, lens: Lens, *, bar_up: float, phase: float) -> DrawnMovement | None:
    if segment.seconds is not None and not segment.seconds > 0:
        raise ValueError(f"{segment.what} for {segment.seconds} s")
    if segment.what == "nobody":
        return None
    act = REPERTOIRE.get(segment.what)
    if act is None:
        raise ValueError(f"no segment {segment.what!r}: nobody, {', '.join(REPERTOIRE)}")
    movement = act.make(
        ScenePlan(
            seconds=segment.seconds,
            half_crossing=lens.half_crossing,
            heading_deg=lens.crossing_deg,
            bar_up=bar_up,
            phase=phase,
        )
    )
    if segment.seconds is not None and abs(movement.duration_s - segment.seconds) > 1e-6:
        raise ValueError(f"{segment.what} takes {movement.duration_s:.2f} s, not {segment.seconds}")
    return movement


def _begins_on_box(segments: Sequence[Segment]) -> bool:
    first = next((segment.what for segment in segments if segment.what not in _QUIET), None)
    return first == "drop_jump"


def _check_place(what: str, *, is_on_box: bool) -> None:
    if what == "drop_jump" and not is_on_box:
        raise ValueError("drop_jump: step_up first, the athlete is on the floor")
    if is_on_box and what not in (*_QUIET, "drop_jump"):
        raise ValueError(f"{what}: not on the box, drop_jump first")
