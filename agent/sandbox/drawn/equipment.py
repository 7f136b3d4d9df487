"""The barbell, the box and the treadmill's belt."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agent.sandbox.drawn.body import FloatArray
from agent.sandbox.drawn.brush import ROUND, Blob, Colour, Image, fill, hull_of, paint_blob, tinted
from agent.sandbox.drawn.figure import Depth
from agent.sandbox.drawn.jumps import BOX_FORWARD, BOX_UP
from agent.sandbox.drawn.lens import Lens

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
