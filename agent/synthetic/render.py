"""Renders the scene, and writes a storyboard as a real H.264 file that grows on the disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from agent.synthetic.body import (
    CIRCLES,
    GROUPS,
    HEAD,
    PARTS,
    POINTS,
    RADII,
    BodyPart,
    Colour,
    FloatArray,
    Outfit,
)
from agent.synthetic.motions import BOX_FORWARD, BOX_UP
from agent.synthetic.shapes import (
    ROUND,
    Blob,
    Image,
    Lens,
    Noise,
    darken,
    fill,
    hull_of,
    paint_blob,
    tinted,
)
from agent.synthetic.storyboard import Moment, ScenePerson, Storyboard

_WALL_TOP, _WALL_FOOT = (222, 224, 222), (196, 199, 198)
_PANEL: Colour = (150, 156, 160)
_BOARD: Colour = (92, 96, 100)
_FLOOR_BACK, _FLOOR_FRONT = (112, 114, 118), (84, 86, 90)
_PLATFORM: Colour = (196, 158, 112)
_RUBBER: Colour = (58, 60, 64)
_FRAME: Colour = (62, 66, 72)
_PLATES: tuple[Colour, ...] = ((176, 58, 52), (44, 82, 160), (206, 170, 60), (66, 128, 84))
_WALL_BEHIND = 1.5  # body heights behind the athlete's place


@lru_cache(maxsize=8)
def empty_room(lens: Lens, *, has_treadmill: bool) -> Image:
    """Return the empty room: (height, width, 3), RGB.  Cached: copy it before drawing on it."""
    image = np.empty((lens.height, lens.width, 3), dtype=np.uint8)
    foot = int(np.clip(round(_wall_px(lens, 0.0)), 1, lens.height - 1))
    image[:foot] = _gradient(_WALL_TOP, _WALL_FOOT, foot)[:, None]
    image[foot:] = _gradient(_FLOOR_BACK, _FLOOR_FRONT, lens.height - foot)[:, None]
    _paint_wall(image, lens, foot)
    _paint_rack(image, lens, foot)
    _paint_floor(image, lens, has_treadmill=has_treadmill)
    return _photographed(image, lens)


def _paint_wall(image: Image, lens: Lens, foot: int) -> None:
    unit_px = lens.size_px * 0.7
    panel = round(_wall_px(lens, 0.42))
    image[panel:foot] = _PANEL
    image[panel : panel + max(1, round(unit_px * 0.012))] = tinted(_PANEL, 0.8)
    image[foot - max(1, round(unit_px * 0.05)) : foot] = _BOARD
    for number in range(-4, 5):
        x = round(lens.width / 2 + (number + 0.5) * 0.95 * unit_px)
        width = max(1, round(unit_px * 0.010))
        if 0 <= x < lens.width:
            image[:panel, x : x + width] = (image[:panel, x : x + width] * 0.95).astype(np.uint8)
            image[panel:foot, x : x + width] = tinted(_PANEL, 0.85)


def _paint_rack(image: Image, lens: Lens, foot: int) -> None:
    """Draw a rack with plates before the wall, to the right, so that the place reads as a gym."""
    unit_px = lens.size_px * 0.7
    left, right = (lens.width / 2 + share * unit_px for share in (0.98, 1.82))
    for up in (0.10, 0.36):
        y = foot - up * unit_px
        for number in range(9):
            x = left + (number + 0.5) * (right - left) / 9
            radius = unit_px * (0.095 - 0.004 * number)
            oval = np.array([x, y - radius]) + radius * ROUND * (0.34, 1.0)
            fill(image, oval, tinted(_PLATES[number // 2 % 4], 0.9 - 0.12 * (number % 2)))
        _bar(image, (left, y), (right, y + 0.022 * unit_px))
    for x in (left, right):
        _bar(image, (x, foot - 0.62 * unit_px), (x + 0.028 * unit_px, foot + 0.02 * unit_px))


def _bar(image: Image, first: tuple[float, float], last: tuple[float, float]) -> None:
    (x0, y0), (x1, y1) = first, last
    fill(image, np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), _FRAME)


def _paint_floor(image: Image, lens: Lens, *, has_treadmill: bool) -> None:
    for left, right in ((-0.70, -0.22), (0.22, 0.70)):
        fill(image, _floor(lens, (-0.62, 0.62), (left, right)), _RUBBER)
    fill(image, _floor(lens, (-0.62, 0.62), (-0.23, 0.23)), _PLATFORM)
    for line in np.linspace(-0.155, 0.155, 3):
        fill(image, _floor(lens, (-0.62, 0.62), (line, line + 0.004)), tinted(_PLATFORM, 0.86))
    if has_treadmill:
        fill(image, _floor(lens, (-0.56, 0.56), (-0.24, 0.24)), tinted(_PANEL, 1.2))
        fill(image, _floor(lens, (-0.53, 0.53), (-0.19, 0.19)), (44, 45, 48))


def _photographed(image: Image, lens: Lens) -> Image:
    """Return the room out of focus, and darker to the corners."""
    blur = max(0.4, lens.height / 400)
    soft = cv2.GaussianBlur(image, (0, 0), blur).astype(np.float32)
    across = np.linspace(-1, 1, lens.width)[None]
    down = np.linspace(-1, 1, lens.height)[:, None]
    soft *= (1 - 0.09 * (across**2 + down**2))[..., None].astype(np.float32)
    room: Image = soft.astype(np.uint8)
    return room


def _floor(lens: Lens, forward: tuple[float, float], left: tuple[float, float]) -> FloatArray:
    """Return the corners of a rectangle on the floor, (4, 2), in px."""
    (f0, f1), (l0, l1) = forward, left
    return lens.project(np.array([(f0, 0, l0), (f1, 0, l0), (f1, 0, l1), (f0, 0, l1)], float))


def _wall_px(lens: Lens, up: float) -> float:
    """Return how far down the picture a height on the wall is."""
    azimuth = np.radians(lens.crossing_deg)
    place = (-_WALL_BEHIND * np.sin(azimuth), up, _WALL_BEHIND * np.cos(azimuth))
    return float(lens.project(np.array(place))[1])


def _gradient(first: Colour, last: Colour, steps: int) -> FloatArray:
    share = np.linspace(0.0, 1.0, steps)[:, None]
    mixed: FloatArray = np.array(first) * (1 - share) + np.array(last) * share
    return mixed


Depth = tuple[float, float]  # how near the camera, and the order among equals

_FAR_SHADE = 4.0  # loss of light for each body height that a limb is behind the body's middle
_DARKEST = 0.70
_FACING = 0.2 * HEAD  # how much nearer than the head's middle a feature that faces us is
_ROWS = np.cumsum([0, *(len(part.circles) for part in PARTS)])
_GROUP_ROWS = {
    group: np.repeat([part.group == group for part in PARTS], np.diff(_ROWS)) for group in GROUPS
}
_ROOTS = {"leg": "hip", "arm": "shoulder"}


def blobs_of(points: FloatArray, lens: Lens, outfit: Outfit) -> Iterator[tuple[Depth, Blob]]:
    """Yield the parts of a body to be drawn, and how near the camera each is.

    Args:
        points: body points in space, (len(POINTS), 3).
        lens: how the camera sees them.
        outfit: what the body looks like.
    """
    spots = CIRCLES @ points
    spots_px, radii_px, near = lens.project(spots), RADII * lens.scale_px(spots), lens.toward(spots)
    head = float(lens.toward(points[POINTS.index("head")]))
    group_near = {group: float(near[rows].mean()) for group, rows in _GROUP_ROWS.items()}
    group_shade = {group: _shade(group, points, lens) for group in GROUPS}
    for number, part in enumerate(PARTS):
        rows = slice(_ROWS[number], _ROWS[number + 1])
        part_near = float(near[rows].mean())
        if part.only_facing and part_near - head < _FACING:
            continue
        yield (
            (group_near[part.group] + GROUPS[part.group], _order(part, number, part_near)),
            Blob(
                spots_px[rows],
                radii_px[rows],
                tinted(getattr(outfit, part.wears), part.light),
                group_shade[part.group],
            ),
        )


def _order(part: BodyPart, number: int, near: float) -> float:
    return near if part.group == "head" else float(number)


def _shade(group: str, points: FloatArray, lens: Lens) -> float:
    """Return how well lit a limb is: those on the far side of the body lie in its shade."""
    side, _, limb = group.partition("_")
    if limb not in _ROOTS:
        return 1.0
    pair = [POINTS.index(f"{s}_{_ROOTS[limb]}") for s in (side, "left", "right")]
    own, left, right = lens.toward(points[pair])
    behind = max(0.0, float((left + right) / 2 - own))
    return max(_DARKEST, 1.0 - _FAR_SHADE * behind)


_STEEL: Colour = (188, 192, 196)
_PLATE: Colour = (38, 78, 168)  # 20 kg
_HUB: Colour = (206, 208, 212)
_WOOD: Colour = (190, 146, 96)
_INNER, _THICK, _SLEEVE_END = 0.375, 0.035, 0.60  # from the bar's middle, in body heights
_SHAFT, _SLEEVE = 0.009, 0.015
_RING = np.pad(ROUND, ((0, 0), (0, 1)))  # a plate's rim: forward, up, left
_RINGS = np.array([0.97, 0.70, 0.62, 0.24, 0.14])[:, None, None] * _RING  # on its face
_RING_COLOURS = (_PLATE, tinted(_PLATE, 0.80), _PLATE, _HUB, tinted(_HUB, 0.75))
_BOX_HALF = (0.17, 0.24)  # forward, left


@dataclass(frozen=True, slots=True)
class Plate:
    """One end of a barbell: the plate and what sticks out of it."""

    middle: FloatArray  # of the plate's inner face: forward, up, left
    radius: float  # body heights
    out: float  # 1: the left end, -1: the right one

    def paint(self, image: Image, lens: Lens) -> None:
        """Draw the plate and the sleeve's end, whichever is nearer last."""
        outer = np.add(self.middle, (0.0, 0.0, self.out * _THICK))
        end = np.add(self.middle, (0.0, 0.0, self.out * (_SLEEVE_END - _INNER)))
        sleeve = _rod(outer, end, _SLEEVE, lens)
        faces_us = lens.toward(outer) > lens.toward(self.middle)
        if not faces_us:
            paint_blob(image, sleeve)
        face = outer if faces_us else self.middle
        rims = lens.project(
            np.concatenate([self.middle + self.radius * _RING, outer + self.radius * _RING])
        )
        fill(image, hull_of(rims), tinted(_PLATE, 0.72))
        rings = lens.project(face + self.radius * _RINGS)
        for ring, colour in zip(rings, _RING_COLOURS, strict=True):
            fill(image, ring, colour)
        if faces_us:
            paint_blob(image, sleeve)


