"""The movement of a body as curves over time.  Pure.

All lengths are in torso lengths (middle of the shoulders to middle of the hips, as usual around
that moment), which makes a tall athlete near the camera and a small one far away alike; a bent
torso shortens in the picture, and the unit must not shrink with it.

Horizontal ways of the whole body are kept apart from everything else: somebody who walks through
the picture goes far, but his posture hardly changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from analysis.landmarks import (
    ANKLES,
    ELBOWS,
    HIPS,
    KNEES,
    LEGS,
    MOVING,
    SHOULDERS,
    UPRIGHT_SHARE,
    WRISTS,
    FloatArray,
    Poses,
    resampled,
    without_strays,
)
from analysis.primitives import Interval, wide

Visits = NDArray[np.int64]

_SWAP_TORSOS = 1.5  # from one sample to the next: that is somebody else
_SWAP_SIZE = 1.7
_RECENT = 10  # samples that tell how large a body is
_LEAST = 3  # samples: fewer are the way from one body to another
_BACK_WITHIN = 10  # samples
_PLACE = 5  # samples that tell where a body is
_AT_HOME_TORSOS = 0.5


def stays_in(visit: Visits) -> int:
    """Return how many stays in the picture there are."""
    return int(visit.max(initial=-1)) + 1


def visits_of(hips: FloatArray, torso: FloatArray) -> Visits:
    """Return the number of the stay for each sample, (T,); -1 where nobody is found.

    A gap ends a stay, and so does a body that is suddenly elsewhere.  Where a body drifts off and
    jumps back to where it had been, the way off was somebody else's.

    Args:
        hips: the middle of the hips, (T, 2), px.
        torso: its length, (T,), px; NaN where nobody is found.
    """
    visits = _numbered(hips, torso)
    for number in range(stays_in(visits)):
        if (visits == number).sum() < _LEAST:
            visits[visits == number] = -1
    for number in np.unique(visits[visits >= 0]):
        _void_way_off(visits, int(number), hips, torso)
    kept, dense = np.unique(visits, return_inverse=True)
    return dense.astype(np.int64) - int(bool(len(kept)) and kept[0] < 0)


def _numbered(hips: FloatArray, torso: FloatArray) -> Visits:
    found = ~np.isnan(torso)
    visits = np.full(len(torso), -1, dtype=np.int64)
    current = -1
    for index in np.flatnonzero(found):
        if current < 0 or not found[index - 1] or _is_other(hips, torso, int(index)):
            current += 1
        visits[index] = current
    return visits


def _is_other(hips: FloatArray, torso: FloatArray, index: int) -> bool:
    usual = max(1.0, float(np.nanmedian(torso[max(0, index - _RECENT) : index])))
    way = float(np.linalg.norm(hips[index] - hips[index - 1])) / usual
    ratio = max(float(torso[index]), 1.0) / usual
    return way > _SWAP_TORSOS or (way > 0.5 and not 1 / _SWAP_SIZE < ratio < _SWAP_SIZE)


def _void_way_off(visits: Visits, number: int, hips: FloatArray, torso: FloatArray) -> None:
    """Take the end of a stay away if the body is next found where it was before that end."""
    here = np.flatnonzero(visits == number)
    behind = np.flatnonzero(visits > number)
    if not len(behind) or behind[0] - here[-1] > _BACK_WITHIN:
        return
    home = np.median(hips[behind[:_PLACE]], axis=0)
    unit = max(1.0, float(np.median(torso[here])))
    away = np.abs(hips[here] - home)[:, 0] > _AT_HOME_TORSOS * unit
    at_home = np.flatnonzero(~away)
    if away[-1] and len(at_home) >= _PLACE:
        visits[here[at_home[-1] + 1 :]] = -1


GRID_FPS = 10.0
_LONGEST_GAP_S = 1.0  # a body lost for that long while moving is taken to continue moving
_UNIT_WINDOW_S = 8.0
_BORDER = 0.03  # of the picture's width
_TORSO_BY_LEGS = 0.4  # of the legs' length; of people it is more than half
_SURELY_SEEN = 0.6  # visibility of an ankle: behind plates it is less
_HIDDEN = 40  # samples of the grid: feet that are hidden for longer may have walked
_SWAY = 0.1  # torsos that the hips of a body that stands may rise
_STRIDES = 16  # samples of the grid: two strides and more
_FOCAL = 0.6  # of the picture's longer side: between a wide camera's (0.45) and a narrow one's
_FEET_GO = 0.5  # of the growth, torsos: where a body bends down the feet stay in the picture
_KNEES_GO = 0.05  # torsos, standard deviation: less is the model's trembling


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """The curves of one body on an even grid, each (T,); NaN where nobody is found."""

    times_s: FloatArray
    unit_px: FloatArray  # length of the torso, upright
    size_px: FloatArray  # the same as it is seen around each moment
    visit: NDArray[np.int64]  # which stay in the picture; -1 where nobody is found
    speed: FloatArray  # of all joints, torsos a second, ways of the whole body included
    posture_speed: FloatArray  # of the joints against the hips, and of the hips up and down
    leg_speed: FloatArray  # of knees and ankles against the hips
    stance_speed: FloatArray  # in the picture, of the slower ankle, torsos a second
    going: FloatArray  # of the hips sideways, torsos a second, signed
    coming: FloatArray  # towards the camera, torsos a second, signed, as its lens may be
    knees_together: FloatArray  # 1: both knees go the same way; -1: in turn, as in a run
    hip_height: FloatArray  # above where the lower foot stands, torsos
    trunk_height: FloatArray  # of the shoulders, the same
    hip_up_px: FloatArray  # in the picture, upwards
    hip_across_px: FloatArray  # in the picture, to the right
    trunk_up_px: FloatArray  # of the shoulders in the picture, upwards
    foot_up_px: FloatArray  # of the lower ankle in the picture, upwards
    feet_seen: FloatArray  # visibility of the ankle that is better seen, 0 to 1
    wrist_height: FloatArray  # mean of both, above the shoulders, torsos
    wrist_heights: FloatArray  # of each, (T, 2)
    arms_bent: FloatArray  # of each, (T, 2): the way over the elbow less the direct one, torsos
    upright: FloatArray  # vertical share of the torso, -1 to 1
    at_border: NDArray[np.bool_]  # whether the body touches the picture's left or right border
    looked: Poses  # what the model saw and when, not evened out

    @property
    def is_found(self) -> NDArray[np.bool_]:
        """Whether somebody is there, (T,)."""
        return self.visit >= 0


def motion_of(poses: Poses) -> Motion:
    """Return the curves of a body."""
    even = resampled(without_strays(poses), fps=GRID_FPS, longest_gap_s=_LONGEST_GAP_S)
    visit = visits_of(even.middle_px(HIPS), _body_px(even))
    even = _steadied(even, visit)
    hips, shoulders = even.middle_px(HIPS), even.middle_px(SHOULDERS)
    torso = even.torso_px()
    unit, size = _usual(_body_px(even), visit), _rolling_percentile(torso, _STRIDES, 50)
    ankles = even.points_px[:, list(ANKLES)]
    lower = ankles[:, :, 1].max(axis=1) if len(ankles) else np.empty(0)
    ground = _ground(lower, hips[:, 1], even, visit)
    wrists = (shoulders[:, None, 1] - even.points_px[:, list(WRISTS), 1]) / unit[:, None]
    weights = np.maximum(even.visibility[:, list(WRISTS)], 0.05)
    against_px = even.points_px - hips[:, None]
    vertical = np.abs(_rate(hips[:, 1], visit)) / unit
    with np.errstate(invalid="ignore", divide="ignore"):
        upright = (hips[:, 1] - shoulders[:, 1]) / torso
    return Motion(
        times_s=even.times_s,
        unit_px=unit,
        size_px=size,
        visit=visit,
        speed=_speed(even.points_px, even.visibility, MOVING, visit) / unit,
        posture_speed=np.maximum(
            _speed(against_px, even.visibility, MOVING, visit) / unit, vertical
        ),
        leg_speed=_speed(against_px, even.visibility, LEGS, visit) / unit,
        stance_speed=_slowest(ankles, visit) / unit,
        going=_mean(_rate(hips[:, 0], visit) / unit, 5),
        coming=_coming(torso, size, lower - hips[:, 1], lower, visit)
        * _FOCAL
        * max(poses.width_px, poses.height_px),
        knees_together=_together(against_px[:, list(KNEES)] / unit[:, None, None]),
        hip_height=_median3((ground - hips[:, 1]) / unit),
        trunk_height=_median3((ground - shoulders[:, 1]) / unit),
        hip_up_px=-hips[:, 1],
        trunk_up_px=-shoulders[:, 1],
        hip_across_px=hips[:, 0],
        foot_up_px=-lower,
        feet_seen=even.visibility[:, list(ANKLES)].max(axis=1),
        wrist_height=_median3(np.average(wrists, axis=1, weights=weights)),
        wrist_heights=np.column_stack([_median3(wrist) for wrist in wrists.T]),
        arms_bent=_bent(even) / unit[:, None],
        upright=upright,
        at_border=_at_border(even),
        looked=poses,
    )


def in_scene(looked: Poses, scene: Interval) -> Poses:
    """Return the looks at a scene, of which no sample of the grid reaches into the next one."""
    return looked.between(scene.start_s, scene.end_s - 0.5 / GRID_FPS)


def joined_motion(parts: Sequence[Motion], looked: Poses) -> Motion:
    """Return the curves of several scenes as one, in order; a stay never lasts into the next.

    Args:
        parts: the curves of each, in order.
        looked: all of the poses.
    """
    arrays = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Motion)
        if field.name not in {"visit", "looked"}
    }
    visits, known = [], 0
    for part in parts:
        visits.append(np.where(part.visit >= 0, part.visit + known, -1))
        known += stays_in(part.visit)
    return Motion(**arrays, visit=np.concatenate(visits), looked=looked)


def _ground(feet: FloatArray, hips: FloatArray, poses: Poses, visit: Visits) -> FloatArray:
    """Return how far down in the picture the feet stand, (T,), px.

    Where a plate or a bench hides the feet, the model moves the guessed feet up as the body goes
    down.  Within 4 s of a look that saw them, the ground is interpolated between such looks, and is
    never above the guessed feet.  If the hips go up as well, the feet may be right: the body jumps,
    or walks away.

    Args:
        feet: the lower ankle, (T,), px from the top.
        hips: their middle, (T,), px from the top.
        poses: the landmarks on the grid.
        visit: which stay in the picture, (T,).
    """
    ground, torso = feet.copy(), poses.torso_px()
    seen = poses.visibility[:, list(ANKLES)].max(axis=1) >= _SURELY_SEEN
    for number in range(stays_in(visit)):
        here = visit == number
        sure = np.flatnonzero(here & seen)
        guessed = np.flatnonzero(here & ~seen & wide(here & seen, _HIDDEN))
        if len(sure) and len(guessed):
            usual_hips = np.interp(guessed, sure, hips[sure])
            down = guessed[hips[guessed] > usual_hips - _SWAY * torso[guessed]]
            ground[down] = np.maximum(feet[down], np.interp(down, sure, feet[sure]))
    return ground


def _bent(poses: Poses) -> FloatArray:
    """Return how much longer the way over each elbow is than the direct one, (T, 2), px.

    Of an arm that points at the camera both are short.
    """
    joints = (poses.points_px[:, list(pair)] for pair in (SHOULDERS, ELBOWS, WRISTS))
    shoulders, elbows, wrists = joints
    over = np.linalg.norm(elbows - shoulders, axis=2) + np.linalg.norm(wrists - elbows, axis=2)
    bent: FloatArray = over - np.linalg.norm(wrists - shoulders, axis=2)
    return bent


def _together(knees: FloatArray) -> FloatArray:
    """Return how both knees go, (T,), from -1, in turn, to 1, the same way; NaN where still.

    Legs that run pass each other whatever the camera's side: across the picture from the side, up
    and down from the front.  In a squat both knees go the same way on both axes.

    Args:
        knees: left and right against the hips, torsos, (T, 2, 2).
    """
    lowest = np.full(len(knees), np.nan)
    if len(knees) < _STRIDES:
        return lowest
    around = np.lib.stride_tricks.sliding_window_view(knees, _STRIDES, axis=0)  # (W, 2, 2, N)
    apart = around - around.mean(axis=-1, keepdims=True)
    spread = np.sqrt((apart**2).mean(axis=-1))  # (W, 2, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        both = (apart[:, 0] * apart[:, 1]).mean(axis=-1) / (spread[:, 0] * spread[:, 1])
    both[~(spread.min(axis=1) > _KNEES_GO)] = np.inf
    known = both.min(axis=1)
    middle = _STRIDES // 2
    lowest[middle : middle + len(known)] = np.where(np.isfinite(known), known, np.nan)
    lowest[:middle], lowest[middle + len(known) :] = lowest[middle], lowest[middle + len(known) - 1]
    return lowest


def _coming(
    torso: FloatArray, size: FloatArray, legs: FloatArray, feet: FloatArray, visit: Visits
) -> FloatArray:
    """Return how fast a body comes nearer, (T,), torsos a second for a focal length of 1 px.

    What comes nearer grows: torso and legs at the same rate, and the feet go down in the picture.
    Where a body bends towards the camera or squats, they stay.  Seen from the floor they would
    stay as well: nothing is told then.  A body whose torso is n px long is focal length / n torsos
    away.

    Args:
        torso: its length, (T,), px.
        size: the same as it is seen over strides, (T,), px.
        legs: from the hips down to the lower ankle, (T,), px.
        feet: the lower ankle, (T,), px from the top.
        visit: which stay in the picture, (T,).
    """
    coming = np.zeros(len(torso))
    if len(torso) < _STRIDES:
        return coming
    logs = [np.log(np.maximum(length, 1.0)) for length in (torso, legs)]
    grows, legs_grow, feet_go = (_slopes(curve) for curve in (*logs, feet))
    middle = _STRIDES // 2
    whole = slice(middle, middle + len(grows))  # the moments around which all strides are known
    way, within = np.sign(grows), visit[_STRIDES - 1 :] == visit[: 1 - _STRIDES]
    size = size[whole]
    comes = within & (legs_grow * way > 0) & (feet_go * way / size > _FEET_GO * np.abs(grows))
    known = way * np.minimum(np.abs(grows), np.abs(legs_grow)) / size
    coming[whole] = np.where(comes, known, 0.0)
    for number in range(stays_in(visit)):  # the ends of a stay are as what is known nearest
        here = np.flatnonzero(visit == number)
        inner = here[(here >= here[0] + middle) & (here <= here[-1] + 1 - _STRIDES + middle)]
        if len(inner):
            coming[here[0] : inner[0]] = coming[inner[0]]
            coming[inner[-1] : here[-1] + 1] = coming[inner[-1]]
    return coming


def _slopes(curve: FloatArray) -> FloatArray:
    """Return the slopes of a curve, (T - 15,), over strides: the straight lines that fit best."""
    ramp = np.arange(_STRIDES) - (_STRIDES - 1) / 2
    slopes: FloatArray = np.lib.stride_tricks.sliding_window_view(curve, _STRIDES) @ ramp
    return slopes / (ramp @ ramp) * GRID_FPS


def _at_border(poses: Poses) -> NDArray[np.bool_]:
    across = poses.points_px[:, list(MOVING), 0] / max(1, poses.width_px)
    if not len(across):
        return np.zeros(0, dtype=np.bool_)
    touching: NDArray[np.bool_] = (across.min(axis=1) < _BORDER) | (
        across.max(axis=1) > 1 - _BORDER
    )
    return touching


def _steadied(poses: Poses, visit: NDArray[np.int64]) -> Poses:
    """Return the poses without single misplacements, each coordinate its median of three."""
    points = poses.points_px.copy()
    inner = np.flatnonzero((visit[2:] == visit[:-2]) & (visit[2:] >= 0)) + 1
    stacked = np.stack(
        [poses.points_px[inner - 1], poses.points_px[inner], poses.points_px[inner + 1]]
    )
    points[inner] = np.median(stacked, axis=0)
    return replace(poses, points_px=points)


def _body_px(poses: Poses) -> FloatArray:
    """Return the length of the torso, (T,), px: at least what goes with the legs.

    The torso of somebody who bends towards the camera all but vanishes.
    """
    hips, ankles = (poses.points_px[:, list(pair)] for pair in (HIPS, ANKLES))
    legs = np.linalg.norm(ankles - hips, axis=2).min(axis=1)
    body: FloatArray = np.fmax(poses.torso_px(), _TORSO_BY_LEGS * legs)
    return body


def _usual(torso: FloatArray, visit: NDArray[np.int64]) -> FloatArray:
    """Return the length of the upright torso around each moment, (T,), within its stay."""
    width = round(_UNIT_WINDOW_S * GRID_FPS)
    unit = np.full(len(torso), np.nan)
    for number in range(stays_in(visit)):
        here = visit == number
        unit[here] = _rolling_percentile(torso[here], width, UPRIGHT_SHARE)
    usual: FloatArray = np.maximum(unit, 1.0)
    return usual


def _speed(
    points: FloatArray, visibility: FloatArray, joints: tuple[int, ...], visit: NDArray[np.int64]
) -> FloatArray:
    """Return the joints' mean way a second, (T,), weighted by how well each is seen.

    In the points' own unit; NaN across visits.
    """
    if len(points) < 2:
        return np.zeros(len(points))
    chosen = list(joints)
    step = np.linalg.norm(np.diff(points[:, chosen], axis=0), axis=2) * GRID_FPS
    seen = visibility[:, chosen]
    weight = np.maximum(np.minimum(seen[1:], seen[:-1]), 1e-3)
    mean = (step * weight).sum(axis=1) / weight.sum(axis=1)
    mean[visit[1:] != visit[:-1]] = np.nan
    mean[visit[1:] < 0] = np.nan
    return _mean(_median3(np.concatenate([mean[:1], mean])), 3)


def _slowest(points: FloatArray, visit: NDArray[np.int64]) -> FloatArray:
    """Return the speed of the slowest of some points, (T, N, 2), at each moment; NaN across visits.

    In the points' own unit.
    """
    ways = [_rate(points[:, number], visit) for number in range(points.shape[1])]
    slowest: FloatArray = np.min([np.linalg.norm(way, axis=1) for way in ways], axis=0)
    return slowest


def _rate(values: FloatArray, visit: NDArray[np.int64]) -> FloatArray:
    """Return the change a second, shaped like the values, (T, ...); NaN across visits."""
    if len(values) < 2:
        return np.zeros(values.shape)
    change = np.diff(values, axis=0) * GRID_FPS
    change[visit[1:] != visit[:-1]] = np.nan
    return np.concatenate([change[:1], change])


def _median3(values: FloatArray) -> FloatArray:
    """Return running medians of three; NaN beside a gap stays what it was."""
    if len(values) < 3:
        return values
    inner = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    result = np.concatenate([values[:1], inner, values[-1:]])
    return np.where(np.isnan(result), values, result)


def _mean(values: FloatArray, width: int) -> FloatArray:
    """Return running means that leave out what is not known."""
    if not len(values):  # of which numpy knows no convolution
        return values
    known = ~np.isnan(values)
    kernel, middle = np.ones(width), slice(width // 2, width // 2 + len(values))
    total = np.convolve(np.where(known, values, 0.0), kernel)[middle]
    count = np.convolve(known.astype(float), kernel)[middle]
    mean: FloatArray = np.where(known, total / np.maximum(count, 1.0), np.nan)
    return mean


def _rolling_percentile(values: FloatArray, width: int, percent: float) -> FloatArray:
    """Return a percentile over a window around each value; at the ends over the last whole one."""
    firsts = np.clip(np.arange(len(values)) - width // 2, 0, max(0, len(values) - width))
    return np.array([np.percentile(values[i : i + width], percent) for i in firsts])
