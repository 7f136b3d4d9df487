"""Small grey pictures: enough to see whether something moves."""

import cv2
import numpy as np
from av.video.frame import VideoFrame

from analysis.image import Grey

LONGEST_PX = 160
_ROWS = 5  # averaged into one: more cost time and show nothing else
_EIGHT_BIT_LUMA = frozenset(
    {"yuv420p", "yuvj420p", "nv12", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray"}
)
_TEN_BIT_LUMA = frozenset({"yuv420p10le", "yuv422p10le", "yuv444p10le"})


def grey_thumbnail(
    frame: VideoFrame, *, longest_px: int = LONGEST_PX, like: tuple[int, int] | None = None
) -> Grey:
    """Return the brightness of a frame as it is stored, averaged to at most `longest_px` a side.

    A damaged recording may change its size midway; `like`, a width and height, keeps the small
    pictures alike.

    The frame's own brightness plane is read where it lies, of a large one only some rows, which is
    many times cheaper than a conversion of the whole frame.
    """
    width, height = like or (frame.width, frame.height)
    scale = min(1.0, longest_px / max(width, height, 1))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    step = max(1, frame.height // (_ROWS * size[1]))
    plane = frame.planes[0]
    if frame.format.name in _EIGHT_BIT_LUMA:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]  # a plane is a buffer
        luma = rows[: frame.height : step, : frame.width]
    elif frame.format.name in _TEN_BIT_LUMA:
        deep = np.frombuffer(plane, "<u2").reshape(-1, plane.line_size // 2)  # type: ignore[call-overload]  # a plane is a buffer
        luma = (deep[: frame.height : step, : frame.width] >> 2).astype(np.uint8)
    else:
        luma = frame.to_ndarray(format="gray")
    small: Grey = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return small