def bar_parts(
    middle: FloatArray, radius: float, lens: Lens
) -> Iterator[tuple[Depth, Blob | Plate]]:
    """Yield a barbell's parts and how near the camera each is; `middle` is (3,)."""
    ends = [np.add(middle, (0.0, 0.0, out * _INNER)) for out in (1.0, -1.0)]
    yield (float(lens.toward(middle)), 0.0), _rod(ends[0], ends[1], _SHAFT, lens)
    for end, out in zip(ends, (1.0, -1.0), strict=True):
        yield (float(lens.toward(end)), 0.0), Plate(end, radius, out)


def paint_box(image: Image, lens: Lens) -> None:
    """Draw the box to jump off."""
    corners = np.array([(f, u, s) for f in (-1, 1) for u in (0, 1) for s in (-1, 1)], float)
    places = np.add(corners * (_BOX_HALF[0], BOX_UP, _BOX_HALF[1]), (BOX_FORWARD, 0.0, 0.0))
    fill(image, hull_of(lens.project(places)), tinted(_WOOD, 0.80))
    near = np.argsort(lens.toward(places))
    top = places[places[:, 1] > 0]
    fill(image, hull_of(lens.project(places[near[4:]])), _WOOD)
    fill(image, hull_of(lens.project(top)), tinted(_WOOD, 1.15))


