"""Quality warnings: framing, light, camera position, timing.  Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.landmarks import (
    ANKLES,
    BONES,
    FEET,
    HANDS,
    HEAD,
    HIPS,
    KNEES,
    MOVING,
    SHOULDERS,
    WRISTS,
    FloatArray,
    Poses,
)
from analysis.motion import Motion
from analysis.packets import Packets, TimeJump
from analysis.primitives import Grey, Interval
from analysis.signs import EffortSignals, are_cycles_whole

DEFAULT_SEVERITY = "warn"
_OTHER_DEFAULTS = {
    "athlete_undecided": "hold",  # a guess here would be somebody else's clip
    "effort_doubtful": "hold",  # and here a session of nobody's training
}

TEXTS: Mapping[str, str] = {
    "nobody": "Nobody is in the picture: point the camera at the athlete.",
    "too_dark": "It is too dark to see anybody: switch on more light.",
    "too_bright": "Much of the picture is overexposed: turn the camera away from the light.",
    "against_light": "The athlete is backlit: move the camera or close the blinds.",
    "blurred": "The picture is blurred: clean the lens and check the focus.",
    "feet_out_of_frame": "The feet are out of the picture: tilt the camera down or move it back.",
    "hands_out_of_frame": "The hands leave the picture: move the camera back.",
    "head_out_of_frame": "The head is out of the picture: tilt the camera up or move it back.",
    "too_small": "The athlete is too small in the picture: move the camera closer.",
    "hidden": "The athlete is hidden by others or by plates: clear the view or move the camera.",
    "frame_rate_low": "The frame rate is too low for this activity: set it to 30 a second or more.",
    "frames_uneven": "Frames are missing or unevenly spaced: check the camera's disk and load.",
    "times_jump": "The timestamps jump: the recorder lost its clock or its input. Every frame is "
    "used, the jump takes no time.",
    "frame_rate_assumed": "The recording has no frame rate, 30 a second is assumed: let "
    "the recorder write MP4 or MKV.",
    "camera_moved": "The camera has been moved since it was set up: put it back, or take a new "
    "reference picture.",
    "picture_frozen": "The picture is frozen: restart the camera.",
    "picture_turned": "The picture is upside down or on its side: turn the camera.",
    "file_damaged": "The file is damaged: check the camera's disk. What can be read is used.",
    "athlete_undecided": "Two people move alike and it is not clear who the athlete is: define "
    "where athletes stand with the setting analysis.zone.",
    "effort_doubtful": "Somebody moves, but this may not be a take: watch the clip, then "
    "release or discard it.",
    "activity_differs": "The movement does not look like the assigned activity: check who "
    "and what is assigned.",
    "begins_before": "The movement had begun before the recording: start recording earlier.",
    "goes_on": "The movement continued after the recording: keep recording longer.",
    "too_many_jumps": "The clip has more than five jumps, the API's limit: "
    "rest longer between sets, or lower jumping.rest_s.",
    "run_too_long": "The run is longer than a minute, the API's limit: set "
    "running.longest_s to 60 or less.",
    "not_from_the_side": "The athlete is not filmed from the side, as the API requires: move the "
    "camera.",
    "others_in_picture": "Somebody else is in the picture: clear the view or move the camera.",
    "too_few_pixels": "The picture has fewer than 720 lines: set the camera to 720p or 1080p.",
    "take_limited": "The movement is longer than a clip may be: the rest stays in the recording.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityWarning:
    """One remark on a capture."""

    code: str  # stable
    severity: str = DEFAULT_SEVERITY  # warn or hold
    message: str = ""  # one sentence with the remedy
    at_s: float | None = None  # presentation time; None: the whole capture


def remark(code: str, *, at_s: float | None = None, detail: str = "") -> QualityWarning:
    """Return a remark by its code, with what was found where that helps.

    Raises:
        KeyError: there is no such code.
    """
    text = TEXTS[code]
    return QualityWarning(code=code, message=f"{text} ({detail})" if detail else text, at_s=at_s)


def weighed(
    remarks: Iterable[QualityWarning], severities: Mapping[str, str]
) -> Sequence[QualityWarning]:
    """Return the remarks as serious as the settings say, without those to be ignored.

    Of several with one code the first stays.
    """
    kept: dict[str, QualityWarning] = {}
    for found in remarks:
        severity = severities.get(found.code, _default(found.code))
        if severity != "ignore" and found.code not in kept:
            kept[found.code] = QualityWarning(
                code=found.code, severity=severity, message=found.message, at_s=found.at_s
            )
    return list(kept.values())


def _default(code: str) -> str:
    return _OTHER_DEFAULTS.get(code, DEFAULT_SEVERITY)


_LEAST_LOOKS = 5  # from which a view can be told
_MOSTLY = 0.5  # share of an effort's looks
_OFTEN = 0.3
_SMALL_SHARE = 0.18  # of the picture's height, nose to ankle
_SMALL_PX = 64  # of the stored picture: the model itself looks at 256
_DISTINCT_PX = 110  # of the sampled picture: of smaller bodies the model is never sure
_HIDDEN = 0.45  # mean visibility of each joint's better-seen side
_LOST = 0.35  # share of an effort's looks without a body
_CROWN = 0.55  # torsos from the shoulders
_HEAD_HALF = 0.12  # torsos from the ears to the crown, and a little less for how exact they are
_BORDER = 0.015  # of the picture's height
_SQUAT = 0.4  # torso against the legs: 0.6 standing, more in a squat
_NECK = 0.1  # torsos: a head stands 0.3 and more above the shoulders
_SAME_SIZE_S = 3.0
_UPSIDE_DOWN = 0.5  # how far down a torso points, of its length
_HEADLESS, _SOMETIMES = 0.2, 0.05  # shares of an effort's looks
_LYING = 0.35  # vertical share of the torso
_ALONG = 0.35  # torsos aside of it
_STRAIGHT = 1.2  # torsos from hips to ankles: standing legs have 1.7
_FROM_THE_SIDE = frozenset({"running", "weightlifting"})  # how the API wants these to be filmed
_WIDE_SHOULDERS, _WIDE_HIPS = 0.42, 0.22  # torsos across the picture; from the side 0.05 to 0.25
_LEAST_LINES = 720
_MOST_JUMPS = 5
_LONGEST_RUN_S = 60.5  # a minute, and what finding its edges may add
_EDGE_SIGN_S, _EDGE_S = 0.45, 0.50
_SETTLING = 3  # samples
_UNDER_WAY = 0.3  # torsos a second
_AS_LARGE = 0.6  # torso of somebody else against the athlete's: smaller is far behind
_NEARLY_ALWAYS = 0.75  # of the looks: who rolls or lies down for a while does not turn the picture


def judge_framing(
    poses: Poses, takes: Sequence[Interval], *, stored_height_px: int
) -> list[QualityWarning]:
    """Return the remarks on the body's place in the picture during the takes.

    Args:
        poses: what the model saw, in sampled pictures.
        takes: the movements, without padding.
        stored_height_px: of the upright picture before it was shrunk.
    """
    remarks: list[QualityWarning] = []
    for take in takes:
        looks = (poses.times_s >= take.start_s) & (poses.times_s < take.end_s)
        seen = looks & poses.is_found
        if not seen.any():
            continue
        at_s = take.start_s
        for name, joints, share in (("feet", FEET, _MOSTLY), ("hands", HANDS, _OFTEN)):
            if _share_outside(poses, seen, joints) > share:
                remarks.append(remark(f"{name}_out_of_frame", at_s=at_s))
        if _share_headless(poses, seen) > _HEADLESS:
            remarks.append(remark("head_out_of_frame", at_s=at_s))
        tall_px = _tall_px(poses, seen)
        if (
            tall_px < _SMALL_SHARE * poses.height_px
            or tall_px / poses.height_px * stored_height_px < _SMALL_PX
        ):
            remarks.append(remark("too_small", at_s=at_s))
        elif tall_px >= _DISTINCT_PX and _is_hidden(poses, looks, seen):
            remarks.append(remark("hidden", at_s=at_s))
    return remarks


def judge_view(
    poses: Poses, takes: Sequence[Interval], *, activity: str | None, stored_px: tuple[int, int]
) -> list[QualityWarning]:
    """Return the remarks that the camera looks from the wrong side, or with too few pixels.

    Args:
        poses: what the model saw, in sampled pictures.
        takes: the movements, without padding.
        activity: what is done; only some are to be seen from the side.
        stored_px: width and height of the picture before it was shrunk.
    """
    remarks: list[QualityWarning] = []
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
) -> list[QualityWarning]:
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


def is_under_way(motion: Motion, signs: EffortSignals, at_s: float) -> bool:
    """Tell whether the body is in the middle of a movement at the edge of the capture.

    An effort reaches to the edge where its posture does: bent over a bar that lies still, too.  Who
    is back where a cycle began is in the middle of none.

    Args:
        motion: the body's curves.
        signs: of effort.
        at_s: the first or the last moment of the capture.
    """
    near = np.abs(motion.times_s - at_s)
    edge = near < _EDGE_SIGN_S
    seen = np.flatnonzero(edge & motion.is_found)
    if not len(seen):
        return False
    outermost = seen[0] if edge[0] else seen[-1]  # what begins a moment later was not under way
    if not signs.any[outermost] or are_cycles_whole(signs, edge):
        return False
    # The model settles on a body within some looks: the very first ones move by themselves.
    is_first = np.cumsum(motion.is_found) <= _SETTLING
    speed = motion.speed[~is_first & (near < _EDGE_S) & motion.is_found]
    return bool(len(speed)) and float(np.nanmean(np.append(speed, 0.0))) > _UNDER_WAY


def judge_others(seen: Sequence[tuple[float, float]]) -> list[QualityWarning]:
    """Return the remark that somebody else is in the picture during a take.

    Args:
        seen: looks at single pictures in takes: presentation time, and the torso of a second body
            against the athlete's, 0 where there is none.  One look alone may be mistaken.
    """
    times_s = [time_s for time_s, share in seen if share >= _AS_LARGE]
    if len(times_s) < 2 or len(times_s) < len(seen) / 2:
        return []
    return [remark("others_in_picture", at_s=times_s[0])]


def judge_uprightness(motion: Motion) -> list[QualityWarning]:
    """Return the remark that the picture is turned, if the body is in all of the capture."""
    found = motion.is_found
    if found.sum() < 3:
        return []
    upright, legs = motion.upright[found], motion.hip_height[found]
    if (upright < -0.5).mean() > _NEARLY_ALWAYS:
        return [remark("picture_turned", detail="upside down")]
    lies = (np.abs(upright) < _LYING) & (np.abs(legs) < 0.5)
    if lies.mean() > _NEARLY_ALWAYS and _hangs_along(motion):
        return [remark("picture_turned", detail="on its side")]
    return []


def _hangs_along(motion: Motion) -> bool:
    """Tell whether arms and legs of a level body lie along it, as in a picture that is turned.

    Who lies does so for push-ups, presses or sit-ups: with arms up or down, or with bent knees.
    """
    poses = motion.looked
    points, torso = poses.points_px[poses.is_found], poses.torso_px()[poses.is_found]
    unit = max(1.0, float(np.percentile(torso, 80)))
    hands = points[:, list(WRISTS), 1].mean(axis=1) - points[:, list(SHOULDERS), 1].mean(axis=1)
    hips, ankles = (points[:, list(pair)].mean(axis=1) for pair in (HIPS, ANKLES))
    knees = points[:, list(KNEES), 1].mean(axis=1) - (hips[:, 1] + ankles[:, 1]) / 2
    legs = np.linalg.norm(ankles - hips, axis=1)
    return (
        float(np.median(np.abs(hands))) < _ALONG * unit
        and float(np.median(np.abs(knees))) < _ALONG * unit
        and float(np.median(legs)) > _STRAIGHT * unit
    )


def _share_outside(poses: Poses, seen: NDArray[np.bool_], joints: tuple[int, ...]) -> float:
    """Return in which share of the looks the middle of some joints is out of the picture."""
    points: FloatArray = poses.points_px[seen][:, list(joints)]
    across, down = points[..., 0], points[..., 1]
    outside = (across < 0) | (across > poses.width_px) | (down < 0) | (down > poses.height_px)
    return float((outside.mean(axis=1) > _MOSTLY).mean())


def _share_headless(poses: Poses, seen: NDArray[np.bool_]) -> float:
    """Return in which share of the looks the head is out of the picture.

    Where the crown must be follows from the shoulders, the way the torso leans and how long it
    usually is.  But the model knows whole bodies only: now and then it makes of one without a head
    one with a squat torso inside the picture.  Who bends towards the camera looks like that too,
    so it counts only where the head is above the picture in other looks.
    """
    points, torso = poses.points_px[seen], poses.torso_px()[seen]
    head, shoulders = points[:, list(HEAD)].mean(axis=1), points[:, list(SHOULDERS)].mean(axis=1)
    along = (shoulders - points[:, list(HIPS)].mean(axis=1)) / np.maximum(torso, 1.0)[:, None]
    at_s = poses.times_s[seen]  # who walks away becomes smaller
    near = [torso[np.abs(at_s - time_s) < _SAME_SIZE_S] for time_s in at_s]
    usual = np.array([np.percentile(lengths, 80) for lengths in near])
    crown = shoulders[:, 1] + _CROWN * usual * along[:, 1]
    is_above = (crown < -_BORDER * poses.height_px) | (head[:, 1] < _HEAD_HALF * usual)
    is_outside = (head[:, 1] > poses.height_px) | (head[:, 0] < 0) | (head[:, 0] > poses.width_px)
    legs = points[:, list(ANKLES), 1].max(axis=1) - points[:, list(HIPS), 1].mean(axis=1)
    is_squat = (torso < _SQUAT * legs) & (shoulders[:, 1] - head[:, 1] < _NECK * torso)
    headless = is_above | is_outside
    headless |= is_squat & (headless.mean() > _SOMETIMES)
    told = along[:, 1] < _UPSIDE_DOWN  # else it tells nothing of what is above
    return float(headless[told].mean()) if told.any() else 0.0


def _tall_px(poses: Poses, seen: NDArray[np.bool_]) -> float:
    """Return how many px of the sampled picture the body is tall, its legs hidden or not."""
    points = poses.points_px[seen]
    ankles = points[:, list(ANKLES), 1].max(axis=1)
    tall_px = float(np.percentile(np.abs(ankles - points[:, HEAD[0], 1]), 90))
    torso = np.linalg.norm(points[:, list(HIPS)].mean(axis=1) - points[:, HEAD[0]], axis=1)
    return max(tall_px, 2 * float(np.percentile(torso, 90)))


def _is_hidden(poses: Poses, looks: NDArray[np.bool_], seen: NDArray[np.bool_]) -> bool:
    """Tell whether something hides the body: neither of its sides is seen, or it gets lost.

    From the side a body hides its own far limbs.  What is out of the picture is not hidden, and
    who comes late or leaves is not lost.
    """
    points, visibility = poses.points_px[seen], poses.visibility[seen]
    across, down = points[..., 0], points[..., 1]
    outside = (across < 0) | (across > poses.width_px) | (down < 0) | (down > poses.height_px)
    clear = np.where(outside, np.nan, visibility)[:, list(MOVING)]
    better = np.fmax(clear[:, ::2], clear[:, 1::2])  # of left and right
    known = better[~np.isnan(better).all(axis=1)]
    if len(known) and float(np.median(np.nanmean(known, axis=1))) < _HIDDEN:
        return True
    during = np.flatnonzero(seen)
    between = looks[during[0] : during[-1] + 1]
    return 1 - len(during) / float(between.sum()) > _LOST


DARK = 40.0  # mean brightness, 0 to 255, below which a missing body says nothing
_FOUND = 0.05  # share of looks with a body, below which nobody is there
_BLOWN = 0.40  # share of the picture at the upper end
_BODY_BLOWN = 0.5  # the same of the body: a white shirt alone is less
_SHADE, _AGAINST = 75.0, 90.0  # brightness of a body without light, and of what is beside it
_DAZZLES = 0.15  # share of what is beside it at the upper end: a window, not a painted wall
_SOFT = 0.27  # of `sharpness`: real pictures have 0.5 to 0.67; smeared by 2 px of 640, 0.23
_WHITE, _DAZZLING = 250, 240
_FACE = tuple(range(11))  # eyes, nose, mouth and ears
_FOREARMS = ((13, 15), (14, 16))  # elbows to wrists
_ALONG_BONE = 9  # points
_ASIDE = 0.12  # of the body's height, beyond its limbs, and how wide what is beside it is
_FAR_PX = 8
_EVERY_ROW = 3  # is enough
_EDGE = 24.0  # grey levels: less is no edge


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLight:
    """How a body in a picture is lit; all brightness 0 to 255."""

    lit: float  # of its brightest part: the face, the forearms, or a quarter of all of it
    blown: float  # share of it that is nearly white
    beside: float  # of what is left and right of it
    beside_blown: float  # share of that which is nearly white


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFacts:
    """What one keyframe shows of the light."""

    time_s: float
    brightness: float  # mean, 0 to 255
    blown: float  # share of the picture that is nearly white
    body: BodyLight | None  # where somebody was found
    sharpness: float
    found: bool  # whether the model found somebody


def picture_facts(
    time_s: float,
    luma: NDArray[np.uint8],
    *,
    points: FloatArray | None,
) -> PictureFacts:
    """Return the facts of one picture.

    Args:
        time_s: its presentation time.
        luma: brightness, (height, width), as many px as the model saw.
        points: the body's landmarks in px of that picture, (33, 2), or None.
    """
    return PictureFacts(
        time_s=time_s,
        brightness=float(luma.mean()),
        blown=float((luma >= _WHITE).mean()),
        body=None if points is None else _body_light(luma, points),
        sharpness=sharpness(luma),
        found=points is not None,
    )


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Return which share of an edge's step its steepest px does, 0.1 to 1.

    A sharp edge does all of its step at once, a smeared one bit by bit.  1 where there is no
    edge at all.
    """
    picture = luma[::_EVERY_ROW].astype(np.int16)
    if picture.shape[1] <= _FAR_PX:
        return 1.0
    near = np.abs(np.diff(picture, axis=1))
    far = np.abs(picture[:, _FAR_PX:] - picture[:, :-_FAR_PX])
    rows, columns = np.nonzero(far >= max(float(np.percentile(far[::4], 90)), _EDGE))
    if not len(rows):
        return 1.0  # nothing there that could be sharp
    steps = near[rows[:, None], columns[:, None] + np.arange(_FAR_PX)]
    return float(np.median(steps.max(axis=1) / far[rows, columns]))


