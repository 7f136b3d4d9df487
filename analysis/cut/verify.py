"""Verifies a clip: its frames, their times, its first and last picture.

Pictures are compared as players show them, in their colours, shape and orientation: what is
stored may be the same and yet be shown otherwise, and the other way round.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from analysis.display import Appearance, fitted, shown_rgb
from analysis.landmarks import FloatArray
from analysis.sampling import frame_shown_at, leave_unsmoothed
from analysis.video import Progress, VideoReading, open_video

_TICK_S = 0.0011  # containers count milliseconds at the coarsest
_LONGEST_PX = 160
_FINE = 8  # parts of a small pixel: bars end anywhere in one
_LEAST_SHRUNK = 4  # so that half a pixel, by which chroma is sited differently, hardly counts
_BLOCK_PX = 4  # of the small picture: their means hardly change at a low rate
_SAME = 0.01  # levels; fractions that are worked out twice
_ALIKE = 3.0  # levels by which colours may move; a lost range or another matrix costs 4 and more
_NEAR = 8.0  # levels, mean over the blocks: even a low rate keeps within it
_SIDE_ALIKE = 0.02  # share of a side


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One frame as players show it, small."""

    look: Appearance
    rgb: FloatArray  # (height, width, 3), 0 to 255, as stored: neither turned nor mirrored

    @property
    def upright(self) -> FloatArray:
        """The small picture turned and mirrored."""
        return self.look.orientation.upright(self.rgb)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedFrames:
    """What players show of a clip."""

    times_s: Sequence[float]
    first: Picture
    last: Picture
    sizes: frozenset[tuple[int, int]]  # all that its frames are stored in
    has_fields: bool  # whether any frame is interlaced


def picture_of(
    reading: VideoReading,
    frame: VideoFrame,
    scaler: VideoReformatter,
    *,
    kept: tuple[int, int] | None = None,
) -> Picture:
    """Return the frame that was decoded last, small; a clip may have `kept` only some of it."""
    look = reading.appearance_of(frame)
    sides = kept or (look.width, look.height)
    across, down = sides[0] * float(look.aspect or 1), float(sides[1])
    scale = min(_LONGEST_PX / max(across, down), 1 / _LEAST_SHRUNK)
    size = (max(_BLOCK_PX, round(across * scale)), max(_BLOCK_PX, round(down * scale)))
    return Picture(look=look, rgb=shown_rgb(frame, scaler, kept=sides, size=size))


def look_at(path: Path, *, on_progress: Progress, unsmoothed: bool = False) -> PlayedFrames | None:
    """Decode a clip from end to end; None where it shows nothing.

    Args:
        path: the clip.
        on_progress: called while the work continues.
        unsmoothed: whether pictures may lack the decoder's filter between blocks, as those do with
            which they are compared.
    """
    times_s, sizes, has_fields = [], set(), False
    first, last = None, None
    scaler = VideoReformatter()
    with open_video(path) as reading:
        if unsmoothed:
            leave_unsmoothed(reading)
        for time_s, frame in reading.decode():
            times_s.append(time_s)
            sizes.add((frame.width, frame.height))
            has_fields = has_fields or bool(frame.interlaced_frame)
            first = picture_of(reading, frame, scaler) if first is None else first
            last = frame
            on_progress(1.0)  # a long clip takes a while: that is no stall
        if first is None or last is None or reading.damaged_at_s:
            return None
        return PlayedFrames(
            times_s=times_s,
            first=first,
            last=picture_of(reading, last, scaler),
            sizes=frozenset(sizes),
            has_fields=has_fields,
        )


def picture_at(path: Path, at_s: float, *, on_progress: Progress) -> Picture | None:
    """Return a capture's own picture at a presentation time, unsmoothed; None if it is not found.

    From the same keyframe on, the packets of a lossless clip show the very same.
    """
    with open_video(path, from_s=at_s) as reading:
        leave_unsmoothed(reading)
        shown = frame_shown_at(reading, at_s, on_progress=on_progress)
        if shown is None or abs(shown.time_s - at_s) >= _TICK_S:
            return None
        return picture_of(reading, shown.frame, VideoReformatter())


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a clip should show."""

    times_s: Sequence[float]  # its frames' presentation times in the capture
    first: Picture | None  # the capture's own; None where it cannot be found again
    last: Picture | None
    look: Appearance  # of the capture's picture after which the clip's were shaped
    has_fields: bool
    is_smaller: bool = False  # a rendition


def difference(shown: PlayedFrames | None, expected: Expected, *, exact: bool) -> str | None:
    """Return in words what is wrong with a clip, or None.

    Args:
        shown: what the clip shows.
        expected: what it should show.
        exact: whether the pictures must be the very same.
    """
    if wrong := _wrong_frames(shown, expected):
        return wrong
    assert shown is not None  # it has frames
    if not _is_shaped(shown.first.look, expected):
        return f"it would be shown as {_told(shown.first.look)}, not as {_told(expected.look)}"
    if expected.has_fields and not shown.has_fields:
        return "its fields would be lost"
    for own, original in ((shown.first, expected.first), (shown.last, expected.last)):
        if wrong := _unlike(own, original, exact=exact):
            return wrong
    return None


def _wrong_frames(shown: PlayedFrames | None, expected: Expected) -> str | None:
    """Return what is wrong with a clip's frames and their times."""
    times_s = expected.times_s
    if shown is None or len(shown.times_s) != len(times_s):
        return f"it would show {len(shown.times_s) if shown else 0} of {len(times_s)} frames"
    wanted_s = np.asarray(times_s) - times_s[0]
    if np.abs(np.asarray(shown.times_s) - wanted_s).max() > _TICK_S:
        return "it would show frames at other times"
    if len(shown.sizes) != 1:
        return "the picture's size changes in it"
    return None


