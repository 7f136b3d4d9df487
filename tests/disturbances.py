"""What disturbs a drawn picture: other light, a shaking camera, a plate that swings."""

from dataclasses import dataclass

import cv2
import numpy as np

from agent.synthetic.shapes import Image, Seed

_SWING_PERIOD_S, _CALMED_S = 1.8, 9.0


@dataclass(frozen=True, slots=True)
class Light:
    """Other light from one moment on."""

    factor: float  # 1: as drawn; 0.08: too dark for the pose model
    from_s: float = 0.0
    until_s: float = float("inf")

    def applied(self, image: Image, at_s: float, *, seed: Seed) -> Image:  # noqa: ARG002  # no chance in it
        """Return the picture in that light, if it is its time."""
        if not self.from_s <= at_s < self.until_s:
            return image
        lit: Image = cv2.convertScaleAbs(image, alpha=self.factor).astype(np.uint8, copy=False)
        return lit


@dataclass(frozen=True, slots=True)
class Shake:
    """A camera that is not held still."""

    deviation_px: float
    from_s: float = 0.0
    until_s: float = float("inf")

    def applied(self, image: Image, at_s: float, *, seed: Seed) -> Image:
        """Return the picture moved a little, if it is its time."""
        if not self.from_s <= at_s < self.until_s:
            return image
        right, down = np.random.default_rng(seed).normal(0.0, self.deviation_px, 2)
        move = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
        size = (image.shape[1], image.shape[0])
        shaken: Image = cv2.warpAffine(image, move, size, borderMode=cv2.BORDER_REPLICATE).astype(
            np.uint8, copy=False
        )
        return shaken


@dataclass(frozen=True, slots=True)
class HangingPlate:
    """A plate on a chain at the picture's side; once pushed it swings for long."""

    across: float = 0.14  # of the picture's width
    pushed_s: float = 0.0
    swing_deg: float = 22.0

    def applied(self, image: Image, at_s: float, *, seed: Seed) -> Image:  # noqa: ARG002  # no chance in it
        """Return the picture with the plate in it."""
        height, width = image.shape[:2]
        since_s = max(0.0, at_s - self.pushed_s)
        swing = np.radians(self.swing_deg) * np.exp(-since_s / _CALMED_S)
        angle = swing * np.sin(2 * np.pi * since_s / _SWING_PERIOD_S)
        top = np.array([self.across * width, 0.1 * height])
        end = top + 0.38 * height * np.array([np.sin(angle), np.cos(angle)])
        hung = image.copy()
        first, last = ((round(float(x)), round(float(y))) for x, y in (top, end))
        cv2.line(hung, first, last, (70, 72, 76), 2, cv2.LINE_AA)
        cv2.circle(hung, last, round(0.09 * height), (38, 78, 168), -1, cv2.LINE_AA)
        cv2.circle(hung, last, round(0.02 * height), (206, 208, 212), -1, cv2.LINE_AA)
        return hung
