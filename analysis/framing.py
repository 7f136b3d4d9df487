"""Whether a camera stands well: one picture of the athlete at the station, judged before training.

Of a single picture the same is asked as of a whole recording, and whether there is room above the
athlete for what comes: the bar overhead, or the jump.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from analysis.athlete import Zone, only_in_zone, zone_crop
from analysis.landmarks import ANKLES, HEAD, WRISTS, FloatArray, Poses
from analysis.motion import motion_of
from analysis.pictures import draw_skeleton, frame_at, write_jpeg
from analysis.pose_model import PoseFinder
from analysis.primitives import Image, Interval
from analysis.quality import (
    DARK,
    QualityWarning,
    judge_framing,
    judge_light,
    judge_stance,
    judge_uprightness,
    judge_view,
    picture_facts,
    remark,
)
from analysis.sampling import LONGEST_PX
from analysis.tracking import BodyBoxes
from analysis.video import probe

_LOOKS = 5  # the model settles on a body after a few
_SEEN_PX, _SHOWN_PX = 640, 1280
_HEAD_HALF = 0.07  # of the body's height, from the ears to the crown
_ABOVE = 0.3  # of the body's height: arms and half a plate, or a good jump
_ABOVE_HANDS = 0.08  # the same, once the bar is overhead
_NEEDS_ROOM = frozenset({"weightlifting", "jumping"})
_ROOM = "There is no headroom for the bar or the jump: tilt the camera up or move it back."


@dataclass(frozen=True, slots=True, kw_only=True)
class FramingRules:
    """What the picture is to show."""

    activity: str | None = None
    zone: Zone = ()  # where the athlete stands
    reference: str | None = None  # a picture of the same view
    stored_px: tuple[int, int] | None = None  # width and height of the recordings; None: of it

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> "FramingRules":
        """Return the rules that a request carries."""
        return cls(**stored)  # type: ignore[arg-type]  # the agent is ours; a list is a pair, too


def judge_picture(
    path: Path,
    rules: FramingRules,
    *,
    finder: PoseFinder,
    out: Path | None,
    empty: Path | None = None,
) -> dict[str, object]:
    """Return what is to be corrected about a camera's view, and draw the skeleton on it.

    Args:
        path: a picture, or a recording, whose middle is looked at.
        rules: what it is to show.
        finder: of bodies.
        out: where the picture is written with the skeleton on it; None: nowhere.
        empty: the same without the athlete, as a reference that shows nobody.

    Raises:
        VideoError: nothing can be seen in it.
    """
    image = _picture(path)
    height, width = image.shape[:2]
    shown = _shrunk(image, _SHOWN_PX)
    small = _shrunk(image, _SEEN_PX)
    poses = _look(small, rules.zone, finder)
    found = bool(poses.is_found.any())
    remarks = list(_remarks(small, poses, rules, stored_px=rules.stored_px or (width, height)))
    if empty is not None:
        write_jpeg(BodyBoxes.of(poses).painted_over(shown, 0.0), empty)
    if out is not None:
        if found:
            scale = shown.shape[1] / small.shape[1]
            draw_skeleton(shown, poses.points_px[-1] * scale, poses.visibility[-1])
        write_jpeg(shown, out)
    return {
        "found": found,
        "width": width,
        "height": height,
        "remarks": [{"code": one.code, "message": one.message} for one in remarks],
    }


def _picture(path: Path) -> Image:
    stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if stored is not None:
        return cv2.cvtColor(stored, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    middle_s = probe(path).facts.duration_s / 2
    return frame_at(path, middle_s, lambda _done: None, longest_px=_SHOWN_PX)


def _shrunk(image: Image, longest_px: int) -> Image:
    """Return a picture, (height, width) or (height, width, 3), with no side longer."""
    height, width = image.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return image.copy()
    size = (round(width * scale), round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _look(image: Image, zone: Zone, finder: PoseFinder) -> Poses:
    """Return the body that the model finds, as looks at the one picture."""
    crop = zone_crop(zone)
    part, corner = (image, np.zeros(2)) if crop is None else crop.of(image)
    part = np.ascontiguousarray(part)
    finder.forget()
    looks = [finder.find(part) for _ in range(_LOOKS)]
    nothing: tuple[FloatArray, FloatArray] = np.full((33, 2), np.nan), np.zeros(33)
    seen = [nothing if look is None else (look[0] + corner, look[1]) for look in looks]
    poses = Poses(
        times_s=np.arange(_LOOKS) / 10,
        points_px=np.array([points for points, _ in seen]),
        visibility=np.array([visibility for _, visibility in seen]),
        width_px=image.shape[1],
        height_px=image.shape[0],
    )
    return only_in_zone(poses, zone)


def _remarks(
    image: Image, poses: Poses, rules: FramingRules, *, stored_px: tuple[int, int]
) -> Iterator[QualityWarning]:
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    found = poses.is_found
    points = poses.points_px[found][-1] if found.any() else None
    facts = [picture_facts(0.0, luma, points=points)]
    yield from judge_light(facts, found_share=float(found.mean()))
    if points is not None and facts[0].brightness < DARK:  # it is found today, and not always
        yield remark("too_dark")
    whole = [Interval(start_s=0.0, end_s=1.0)]
    yield from judge_framing(poses, whole, stored_height_px=stored_px[1])
    yield from judge_view(poses, whole, activity=rules.activity, stored_px=stored_px)
    if points is not None:
        yield from judge_uprightness(motion_of(poses))
    if points is not None and rules.activity in _NEEDS_ROOM and not _has_room_above(points):
        yield QualityWarning(code="no_room_above", message=_ROOM)
    if rules.reference is not None:
        yield from _moved(Path(rules.reference), luma)


def _has_room_above(points: FloatArray) -> bool:
    """Tell whether the picture reaches far enough above the body.

    Args:
        points: its landmarks in px, (33, 2).
    """
    head, ankles = points[list(HEAD), 1].min(), points[list(ANKLES), 1].max()
    tall_px = (ankles - head) / (1 - 2 * _HEAD_HALF)
    wrists = points[list(WRISTS), 1].max()
    if wrists < head:
        return bool(points[list(WRISTS), 1].min() >= _ABOVE_HANDS * tall_px)
    return bool(head - _HEAD_HALF * tall_px >= _ABOVE * tall_px)


def _moved(reference: Path, luma: Image) -> Iterator[QualityWarning]:
    stored = cv2.imread(str(reference), cv2.IMREAD_GRAYSCALE)
    if stored is None:
        return
    now = _shrunk(luma, LONGEST_PX)
    before = _shrunk(stored.astype(np.uint8, copy=False), LONGEST_PX)
    yield from judge_stance(before, [(0.0, now)])  # another shape is another view