def _is_shaped(own: Appearance, expected: Expected) -> bool:
    """Tell whether a clip is as wide and as high as it should be, in square pixels."""
    pairs = list(zip(own.shown_size, expected.look.shown_size, strict=True))
    if expected.is_smaller:
        shares = [side / wanted for side, wanted in pairs]
        return abs(shares[0] / shares[1] - 1) < 2 * _SIDE_ALIKE
    return all(abs(side - wanted) <= max(4.0, _SIDE_ALIKE * wanted) for side, wanted in pairs)


def _unlike(own: Picture, original: Picture | None, *, exact: bool) -> str | None:
    """Return how a clip's picture differs from the capture's, as players show them."""
    if original is None:
        return "its first and last picture cannot be found again"
    mine, theirs = own.look.colours, original.look.colours
    if mine.transfer != theirs.transfer or mine.primaries != theirs.primaries:
        return "its colours would be shown in another colour space"
    if exact and own.look.orientation != original.look.orientation:
        return "it would be turned or mirrored otherwise"
    if exact and own.rgb.shape == original.rgb.shape:
        is_same = float(np.abs(own.rgb - original.rgb).max()) < _SAME
        return None if is_same else "it would begin or end with another picture"
    return _off(own.upright, original.upright)


def _off(small: FloatArray, original: FloatArray) -> str | None:
    """Return how far an encoded picture is from the capture's.

    What an encoder loses scatters about the truth; a lost range, another matrix or another depth
    moves all alike colours alike.  So the best linear map from the capture's colours to the clip's
    is found, and how far that moves them is the error; the rest is only kept from being another
    picture.
    """
    own, wanted, has_bars = _shared(small, original)
    if has_bars:  # they end anywhere in a small pixel, so that places cannot be compared
        levels = float(np.abs(own.mean(axis=(0, 1)) - wanted.mean(axis=(0, 1))).max())
        return None if levels <= _ALIKE else f"a picture in it is {levels:.1f} levels off"
    mine, theirs = (_blocks(part).reshape(-1, 3) for part in (own, wanted))
    told = np.hstack([theirs, np.ones((len(theirs), 1))])
    moved = told @ np.linalg.lstsq(told, mine - theirs, rcond=None)[0]
    if (levels := float(np.abs(moved).mean(axis=0).max())) > _ALIKE:
        return f"the colours of its first or last picture are {levels:.1f} levels off"
    if float(np.abs(mine - theirs).mean()) > _NEAR:
        return "it would begin or end with another picture"
    return None


def _told(look: Appearance) -> str:
    width, height = look.shown_size
    return f"{width}x{height}"


def _shared(small: FloatArray, original: FloatArray) -> tuple[FloatArray, FloatArray, bool]:
    """Return a clip's small picture without its bars, the capture's, and whether there are bars."""
    height, width = small.shape[:2]
    shape = (original.shape[1], original.shape[0])
    if fitted(shape, (width, height)) == (width, height):
        wanted = cv2.resize(original, (width, height), interpolation=cv2.INTER_AREA)
        return small, wanted.astype(np.float64, copy=False), False
    scale = min(width / shape[0], height / shape[1])
    fine = small.repeat(_FINE, axis=0).repeat(_FINE, axis=1)
    left = round((width - shape[0] * scale) / 2 * _FINE)
    top = round((height - shape[1] * scale) / 2 * _FINE)
    return fine[top : len(fine) - top, left : fine.shape[1] - left], original, True


def _blocks(picture: FloatArray) -> FloatArray:
    """Return the means of blocks; a rest at the right and bottom is left out."""
    rows, columns = (max(1, side // _BLOCK_PX) for side in picture.shape[:2])
    kept = picture[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    tall, wide = kept.shape[0] // rows, kept.shape[1] // columns
    means: FloatArray = kept.reshape(rows, tall, columns, wide, 3).mean(axis=(1, 3))
    return means
