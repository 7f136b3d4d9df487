"""Walking and running, on the spot or through the picture.  Pure.

One cycle is two steps.  A foot on the floor goes back past the body as fast as the body goes
forward, so that it stays where it is; the way of the ankle follows D. A. Winter, "Biomechanics
and Motor Control of Human Movement", 1990.
"""

from dataclasses import dataclass

import numpy as np

from agent.synthetic.body import COLUMNS, STANDING_HIP_UP, FloatArray, Posture
from agent.synthetic.motions import STANDING, DrawnMovement, ease, smooth_curve

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


def run(duration_s: float) -> DrawnMovement:
    """Run on the spot, as on a treadmill, from standing to standing."""

    def postures(seconds: FloatArray) -> FloatArray:
        vigour = ease(seconds, 0.0, _START_S) * (
            1 - ease(seconds, duration_s - _START_S, duration_s)
        )
        return _going(_RUN, seconds * STEPS_A_MINUTE / 120, vigour)

    return DrawnMovement(duration_s, postures)


def run_past(
    distance: float, *, heading_deg: float, duration_s: float | None = None
) -> DrawnMovement:
    """Run past the camera, as far before the athlete's place as behind it."""
    length_s = duration_s or distance / RUN_SPEED

    def postures(seconds: FloatArray) -> FloatArray:
        travelled = seconds / length_s * distance
        vectors = _going(_RUN, travelled / _RUN.stride, np.ones(len(seconds)))
        facing = np.full(len(seconds), heading_deg)
        return _along(vectors, travelled - distance / 2, heading_deg, facing)

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
    """Return the vectors (T, N) with the body that far along its way, and facing as told."""
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
