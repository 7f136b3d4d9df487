"""One person following a script: the pose of the body at every time.  Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agent.synthetic import motions
from agent.synthetic.body import COLUMNS, POINTS, STANDING_HIP_UP, FloatArray, Posture, joints_of
from agent.synthetic.motions import (
    STANDING,
    DrawnMovement,
    bar_path,
    ease,
    on_box,
    smooth_curve,
)
from agent.synthetic.shapes import Lens

STEPS_A_MINUTE = 170.0
RUN_SPEED = 1.75  # body heights a second: 11 km/h
WALK_SPEED = 0.65  # body heights a second: 4 km/h
_START_S = 0.5  # from standing to full gait, and back


@dataclass(frozen=True, slots=True)
class _Gait:
    """How somebody goes."""

    stride: float  # body heights a cycle
    lean_deg: float
    bounce: float  # body heights, half the way of the hips up and down
    lowest: float  # share of the cycle at which the hips are lowest
    hips_down: float  # body heights, below standing
    swing: float  # body heights, half the way of the hands
    hands_up: float  # from the shoulders
    twist_deg: float
    ankle: tuple[tuple[float, float, float], ...]  # share of the cycle, forward, up


_RUN = _Gait(
    stride=RUN_SPEED * 120 / STEPS_A_MINUTE,
    lean_deg=8,
    bounce=0.017,
    lowest=0.17,
    hips_down=0.030,
    swing=0.15,
    hands_up=-0.19,
    twist_deg=9,
    ankle=(
        *((0.00, 0.170, 0.042), (0.12, 0.0218, 0.039), (0.24, -0.1265, 0.046)),
        *((0.36, -0.275, 0.105), (0.48, -0.355, 0.240), (0.58, -0.24, 0.315)),
        *((0.70, 0.02, 0.235), (0.82, 0.235, 0.155), (0.92, 0.245, 0.085)),
    ),
)
_WALK = _Gait(
    stride=WALK_SPEED * 120 / 110,
    lean_deg=2,
    bounce=0.009,
    lowest=0.05,
    hips_down=0.014,
    swing=0.10,
    hands_up=-0.325,
    twist_deg=4,
    ankle=(
        *((0.00, 0.200, 0.045), (0.15, 0.0936, 0.039), (0.45, -0.119, 0.045)),
        *((0.60, -0.210, 0.090), (0.70, -0.17, 0.125), (0.80, 0.0, 0.075), (0.92, 0.19, 0.065)),
    ),
)


def run(duration_s: float, *, steps_a_minute: float = STEPS_A_MINUTE) -> DrawnMovement:
    """Run on the spot, as on a treadmill, from standing to standing."""

    def postures(seconds: FloatArray) -> FloatArray:
        vigour = ease(seconds, 0.0, _START_S) * (
            1 - ease(seconds, duration_s - _START_S, duration_s)
        )
        return _going(_RUN, seconds * steps_a_minute / 120, vigour)

    return DrawnMovement(duration_s, postures)


def run_past(
    distance: float, *, heading_deg: float, duration_s: float | None = None
) -> DrawnMovement:
    """Run past the camera, as far before the athlete's place as behind it."""
    length_s = duration_s or distance / RUN_SPEED
    return _passing(_RUN, distance, length_s, heading_deg=heading_deg, before=distance / 2)


def _passing(
    gait: _Gait, distance: float, length_s: float, *, heading_deg: float, before: float
) -> DrawnMovement:
    """Get on evenly, straight through the athlete's place; begin so far before it."""

    def postures(seconds: FloatArray) -> FloatArray:
        travelled = seconds / length_s * distance
        vectors = _going(gait, travelled / gait.stride, np.ones(len(seconds)))
        facing = np.full(len(seconds), heading_deg)
        return _along(vectors, travelled - before, heading_deg, facing)

    return DrawnMovement(length_s, postures)


_PACED, _TURN_S = 1.4, 0.6  # body heights there and back, and how long a turn takes
_FAR, _NEAR = 7.0, 2.2  # body heights behind the athlete's place, and before it


