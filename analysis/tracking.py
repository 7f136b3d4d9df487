"""Tracks bodies through the sections of a capture that may contain movement.

One thread decodes and decides which frames matter, another shrinks these and lets the model look:
neither waits for the other longer than it must, and at most a handful of frames is in memory.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from queue import Queue
from typing import Self

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from analysis.landmarks import COUNT, HIPS, FloatArray, Poses, torso_px
from analysis.packets import Packets
from analysis.pose_model import PoseFinder
from analysis.primitives import Crop, Image, Interval
from analysis.quality import PictureFacts, picture_facts
from analysis.sampling import decode_keys, decode_stretches, grey_thumbnail
from analysis.screening import KeyframeSample
from analysis.stillness import SamplingRate, Stillness
from analysis.video import LARGE_PIXELS, Progress, VideoReading, open_video

Moved = NDArray[np.bool_]  # which blocks of the upright picture moved, (rows, columns)

_MARGIN = 0.25  # of the body's larger side, to be painted over: hair, hands, shadow
_CLOSE = 0.08  # the same, for what is the body's own movement
_NEAR_S = 0.6  # a look tells where the body is for so long
_LEAST_SHARE = 0.01  # of the blocks: a second body far away is no smaller
_OFTEN = 6  # moments at which a block must have moved
_WIDENED = 0.12  # of the frame, around what moves
_ELSEWHERE = 1.2  # torsos from one look to the next: that is another body
_HIDDEN_S = 2.0  # between these looks: longer, and the first body may have left
_BEFORE_S = 5.0  # in which the lost body shows its place
_LEAST_LOOKS, _LEAST_S = 5, 1.0  # at the lost body before, and at the other one


@dataclass(frozen=True, slots=True)
class BodyBoxes:
    """Where a body is at each sampled moment, as boxes."""

    times_s: FloatArray  # (T,), only looks that found it
    boxes: FloatArray  # (T, 4): left, top, right, bottom, in fractions of the frame

    @classmethod
    def of(cls, poses: Poses, *, margin: float = _MARGIN) -> Self:
        """Return where the body of these poses is, with a margin, a share of its larger side."""
        points = poses.points_px[poses.is_found] / (
            max(1, poses.width_px),
            max(1, poses.height_px),
        )
        low, high = points.min(axis=1), points.max(axis=1)
        beyond = margin * (high - low).max(axis=1, keepdims=True)
        boxes = np.concatenate([low - beyond, high + beyond], axis=1)
        return cls(poses.times_s[poses.is_found], np.clip(boxes, 0.0, 1.0))

    def at(self, time_s: float) -> FloatArray | None:
        """Return the box at a moment, (4,), or None where it is not known."""
        if not len(self.times_s):
            return None
        nearest = np.abs(self.times_s - time_s).min()
        if nearest > _NEAR_S:
            return None
        return np.array([np.interp(time_s, self.times_s, side) for side in self.boxes.T])

    def painted_over(self, image: Image, time_s: float) -> Image:
        """Return the picture without the body, in the picture's own mean colour."""
        box = self.at(time_s)
        if box is None:
            return image
        rows, columns = _within(box, image.shape[:2])
        painted = image.copy()
        painted[rows, columns] = image.reshape(-1, 3)[::97].mean(axis=0).astype(np.uint8)
        return painted


def moments_within(moves: Sequence[tuple[float, Moved]], poses: Poses) -> list[float]:
    """Return the moments at which something moved where the body is, or where it may be."""
    moments, there = [], BodyBoxes.of(poses, margin=_CLOSE)
    for time_s, moved in moves:
        box = there.at(time_s)
        if moved.any() if box is None else moved[_within(box, moved.shape)].any():
            moments.append(time_s)
    return moments


def restless_beside(moves: Sequence[tuple[float, Moved]], there: BodyBoxes) -> Crop | None:
    """Return the part of the picture in which most moves beside the body, or None.

    Where nobody was found at all a single block is enough: the model misses a body that is a
    twelfth of the picture high, and finds it in a crop.

    Args:
        moves: moments at which something moved, and where.
        there: where the body is.
    """
    if not moves:
        return None
    often: NDArray[np.int64] = np.zeros(moves[0][1].shape, dtype=np.int64)
    for time_s, moved in moves:
        often += _apart(moved, there.at(time_s))
    where = _busiest(often)
    if len(where) < (max(2.0, _LEAST_SHARE * often.size) if len(there.times_s) else 1):
        return None
    rows, columns = where[:, 0], where[:, 1]
    high, wide = often.shape
    return Crop(
        left=float(columns.min()) / wide,
        top=float(rows.min()) / high,
        right=float(columns.max() + 1) / wide,
        bottom=float(rows.max() + 1) / high,
    ).widened(_WIDENED)


