"""Drawing a whole frame: room, barbell, box, and the body between them."""

from functools import lru_cache

import cv2
import numpy as np

from agent.sandbox.drawn.figure import Figure, Image, draw_from_front, draw_from_side
from agent.sandbox.drawn.storyboard import FIGURE_SHARE, Moment, Storyboard

_WALL_TOP, _WALL_FOOT = (206, 212, 214), (182, 188, 190)
_FLOOR_BACK, _FLOOR_FRONT = (112, 104, 98), (84, 78, 74)
_BOARD, _PLATE, _RING, _STEEL, _BOX = (
    (150, 140, 130),
    (172, 52, 46),
    (230, 226, 220),
    (170, 174, 178),
    (156, 118, 76),
)


def draw_frame(story: Storyboard, index: int) -> Image:
    """Return one frame of a storyboard: (height, width, 3), RGB, C-contiguous."""
    moment = story.moment(index / story.fps)
    image = _room(story.width, story.height).copy()
    size = story.height * FIGURE_SHARE
    if moment.box_px is not None:
        _draw_box(image, moment.box_px)
    if story.view == "front" or moment.joints_px is None:
        _draw_body(image, story, moment, size)
        _draw_bar(image, story, moment, size)
    else:
        _draw_bar(image, story, moment, size)
        _draw_body(image, story, moment, size)
    return _expose(image, story, index)


def _draw_body(image: Image, story: Storyboard, moment: Moment, size: float) -> None:
    if moment.joints_px is None:
        return
    figure = Figure(moment.joints_px, size)
    if story.view == "side":
        draw_from_side(image, figure)
    else:
        draw_from_front(image, figure)


def _draw_bar(image: Image, story: Storyboard, moment: Moment, size: float) -> None:
    if moment.bar_px is None:
        return
    x, y = (round(value) for value in moment.bar_px)
    radius = round(0.115 * size)
    if story.view == "side":
        cv2.circle(image, (x, y), radius, _PLATE, -1, cv2.LINE_AA)
        cv2.circle(image, (x, y), round(radius * 0.62), _RING, 2, cv2.LINE_AA)
        cv2.circle(image, (x, y), max(3, radius // 6), _STEEL, -1, cv2.LINE_AA)
        return
    half = round(moment.bar_half_px)
    cv2.line(image, (x - half, y), (x + half, y), _STEEL, max(2, round(0.014 * size)), cv2.LINE_AA)
    for sign in (-1, 1):
        left, right = sorted((x + sign * half, x + sign * round(half * 0.88)))
        cv2.rectangle(image, (left, y - radius), (right, y + radius), _PLATE, -1, cv2.LINE_AA)


def _draw_box(image: Image, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = (round(value) for value in box)
    cv2.rectangle(image, (left, top), (right, bottom), _BOX, -1)
    cv2.rectangle(
        image, (left, top), (right, top + max(2, (bottom - top) // 8)), (184, 146, 100), -1
    )


@lru_cache(maxsize=4)
def _room(width: int, height: int) -> Image:
    """Return the empty room: a wall with boards, a floor with a mat."""
    image = np.empty((height, width, 3), dtype=np.uint8)
    horizon = round(height * 0.80)
    image[:horizon] = _gradient(_WALL_TOP, _WALL_FOOT, horizon)[:, None]
    image[horizon:] = _gradient(_FLOOR_BACK, _FLOOR_FRONT, height - horizon)[:, None]
    for share in (0.12, 0.37, 0.63, 0.88):
        x = round(width * share)
        cv2.line(image, (x, 0), (x, horizon), (172, 178, 182), 1, cv2.LINE_AA)
    cv2.rectangle(image, (0, horizon - max(2, height // 60)), (width, horizon), _BOARD, -1)
    middle, half = width // 2, round(height * 0.62)
    mat = np.array(
        [
            (middle - half, round(height * 0.86)),
            (middle + half, round(height * 0.86)),
            (middle + round(half * 1.12), round(height * 0.99)),
            (middle - round(half * 1.12), round(height * 0.99)),
        ],
        dtype=np.int32,
    )
    cv2.fillPoly(image, [mat], (62, 66, 72), cv2.LINE_AA)
    return image


def _gradient(
    first: tuple[int, int, int], last: tuple[int, int, int], steps: int
) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    share = np.linspace(0.0, 1.0, steps)[:, None]
    return (np.array(first) * (1 - share) + np.array(last) * share).astype(np.uint8)


def _expose(image: Image, story: Storyboard, index: int) -> Image:
    """Return the frame with the storyboard's light and the sensor's noise."""
    if story.brightness == 1.0 and story.noise == 0.0:
        return image
    light = image.astype(np.float32) * story.brightness
    if story.noise:
        chance = np.random.default_rng((story.seed, index))
        light += chance.normal(0.0, story.noise, image.shape).astype(np.float32)
    exposed: Image = np.clip(light, 0, 255).astype(np.uint8)
    return exposed
