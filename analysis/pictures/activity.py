"""The activity of a capture as a small plot: how much moves when, with the takes marked.  Pure."""

from collections.abc import Iterator
from itertools import pairwise

from analysis.report import Report

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
