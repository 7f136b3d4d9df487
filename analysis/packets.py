"""The packets of a video: what is known before anything is decoded.  Pure.

Reading them costs about a fiftieth of decoding.  Their times show the true frame rate, gaps and
uneven frames; their sizes show where something may be moving, for a picture that is like the one
before it takes few bytes.

The container's timestamps are not the capture's times: they may begin anywhere, jump, run
backwards or repeat.  `shown_timeline` makes of them the times at which a player that never waits
shows each frame, beginning at 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from analysis.landmarks import FloatArray
from analysis.primitives import Interval

Ticks = NDArray[np.int64]

LONGEST_STILL_S = 10.0  # a frame that is shown for longer is a jump of the timestamps
_STILL_FRAMES = 10  # or for longer than so many, where frames are far apart
_REORDERED = 16  # frames; no codec shows one after more that were decoded later
_TOLD = 2  # the same where the codec is said not to reorder: it may be told wrongly
_WINDOW = 64  # packets
_BESIDE_JUMP = np.arange(-2, 3)  # packets: a container notices a jump late
_USUAL_S = 1 / 30
_NEARLY_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeJump:
    """Where timestamps jump; the jump itself takes no time."""

    at_s: float  # of the first frame behind it
    by_s: float  # what the stamps are off by; negative: backwards


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """All packets of a video, in decoding order, with the times at which they are shown."""

    times_s: FloatArray  # (N,), from the first shown frame on; not always increasing
    sizes: NDArray[np.int64]  # (N,), bytes
    is_key: NDArray[np.bool_]  # (N,), whether decoding can begin there
    is_shown: NDArray[np.bool_]  # (N,); an edit list hides some that others need
    pixels: int  # of one picture
    last_s: float = 0.0  # how long the last frame is shown; 0: not said
    jumps: Sequence[TimeJump] = ()
    is_rate_assumed: bool = False  # whether nothing says how many frames a second there are

    @property
    def shown_s(self) -> FloatArray:
        """Presentation times of the frames that players show, in order."""
        return np.sort(self.times_s[self.is_shown])

    @property
    def spacing_s(self) -> float:
        """The usual time from one frame to the next."""
        steps_s = np.diff(self.shown_s)
        steps_s = steps_s[steps_s > 0]
        return float(np.median(steps_s)) if len(steps_s) else _USUAL_S

    @property
    def longest_group_s(self) -> float:
        """The longest time from one keyframe to the next, or to the end."""
        begins_s = np.sort(self.times_s[self.keys])
        return float(np.diff([*begins_s, self.span.end_s]).max(initial=0.0))

    @property
    def span(self) -> Interval:
        """From the first frame's presentation time to the end of the last one."""
        shown_s, usual_s = self.shown_s, self.spacing_s
        is_likely = 0.5 * usual_s <= self.last_s <= LONGEST_STILL_S
        return Interval(
            start_s=float(shown_s[0]),
            end_s=float(shown_s[-1]) + (self.last_s if is_likely else usual_s),
        )

    @property
    def keys(self) -> NDArray[np.int64]:
        """The numbers of the packets at which decoding may begin; at least the first."""
        found = np.flatnonzero(self.is_key)
        return found if len(found) else np.zeros(1, dtype=np.int64)

    @property
    def shown_keys(self) -> NDArray[np.int64]:
        """The numbers of the keyframes that are shown; none where an edit list hides them all."""
        return self.keys[self.is_shown[self.keys]]

    def key_before(self, time_s: float) -> int:
        """Return the number of the packet from which to decode what is shown at a moment.

        A hidden keyframe serves what is shown from it on, however early its own time: where an
        edit list leaves out a part, that time lies among those of the frames before the cut.
        """
        keys = self.keys
        shown_s = np.where(self.is_shown, self.times_s, np.inf)
        earliest_s = np.minimum.accumulate(shown_s[::-1])[::-1]  # of what is shown from each on
        begins_s = np.where(self.is_shown[keys], self.times_s[keys], earliest_s[keys])
        before = np.flatnonzero(begins_s <= time_s + _NEARLY_S)
        return int(keys[before[-1]]) if len(before) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketTimeline:
    """When each packet's frame is shown, in ticks from the first shown one on."""

    pts: Ticks
    shift: int | None  # what was added to all timestamps; None: not to all the same
    jumps: Sequence[TimeJump]
    at_jump: Ticks  # numbers of the packets on both sides of each