def _rod(start: FloatArray, end: FloatArray, radius: float, lens: Lens) -> Blob:
    places = np.stack([start, end])
    return Blob(lens.project(places), radius * lens.scale_px(places), _STEEL)


_FEET = [POINTS.index(f"{side}_{end}") for side in ("left", "right") for end in ("heel", "toe")]


def draw_frame(story: Storyboard, index: int) -> Image:
    """Return one frame of a storyboard: (height, width, 3), RGB, C-contiguous.

    Raises:
        IndexError: the capture has no such frame.
    """
    image = _draw_moment(story.lens, story.moment(index))
    for layer in (*story.layers, *([Noise(story.noise)] if story.noise else [])):
        image = layer.applied(image, index / story.fps, seed=(story.seed, index))
    return image


def _draw_moment(lens: Lens, moment: Moment) -> Image:
    image = empty_room(lens, has_treadmill=moment.has_treadmill).copy()
    for person in moment.people:
        _paint_shadow(image, lens, person)
    if moment.has_box:
        paint_box(image, lens)
    parts = [found for one in moment.people for found in blobs_of(one.points, lens, one.outfit)]
    bar = [] if moment.bar is None else list(bar_parts(moment.bar, moment.plate_radius, lens))
    for _, part in sorted([*parts, *bar], key=lambda found: found[0]):
        if isinstance(part, Blob):
            paint_blob(image, part)
        else:
            part.paint(image, lens)
    return image


