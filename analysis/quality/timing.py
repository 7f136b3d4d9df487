"""Frame rate, missing frames and damage.  Pure."""

from collections.abc import Sequence

import numpy as np

from analysis.packets import Jump, Packets
from analysis.quality.remarks import Remark, remark

_LOWEST_FPS = {"running": 24.0, "jumping": 24.0, "weightlifting": 20.0}
_LOWEST_AT_ALL_FPS = 15.0
_TOLERANCE = 0.9  # 23.98 is 24
_MISSING = 1.7  # times the usual step
_UNEVEN_SHARE = 0.02  # of the steps


def judge_timing(
    packets: Packets, *, activity: str | None, damaged_at_s: Sequence[float]
) -> list[Remark]:
    """Return the remarks on the frames' times and on damage.

    Args:
        packets: all of the capture's.
        activity: what is done in it, where that is known.
        damaged_at_s: where packets could not be decoded.
    """
    remarks = []
    if damaged_at_s:
        remarks.append(remark("file_damaged", at_s=max(0.0, damaged_at_s[0])))
    if packets.jumps:
        remarks.append(
            remark("times_jump", at_s=packets.jumps[0].at_s, detail=_told(packets.jumps))
        )
    if packets.is_rate_assumed:
        remarks.append(remark("frame_rate_assumed"))
    times_s = packets.shown_s
    steps_s = np.diff(times_s)
    if len(steps_s) < 2:
        return remarks
    fps = 1 / packets.spacing_s
    if fps < _LOWEST_FPS.get(activity or "", _LOWEST_AT_ALL_FPS) * _TOLERANCE:
        remarks.append(remark("frame_rate_low", detail=f"{fps:.0f} a second"))
    uneven = np.flatnonzero((steps_s > _MISSING * packets.spacing_s) | (steps_s <= 0))
    if len(uneven) > _UNEVEN_SHARE * len(steps_s) or steps_s.max() > max(
        0.5, 3 * packets.spacing_s
    ):
        first = int(uneven[0]) if len(uneven) else int(np.argmax(steps_s))
        remarks.append(remark("frames_uneven", at_s=float(times_s[first])))
    return remarks


def _told(jumps: Sequence[Jump]) -> str:
    times = "once" if len(jumps) == 1 else f"{len(jumps)} times, first"
    way = "back" if jumps[0].by_s < 0 else "forward"
    return f"{times} {way} by {abs(jumps[0].by_s):.1f} s"