def judge_light(pictures: Sequence[PictureFacts], *, found_share: float) -> list[QualityWarning]:
    """Return the remarks on light and sharpness, and on an empty picture.

    Args:
        pictures: some of the capture's.
        found_share: of all looks, in how many somebody was found.
    """
    if not pictures:
        return []
    brightness = float(np.median([picture.brightness for picture in pictures]))
    remarks = []
    if found_share < _FOUND:
        remarks.append(remark("too_dark" if brightness < DARK else "nobody"))
    remarks += _mostly("too_bright", pictures, _is_too_bright)
    with_body = [picture for picture in pictures if picture.body is not None]
    remarks += _mostly("against_light", with_body, _is_against_light)
    if float(np.median([picture.sharpness for picture in pictures])) < _SOFT:
        remarks.append(remark("blurred"))
    return remarks


def _mostly(
    code: str, pictures: Sequence[PictureFacts], is_so: Callable[[PictureFacts], bool]
) -> list[QualityWarning]:
    """Return the remark if it is so in most pictures, with the moment of the first."""
    times_s = [picture.time_s for picture in pictures if is_so(picture)]
    return [remark(code, at_s=times_s[0])] if len(times_s) > len(pictures) / 2 else []


def _is_too_bright(picture: PictureFacts) -> bool:
    """Tell whether light hides the athlete; before a white wall he is seen best."""
    return picture.blown > _BLOWN and (picture.body is None or picture.body.blown > _BODY_BLOWN)


