"""Anti-aliased round shapes with light and shade, their projection to pixels, and disturbances.

A disturbance (noise, other light, a shaking camera) is a layer, any value with `applied`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.synthetic.body import Colour, FloatArray

Image = NDArray[np.uint8]  # (height, width, 3), RGB

_FRACTION_BITS = 4  # smooth movement needs more than whole pixels
_AROUND = np.linspace(0, 2 * np.pi, 24, endpoint=False)
ROUND: FloatArray = np.stack([np.cos(_AROUND), np.sin(_AROUND)], axis=-1)  # the unit circle
# Light comes from above left: from the shaded rim inward, each layer smaller and brighter.
_SHARES, _ASIDES = np.array([1.0, 0.86, 0.68, 0.38]), np.array([0.0, -0.08, -0.17, -0.30])
_LIGHTS = (0.78, 0.92, 1.02, 1.10)
# Rims of a circle of radius 1, shape (layers, 1, corners, 2).
_LAYERS: FloatArray = (
    _ASIDES[:, None, None] * np.array([0.7, 1.0]) + _SHARES[:, None, None] * ROUND
)[:, None]
_SMALLEST_SHADED_PX = 2.0  # smaller things need no light and shade


@dataclass(frozen=True, slots=True)
class Blob:
    """The hull of some circles: a limb, a torso, a head."""

    centres_px: FloatArray  # (N, 2)
    radii_px: FloatArray  # (N,)
    colour: Colour
    shade: float = 1.0  # 1: full light


def paint_blob(image: Image, blob: Blob) -> None:
    """Draw a hull of circles, rounded by light and shade."""
    is_small = blob.radii_px.max() < _SMALLEST_SHADED_PX
    shapes, lights = (_LAYERS[:1], (1.0,)) if is_small else (_LAYERS, _LIGHTS)
    rims_px = blob.centres_px[:, None] + blob.radii_px[:, None, None] * shapes
    for points_px, light in zip(rims_px.reshape(len(lights), -1, 2), lights, strict=True):
        fill(image, hull_of(points_px), tinted(blob.colour, light * blob.shade))


def hull_of(points_px: FloatArray) -> FloatArray:
    """Return the corners of the convex hull of points, (N, 2) both."""
    corners: FloatArray = cv2.convexHull(points_px.astype(np.float32)).astype(np.float64)[:, 0]
    return corners


def fill(image: Image, corners_px: FloatArray, colour: Colour) -> None:
    """Fill a convex polygon, (N, 2) corners."""
    points = np.rint(corners_px * (1 << _FRACTION_BITS)).astype(np.int32)
    cv2.fillConvexPoly(image, points, colour, cv2.LINE_AA, _FRACTION_BITS)


@lru_cache(maxsize=4096)
def tinted(colour: Colour, light: float) -> Colour:
    """Return the colour in more light (above 1) or less."""
    red, green, blue = (min(255, round(part * light)) for part in colour)
    return red, green, blue


def darken(image: Image, centre_px: FloatArray, half_px: tuple[float, float], depth: float) -> None:
    """Lay a soft shadow, an ellipse that fades out, on the picture."""
    height, width = image.shape[:2]
    left, top = (round(float(c) - h) for c, h in zip(centre_px, half_px, strict=True))
    wide, high = (max(2, round(2 * h)) for h in half_px)
    x0, x1, y0, y1 = max(left, 0), min(left + wide, width), max(top, 0), min(top + high, height)
    if x0 >= x1 or y0 >= y1:
        return
    across = (np.arange(x0, x1) - left + 0.5) / wide * 2 - 1
    down = (np.arange(y0, y1) - top + 0.5) / high * 2 - 1
    fade = np.clip(1 - across[None] ** 2 - down[:, None] ** 2, 0, 1).astype(np.float32)
    under = image[y0:y1, x0:x1]
    under[:] = (under * (1 - depth * fade)[..., None]).astype(np.uint8)


View = Literal["side", "front", "oblique"]

FIGURE_SHARE = 0.62  # of the picture's height, somebody who stands at the athlete's place
FLOOR_SHARE = 0.93  # of the picture's height, from above: the floor at that place
_DISTANCE = 3.6  # body heights
_EYE_UP = 0.6  # body heights
_AZIMUTH_DEG = {"side": 0.0, "oblique": 40.0, "front": 90.0}
_TURNED = {
    view: (float(np.sin(np.radians(turn_deg))), float(np.cos(np.radians(turn_deg))))
    for view, turn_deg in _AZIMUTH_DEG.items()
}


@dataclass(frozen=True, slots=True)
class Lens:
    """A camera's place and the size of its picture."""

    view: View
    width: int  # px
    height: int  # px

    @property
    def size_px(self) -> float:
        """How many px one body height is at the athlete's place."""
        return FIGURE_SHARE * self.height

    @property
    def crossing_deg(self) -> float:
        """Which way somebody faces who walks through the picture from left to right."""
        return _AZIMUTH_DEG[self.view]

    @property
    def half_crossing(self) -> float:
        """Body heights from the athlete's place to well outside the picture."""
        return self.width / 2 / self.size_px + 0.55

    def toward(self, places: FloatArray) -> FloatArray:
        """Return how near the camera places (..., 3) are, (...), in body heights."""
        sine, cosine = _TURNED[self.view]
        nearness: FloatArray = places[..., 0] * sine - places[..., 2] * cosine
        return nearness

    def scale_px(self, places: FloatArray) -> FloatArray:
        """Return how many px one body height is at places (..., 3), (...)."""
        return self.size_px * _DISTANCE / np.maximum(_DISTANCE - self.toward(places), 0.3)

    def project(self, places: FloatArray) -> FloatArray:
        """Return where places (..., 3: forward, up, left) are in the picture, (..., 2), in px."""
        sine, cosine = _TURNED[self.view]
        scale_px = self.scale_px(places)
        eye_px = FLOOR_SHARE * self.height - _EYE_UP * self.size_px
        seen_px = np.empty((*places.shape[:-1], 2))
        seen_px[..., 0] = (
            self.width / 2 + (places[..., 0] * cosine + places[..., 2] * sine) * scale_px
        )
        seen_px[..., 1] = eye_px + (_EYE_UP - places[..., 1]) * scale_px
        return seen_px


Seed = tuple[int, int]  # of the storyboard, of the frame


class PictureLayer(Protocol):
    """Something that changes the drawn picture."""

    def applied(self, image: Image, at_s: float, *, seed: Seed) -> Image:
        """Return the picture as it is at a moment of the capture."""


@dataclass(frozen=True, slots=True)
class Noise:
    """The grain of a sensor, new in every frame."""

    deviation: float  # standard deviation, of 255

    def applied(self, image: Image, at_s: float, *, seed: Seed) -> Image:  # noqa: ARG002  # always there
        """Return the picture with noise on it."""
        height, width = image.shape[:2]
        grain = _grain(height + _SPARE, width + _SPARE, round(self.deviation * 100))
        down, right = np.random.default_rng(seed).integers(0, _SPARE, 2)
        noisy: Image = cv2.add(
            image, grain[down : down + height, right : right + width], dtype=cv2.CV_8U
        ).astype(np.uint8, copy=False)
        return noisy


_SPARE = 64  # px: one large grain, seen through a window that jumps, is as good as a new one


@lru_cache(maxsize=4)
def _grain(height: int, width: int, deviation_hundredths: int) -> NDArray[np.int16]:
    chance = np.random.default_rng(0)
    grain = chance.normal(0.0, deviation_hundredths / 100, (height, width, 3))
    return np.round(grain).astype(np.int16)
