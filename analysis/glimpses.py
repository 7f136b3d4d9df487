"""Keyframes of a capture, each decoded by itself: a cheap look at all of it.

Each is kept as a small grey picture; on a few of them the model looks for somebody, so that an
empty or dark capture is known for what it is without a closer look.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import cv2

from analysis.landmarker import PoseFinder
from analysis.packets import Packets
from analysis.quality.light import PictureFacts, picture_facts
from analysis.sampling import Decoded, decode_keys
from analysis.screening import Glimpse
from analysis.thumbnail import grey_thumbnail
from analysis.video import Progress, Reading, open_video

_LOOK_EVERY_S = 8.0
_MOST_LOOKS = 24
_LONGEST_PX = 640


@dataclass(frozen=True, slots=True)
class Glimpses:
    """What the keyframes showed."""

    pictures: list[Glimpse]
    facts: list[PictureFacts]
    reading: Reading  # closed


def take_glimpses(
    path: Path,
    packets: Packets,
    numbers: Collection[int],
    finder: PoseFinder,
    *,
    on_progress: Progress,
) -> Glimpses:
    """Decode single keyframes and let the model look at some.

    Raises:
        VideoError: the file cannot be used.
    """
    every_s = max(_LOOK_EVERY_S, packets.span.seconds / _MOST_LOOKS)
    looked_s = float("-inf")
    pictures: list[Glimpse] = []
    facts: list[PictureFacts] = []
    with open_video(path) as reading:
        reading.stream.thread_type = "NONE"  # no frame waits for the next one
        for decoded in decode_keys(reading, numbers):
            on_progress(0.0)
            grey = grey_thumbnail(decoded.frame, like=(reading.width, reading.height))
            pictures.append(Glimpse(decoded.number, decoded.time_s, grey))
            if decoded.time_s - looked_s >= every_s:
                looked_s = decoded.time_s
                facts.append(_look_at(decoded, reading, finder))
    return Glimpses(pictures, facts, reading)


def _look_at(decoded: Decoded, reading: Reading, finder: PoseFinder) -> PictureFacts:
    image = reading.upright(decoded.frame, longest_px=_LONGEST_PX)
    finder.forget()  # seconds later a body is elsewhere: it must be found anew, not followed
    found = finder.find(image)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype("uint8", copy=False)
    return picture_facts(decoded.time_s, luma, points=None if found is None else found[0])