def _is_against_light(picture: PictureFacts) -> bool:
    """Tell whether no part of the body has light, though what is beside it dazzles.

    Dark clothes leave a face and arms that are lit; a wall, however white, does not dazzle.
    """
    body = picture.body
    return (
        body is not None
        and body.lit < _SHADE
        and body.beside - body.lit > _AGAINST
        and body.beside_blown > _DAZZLES
    )


def _body_light(luma: NDArray[np.uint8], points: FloatArray) -> BodyLight | None:
    """Return how a body is lit, or None where it is out of the picture."""
    body = _along(luma, points, BONES)
    left, top = points[list(MOVING)].min(axis=0)
    right, bottom = points[list(MOVING)].max(axis=0)
    aside = max(_ASIDE * (bottom - top), 1.0)
    strips = [
        _part(luma, left - 2 * aside, top, left - aside, bottom),
        _part(luma, right + aside, top, right + 2 * aside, bottom),
    ]
    beside = np.concatenate([strip.ravel() for strip in strips])
    if not body.size or not beside.size:
        return None
    (face_left, face_top), (face_right, face_bottom) = (
        points[list(_FACE)].min(axis=0),
        points[list(_FACE)].max(axis=0),
    )
    face = _part(luma, face_left, face_top, face_right, face_bottom)
    parts = [np.median(part) for part in (face, _along(luma, points, _FOREARMS)) if part.size]
    return BodyLight(
        lit=max(float(np.percentile(body, 75)), *(float(part) for part in parts)),
        blown=float((body >= _WHITE).mean()),
        beside=float(np.median(beside)),
        beside_blown=float((beside >= _DAZZLING).mean()),
    )


