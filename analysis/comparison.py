"""Whether two recordings show the same moments, or one continues the other.

Equal packets are the best proof: no camera makes the same keyframe twice.  Where a recorder has
encoded the same moments twice, their small pictures tell.  For two that adjoin, the last picture
of one is held against the first of the other: they differ no more than pictures of one movement
that follow each other, or it is another view or another moment.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from analysis.landmarks import FloatArray
from analysis.packets import Packets
from analysis.video import Progress, index_of, open_video

_SIDE_PX = 32
_TELLING_BYTES = 200  # a smaller packet says little more than that nothing moved
_LEAST_EQUAL = 3  # packets
_LEAST_SHARE = 0.5  # of the telling packets that both recordings would hold
_SAME_SHIFT_S = 0.03
_STEPS_S = 1.0  # of movement on both sides of a seam that is looked at
_STEP = 1.5  # a seam may differ by so much more than the pictures beside it
_NOISE = 1.0  # grey levels: two encodings of one still picture
_MOVES = 2.0  # grey levels of change over time: part of the picture in which something moves
_ALIKE = 4.0  # grey levels, mean where something moves: two encodings of one moment
_CLEARLY = 0.4  # of what another shift would differ by
_WINDOW_S = 2.0  # of the second recording that is looked for in the first
_RUN_ON_S = 20.0  # timestamps that run on tell of no longer gap or overlap
_SHIFTED_S = 0.4  # a shift that is another one


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """What names and clocks say of two recordings before they are compared."""

    shift_s: float | None = None  # how much later the second begins; None where no clock tells
    within_s: float = 0.0  # how far that may be wrong
    are_sure: bool = False  # whether equal pictures at that shift are no chance
    may_adjoin: bool = True  # whether one may begin where the other ends
    second_moves_s: float | None = None  # presentation time at which its movement begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two recordings have to do with each other; times are presentation times."""

    first_begins_s: float
    first_ends_s: float
    second_begins_s: float
    second_ends_s: float
    stamps_gap_s: float | None  # by timestamps that run on; None where both begin near 0
    spacing_s: float  # of frames
    shift_s: float | None  # from the second's time to the first's, where they share moments
    shared_by: Literal["packets", "pictures"] | None
    is_continuous: bool | None  # whether the second begins with what the first ends with


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """One of the two, as its packets tell."""

    path: Path
    packets: Packets
    stamps_s: FloatArray  # as the container says, shown ones only
    digests: Sequence[bytes]  # b"" for a packet that tells nothing


def compare_recordings(
    first: Path, second: Path, clocks: Clocks, *, on_progress: Progress
) -> Comparison:
    """Compare two recordings of one camera.

    Args:
        first: the one that begins earlier, as far as is known.
        second: the other one.
        clocks: what is known of their times.
        on_progress: told the share that is done.

    Raises:
        VideoError: one of them cannot be read.
    """
    one, other = (_read(path, on_progress) for path in (first, second))
    stamps_gap_s = _stamps_gap_s(one, other)
    shared_by: Literal["packets", "pictures"] | None = "packets"
    found, is_continuous = _shift_by_packets(one, other), None
    if found is None:
        if stamps_gap_s is not None and abs(stamps_gap_s) < _RUN_ON_S:
            seconds = one.packets.span.seconds
            clocks = replace(
                clocks,
                shift_s=seconds + stamps_gap_s,
                within_s=2 * one.packets.spacing_s,
                are_sure=True,
                may_adjoin=True,
            )
        if clocks.may_adjoin:
            is_continuous = _is_continuous(one, other, on_progress)
        found = _shift_by_pictures(one, other, clocks, on_progress)
        shared_by = None if found is None else "pictures"
    mine, theirs = one.packets.span, other.packets.span
    return Comparison(
        first_begins_s=mine.start_s,
        first_ends_s=mine.end_s,
        second_begins_s=theirs.start_s,
        second_ends_s=theirs.end_s,
        stamps_gap_s=stamps_gap_s,
        spacing_s=one.packets.spacing_s,
        shift_s=found,
        shared_by=shared_by,
        is_continuous=is_continuous,
    )


