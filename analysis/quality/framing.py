"""How the body sits in the picture during the effort.  Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.intervals import Interval
from analysis.landmarks import ANKLES, FEET, HANDS, HEAD, HIPS, MOVING, SHOULDERS, FloatArray, Poses
from analysis.motion import Motion
from analysis.quality.remarks import Remark, remark

_LEAST_LOOKS = 5  # from which a view can be told
_MOSTLY = 0.5  # share of an effort's looks
_OFTEN = 0.3
_SMALL_SHARE = 0.18  # of the picture's height, nose to ankle
_SMALL_PX = 64  # of the stored picture: the model itself looks at 256
_HIDDEN = 0.45  # mean visibility
_LOST = 0.35  # share of an effort's looks without a body
_UPRIGHT = 0.8  # vertical share of the torso
_NECK = 0.1  # torsos: a head stands 0.3 and more above the shoulders
_BORDER = 0.02  # of the picture's height
_LYING = 0.35  # vertical share of the torso
_FROM_THE_SIDE = frozenset({"running", "weightlifting"})  # how the API wants these to be filmed
_WIDE_SHOULDERS, _WIDE_HIPS = 0.42, 0.22  # torsos across the picture; from the side 0.05 to 0.25
_LEAST_LINES = 720
_MOST_JUMPS = 5
_LONGEST_RUN_S = 60.5  # a minute, and what finding its edges may add
_AS_LARGE = 0.6  # torso of somebody else against the athlete's: smaller is far behind
_NEARLY_ALWAYS = 0.75  # of the looks: who rolls or lies down for a while does not turn the picture


def judge_framing(
    poses: Poses, takes: Sequence[Interval], *, stored_height_px: int
) -> list[Remark]:
    """Return the remarks on the body's place in the picture during the takes.

    Args:
        poses: what the model saw, in sampled pictures.
        takes: the movements, without padding.
        stored_height_px: of the upright picture before it was shrunk.
    """
    remarks: list[Remark] = []
    for take in takes:
        looks = (poses.times_s >= take.start_s) & (poses.times_s < take.end_s)
        seen = looks & poses.is_found
        if not seen.any():
            continue
        at_s = take.start_s
        for name, joints, share in (("feet", FEET, _MOSTLY), ("hands", HANDS, _OFTEN)):
            if _share_outside(poses, seen, joints) > share:
                remarks.append(remark(f"{name}_out_of_frame", at_s=at_s))
        if _share_headless(poses, seen) > _OFTEN:
            remarks.append(remark("head_out_of_frame", at_s=at_s))
        if _is_small(poses, seen, stored_height_px):
            remarks.append(remark("too_small", at_s=at_s))
        if _is_hidden(poses, looks, seen):
            remarks.append(remark("hidden", at_s=at_s))
    return remarks


def judge_view(
    poses: Poses, takes: Sequence[Interval], *, activity: str | None, stored_px: tuple[int, int]
) -> list[Remark]:
    """Return the remarks that the camera looks from the wrong side, or with too few pixels.

    Args:
        poses: what the model saw, in sampled pictures.
        takes: the movements, without padding.
        activity: what is done; only some are to be seen from the side.
        stored_px: width and height of the picture before it was shrunk.
    """
    remarks: list[Remark] = []
    if takes and min(stored_px) < _LEAST_LINES:
        remarks.append(remark("too_few_pixels", detail=f"{min(stored_px)} lines"))
    for take in takes if activity in _FROM_THE_SIDE else ():
        seen = (poses.times_s >= take.start_s) & (poses.times_s < take.end_s) & poses.is_found
        if seen.sum() < _LEAST_LOOKS:
            continue
        points, torso_px = poses.points_px[seen], float(np.percentile(poses.torso_px()[seen], 70))
        shoulders, hips = (
            float(np.median(np.abs(points[:, left, 0] - points[:, right, 0]))) / torso_px
            for left, right in (SHOULDERS, HIPS)
        )
        if shoulders > _WIDE_SHOULDERS and hips > _WIDE_HIPS:
            remarks.append(remark("not_from_the_side", at_s=take.start_s))
    return remarks


def judge_amount(
    activity: str | None, repetitions: Sequence[int | None], takes: Sequence[Interval]
) -> list[Remark]:
    """Return the remarks that a clip holds more than the API expects of one.

    Args:
        activity: what is done.
        repetitions: of each take.
        takes: the movements, without padding.
    """
    if activity == "jumping":
        return [
            remark("too_many_jumps", at_s=take.start_s, detail=f"{count} jumps")
            for take, count in zip(takes, repetitions, strict=True)
            if count is not None and count > _MOST_JUMPS
        ]
    if activity == "running":
        return [
            remark("run_too_long", at_s=take.start_s, detail=f"{take.seconds:.0f} s")
            for take in takes
            if take.seconds > _LONGEST_RUN_S
        ]
    return []


def judge_others(seen: Sequence[tuple[float, float]]) -> list[Remark]:
    """Return the remark that somebody else is in the picture during a take.

    Args:
        seen: looks at single pictures in takes: presentation time, and the torso of a second body
            against the athlete's, 0 where there is none.  One look alone may be mistaken.
    """
    times_s = [time_s for time_s, share in seen if share >= _AS_LARGE]
    if len(times_s) < 2 or len(times_s) < len(seen) / 2:
        return []
    return [remark("others_in_picture", at_s=times_s[0])]


def judge_uprightness(motion: Motion) -> list[Remark]:
    """Return the remark that the picture is turned, if the body is in all of the capture."""
    found = motion.is_found
    if found.sum() < 3:
        return []
    upright, legs = motion.upright[found], motion.hip_height[found]
    if (upright < -0.5).mean() > _NEARLY_ALWAYS:
        return [remark("picture_turned", detail="upside down")]
    if ((np.abs(upright) < _LYING) & (np.abs(legs) < 0.5)).mean() > _NEARLY_ALWAYS:
        return [remark("picture_turned", detail="on its side")]
    return []


def _share_outside(poses: Poses, seen: NDArray[np.bool_], joints: tuple[int, ...]) -> float:
    """Return in which share of the looks the middle of some joints is out of the picture."""
    points: FloatArray = poses.points_px[seen][:, list(joints)]
    across, down = points[..., 0], points[..., 1]
    outside = (across < 0) | (across > poses.width_px) | (down < 0) | (down > poses.height_px)
    return float((outside.mean(axis=1) > _MOSTLY).mean())


def _share_headless(poses: Poses, seen: NDArray[np.bool_]) -> float:
    """Return in which share of the looks the head is out of the picture.

    The model knows whole bodies only: of one whose head is cut off it makes a squat one inside the
    picture, with the nose between the shoulders of an upright torso.
    """
    points = poses.points_px[seen]
    head, shoulders = points[:, list(HEAD)].mean(axis=1), points[:, list(SHOULDERS)].mean(axis=1)
    up = points[:, list(HIPS), 1].mean(axis=1) - shoulders[:, 1]
    is_squat = (up > _UPRIGHT * poses.torso_px()[seen]) & (
        shoulders[:, 1] - head[:, 1] < _NECK * up
    )
    is_outside = (head[:, 1] < _BORDER * poses.height_px) | (head[:, 1] > poses.height_px)
    is_beside = (head[:, 0] < 0) | (head[:, 0] > poses.width_px)
    return float((is_squat | is_outside | is_beside).mean())


def _is_small(poses: Poses, seen: NDArray[np.bool_], stored_height_px: int) -> bool:
    points = poses.points_px[seen]
    ankles = points[:, list(ANKLES), 1].max(axis=1)
    tall = float(np.percentile(np.abs(ankles - points[:, HEAD[0], 1]), 90)) / poses.height_px
    torso = np.linalg.norm(points[:, list(HIPS)].mean(axis=1) - points[:, HEAD[0]], axis=1)
    shown = max(tall, 2 * float(np.percentile(torso, 90)) / poses.height_px)  # legs may be hidden
    return shown < _SMALL_SHARE or shown * stored_height_px < _SMALL_PX


def _is_hidden(poses: Poses, looks: NDArray[np.bool_], seen: NDArray[np.bool_]) -> bool:
    visibility = poses.visibility[seen][:, list(MOVING)]
    lost = 1 - float(seen.sum()) / float(looks.sum())
    return float(np.median(visibility.mean(axis=1))) < _HIDDEN or lost > _LOST
