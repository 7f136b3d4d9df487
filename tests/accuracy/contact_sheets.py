"""Contact sheets: one picture a video, with what is labelled and what was found over time."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from analysis.inspection import CaptureFacts
from analysis.landmarks import BONES, FloatArray
from analysis.primitives import Image, Interval, runs
from analysis.report import Report
from analysis.video import open_video
from tests.accuracy.footage import Agreement

Colour = tuple[int, int, int]  # red, green, blue

_COLUMNS, _ROWS = 8, 2
_THUMB_PX = 200
_MARGIN_PX, _LANE_PX, _CURVE_PX = 90, 20, 110
_WIDTH = _MARGIN_PX + _COLUMNS * _THUMB_PX
_PAPER, _INK, _GREY = (250, 250, 248), (40, 40, 44), (150, 150, 154)
_LABEL, _OUTER, _TAKE, _CLIP = (40, 140, 70), (176, 214, 184), (48, 92, 190), (176, 196, 232)
_SIGN, _HIPS, _HANDS = (206, 122, 30), (150, 40, 130), (30, 130, 160)
_BODY = (255, 220, 60)
_OUTSIDE = (-2.0, 2.5)  # torsos: of the curves' range


def thumbnails(path: Path, times_s: Sequence[float]) -> list[tuple[float, Image]]:
    """Return the pictures nearest after some increasing moments."""
    found: list[tuple[float, Image]] = []
    with open_video(path) as reading:
        for time_s, frame in reading.decode():
            if time_s >= times_s[len(found)] - 1e-3:
                found.append((time_s, reading.upright(frame, longest_px=_THUMB_PX)))
            if len(found) == len(times_s):
                break
    return found


def moments(duration_s: float) -> list[float]:
    """Return the moments to be shown of a video, evenly over it."""
    count = _COLUMNS * _ROWS
    return [float(at_s) for at_s in np.linspace(0, duration_s, count, endpoint=False)]


def sheet(
    result: Agreement,
    report: Report,
    evidence: CaptureFacts,
    pictures: Sequence[tuple[float, Image]],
) -> Image:
    """Return the contact sheet of a video: (height, width, 3), RGB."""
    thumbs = _thumbs(pictures, evidence)
    signs = evidence.signs
    grid_s = evidence.motion.times_s
    lanes: list[tuple[str, list[tuple[Sequence[Interval], Colour]]]] = [
        ("labelled", [(result.label.outer, _OUTER), (result.label.efforts, _LABEL)]),
        (
            "found",
            [
                ([Interval(start_s=t.start_s, end_s=t.end_s) for t in report.takes], _CLIP),
                ([take.active for take in evidence.takes], _TAKE),
            ],
        ),
    ]
    for name in ("low", "raised", "flying", "running", "busy"):
        spans: Sequence[Interval] = [
            Interval(start_s=float(grid_s[first]), end_s=float(grid_s[last]) + 0.1)
            for first, last in runs(getattr(signs, name))
        ]
        lanes.append((name, [(spans, _SIGN)]))
    texts = _texts(result, report)
    height = 22 * len(texts) + 10 + thumbs.shape[0] + _LANE_PX * len(lanes) + _CURVE_PX + 40
    image: Image = np.full((height, _WIDTH, 3), _PAPER, dtype=np.uint8)
    for number, text in enumerate(texts):
        _write(image, text, (8, 18 + 22 * number), _INK)
    top = 22 * len(texts) + 10
    image[top : top + thumbs.shape[0], _MARGIN_PX:] = thumbs
    top += thumbs.shape[0] + 6
    per_s = (_WIDTH - _MARGIN_PX) / max(report.video.duration_s, 0.1)
    for name, layers in lanes:
        _write(image, name, (8, top + 14), _INK)
        for depth, (stretches, colour) in enumerate(layers):
            for span in stretches:
                left, right = (_MARGIN_PX + round(s * per_s) for s in (span.start_s, span.end_s))
                cv2.rectangle(
                    image, (left, top + 2 + 3 * depth), (right, top + 16 - 3 * depth), colour, -1
                )
        top += _LANE_PX
    _write(image, "hips", (8, top + 30), _HIPS)
    _write(image, "hands", (8, top + 50), _HANDS)
    for curve, colour in (
        (evidence.motion.hip_height, _HIPS),
        (evidence.motion.wrist_height, _HANDS),
    ):
        _draw_curve(image, grid_s * per_s + _MARGIN_PX, curve, top, colour)
    _draw_seconds(image, report.video.duration_s, per_s, top + _CURVE_PX)
    return image


def _texts(result: Agreement, report: Report) -> list[str]:
    label = result.label
    found = "; ".join(
        f"{take.looks_like} {take.confidence:.2f}, {take.reps} repetitions" for take in report.takes
    )
    return [
        f"{label.path.name}: {label.group}, {label.reps} repetitions; set to {result.setting}",
        f"{report.verdict}: {found}",
        f"remarks: {', '.join(remark.code for remark in report.quality) or 'none'}",
        "; ".join(result.notes) or "as labelled",
    ]


def _thumbs(pictures: Sequence[tuple[float, Image]], evidence: CaptureFacts) -> Image:
    """Return the pictures in rows, with the body that the model saw drawn in."""
    high = max((picture.shape[0] for _, picture in pictures), default=1)
    sheet_of: Image = np.full(
        (_ROWS * (high + 16), _COLUMNS * _THUMB_PX, 3), _PAPER, dtype=np.uint8
    )
    for number, (time_s, picture) in enumerate(pictures):
        drawn = _with_body(picture, time_s, evidence)
        row, column = divmod(number, _COLUMNS)
        top, left = row * (high + 16), column * _THUMB_PX
        sheet_of[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
        _write(sheet_of, f"{time_s:.1f} s", (left + 2, top + high + 12), _GREY)
    return sheet_of


def _with_body(picture: Image, time_s: float, evidence: CaptureFacts) -> Image:
    drawn, looked = picture.copy(), evidence.motion.looked
    known = np.flatnonzero(looked.is_found & (np.abs(looked.times_s - time_s) < 0.3))
    if len(known):
        nearest = known[int(np.argmin(np.abs(looked.times_s[known] - time_s)))]
        points = looked.points_px[nearest] * (picture.shape[1] / max(1, looked.width_px))
        for first, last in BONES:
            ends = (tuple(int(v) for v in points[first]), tuple(int(v) for v in points[last]))
            cv2.line(drawn, *ends, _BODY, 1, cv2.LINE_AA)
    return drawn


def _draw_curve(
    image: Image, across: FloatArray, values: FloatArray, top: int, colour: Colour
) -> None:
    low, high = _OUTSIDE
    share = np.clip((values - low) / (high - low), 0, 1)
    points = np.stack([across, top + (1 - share) * _CURVE_PX], axis=1)
    for first, last in runs(~np.isnan(values)):
        line = np.rint(points[first : last + 1]).astype(np.int32)
        cv2.polylines(image, [line], False, colour, 1, cv2.LINE_AA)


def _draw_seconds(image: Image, duration_s: float, per_s: float, bottom: int) -> None:
    step_s = next((s for s in (0.5, 1, 2, 5, 10, 20) if duration_s / s <= 24), 60)
    for at_s in np.arange(0, duration_s, step_s):
        x = _MARGIN_PX + round(float(at_s) * per_s)
        cv2.line(image, (x, bottom), (x, bottom + 4), _GREY, 1)
        _write(image, f"{at_s:g}", (x - 4, bottom + 18), _GREY)


def _write(image: Image, text: str, place: tuple[int, int], colour: Colour) -> None:
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
