"""Following the body through the stretches of a capture in which something may be happening.

One thread decodes and decides which frames matter, another shrinks these and lets the model look:
neither waits for the other longer than it must, and at most a handful of frames is in memory.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Self

import numpy as np
from av.video.frame import VideoFrame

from analysis.beside import Whereabouts
from analysis.crop import Crop
from analysis.image import Image
from analysis.intervals import Interval
from analysis.landmarker import PoseFinder
from analysis.landmarks import COUNT, FloatArray, Poses
from analysis.packets import Packets
from analysis.sampling import decode_stretches
from analysis.stillness import Pace, Stillness
from analysis.thumbnail import grey_thumbnail
from analysis.video import Progress, Reading, open_video

_QUEUED = 3  # frames between the threads; each is as large as the decoder made it
_GRID_FPS = 12.0  # how often the picture is checked for movement
_NEXT_S = 1.0  # a longer step is no next moment
_KEPT, _KEPT_EVERY_S = 3, 0.12  # frames that were passed over at rest, for a second thought

Found = tuple[FloatArray, FloatArray] | None
Seen = tuple[Image, FloatArray, tuple[int, int]]  # part of a picture, its corner, the whole's size


@dataclass(slots=True)
class Track:
    """One body in the frames that the model looked at, growing."""

    times_s: list[float] = field(default_factory=list)
    points: list[FloatArray] = field(default_factory=list)
    visibility: list[FloatArray] = field(default_factory=list)
    size_px: tuple[int, int] = (0, 0)  # width and height of the sampled pictures
    stillness: Stillness = field(default_factory=Stillness)

    def add(self, time_s: float, found: Found, size_px: tuple[int, int]) -> None:
        """Add one look."""
        points, visibility = found or (np.full((COUNT, 2), np.nan), np.zeros(COUNT))
        self.times_s.append(time_s)
        self.points.append(points)
        self.visibility.append(visibility)
        self.size_px = size_px

    def poses(self) -> Poses:
        """Return all looks in order of time, one a moment."""
        _, order = np.unique(np.array(self.times_s), return_index=True)
        return Poses(
            times_s=np.array(self.times_s, dtype=np.float64)[order],
            points_px=np.array(self.points, dtype=np.float64).reshape(-1, COUNT, 2)[order],
            visibility=np.array(self.visibility, dtype=np.float64).reshape(-1, COUNT)[order],
            width_px=self.size_px[0],
            height_px=self.size_px[1],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LookOptions:
    """How closely the model looks."""

    active_fps: float = 10.0  # around the edges of a movement
    steady_fps: float = 6.5  # in the middle of a long one
    idle_fps: float = 2.0
    longest_px: int = 640  # of the sampled pictures; the model itself looks at 256

    @classmethod
    def for_activity(cls, activity: str | None) -> "LookOptions":
        """Return what an activity asks for: a jump is over quickly, steps are all alike."""
        steady_fps = {"jumping": 10.0, "running": 5.0}.get(activity or "running", 6.5)
        return cls(steady_fps=steady_fps)


def follow_body(
    path: Path,
    packets: Packets,
    stretches: Sequence[Interval],
    finder: PoseFinder,
    track: Track,
    *,
    crop: Crop | None,
    without: Whereabouts | None = None,
    options: LookOptions,
    on_progress: Progress,
) -> Reading:
    """Let the model look through some stretches and add what it finds to a track.

    Args:
        path: the capture.
        packets: all of its packets.
        stretches: where to look.
        finder: the model.
        track: what is known already; grows.
        crop: the part of the picture to look at; None: all of it.
        without: a body to be painted over before the model looks.
        options: how closely.
        on_progress: told the share that is done.

    Returns:
        The closed reading, for what was noticed on the way.

    Raises:
        VideoError: the file cannot be used.
    """
    tell = _teller(stretches, on_progress)
    with open_video(path) as reading:
        upright = partial(reading.upright, longest_px=options.longest_px)
        part_of = _shower(upright, crop=crop, without=without)
        with _Looker(finder, track, part_of) as looker:
            for time_s, frame in _samples(reading, packets, stretches, track.stillness, options):
                looker.put(time_s, frame)
                tell(time_s)
    return reading


def _shower(
    upright: Callable[[VideoFrame], Image], *, crop: Crop | None, without: Whereabouts | None
) -> Callable[[float, VideoFrame], Seen]:
    """Return what turns a frame into what the model is shown of it."""

    def part_of(time_s: float, frame: VideoFrame) -> Seen:
        image = upright(frame)
        size_px = (image.shape[1], image.shape[0])
        shown = image if without is None else without.painted_over(image, time_s)
        part, offset_px = (shown, np.zeros(2)) if crop is None else crop.of(shown)
        return part, offset_px, size_px

    return part_of


class _Looker:
    """The thread in which the model looks at frames, in the order in which they come."""

    def __init__(
        self,
        finder: PoseFinder,
        track: Track,
        part_of: Callable[[float, VideoFrame], Seen],
    ) -> None:
        self._finder, self._track, self._part_of = finder, track, part_of
        self._queue: Queue[tuple[float, VideoFrame] | None] = Queue(_QUEUED)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="look", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_ended: object) -> None:
        """Wait for the last look; a failure of the model is raised here or by `put`."""
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None and kind is None:
            raise self._failure

    def put(self, time_s: float, frame: VideoFrame) -> None:
        """Let the model look at a frame; waits while it is far behind."""
        if self._failure is not None:
            raise self._failure
        self._queue.put((time_s, frame))

    def _run(self) -> None:
        while (sample := self._queue.get()) is not None:
            if self._failure is None:  # else only taken, so that nobody waits for a full queue
                try:
                    self._look_at(*sample)
                except BaseException as error:  # noqa: BLE001  # raised again by the other thread
                    self._failure = error

    def _look_at(self, time_s: float, frame: VideoFrame) -> None:
        part, offset_px, size_px = self._part_of(time_s, frame)
        found = self._finder.find(part, time_s=time_s)
        self._track.add(
            time_s, None if found is None else (found[0] + offset_px, found[1]), size_px
        )


def _teller(stretches: Sequence[Interval], on_progress: Progress) -> Progress:
    """Return what turns a moment of the capture into the share that is done."""
    total_s = max(1e-3, sum(stretch.seconds for stretch in stretches))

    def tell(time_s: float) -> None:
        done_s = sum(
            max(0.0, min(time_s, stretch.end_s) - stretch.start_s) for stretch in stretches
        )
        on_progress(min(0.99, done_s / total_s))

    return tell


def _samples(
    reading: Reading,
    packets: Packets,
    stretches: Sequence[Interval],
    stillness: Stillness,
    options: LookOptions,
) -> Iterator[tuple[float, VideoFrame]]:
    """Yield the frames that the model is to look at.

    While nothing moves they are far apart; when something begins to, those just before are looked
    at after all, so that the movement's first moment is seen and need not be guessed.
    """
    pace = Pace(
        active_fps=options.active_fps, steady_fps=options.steady_fps, idle_fps=options.idle_fps
    )
    checked_s = float("-inf")
    passed: deque[tuple[float, VideoFrame]] = deque(maxlen=_KEPT)
    for decoded in decode_stretches(reading, packets, stretches):
        time_s = decoded.time_s
        if not 0 <= time_s - checked_s < _NEXT_S:
            stillness.begin()
            pace.begin()
            passed.clear()
        elif time_s - checked_s < 0.9 / _GRID_FPS:
            continue
        checked_s = time_s
        grey = grey_thumbnail(decoded.frame, like=(reading.width, reading.height))
        moving = stillness.is_moving(time_s, grey)
        if pace.wants(time_s, moving=moving):
            if not pace.is_resting:
                yield from passed
            passed.clear()
            yield time_s, decoded.frame
        elif pace.is_resting and (not passed or time_s - passed[-1][0] > _KEPT_EVERY_S):
            passed.append((time_s, decoded.frame))
