"""Pictures of a capture: poster, filmstrip, and a plot of its activity."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from analysis.landmarks import BONES, FloatArray
from analysis.pose_model import PoseFinder
from analysis.primitives import Image
from analysis.report import Report
from analysis.sampling import decode_keys, frame_shown_at
from analysis.video import Progress, VideoError, VideoFault, open_video, read_packets

_WIDTH, _HEIGHT = 600, 100
_PLOT_HEIGHT = 80  # the rest is for the clock
_FULL_SPEED = 3.0  # torso lengths a second at the upper edge
_GAP_S = 1.5  # without a look for longer, nothing was seen to move
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MOST_TICKS = 10


def activity_svg(report: Report) -> str:
    """Return the plot as a picture that any browser shows, at any size."""
    seconds = max(report.video.duration_s, 1e-3)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="activity, {len(report.takes)} takes">',
        f'<rect width="{_WIDTH}" height="{_PLOT_HEIGHT}" fill="#f3f4f6"/>',
        *_takes(report, seconds),
        f'<path d="{_path(report, seconds)}" fill="#3b82f6" fill-opacity="0.75"/>',
        *_clock(seconds),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _takes(report: Report, seconds: float) -> Iterator[str]:
    for number, take in enumerate(report.takes, start=1):
        left, right = _across(take.start_s, seconds), _across(take.end_s, seconds)
        yield (
            f'<rect x="{left:.1f}" width="{right - left:.1f}" height="{_PLOT_HEIGHT}" '
            f'fill="#22c55e" fill-opacity="0.25"/>'
        )
        yield f'<text x="{left + 3:.1f}" y="12" font-size="11" fill="#15803d">{number}</text>'


def _path(report: Report, seconds: float) -> str:
    """Return the curve as one filled shape; it lies on the ground where nobody looked."""
    times_s, speeds = report.curve.times_s, report.curve.speed
    words = [f"M0 {_PLOT_HEIGHT}"]
    points = list(zip(times_s, speeds, strict=True))
    for before, (time_s, speed) in pairwise([(-_GAP_S * 2, 0.0), *points]):
        if time_s - before[0] > _GAP_S:
            words.append(f"L{_across(max(before[0], 0.0), seconds):.1f} {_PLOT_HEIGHT}")
            words.append(f"L{_across(time_s, seconds):.1f} {_PLOT_HEIGHT}")
        height = min(speed / _FULL_SPEED, 1.0) * (_PLOT_HEIGHT - 4)
        words.append(f"L{_across(time_s, seconds):.1f} {_PLOT_HEIGHT - height:.1f}")
    if points:
        words.append(f"L{_across(points[-1][0], seconds):.1f} {_PLOT_HEIGHT}")
    return " ".join([*words, "Z"])


def _clock(seconds: float) -> Iterator[str]:
    step_s = next((step for step in _STEPS_S if seconds / step <= _MOST_TICKS), _STEPS_S[-1])
    for at_s in range(0, int(seconds) + 1, step_s):
        x = _across(at_s, seconds)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_PLOT_HEIGHT}" y2="84" stroke="#6b7280"/>'
        yield (
            f'<text x="{x:.1f}" y="96" font-size="11" fill="#374151" '
            f'text-anchor="{_anchor(x)}">{at_s // 60}:{at_s % 60:02d}</text>'
        )


def _anchor(x: float) -> str:
    return "start" if x < 12 else "end" if x > _WIDTH - 12 else "middle"


def _across(at_s: float, seconds: float) -> float:
    return min(max(at_s / seconds, 0.0), 1.0) * _WIDTH


_QUALITY = 85


def write_jpeg(image: Image, path: Path) -> None:
    """Write a picture.

    Raises:
        OSError: it could not be written, most likely for want of space.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done  # a picture of bytes can always be encoded
    path.write_bytes(encoded.tobytes())


_SMALL_LONGEST_PX = 240
_SMALL_BYTES = 16_000  # what a board of many stations shows of each


def draw_thumbnail(picture: Path, *, out: Path) -> tuple[int, int]:
    """Write a small copy of a poster, of at most 16 kB; return width and height.

    Raises:
        OSError: the poster cannot be read, or the copy not be written.
    """
    image = cv2.imread(str(picture))
    if image is None:
        raise OSError(f"{picture} cannot be read")
    scale = min(1.0, _SMALL_LONGEST_PX / max(image.shape[:2]))
    size = tuple(max(16, round(side * scale)) for side in image.shape[1::-1])
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    for quality in (80, 60, 40, 20):
        _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(encoded) <= _SMALL_BYTES:
            break
    out.write_bytes(encoded.tobytes())
    return size[0], size[1]


_MOMENTS = 6
_FILMSTRIP_LONGEST_PX = 240  # of one moment
_GAP_PX = 4


