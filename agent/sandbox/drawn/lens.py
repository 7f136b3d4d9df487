"""The lens: from places in the room to pixels.  Pure.

A level pinhole camera that looks at the athlete's place, from the side or from ahead.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from agent.sandbox.drawn.body import FloatArray

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