def _paint_shadow(image: Image, lens: Lens, person: ScenePerson) -> None:
    """Lay the body's shadow on the floor; the higher the feet, the fainter."""
    feet = person.points[_FEET]
    middle = feet.mean(axis=0) * (1.0, 0.0, 1.0)
    spread_px = float(np.ptp(lens.project(feet)[:, 0])) / 2
    size_px = float(lens.scale_px(middle))
    lift = max(0.0, float(feet[:, 1].min()))
    half_px = (spread_px + 0.10 * size_px, 0.045 * size_px)
    darken(image, lens.project(middle), half_px, 0.55 / (1 + 8 * lift))


# Every packet goes to the disk at once, as with a camera that fears for its power.
_GROWING = {"flush_packets": "1"}
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_CODEC = {"preset": "ultrafast", "crf": "20", "tune": "zerolatency"}


class SceneCamera:
    """Films one storyboard."""

    def __init__(
        self, story: Storyboard, *, fragmented: bool = False, keyframe_every_s: float = 1.0
    ) -> None:
        """Prepare to film.

        Args:
            story: what happens before the camera.
            fragmented: write an MP4 that can be read at any moment, as some recorders do; else
                its index comes at the end, and without it the file is lost.
            keyframe_every_s: more than the capture's length makes a single keyframe.
        """
        self._story = story
        self._options = _GROWING | (_FRAGMENTED if fragmented else {})
        self._keyframe_every = max(1, round(story.fps * keyframe_every_s))

    def record(
        self,
        path: Path,
        *,
        on_frame: Callable[[int], None] | None = None,
    ) -> None:
        """Write the capture straight to `path`, frame by frame.

        Args:
            path: its suffix says the container: .mp4, .mkv, .mov, .avi.
            on_frame: called with the number of frames written so far.
        """
        story = self._story
        with av.open(str(path), "w", options=dict(self._options)) as target:
            stream = self._stream(target)
            for index in range(story.frame_count):
                frame = VideoFrame.from_ndarray(draw_frame(story, index), format="rgb24")
                frame.pts = index
                target.mux(stream.encode(frame))
                if on_frame is not None:
                    on_frame(index + 1)
            target.mux(stream.encode(None))

    def _stream(self, target: OutputContainer) -> VideoStream:
        stream = target.add_stream("libx264", rate=self._story.rate)
        stream.width, stream.height = self._story.width, self._story.height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1) / self._story.rate
        stream.codec_context.gop_size = self._keyframe_every
        stream.codec_context.options = {**_CODEC, "keyint_min": str(self._keyframe_every)}
        return stream