def shown_timeline(
    stamps: Ticks,
    base: Fraction,
    *,
    is_key: NDArray[np.bool_],
    is_shown: NDArray[np.bool_],
    reorders: bool,
) -> PacketTimeline:
    """Return when each packet's frame is shown.

    A step forwards by more than 10 s, or by more than ten usual frames where these are far
    apart, is a jump; so is one backwards that no reordering explains.  Behind a jump the next
    frame follows at the usual distance.  Shorter steps are pauses of the camera and stay.

    Args:
        stamps: the container's presentation times, (N,), in decoding order.
        base: seconds of a tick.
        is_key: whether decoding can begin there, (N,).
        is_shown: whether the frame is shown, (N,); at least one is.
        reorders: whether the codec decodes frames in another order than it shows them.
    """
    shown = np.flatnonzero(is_shown)
    usual = usual_ticks(stamps[shown], base)
    longest = max(round(LONGEST_STILL_S / base), _STILL_FRAMES * usual)
    part = _parts(
        stamps[shown], is_key[shown], longest=longest, depth=_REORDERED if reorders else _TOLD
    )
    parts = [np.flatnonzero(part == number) for number in range(int(part.max()) + 1)]
    # Stamps that jump back stand between earlier ones, which shortens the distances seen above.
    usual = usual_ticks(stamps[shown], base, parts=parts)
    pts, shifts = stamps.copy(), np.zeros(len(shown), dtype=np.int64)
    jumps: list[TimeJump] = []
    end, last_stamp = 0, 0  # of what was placed so far
    for number, inside in enumerate(parts):
        own = stamps[shown[inside]]
        shift = end - int(own.min())
        if number:
            by_s = float((int(own.min()) - last_stamp - usual) * base)
            jumps.append(TimeJump(at_s=float(end * base), by_s=by_s))
        placed = spread(own + shift, usual)
        pts[shown[inside]], shifts[inside] = placed, shift
        end, last_stamp = int(placed.max()) + usual, int(own.max())
    hidden = np.flatnonzero(~is_shown)
    following = np.minimum(np.searchsorted(shown, hidden), len(shown) - 1)
    pts[hidden] = stamps[hidden] + shifts[following]
    is_even = not jumps and bool(np.all(pts == stamps + shifts[0]))
    edges = np.flatnonzero(np.diff(part))
    return PacketTimeline(
        pts=pts,
        shift=int(shifts[0]) if is_even else None,
        jumps=tuple(jumps),
        at_jump=shown[(edges[:, np.newaxis] + _BESIDE_JUMP).clip(0, len(shown) - 1).ravel()],
    )


def usual_ticks(stamps: Ticks, base: Fraction, *, parts: Sequence[Ticks] = ()) -> int:
    """Return the usual distance of frames, in ticks.

    Args:
        stamps: presentation times in decoding order, (N,), which may jump.
        base: seconds of a tick.
        parts: numbers of the stamps between which none jumps, where they are known.
    """
    steps = [
        np.diff(np.sort(stamps[inside[first : first + _WINDOW]]))
        for inside in parts or (np.arange(len(stamps)),)
        for first in range(0, len(inside), _WINDOW)
    ]
    each = np.concatenate(steps)
    each = each[each > 0]
    return max(1, round(float(np.median(each))) if len(each) else round(_USUAL_S / base))


def _parts(stamps: Ticks, is_key: NDArray[np.bool_], *, longest: int, depth: int) -> Ticks:
    """Return the number of the part without a jump to which each packet belongs."""
    newest = np.maximum.accumulate(stamps)
    before = np.concatenate([newest[:1], newest[:-1]])
    is_new = stamps >= before
    doubtful = (stamps - before > longest) | (~is_new & (is_key | (before - stamps > longest)))
    if not doubtful.any() and _reordered_at_most(stamps, depth):
        return np.zeros(len(stamps), dtype=np.int64)
    return _parts_one_by_one(stamps, is_key, longest=longest, depth=depth)


def _reordered_at_most(stamps: Ticks, depth: int) -> bool:
    """Tell whether no packet is shown before more than `depth` of those that came before it."""
    later = np.zeros(len(stamps), dtype=np.int64)
    for distance in range(1, min(2 * depth + 2, len(stamps))):
        later[distance:] += stamps[:-distance] > stamps[distance:]
    return bool(later.max() <= depth)


class _Part:
    """Packets whose timestamps continue without a jump."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.latest: list[int] = []  # the latest stamps, in order
        self.last = 0  # number of its last packet

    def holds(self, stamp: int, *, is_key: bool, longest: int, depth: int) -> bool:
        newest = self.latest[-1]
        if stamp >= newest:
            return stamp - newest <= longest
        later = sum(known > stamp for known in self.latest)
        return not is_key and later <= depth and newest - stamp <= longest

    def add(self, at: int, stamp: int, *, depth: int) -> None:
        self.latest = sorted([*self.latest, stamp])[-depth - 1 :]
        self.last = at


def _parts_one_by_one(
    stamps: Ticks, is_key: NDArray[np.bool_], *, longest: int, depth: int
) -> Ticks:
    """Return each packet's part; at a jump, packets of both sides may alternate for a while."""
    parts: list[_Part] = []
    numbers = np.zeros(len(stamps), dtype=np.int64)
    for at, (stamp, key) in enumerate(zip(stamps.tolist(), is_key.tolist(), strict=True)):
        alive = [part for part in parts[-3:] if part is parts[-1] or at - part.last <= depth]
        fitting = (
            part
            for part in reversed(alive)
            if part.holds(stamp, is_key=key, longest=longest, depth=depth)
        )
        part = next(fitting, None)
        if part is None:
            part = _Part(len(parts))
            parts.append(part)
        part.add(at, stamp, depth=depth)
        numbers[at] = part.number
    return numbers


def spread(stamps: Ticks, usual: int) -> Ticks:
    """Return timestamps in which frames that share one follow each other, as room allows."""
    order = np.argsort(stamps, kind="stable")
    values, first, counts = np.unique(stamps[order], return_index=True, return_counts=True)
    if counts.max() == 1:
        return stamps
    room = np.append(np.diff(values), usual * counts[-1])
    room = np.where(room > 1.1 * usual * counts, usual * counts, room)  # a pause comes behind them
    rank = np.arange(len(stamps)) - np.repeat(first, counts)
    placed = stamps.copy()
    placed[order] = np.repeat(values, counts) + rank * np.repeat(room, counts) // np.repeat(
        counts, counts
    )
    return placed