def _read(path: Path, on_progress: Progress) -> _Recording:
    index = index_of(path, on_progress=on_progress)
    digests = []
    with open_video(path) as reading:
        context = reading.stream.codec_context
        settings = context.extradata or b""
        for _, packet in reading.packets():
            digests.append(_digest(bytes(packet), reading.codec, settings))
            if len(digests) % 256 == 0:
                on_progress(0.0)
        stamps = index.stamps[index.packets.is_shown]
        return _Recording(
            path=path,
            packets=index.packets,
            stamps_s=stamps.astype(np.float64) * float(index.base),
            digests=digests,
        )


def _digest(payload: bytes, codec: str, settings: bytes) -> bytes:
    """Return what tells a packet's picture again in another container; b"" where it is small."""
    if len(payload) < _TELLING_BYTES:
        return b""
    parts = [payload] if codec not in {"h264", "hevc"} else _slices(payload, codec, settings)
    return hashlib.blake2b(b"".join(parts), digest_size=8).digest()


def _slices(payload: bytes, codec: str, settings: bytes) -> list[bytes]:
    """Return the coded slices of a packet, without start codes, lengths and parameter sets."""
    if settings[:1] == b"\x01":
        at = 4 if codec == "h264" else 21
        width = (settings[at] & 3) + 1 if len(settings) > at else 4
        units, place = [], 0
        while place + width < len(payload):
            length = int.from_bytes(payload[place : place + width], "big")
            units.append(payload[place + width : place + width + length])
            place += width + length
    else:
        units = [unit.rstrip(b"\0") for unit in payload.split(b"\0\0\1")]
    if codec == "h264":
        return [unit for unit in units if unit and 1 <= unit[0] & 31 <= 5]
    return [unit for unit in units if unit and (unit[0] >> 1) & 63 < 32]


def _stamps_gap_s(one: _Recording, other: _Recording) -> float | None:
    """Return the time from the first's end to the second's beginning, by stamps that run on."""
    begins_s = float(other.stamps_s.min())
    if begins_s < 1.0:
        return None
    return begins_s - float(one.stamps_s.max()) - one.packets.spacing_s


def _shift_by_packets(one: _Recording, other: _Recording) -> float | None:
    """Return by how much the second's times differ where both hold the same packets."""
    mine, theirs = _once(one), _once(other)
    equal = [
        (one.packets.times_s[mine[digest]], other.packets.times_s[number])
        for digest, number in theirs.items()
        if digest in mine
    ]
    if len(equal) < _LEAST_EQUAL:
        return None
    shifts = np.array([first_s - second_s for first_s, second_s in equal])
    likely = Counter(np.round(shifts / _SAME_SHIFT_S).astype(int).tolist()).most_common(1)[0][0]
    close = np.abs(shifts - likely * _SAME_SHIFT_S) <= 2 * _SAME_SHIFT_S
    shift_s = float(np.median(shifts[close]))
    span = one.packets.span
    times_s = other.packets.times_s[list(theirs.values())] + shift_s
    shared = np.count_nonzero((times_s >= span.start_s - 0.01) & (times_s < span.end_s))
    enough = max(_LEAST_EQUAL, _LEAST_SHARE * shared)
    return shift_s if np.count_nonzero(close) >= enough else None


def _once(recording: _Recording) -> dict[bytes, int]:
    """Return the numbers of the packets whose content comes only once."""
    counts = Counter(recording.digests)
    return {
        digest: number
        for number, digest in enumerate(recording.digests)
        if digest and counts[digest] == 1
    }


def _shift_by_pictures(
    one: _Recording, other: _Recording, clocks: Clocks, on_progress: Progress
) -> float | None:
    """Return the shift at which the second's pictures are the first's; None where none is.

    Asked only where clocks are sure that they share moments: movements repeat themselves.
    """
    mine, theirs = one.packets.span, other.packets.span
    if clocks.shift_s is None or not clocks.are_sure:
        return None
    if clocks.shift_s + clocks.within_s >= mine.seconds - one.packets.spacing_s:
        return None
    moves_s = theirs.start_s if clocks.second_moves_s is None else clocks.second_moves_s
    moves_s = max(moves_s, theirs.start_s - clocks.shift_s)
    at_s = moves_s + clocks.shift_s + mine.start_s - theirs.start_s
    reach_s = clocks.within_s + 0.2
    sought = _pictures(other, moves_s, moves_s + _WINDOW_S, on_progress)
    known = _pictures(one, at_s - reach_s, at_s + reach_s + _WINDOW_S, on_progress)
    if len(sought[0]) < 2 or len(known[0]) < 2:
        return None
    return _best_shift(known, sought, 0.6 * max(one.packets.spacing_s, other.packets.spacing_s))