def _part(
    luma: NDArray[np.uint8], left: float, top: float, right: float, bottom: float
) -> NDArray[np.uint8]:
    """Return what of a rectangle is in the picture."""
    return luma[
        max(0, int(top)) : max(0, int(bottom) + 1), max(0, int(left)) : max(0, int(right) + 1)
    ]


def _along(
    luma: NDArray[np.uint8], points: FloatArray, bones: Sequence[tuple[int, int]]
) -> NDArray[np.uint8]:
    """Return the brightness at points along some bones, as far as they are in the picture."""
    share = np.linspace(0.1, 0.9, _ALONG_BONE)[:, None]
    spots = [points[first] * (1 - share) + points[last] * share for first, last in bones]
    at = np.concatenate(spots).astype(int)
    inside = ((at >= 0) & (at < (luma.shape[1], luma.shape[0]))).all(axis=1)
    spots_luma: NDArray[np.uint8] = luma[at[inside, 1], at[inside, 0]]
    return spots_luma


_MOVED_SHARE = 0.02  # of the picture's width
_FEWEST, _FROZEN_S = 4, 15.0  # pictures, and the time they span, to judge that nothing moves
_SURE = 0.03  # height of the peak: below it the pictures have nothing in common


def judge_stance(
    reference: Grey | None, pictures: Sequence[tuple[float, Grey]]
) -> list[QualityWarning]:
    """Return the remark that the camera was moved since the reference picture.

    Args:
        reference: small, grey; None: there is none.
        pictures: of the capture, with their times, of the reference's size.
    """
    if reference is None or not pictures:
        return []
    shifts = [
        (time_s, *shift_between(reference, picture))
        for time_s, picture in pictures
        if picture.shape == reference.shape
    ]
    limit_px = max(2.0, _MOVED_SHARE * reference.shape[1])
    moved = [time_s for time_s, shift_px, peak in shifts if shift_px > limit_px or peak < _SURE]
    same_size = bool(shifts)
    if same_size and len(moved) <= len(shifts) / 2:
        return []
    return [remark("camera_moved", at_s=moved[0] if moved else None)]


