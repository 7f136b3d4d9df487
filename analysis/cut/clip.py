"""Cutting a clip so that every frame of it is the capture's own.

Where the keyframes allow it packets are copied; where that would hide too much in front, or an
MP4 cannot hold the codec, or a smaller rendition is asked for, the clip is encoded.  Either way
the result is looked at before it is believed, and the record says which way was taken and why.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from analysis.cut.copying import COPY_ERRORS, CannotCopy, copy_clip
from analysis.cut.encoding import encode_clip
from analysis.cut.options import CutOptions
from analysis.cut.proof import difference, look_at, pictures_at
from analysis.errors import Fault, VideoError
from analysis.video import Progress, open_video


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What became of a cut."""

    clip_frames: int
    clip_seconds: float
    clip_bytes: int
    method: Literal["copy", "encode"]
    why: str  # in a few words


def cut_clip(
    path: Path,
    *,
    start_s: float,
    end_s: float,
    out: Path,
    on_progress: Progress,
    options: CutOptions | None = None,
) -> Cut:
    """Cut `[start_s, end_s)` of a capture, in presentation time, to an MP4.

    A lossless clip may run on for the few frames that its last ones need.

    Raises:
        VideoError: the capture cannot be read, or nothing of it lies in the interval.
    """
    options = options or CutOptions()
    try:
        _refuse_copy(path, options)
        frames = _copy(path, start_s, end_s, out, options, on_progress)
        method: Literal["copy", "encode"] = "copy"
        why = "the keyframes allow it"
    except COPY_ERRORS as reason:
        frames, moved = _encode(path, start_s, end_s, out, options, on_progress)
        method, why = "encode", str(reason)
        if moved:
            why += f"; {moved} frames had no time of their own"
    return Cut(
        clip_frames=frames,
        clip_seconds=_shown_seconds(out),
        clip_bytes=out.stat().st_size,
        method=method,
        why=why,
    )


def _refuse_copy(path: Path, options: CutOptions) -> None:
    """Raise CannotCopy where the settings want the clip encoded."""
    if options.method == "encode":
        raise CannotCopy("the settings say so")
    if options.rendition_height is None and options.rendition_kbit_s is None:
        return
    with open_video(path) as reading:
        size_px = min(reading.width, reading.height)  # upright or turned: the shorter side
        kbit_s = (reading.container.bit_rate or 0) / 1000
    if options.rendition_height is not None and size_px > options.rendition_height:
        raise CannotCopy(f"a rendition of {options.rendition_height} px is asked for")
    if options.rendition_kbit_s is not None and not 0 < kbit_s <= options.rendition_kbit_s:
        raise CannotCopy(f"a rendition of {options.rendition_kbit_s} kbit/s is asked for")


def _copy(
    path: Path, start_s: float, end_s: float, out: Path, options: CutOptions, progress: Progress
) -> int:
    copied = copy_clip(
        path, out, start_s=start_s, end_s=end_s, options=options, on_progress=progress
    )
    times_s = [float(time_s) for time_s in copied.times_s]
    wrong = difference(
        look_at(out, on_progress=progress),
        times_s=times_s,
        pictures=pictures_at(path, times_s[0], times_s[-1], on_progress=progress),
        exact=True,
    )
    if wrong is not None:
        raise CannotCopy(f"a lossless cut is not possible: {wrong}")
    return len(times_s)


def _encode(
    path: Path, start_s: float, end_s: float, out: Path, options: CutOptions, progress: Progress
) -> tuple[int, int]:
    """Return the number of frames, and of those that had no time of their own."""
    made = encode_clip(
        path, out, start_s=start_s, end_s=end_s, options=options, on_progress=progress
    )
    if not made.times_s or made.first is None or made.last is None:
        raise VideoError("not one picture lies in the interval", fault=Fault.UNREADABLE)
    shown = look_at(out, on_progress=progress)
    if made.moved and shown is not None:
        times_s = [made.times_s[0] + time_s for time_s in shown.times_s]  # they had to be moved
        times_s = times_s if len(times_s) == len(made.times_s) else made.times_s
    else:
        times_s = made.times_s
    wrong = difference(shown, times_s=times_s, pictures=[made.first, made.last], exact=False)
    if wrong is not None:
        raise VideoError(
            f"the encoded clip is not what it should be: {wrong}", fault=Fault.INTERNAL
        )
    return len(made.times_s), made.moved


def _shown_seconds(path: Path) -> float:
    with open_video(path) as reading:
        stream = reading.stream
        return float((stream.duration or 0) * (stream.time_base or 0))