_Pictures = tuple[FloatArray, NDArray[np.float32]]  # (T,) seconds and (T, side, side) grey levels


def _best_shift(known: _Pictures, sought: _Pictures, near_s: float) -> float | None:
    moves = known[1].std(axis=0) > _MOVES
    if not moves.any():
        return None  # a still picture is the same at any moment
    shifts_s = known[0] - sought[0][0]
    costs = np.full(len(shifts_s), np.inf)
    is_denser = len(sought[0]) > 1 and len(known[0]) > 1 and _step_s(sought) < _step_s(known) / 1.2
    for number, shift_s in enumerate(shifts_s):
        moments_s = sought[0] + shift_s
        # A picture is compared for each one of the slower recording: the other repeats them.
        if is_denser:
            first, last = moments_s[0] - near_s, moments_s[-1] + near_s
            mine = np.flatnonzero((known[0] >= first) & (known[0] <= last))
            theirs = _nearest(moments_s, known[0][mine])
        else:
            theirs = np.flatnonzero(moments_s <= known[0][-1] + near_s)
            mine = _nearest(known[0], moments_s[theirs])
        if len(mine) >= 3:
            differ = np.abs(known[1][mine] - sought[1][theirs])[:, moves]
            costs[number] = float(differ.mean())
    best = int(np.argmin(costs))
    others = costs[(np.abs(shifts_s - shifts_s[best]) >= _SHIFTED_S) & np.isfinite(costs)]
    if not np.isfinite(costs[best]) or costs[best] > _ALIKE or not len(others):
        return None
    return float(shifts_s[best]) if costs[best] <= _CLEARLY * float(others.min()) else None


def _step_s(pictures: _Pictures) -> float:
    return float(np.median(np.diff(pictures[0])))


def _nearest(times_s: FloatArray, moments_s: FloatArray) -> NDArray[np.intp]:
    """Return the number of the time that is closest to each moment."""
    at = np.searchsorted(times_s, moments_s)
    before, behind = np.maximum(at - 1, 0), np.minimum(at, len(times_s) - 1)
    is_before = moments_s - times_s[before] < times_s[behind] - moments_s
    return np.where(is_before, before, behind)


def _is_continuous(one: _Recording, other: _Recording, on_progress: Progress) -> bool | None:
    """Tell whether the seam differs no more than the movement on both sides of it."""
    mine, theirs = one.packets.span, other.packets.span
    before = _pictures(one, mine.end_s - _STEPS_S, mine.end_s, on_progress)[1]
    behind = _pictures(other, theirs.start_s, theirs.start_s + _STEPS_S, on_progress)[1]
    if not len(before) or not len(behind):
        return None
    seam = float(np.abs(before[-1] - behind[0]).mean())
    return seam <= _NOISE + _STEP * min(_largest_step(before), _largest_step(behind))


def _largest_step(pictures: NDArray[np.float32]) -> float:
    if len(pictures) < 2:
        return 0.0
    return float(np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2)).max())


def _pictures(
    recording: _Recording, from_s: float, until_s: float, on_progress: Progress
) -> _Pictures:
    """Decode a stretch of a recording, every frame of it, small and grey."""
    scaler, found = VideoReformatter(), {}
    with open_video(recording.path, from_s=from_s) as reading:
        for time_s, frame in reading.decode():
            on_progress(0.0)
            if from_s - 1e-3 <= time_s < until_s - 1e-3:
                found[time_s] = _small(frame, scaler)
            if time_s >= until_s:
                break
    times_s = sorted(found)
    pictures = [found[time_s] for time_s in times_s]
    shape = (len(pictures), _SIDE_PX, _SIDE_PX)
    return np.array(times_s), np.array(pictures, dtype=np.float32).reshape(shape)


def _small(frame: VideoFrame, scaler: VideoReformatter) -> NDArray[np.float32]:
    small = scaler.reformat(
        frame,
        width=_SIDE_PX,
        height=_SIDE_PX,
        format="gray",
        interpolation="AREA",
        threads=1,
    )
    return small.to_ndarray().astype(np.float32)