def judge_frozen(pictures: Sequence[tuple[float, Grey]]) -> list[QualityWarning]:
    """Return the remark that the picture stops changing: the camera continues sending one frame.

    An empty hall changes, too: by the sensor's noise, which no two pictures share to the bit.

    Args:
        pictures: of the capture, small, with their times.
    """
    began = 0
    for index in range(1, len(pictures)):
        if not np.array_equal(pictures[index][1], pictures[began][1]):
            began = index
        lasted_s = pictures[index][0] - pictures[began][0]
        if index - began + 1 >= _FEWEST and lasted_s >= _FROZEN_S:
            return [remark("picture_frozen", at_s=pictures[began][0])]
    return []


def shift_between(first: Grey, second: Grey) -> tuple[float, float]:
    """Return by how many px the second picture is shifted, and how sure that is (0 to 1)."""
    a, b = (np.fft.rfft2(_windowed(picture)) for picture in (first, second))
    cross = a * np.conj(b)
    surface = np.fft.irfft2(cross / (np.abs(cross) + 1e-9), s=first.shape)
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    down = min(int(row), first.shape[0] - int(row))
    right = min(int(column), first.shape[1] - int(column))
    return float(np.hypot(down, right)), float(surface[row, column])


def _windowed(picture: Grey) -> FloatArray:
    """Return the picture fading to nothing at its borders, which else make an edge of their own."""
    values = picture.astype(np.float64)
    fade = np.outer(np.hanning(values.shape[0]), np.hanning(values.shape[1]))
    faded: FloatArray = (values - values.mean()) * fade
    return faded