@dataclass(frozen=True, slots=True)
class LostBody:
    """A body that moved on after the model had turned to another one."""

    during: Interval  # from the last look at it to the last look at the other one
    place: Crop  # where it was


def lost_bodies(
    poses: Poses, moves: Sequence[tuple[float, Moved]], cuts_s: Sequence[float] = ()
) -> list[LostBody]:
    """Return where the model turned to somebody else while the one before still moved.

    A body that is hidden for a moment, as behind a rack, loses the model to whoever else is in the
    picture, and it stays with him.  The place of the one before is then where most moves.

    Args:
        poses: of the body that was followed.
        moves: moments at which something moved, and where.
        cuts_s: when the picture became another one: then the body was not lost, but cut off.
    """
    there, found = BodyBoxes.of(poses, margin=_CLOSE), poses.is_found
    times_s, torsos = there.times_s, poses.torso_px()[found]
    steps = np.linalg.norm(np.diff(poses.middle_px(HIPS)[found], axis=0), axis=1)
    is_far = steps > _ELSEWHERE * np.maximum(torsos[1:], torsos[:-1])
    turns = np.flatnonzero(is_far & (np.diff(times_s) < _HIDDEN_S))
    edges = [-1, *turns, len(times_s) - 1]  # the last looks at each body
    lost: list[LostBody] = []
    for since, turn, until in zip(edges, edges[1:-1], edges[2:], strict=False):
        during = Interval(start_s=float(times_s[turn]), end_s=float(times_s[until]))
        at_it = slice(since + 1, turn + 1)
        own = there.boxes[at_it][times_s[at_it] > during.start_s - _BEFORE_S]
        if len(own) < _LEAST_LOOKS or during.seconds < _LEAST_S:
            continue
        if any(during.start_s < cut_s < during.end_s for cut_s in cuts_s):
            continue
        (left, top), (right, bottom) = own[:, :2].min(axis=0), own[:, 2:].max(axis=0)
        if _moves_most(np.array([left, top, right, bottom]), there, during, moves):
            place = Crop(left=left, top=top, right=right, bottom=bottom)
            lost.append(LostBody(during, place.widened(_CLOSE)))
    return lost


def _moves_most(
    place: FloatArray,
    there: BodyBoxes,
    during: Interval,
    moves: Sequence[tuple[float, Moved]],
) -> bool:
    """Tell whether more moves in a place than where the body is meanwhile."""
    left, followed, moments = 0, 0, 0
    for time_s, moved in moves:
        box = there.at(time_s) if during.start_s < time_s <= during.end_s else None
        if box is None:
            continue
        beside = int(_apart(moved, box)[_within(place, moved.shape)].sum())
        followed += int(moved[_within(box, moved.shape)].sum())
        left, moments = left + beside, moments + (beside > 0)
    return moments >= _OFTEN and left > followed


def _apart(moved: Moved, box: FloatArray | None) -> Moved:
    """Return what moved without what moved where the body is, if that is known."""
    apart = moved.copy()
    if box is not None:
        apart[_within(box, apart.shape)] = False
    return apart