def _depthwise(gait: _Gait, speed: float, stage: "ScenePlan", *, comes: bool) -> DrawnMovement:
    """Get on towards the camera, or away from it, so fast (body heights a second)."""
    distance = _FAR + _NEAR
    return _passing(
        gait,
        distance,
        stage.seconds or distance / speed,
        heading_deg=stage.heading_deg + (-90.0 if comes else 90.0),
        before=_FAR if comes else _NEAR,
    )


def _pacing(stage: "ScenePlan") -> DrawnMovement:
    """Walk a few steps towards the camera and back again, twice."""
    way_s = _PACED / WALK_SPEED
    lap_s = way_s + _TURN_S
    length_s = 4 * lap_s + _TURN_S

    def postures(seconds: FloatArray) -> FloatArray:
        paced_s = np.clip(seconds - _TURN_S, 0.0, length_s - _TURN_S)
        lap = np.minimum(paced_s // lap_s, 3)
        gone = WALK_SPEED * np.minimum(paced_s - lap * lap_s, way_s)
        turned_deg = 180.0 * (lap + ease(paced_s - lap * lap_s, way_s, lap_s))
        turned_deg += (stage.heading_deg - 90.0) * ease(seconds, 0.0, _TURN_S)
        back_deg = (stage.heading_deg - 90.0) * ease(seconds, length_s - _TURN_S, length_s)
        vigour = ease(paced_s, 0.0, 0.4) * (1 - ease(paced_s, 4 * lap_s - 2 * _TURN_S, 4 * lap_s))
        vectors = _going(_WALK, (lap * _PACED + gone) / _WALK.stride, vigour)
        ahead = np.where(lap % 2 == 0, gone, _PACED - gone)
        return _along(vectors, ahead, stage.heading_deg - 90.0, turned_deg - back_deg)

    return DrawnMovement(length_s, postures)


def walk_in(
    distance: float, *, heading_deg: float, duration_s: float | None = None
) -> DrawnMovement:
    """Walk in from outside the picture, and stand."""
    out = walk_out(distance, heading_deg=heading_deg, duration_s=duration_s)
    length_s = out.duration_s

    def postures(seconds: FloatArray) -> FloatArray:
        travelled, vigour = _started(length_s - seconds, length_s, distance)
        vectors = _going(_WALK, -travelled / _WALK.stride, vigour)
        return _along(vectors, -travelled, heading_deg, heading_deg * ease(travelled, 0.0, 0.4))

    return DrawnMovement(length_s, postures)


def walk_out(
    distance: float, *, heading_deg: float, duration_s: float | None = None
) -> DrawnMovement:
    """Turn, and walk out of the picture."""
    length_s = duration_s or distance / WALK_SPEED + _START_S

    def postures(seconds: FloatArray) -> FloatArray:
        travelled, vigour = _started(seconds, length_s, distance)
        vectors = _going(_WALK, travelled / _WALK.stride, vigour)
        return _along(vectors, travelled, heading_deg, heading_deg * ease(travelled, 0.0, 0.4))

    return DrawnMovement(length_s, postures)


def _started(
    seconds: FloatArray, length_s: float, distance: float
) -> tuple[FloatArray, FloatArray]:
    """Return the way gone since a standing start, and how far the gait has unfolded, (T,) each."""
    ramp_s = min(2 * _START_S, length_s / 2)
    gone_s = np.where(seconds < ramp_s, seconds**2 / (2 * ramp_s), seconds - ramp_s / 2)
    return gone_s * distance / (length_s - ramp_s / 2), ease(seconds, 0.0, ramp_s)


def _along(
    vectors: FloatArray, travelled: FloatArray, way_deg: float, facing_deg: FloatArray
) -> FloatArray:
    """Return the vectors (T, N) with the body that far along its way, and facing as given."""
    way = np.radians(way_deg)
    vectors[:, COLUMNS["place"]] = travelled[:, None] * np.array([np.cos(way), np.sin(way)])
    vectors[:, COLUMNS["turn_deg"]] = facing_deg
    return vectors


def _going(gait: _Gait, cycles: FloatArray, vigour: FloatArray) -> FloatArray:
    """Return posture vectors (T, N) after so many cycles, (T,); `vigour` 0 is standing."""
    going = np.tile(Posture().vector(), (len(cycles), 1))
    sway = np.cos(2 * np.pi * (cycles - 0.05))
    going[:, COLUMNS["lean_deg"]] = gait.lean_deg
    going[:, COLUMNS["hip_up"]] = (
        STANDING_HIP_UP - gait.hips_down - gait.bounce * np.cos(4 * np.pi * (cycles - gait.lowest))
    )
    going[:, COLUMNS["twist_deg"]] = gait.twist_deg * sway
    for side, phase, swing in (("left", cycles, -sway), ("right", cycles + 0.5, sway)):
        going[:, COLUMNS[f"{side}_ankle"]] = _ankle(gait, phase)
        going[:, COLUMNS[f"{side}_wrist"]] = np.stack(
            [0.04 + gait.swing * swing, gait.hands_up + 0.5 * gait.swing * np.maximum(swing, 0.0)],
            axis=-1,
        )
    blended: FloatArray = STANDING.vector() + vigour[:, None] * (going - STANDING.vector())
    return blended


def _ankle(gait: _Gait, cycles: FloatArray) -> FloatArray:
    """Return where an ankle is, (T, 2): forward, up; a periodic curve through the gait's keys."""
    table = np.array(gait.ankle)
    shares = np.concatenate([table[:, 0] - 1, table[:, 0], table[:, 0] + 1])
    return smooth_curve(cycles % 1.0, shares, np.tile(table[:, 1:], (3, 1)))


AT_WILL_S = 3.0  # for what lasts as long as one likes


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
    return make(motions.SHORTEST_SET_S + spare_s, bar_up=stage.bar_up)


def _crossing(make: Callable[..., DrawnMovement], stage: ScenePlan, share: float) -> DrawnMovement:
    return make(
        share * stage.half_crossing, heading_deg=stage.heading_deg, duration_s=stage.seconds
    )


REPERTOIRE: dict[str, Act] = {
    "stand": Act(lambda stage: motions.stand(stage.seconds or AT_WILL_S, phase=stage.phase)),
    "fidget": Act(lambda stage: motions.fidget(stage.seconds or AT_WILL_S)),
    "chalk": Act(lambda stage: motions.chalk(stage.seconds or AT_WILL_S)),
    "walk_in": Act(lambda stage: _crossing(walk_in, stage, 1.0)),
    "walk_out": Act(lambda stage: _crossing(walk_out, stage, 1.0)),
    "step_up": Act(lambda _: motions.step_up()),
    "snatch": Act(lambda stage: _lift(motions.snatch, stage), "weightlifting", "snatch"),
    "clean_and_jerk": Act(
        lambda stage: _lift(motions.clean_and_jerk, stage), "weightlifting", "clean_and_jerk"
    ),
    "countermovement_jump": Act(
        lambda _: motions.countermovement_jump(), "jumping", "Countermovement Jump"
    ),
    "drop_jump": Act(lambda _: motions.drop_jump(), "jumping", "Drop Jump"),
    "run": Act(lambda stage: run(stage.seconds or AT_WILL_S), "running"),
    "run_past": Act(lambda stage: _crossing(run_past, stage, 2.0), "running"),
    "run_towards": Act(lambda stage: _depthwise(_RUN, RUN_SPEED, stage, comes=True), "running"),
    "run_away": Act(lambda stage: _depthwise(_RUN, RUN_SPEED, stage, comes=False), "running"),
    "pace": Act(_pacing),
    "walk_towards": Act(lambda stage: _depthwise(_WALK, WALK_SPEED, stage, comes=True)),
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
            movement = on_box(movement)
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
