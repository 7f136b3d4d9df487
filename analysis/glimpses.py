"""Keyframes of a capture, each decoded by itself: a cheap look at all of it.

Each is kept as a small grey picture; on a few of them the model looks for somebody, so that an
empty or dark capture is known for what it is without a closer look.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from analysis.beside import Whereabouts
from analysis.image import Image
from analysis.intervals import Interval
from analysis.landmarker import PoseFinder
from analysis.landmarks import Poses
from analysis.packets import Packets
from analysis.quality.light import PictureFacts, picture_facts
from analysis.sampling import Decoded, decode_keys
from analysis.screening import Glimpse
from analysis.thumbnail import grey_thumbnail
from analysis.video import Progress, Reading, open_video

_LOOK_EVERY_S = 8.0
_MOST_LOOKS = 24
_LONGEST_PX = 640
_OTHERS_A_TAKE = 3  # keyframes of each take on which others are looked for
_OTHERS_AT_MOST = 12


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
    if not pictures:
        return _first_shown(path, finder)
    return Glimpses(pictures, facts, reading)


def look_for_others(
    path: Path,
    packets: Packets,
    takes: Sequence[Interval],
    finder: PoseFinder,
    *,
    on_progress: Progress,
) -> list[tuple[float, float]]:
    """Look at a few keyframes of each take for a second body.

    The model finds one body at a time, so the first is painted over and the model asked again.

    Returns:
        For each look that found somebody: presentation time, and the torso of the second body
        against the first one's, 0 where there is none.

    Raises:
        VideoError: the file cannot be used.
    """
    numbers: set[int] = set()
    for take in takes:
        times_s = packets.times_s[packets.shown_keys]
        inside = packets.shown_keys[(times_s >= take.start_s) & (times_s < take.end_s)]
        if not len(inside):
            continue
        numbers.update(inside[np.linspace(0, len(inside) - 1, _OTHERS_A_TAKE).astype(int)])
        if len(numbers) >= _OTHERS_AT_MOST:
            break
    seen: list[tuple[float, float]] = []
    if not numbers:
        return seen
    with open_video(path) as reading:
        reading.stream.thread_type = "NONE"  # as above
        for decoded in decode_keys(reading, numbers):
            on_progress(1.0)
            image = reading.upright(decoded.frame, longest_px=_LONGEST_PX)
            first = _one_body(image, finder)
            if first is None:
                continue
            without = Whereabouts.of(first).painted_over(image, 0.0)
            second = _one_body(np.ascontiguousarray(without), finder)
            share = 0.0 if second is None else float(second.torso_px()[0] / first.torso_px()[0])
            seen.append((decoded.time_s, share))
    return seen


def _one_body(image: Image, finder: PoseFinder) -> Poses | None:
    """Return the body in a single picture, at time 0."""
    finder.forget()
    found = finder.find(image)
    if found is None:
        return None
    return Poses(
        times_s=np.zeros(1),
        points_px=found[0][None],
        visibility=found[1][None],
        width_px=image.shape[1],
        height_px=image.shape[0],
    )


def _first_shown(path: Path, finder: PoseFinder) -> Glimpses:
    """Return the first frame that is shown, where no keyframe shows anything by itself."""
    with open_video(path) as reading:
        facts = [
            _look_at(Decoded(0, time_s, frame), reading, finder)
            for time_s, frame in islice(reading.decode(), 1)
        ]
    return Glimpses([], facts, reading)


def _look_at(decoded: Decoded, reading: Reading, finder: PoseFinder) -> PictureFacts:
    image = reading.upright(decoded.frame, longest_px=_LONGEST_PX)
    finder.forget()  # seconds later a body is elsewhere: it must be found anew, not followed
    found = finder.find(image)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype("uint8", copy=False)
    return picture_facts(decoded.time_s, luma, points=None if found is None else found[0])
