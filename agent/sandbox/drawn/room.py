"""The empty place: a wall, a floor and a platform, slightly out of focus as behind an athlete."""

from functools import lru_cache

import cv2
import numpy as np

from agent.sandbox.drawn.body import FloatArray
from agent.sandbox.drawn.brush import ROUND, Colour, Image, fill, tinted
from agent.sandbox.drawn.lens import Lens

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