_LOWEST_FPS = {"running": 24.0, "jumping": 24.0, "weightlifting": 20.0}
_LOWEST_AT_ALL_FPS = 15.0
_TOLERANCE = 0.9  # 23.98 is 24
_MISSING = 1.7  # times the usual step
_UNEVEN_SHARE = 0.02  # of the steps


def judge_timing(
    packets: Packets, *, activity: str | None, damaged_at_s: Sequence[float]
) -> list[QualityWarning]:
    """Return the remarks on the frames' times and on damage.

    Args:
        packets: all of the capture's.
        activity: what is done in it, where that is known.
        damaged_at_s: where packets could not be decoded.
    """
    remarks = []
    if damaged_at_s:
        remarks.append(remark("file_damaged", at_s=max(0.0, damaged_at_s[0])))
    if packets.jumps:
        remarks.append(
            remark("times_jump", at_s=packets.jumps[0].at_s, detail=_told(packets.jumps))
        )
    if packets.is_rate_assumed:
        remarks.append(remark("frame_rate_assumed"))
    times_s = packets.shown_s
    steps_s = np.diff(times_s)
    if len(steps_s) < 2:
        return remarks
    fps = 1 / packets.spacing_s
    if fps < _LOWEST_FPS.get(activity or "", _LOWEST_AT_ALL_FPS) * _TOLERANCE:
        remarks.append(remark("frame_rate_low", detail=f"{fps:.0f} a second"))
    uneven = np.flatnonzero((steps_s > _MISSING * packets.spacing_s) | (steps_s <= 0))
    if len(uneven) > _UNEVEN_SHARE * len(steps_s) or steps_s.max() > max(
        0.5, 3 * packets.spacing_s
    ):
        first = int(uneven[0]) if len(uneven) else int(np.argmax(steps_s))
        remarks.append(remark("frames_uneven", at_s=float(times_s[first])))
    return remarks


def _told(jumps: Sequence[TimeJump]) -> str:
    times = "once" if len(jumps) == 1 else f"{len(jumps)} times, first"
    way = "back" if jumps[0].by_s < 0 else "forward"
    return f"{times} {way} by {abs(jumps[0].by_s):.1f} s"
