"""A whole picture: the room, the people in it and their equipment, the far things first."""

import numpy as np

from agent.sandbox.drawn.body import POINTS
from agent.sandbox.drawn.brush import Blob, Image, darken, paint_blob
from agent.sandbox.drawn.equipment import bar_parts, paint_box
from agent.sandbox.drawn.figure import blobs_of
from agent.sandbox.drawn.layers import Noise
from agent.sandbox.drawn.lens import Lens
from agent.sandbox.drawn.room import empty_room
from agent.sandbox.drawn.storyboard import Moment, Person, Storyboard

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


def _paint_shadow(image: Image, lens: Lens, person: Person) -> None:
    """Lay the body's shadow on the floor; the higher the feet, the fainter."""
    feet = person.points[_FEET]
    middle = feet.mean(axis=0) * (1.0, 0.0, 1.0)
    spread_px = float(np.ptp(lens.project(feet)[:, 0])) / 2
    size_px = float(lens.scale_px(middle))
    lift = max(0.0, float(feet[:, 1].min()))
    half_px = (spread_px + 0.10 * size_px, 0.045 * size_px)
    darken(image, lens.project(middle), half_px, 0.55 / (1 + 8 * lift))