def _busiest(often: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the blocks, (N, 2), of the place where most moves; a gap of one block is none."""
    moved = (often >= _OFTEN).astype(np.uint8)
    count, places = cv2.connectedComponents(cv2.dilate(moved, np.ones((3, 3), np.uint8)))
    moves = [int(often[(places == place) & (moved > 0)].sum()) for place in range(1, count)]
    if not moves:
        return np.empty((0, 2), dtype=np.int64)
    return np.argwhere((places == 1 + int(np.argmax(moves))) & (moved > 0))


def _within(box: FloatArray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of a picture that a box touches."""
    high, wide = shape[0], shape[1]
    left, right = int(box[0] * wide), int(np.ceil(box[2] * wide))
    top, bottom = int(box[1] * high), int(np.ceil(box[3] * high))
    return slice(top, bottom), slice(left, right)


_QUEUED = 3  # frames between the threads: 3 MB each at 1080p, 12 MB at 4K
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

    def replaced(self, during: Interval, other: Self) -> Self:
        """Return the track with what another one saw in a stretch."""
        looks = [
            look
            for track, is_inside in ((self, False), (other, True))
            for look in zip(track.times_s, track.points, track.visibility, strict=True)
            if (during.start_s < look[0] <= during.end_s) is is_inside
        ]
        times_s, points, visibility = (list(part) for part in zip(*looks, strict=True))
        return replace(self, times_s=times_s, points=points, visibility=visibility)

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
class TrackingOptions:
    """How closely the model looks."""

    active_fps: float = 10.0  # around the edges of a movement
    steady_fps: float = 6.5  # in the middle of a long one
    idle_fps: float = 2.0
    longest_px: int = 640  # of the sampled pictures; the model itself looks at 256

    @classmethod
    def for_activity(cls, activity: str | None) -> "TrackingOptions":
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
    without: BodyBoxes | None = None,
    options: TrackingOptions,
    on_progress: Progress,
) -> VideoReading:
    """Let the model look through some stretches and add what it finds to a track.

    Args:
        path: the capture.
        packets: all of its packets.
        stretches: where to look; at least one.
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
    with open_video(path, from_s=min(stretch.start_s for stretch in stretches)) as reading:
        upright = partial(reading.upright, longest_px=options.longest_px)
        part_of = _shower(upright, crop=crop, without=without)
        with _PoseThread(finder, track, part_of) as thread:
            for time_s, frame in _samples(reading, packets, stretches, track.stillness, options):
                thread.put(time_s, frame)
                tell(time_s)
    return reading


def _shower(
    upright: Callable[[VideoFrame], Image], *, crop: Crop | None, without: BodyBoxes | None
) -> Callable[[float, VideoFrame], Seen]:
    """Return what turns a frame into what the model is shown of it."""

    def part_of(time_s: float, frame: VideoFrame) -> Seen:
        image = upright(frame)
        size_px = (image.shape[1], image.shape[0])
        shown = image if without is None else without.painted_over(image, time_s)
        part, offset_px = (shown, np.zeros(2)) if crop is None else crop.of(shown)
        return part, offset_px, size_px

    return part_of


class _PoseThread:
    """The thread in which the model looks at frames, in the order in which they come."""

    def __init__(
        self, finder: PoseFinder, track: Track, part_of: Callable[[float, VideoFrame], Seen]
    ) -> None:
        self._finder, self._track, self._part_of = finder, track, part_of
        self._last_s = np.inf  # when the frame before was shown
        self._queue: Queue[tuple[float, VideoFrame, bool] | None] = Queue(_QUEUED)
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
        """Let the model look at a frame; waits while it is far behind.

        Whether a cut came before it is asked here, and not by the other thread: that is behind by
        some frames or by none, and a cut may turn out to be a damaged picture meanwhile.
        """
        if self._failure is not None:
            raise self._failure
        cuts_s = self._track.stillness.cuts_s
        is_new = any(self._last_s < cut_s < time_s for cut_s in cuts_s)
        self._last_s = time_s
        self._queue.put((time_s, frame, is_new))

    def _run(self) -> None:
        while (sample := self._queue.get()) is not None:
            if self._failure is None:  # else only taken, so that nobody waits for a full queue
                try:
                    self._look_at(*sample)
                except BaseException as error:  # noqa: BLE001  # raised again by the other thread
                    self._failure = error

    def _look_at(self, time_s: float, frame: VideoFrame, is_new: bool) -> None:
        part, offset_px, size_px = self._part_of(time_s, frame)
        if is_new:  # another scene: who was followed is not in it
            self._finder.forget()
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
    reading: VideoReading,
    packets: Packets,
    stretches: Sequence[Interval],
    stillness: Stillness,
    options: TrackingOptions,
) -> Iterator[tuple[float, VideoFrame]]:
    """Yield the frames that the model is to look at.

    While nothing moves they are far apart; when something begins to, those just before are looked
    at after all, so that the movement's first moment is seen and need not be guessed.
    """
    pace = SamplingRate(
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


_LOOK_EVERY_S = 8.0
_MOST_LOOKS = 24
_LANES = 2  # decoders side by side: a keyframe needs no other, and is decoded by one thread
_LONGEST_PX = 640
_OTHERS_A_TAKE = 3  # keyframes of each take on which others are looked for
_OTHERS_AT_MOST = 12


@dataclass(frozen=True, slots=True)
class KeyframeSamples:
    """What the keyframes showed."""

    pictures: list[KeyframeSample]
    facts: list[PictureFacts]
    reading: VideoReading  # closed


def take_glimpses(
    path: Path,
    packets: Packets,
    numbers: Collection[int],
    finder: PoseFinder,
    *,
    on_progress: Progress,
) -> KeyframeSamples:
    """Decode single keyframes and let the model look at some.

    Raises:
        VideoError: the file cannot be used.
    """
    ordered = sorted(numbers)
    looked_at = _far_apart(packets, ordered)
    lanes = 1 if packets.pixels > LARGE_PIXELS else _LANES
    listening, looking = threading.Lock(), threading.Lock()  # one listener, one model

    def lane(own: Sequence[int]) -> KeyframeSamples:
        pictures: list[KeyframeSample] = []
        facts: list[PictureFacts] = []
        with open_video(path) as reading:
            reading.stream.thread_type = "NONE"  # no frame waits for the next one
            for decoded in decode_keys(reading, own):
                grey = grey_thumbnail(decoded.frame, like=(reading.width, reading.height))
                pictures.append(KeyframeSample(decoded.number, decoded.time_s, grey))
                with listening:
                    on_progress(0.0)
                if decoded.number in looked_at:
                    image = reading.upright(decoded.frame, longest_px=_LONGEST_PX)
                    with looking:
                        facts.append(_facts_of(decoded.time_s, image, finder))
        return KeyframeSamples(pictures, facts, reading)

    with ThreadPoolExecutor(lanes) as pool:
        glimpses = list(pool.map(lane, (ordered[number::lanes] for number in range(lanes))))
    shown = [one for one in glimpses if one.pictures]
    return _together(shown) if shown else _first_shown(path, finder)


def _far_apart(packets: Packets, numbers: Sequence[int]) -> frozenset[int]:
    """Return the keyframes at which the model looks: some seconds apart, and not too many."""
    every_s = max(_LOOK_EVERY_S, packets.span.seconds / _MOST_LOOKS)
    chosen: list[int] = []
    for number in numbers:
        if not chosen or packets.times_s[number] - packets.times_s[chosen[-1]] >= every_s:
            chosen.append(number)
    return frozenset(chosen)


def _together(parts: Sequence[KeyframeSamples]) -> KeyframeSamples:
    """Return what several decoders showed as one, in order."""
    reading = parts[0].reading
    for part in parts[1:]:
        reading.frames += part.reading.frames
        reading.damaged_at_s += part.reading.damaged_at_s
    pictures = [picture for part in parts for picture in part.pictures]
    facts = [fact for part in parts for fact in part.facts]
    return KeyframeSamples(
        sorted(pictures, key=lambda picture: picture.number),
        sorted(facts, key=lambda fact: fact.time_s),
        reading,
    )


def look_for_others(
    path: Path,
    packets: Packets,
    takes: Sequence[Interval],
    athlete: Poses,
    finder: PoseFinder,
    *,
    on_progress: Progress,
) -> list[tuple[float, float]]:
    """Look at a few keyframes of each take for a second body.

    The model finds one body at a time, so the athlete is painted over.

    Returns:
        For each look: presentation time, and the torso of the second body against the athlete's,
        0 where there is none.

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
    there, own = BodyBoxes.of(athlete), athlete.torso_px()[athlete.is_found]
    seen: list[tuple[float, float]] = []
    if not numbers:
        return seen
    with open_video(path) as reading:
        reading.stream.thread_type = "NONE"  # as above
        for decoded in decode_keys(reading, numbers):
            on_progress(1.0)
            if there.at(decoded.time_s) is None:
                continue
            image = reading.upright(decoded.frame, longest_px=_LONGEST_PX)
            without = there.painted_over(image, decoded.time_s)
            own_px = float(np.interp(decoded.time_s, there.times_s, own))
            seen.append((decoded.time_s, _torso_seen_px(without, finder) / max(1.0, own_px)))
    return seen


def _torso_seen_px(image: Image, finder: PoseFinder) -> float:
    """Return the length of the torso of the body in a single picture, 0 for none."""
    finder.forget()
    found = finder.find(np.ascontiguousarray(image))
    if found is None:
        return 0.0
    return float(torso_px(found[0]))


def _first_shown(path: Path, finder: PoseFinder) -> KeyframeSamples:
    """Return the first frame that is shown, where no keyframe shows anything by itself."""
    with open_video(path) as reading:
        facts = [
            _facts_of(time_s, reading.upright(frame, longest_px=_LONGEST_PX), finder)
            for time_s, frame in islice(reading.decode(), 1)
        ]
    return KeyframeSamples([], facts, reading)


def _facts_of(time_s: float, image: Image, finder: PoseFinder) -> PictureFacts:
    finder.forget()  # seconds later a body is elsewhere: it must be found again, not followed
    found = finder.find(image)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype("uint8", copy=False)
    return picture_facts(time_s, luma, points=None if found is None else found[0])