def draw_filmstrip(
    path: Path, *, start_s: float, end_s: float, out: Path, on_progress: Progress
) -> tuple[int, int]:
    """Write evenly spaced moments of `[start_s, end_s)` as one JPEG; return width and height.

    Raises:
        VideoError: no frame can be decoded.
    """
    step_s = (end_s - start_s) / _MOMENTS
    moments_s = [start_s + (number + 0.5) * step_s for number in range(_MOMENTS)]
    pictures = _keyframes(path, moments_s, step_s) or list(_pictures(path, moments_s, on_progress))
    if not pictures:
        raise VideoError("no picture in it can be decoded", fault=VideoFault.UNREADABLE)
    strip = _side_by_side(pictures)
    write_jpeg(strip, out)
    return strip.shape[1], strip.shape[0]


def _keyframes(path: Path, moments_s: list[float], step_s: float) -> list[Image]:
    """Return the keyframe next to each moment; none where one is nearer to another moment."""
    packets = read_packets(path)
    keys = packets.shown_keys
    if not len(keys):
        return []
    away_s = np.abs(packets.times_s[keys][:, np.newaxis] - moments_s)
    if away_s.min(axis=0).max() >= step_s / 2:
        return []
    numbers = keys[away_s.argmin(axis=0)].tolist()
    with open_video(path, from_s=moments_s[0] - step_s / 2) as reading:
        reading.stream.thread_type = "NONE"  # no frame waits for the next one
        pictures = [
            reading.upright(decoded.frame, longest_px=_FILMSTRIP_LONGEST_PX)
            for decoded in decode_keys(reading, numbers)
        ]
    return pictures if len(pictures) == len(moments_s) else []


def _pictures(path: Path, moments_s: list[float], on_progress: Progress) -> Iterator[Image]:
    """Yield the frame shown at each moment, in order; one pass from the keyframe before."""
    waiting = list(moments_s)
    with open_video(path, from_s=waiting[0]) as reading:
        last = None
        for time_s, frame in reading.decode():
            while waiting and time_s > waiting[0]:
                waiting.pop(0)
                chosen = frame if last is None else last
                yield reading.upright(chosen, longest_px=_FILMSTRIP_LONGEST_PX)
            if not waiting:
                return
            last = frame
            on_progress(1 - len(waiting) / len(moments_s))
        if last is not None:
            picture = reading.upright(last, longest_px=_FILMSTRIP_LONGEST_PX)
            yield from (picture for _ in waiting)


def _side_by_side(pictures: list[Image]) -> Image:
    height, width = pictures[0].shape[:2]
    gap = np.full((height, _GAP_PX, 3), 24, dtype=np.uint8)
    row: list[Image] = []
    for picture in pictures:
        same = picture.shape == pictures[0].shape
        fitted = picture if same else cv2.resize(picture, (width, height)).astype(np.uint8)
        row += [fitted, gap]
    return np.hstack(row[:-1])


_LONGEST_PX = 960
_SEEN = 0.5  # joints seen worse than that are not drawn
_BONE_COLOUR, _JOINT_COLOUR = (80, 230, 120), (255, 255, 255)
_LOOKS = 4  # the model follows a body: it settles on it after a few looks


def draw_poster(
    path: Path, *, at_s: float, out: Path, finder: PoseFinder, on_progress: Progress
) -> tuple[int, int]:
    """Write the frame at a moment as a JPEG, with the skeleton on it; return width and height.

    Raises:
        VideoError: no frame can be decoded.
    """
    image = frame_at(path, at_s, on_progress)
    finder.forget()
    for _ in range(_LOOKS):
        found = finder.find(image)
    if found is not None:
        draw_skeleton(image, *found)
    write_jpeg(image, out)
    return image.shape[1], image.shape[0]


def frame_at(
    path: Path, at_s: float, on_progress: Progress, *, longest_px: int = _LONGEST_PX
) -> Image:
    """Return the last frame shown at `at_s`, upright.

    Raises:
        VideoError: no frame can be decoded.
    """
    with open_video(path, from_s=at_s) as reading:
        shown = frame_shown_at(reading, at_s, on_progress=on_progress)
        if shown is None:
            raise VideoError("no picture in it can be decoded", fault=VideoFault.UNREADABLE)
        return reading.upright(shown.frame, longest_px=longest_px)


def draw_skeleton(image: Image, points_px: FloatArray, visibility: FloatArray) -> None:
    """Draw a body on a picture: landmarks in its px, (33, 2), and their visibility, (33,)."""
    thickness = max(2, image.shape[0] // 180)
    points = np.round(points_px).astype(int)
    for first, second in BONES:
        if min(visibility[first], visibility[second]) >= _SEEN:
            ends = (tuple(map(int, points[first])), tuple(map(int, points[second])))
            cv2.line(image, *ends, _BONE_COLOUR, thickness, cv2.LINE_AA)
    for joint in sorted({joint for bone in BONES for joint in bone}):
        if visibility[joint] >= _SEEN:
            centre = (int(points[joint][0]), int(points[joint][1]))
            cv2.circle(image, centre, thickness + 1, _JOINT_COLOUR, -1, cv2.LINE_AA)
