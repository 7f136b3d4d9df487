"""Stick figures for tests: a body of 100 px torso, posed by a few numbers for each moment."""

from dataclasses import dataclass, replace

import numpy as np

from analysis.landmarks import COUNT, Poses

TORSO_PX = 100.0
WIDTH_PX, HEIGHT_PX = 1280, 720
FPS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """How the body stands at one moment, in torso lengths."""

    hips_down: float = 0.0  # a squat
    hands_up: float = -1.0  # above the shoulders; hanging at -1
    elbows_out: float = 0.0  # from between shoulder and hand
    fly: float = 0.0  # the whole body upwards
    across: float = 5.0  # of the hips, from the picture's left
    stride: float = 0.0  # how far the left foot is before the right one
    lean: float = 0.0  # of the torso: 0 upright, 1 level
    knee: float = 0.0  # how far the left knee is above the right one
    size: float = 1.0  # of the whole body


STANDING = Posture()


def poses(*stretches: tuple[float, Posture]) -> Poses:
    """Return the poses of a script: each posture is reached after so many seconds."""
    keys = [(0.0, stretches[0][1])]
    for seconds, posture in stretches:
        keys.append((keys[-1][0] + seconds, posture))
    at_s = [time_s for time_s, _ in keys]
    times_s = np.arange(0.0, at_s[-1], 1 / FPS)
    curves = {
        name: np.interp(times_s, at_s, [getattr(posture, name) for _, posture in keys])
        for name in Posture.__slots__
    }
    points = np.stack(
        [
            _points(Posture(**{n: float(c[i]) for n, c in curves.items()}))
            for i in range(len(times_s))
        ]
    )
    return Poses(
        times_s=times_s,
        points_px=points,
        visibility=np.full((len(times_s), COUNT), 0.9),
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
    )


def seldom(body: Poses, looks_fps: float) -> Poses:
    """Return a body as if the model had looked at it so often."""
    every = round(FPS / looks_fps)
    return replace(
        body,
        times_s=body.times_s[::every],
        points_px=body.points_px[::every],
        visibility=body.visibility[::every],
    )


def nobody(seconds: float) -> Poses:
    """Return looks that found nobody."""
    times_s = np.arange(0.0, seconds, 1 / FPS)
    return Poses(
        times_s=times_s,
        points_px=np.full((len(times_s), COUNT, 2), np.nan),
        visibility=np.zeros((len(times_s), COUNT)),
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
    )


def _points(posture: Posture) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return 33 landmarks in px."""
    floor = 6.0 - posture.fly
    hips = floor - 1.3 + posture.hips_down
    shoulders = hips - (1.0 - posture.lean**2) ** 0.5
    points = np.empty((COUNT, 2))
    points[:] = (
        posture.across + posture.lean,
        shoulders - 0.4,
    )  # the head, and what is not named below
    for side, sign in ((0, 1.0), (1, -1.0)):
        x = posture.across
        foot = x + sign * posture.stride / 2
        ahead = x + posture.lean
        points[11 + side] = (ahead, shoulders)
        points[13 + side] = (ahead + posture.elbows_out, shoulders - posture.hands_up / 2)
        points[15 + side] = (ahead, shoulders - posture.hands_up)
        points[17 + side : 23 + side : 2] = (ahead, shoulders - posture.hands_up)
        points[23 + side] = (x, hips)
        points[25 + side] = ((x + foot) / 2, (hips + floor - sign * posture.knee) / 2)
        points[27 + side : 33 + side : 2] = (foot, floor)
    return points * TORSO_PX * posture.size
