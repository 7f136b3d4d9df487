"""Cuts a clip: by copying packets where possible, else by encoding, and verifies it.

Where the keyframes allow it packets are copied; where that would hide too much in front, or an
MP4 cannot hold the codec, or a smaller rendition is asked for, the clip is encoded.  Either way
the result is looked at before it is believed, and the record says which way was taken and why.
"""

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from analysis.cut.copy import COPY_ERRORS, CannotCopy, copy_clip
from analysis.cut.encode import Encoded, encode_clip
from analysis.cut.target import CutJob, CutOptions
from analysis.cut.verify import Expected, difference, look_at, picture_at
from analysis.video import Progress, VideoError, VideoFault, open_video

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})  # no other way helps


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
    before_encoding: Callable[[], None] = lambda: None,
) -> Cut:
    """Cut `[start_s, end_s)` of a capture, in presentation time, to an MP4.

    A lossless clip may run on for the few frames that its last ones need.

    Args:
        path: the capture.
        start_s: where the clip begins.
        end_s: where it ends.
        out: the MP4 to write.
        on_progress: called with the share that is done.
        options: what the settings say about cutting.
        before_encoding: called where copying is not possible: encoding takes memory.

    Raises:
        VideoError: the capture cannot be read, or nothing of it is in the interval.
    """
    job = CutJob(
        path=path,
        out=out,
        start_s=start_s,
        end_s=end_s,
        options=options or CutOptions(),
        on_progress=on_progress,
        before_encoding=before_encoding,
    )
    try:
        _refuse_copy(job)
        frames = _copy(job)
        method: Literal["copy", "encode"] = "copy"
        why = "keyframes allow a lossless cut"
    except COPY_ERRORS as reason:
        frames, method, remarks = _without_copy(job)
        why = "; ".join([str(reason), *remarks])
    return Cut(
        clip_frames=frames,
        clip_seconds=_shown_seconds(out),
        clip_bytes=out.stat().st_size,
        method=method,
        why=why,
    )


def _refuse_copy(job: CutJob) -> None:
    """Raise CannotCopy where the settings want the clip encoded."""
    options = job.options
    if options.method == "encode":
        raise CannotCopy("the settings say so")
    if options.rendition_height is None and options.rendition_kbit_s is None:
        return
    with open_video(job.path) as reading:
        size_px = min(reading.width, reading.height)  # upright or turned: the shorter side
        kbit_s = (reading.container.bit_rate or 0) / 1000
    if options.rendition_height is not None and size_px > options.rendition_height:
        raise CannotCopy(f"a rendition of {options.rendition_height} px is requested")
    if options.rendition_kbit_s is not None and not 0 < kbit_s <= options.rendition_kbit_s:
        raise CannotCopy(f"a rendition of {options.rendition_kbit_s} kbit/s is requested")


def _copy(job: CutJob) -> int:
    copied = copy_clip(job)
    first = copied.first
    assert first is not None  # nothing is copied without it
    times_s = [float(time_s) for time_s in copied.times_s]
    last = picture_at(job.path, times_s[-1], on_progress=job.on_progress)
    expected = Expected(
        times_s=times_s,
        first=first,
        last=last,
        look=first.look,
        has_fields=any(picture and picture.look.is_interlaced for picture in (first, last)),
    )
    shown = look_at(job.out, on_progress=job.on_progress, unsmoothed=True)
    wrong = difference(shown, expected, exact=True)
    if wrong is not None:
        raise CannotCopy(f"a lossless cut is not possible: {wrong}")
    return len(times_s)


def _without_copy(job: CutJob) -> tuple[int, Literal["copy", "encode"], list[str]]:
    """Return the number of frames, the way that was taken, and what is to be said of it.

    Where the clip is not shown as the capture is, it is made in other ways before anybody has to
    decide: by way of plain red, green and blue, then with a long part hidden in front.
    """
    job.before_encoding()
    try:
        frames, remarks = _encode(job, plainly=False)
        return frames, "encode", remarks
    except (_NotAsShown, *COPY_ERRORS) as reason:
        if getattr(reason, "errno", None) in _DISK:
            raise
        wrong = reason
    try:
        frames, remarks = _encode(job, plainly=True)
        return frames, "encode", [*remarks, f"colours converted to BT.709, because else {wrong}"]
    except (_NotAsShown, *COPY_ERRORS) as reason:
        plainly_wrong = reason
    try:
        if job.options.method == "encode":
            raise CannotCopy("the settings say so")
        _refuse_copy(job)
        frames = _copy(replace(job, options=replace(job.options, method="copy")))
        return frames, "copy", [f"copied with what comes before it, because encoded {wrong}"]
    except COPY_ERRORS:
        raise VideoError(
            f"the encoded clip is not what it should be: {wrong}; in plain colours {plainly_wrong}",
            fault=VideoFault.INTERNAL,
        ) from None


class _NotAsShown(Exception):
    """An encoded clip is not shown as the capture is; the text says how."""


def _encode(job: CutJob, *, plainly: bool) -> tuple[int, list[str]]:
    """Return the number of frames, and what is to be said of them."""
    made = encode_clip(job, plainly=plainly)
    shown = look_at(job.out, on_progress=job.on_progress)
    if made.moved and shown is not None:
        times_s = [made.times_s[0] + time_s for time_s in shown.times_s]  # they had to be moved
        times_s = times_s if len(times_s) == len(made.times_s) else made.times_s
    else:
        times_s = made.times_s
    expected = Expected(
        times_s=times_s,
        first=made.first,
        last=made.last,
        look=made.look,
        has_fields=made.has_fields,
        is_smaller=job.options.rendition_height is not None,
    )
    wrong = difference(shown, expected, exact=False)
    if wrong is not None:
        raise _NotAsShown(wrong)
    return len(made.times_s), list(_remarks(made))


def _remarks(made: Encoded) -> Iterator[str]:
    if len(made.sizes) > 1:
        sizes = ", ".join(f"{width}x{height}" for width, height in sorted(made.sizes))
        one = "{}x{}".format(*made.look.shown_size)
        yield f"the picture size changes in the recording ({sizes}): encoded to one size, {one}"
    if made.has_fields:
        yield "it stays interlaced"
    if made.moved:
        yield f"{made.moved} frames had no time of their own"


def _shown_seconds(path: Path) -> float:
    with open_video(path) as reading:
        stream = reading.stream
        return float((stream.duration or 0) * (stream.time_base or 0))
