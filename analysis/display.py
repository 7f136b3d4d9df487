"""How players show a stored picture: shape, orientation, colours, fields.

A file tells them in several places: the stream's own headers, the container, a display matrix.
What a frame comes with after decoding, and the container's pixel aspect before the stream's, is
what FFmpeg's player goes by, and others with few exceptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import atan2, degrees, hypot
from struct import Struct
from typing import TypeVar, cast

import cv2
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from analysis.landmarks import FloatArray

UNSPECIFIED = 2  # of primaries, transfer and matrix, by ITU-T H.273
BT709 = 1
LIMITED, FULL = 1, 2  # FFmpeg's numbers for the range; 0: unspecified
_RGB = 0
_LEAST_ASPECT, _MOST_ASPECT = Fraction(1, 10), Fraction(10)  # believable; headers claim more
_ONE = 1 << 16  # of a display matrix: 16.16 fixed point, the last column 2.30
_MATRIX = Struct("9i")
_SAME_SHAPE = 0.03  # rounding of sides and of pixel aspects
_SKEWED = 0.02  # rad off a quarter turn, or a share off scale 1
_MATRICES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})  # that swscale converts from
# Red's and blue's share of the luma, by FFmpeg's number of the matrix.
_SHARES = {1: (0.2126, 0.0722), 4: (0.3, 0.11), 7: (0.212, 0.087)}
_SHARES |= dict.fromkeys((9, 10), (0.2627, 0.0593))
_SHARES_ELSE = (0.299, 0.114)  # BT.601, which FFmpeg takes for unspecified too

_Array = TypeVar("_Array", bound=np.ndarray)  # of any element type


@dataclass(frozen=True, slots=True, kw_only=True)
class Orientation:
    """One of the eight ways to turn and mirror a stored picture."""

    turns: int = 0  # quarter turns counter-clockwise, after mirroring
    is_mirrored: bool = False  # left and right swapped

    @classmethod
    def of(cls, matrix: tuple[int, ...] | None) -> "Orientation":
        """Return the one nearest to a display matrix."""
        if matrix is None:
            return cls()
        a, b, _, c, d = matrix[:5]
        mirrored = a * d - b * c < 0
        across, down = (-a, -b) if mirrored else (a, b)
        return cls(turns=round(degrees(-atan2(down, across)) / 90) % 4, is_mirrored=mirrored)

    @property
    def rotation_deg(self) -> int:
        """Degrees counter-clockwise, -90 to 180."""
        return (self.turns * 90 + 90) % 360 - 90

    @property
    def is_sideways(self) -> bool:
        """Whether width and height change places."""
        return self.turns % 2 == 1

    def upright(self, picture: _Array) -> _Array:
        """Return a stored picture, (height, width, ...), as it is shown."""
        straight = picture[:, ::-1] if self.is_mirrored else picture
        return cast(_Array, np.rot90(straight, self.turns))

    def matrix(self, width: float, height: float) -> tuple[int, ...]:
        """Return it as a display matrix that keeps a picture of that stored size in place."""
        across, down = ((1, 0), (0, -1), (-1, 0), (0, 1))[self.turns]
        a, b, c, d = across, down, -down, across
        if self.is_mirrored:
            a, b = -a, -b
        left = min(0, a) * width + min(0, c) * height
        top = min(0, b) * width + min(0, d) * height
        moved = (round(-left * _ONE), round(-top * _ONE))
        return (a * _ONE, b * _ONE, 0, c * _ONE, d * _ONE, 0, *moved, 1 << 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """How numbers become light, in the numbers of ITU-T H.273 and FFmpeg."""

    range: int = 0
    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def are_told(self) -> bool:
        """Whether anything of it is specified."""
        return self != Colours()


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """How players show a stored picture."""

    width: int  # px, as stored
    height: int
    aspect: Fraction | None  # of a pixel, width to height; None: not told, square
    display_matrix: tuple[int, ...] | None  # as the file tells it
    pix_fmt: str
    colours: Colours
    is_interlaced: bool

    @property
    def orientation(self) -> Orientation:
        """Return how it is turned and mirrored."""
        return Orientation.of(self.display_matrix)

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height in square pixels, upright."""
        return shown_size(self.width, self.height, self.aspect, self.orientation)

    @property
    def written_matrix(self) -> tuple[int, ...] | None:
        """The display matrix without what pixel aspect tells already: turned, not stretched."""
        if self.display_matrix is None:
            return None
        a, b, _, c, d = (part / _ONE for part in self.display_matrix[:5])
        scales = (hypot(a, b), hypot(c, d))
        if all(abs(scale - 1) < _SKEWED for scale in scales):
            return self.display_matrix
        return self.orientation.matrix(self.width * float(self.aspect or 1), self.height)


def shown_size(
    width: float, height: float, aspect: Fraction | None, orientation: Orientation
) -> tuple[int, int]:
    """Return a stored picture's width and height in square pixels, upright."""
    across, down = max(1, round(width * float(aspect or 1))), max(1, round(height))
    return (down, across) if orientation.is_sideways else (across, down)


def fitted(own: tuple[float, float], whole: tuple[int, int]) -> tuple[int, int]:
    """Return how large a picture of another shape becomes inside one of even sides."""
    scale = min(whole[0] / own[0], whole[1] / own[1])
    across, down = (max(2, round(side * scale / 2) * 2) for side in own)
    alike = abs(own[0] * whole[1] / (own[1] * whole[0]) - 1) < _SAME_SHAPE
    return whole if alike else (min(across, whole[0]), min(down, whole[1]))


def believable(aspect: Fraction | None) -> Fraction | None:
    """Return a pixel aspect, or None where it is not told or cannot be."""
    if aspect is None or not _LEAST_ASPECT <= aspect <= _MOST_ASPECT:
        return None
    return aspect


def appearance_of(frame: VideoFrame, aspect: Fraction | None) -> Appearance:
    """Return how players show a decoded frame."""
    name = frame.format.name
    return Appearance(
        width=frame.width,
        height=frame.height,
        aspect=believable(aspect),
        display_matrix=_display_matrix(frame),
        pix_fmt=name,
        colours=Colours(
            range=FULL if name.startswith("yuvj") else int(frame.color_range),
            matrix=int(frame.colorspace),
            primaries=int(frame.color_primaries) or UNSPECIFIED,
            transfer=int(frame.color_trc) or UNSPECIFIED,
        ),
        is_interlaced=bool(frame.interlaced_frame),
    )


def side_data(frame: VideoFrame, kind: Type) -> bytes | None:
    """Return what a frame carries beside its picture.

    `frame.side_data` would be kept by the frame and keep it: every frame that was asked stays in
    memory until the collector of cycles runs, which at 4K was a gigabyte.
    """
    container: object = SideDataContainer(frame)  # type: ignore[call-arg]  # the stub has no constructor
    carried = cast("Mapping[Type, object]", container)
    found = carried.get(kind) if len(carried) else None
    return None if found is None else bytes(found)  # type: ignore[call-overload]  # it is a buffer


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    told = side_data(frame, Type.DISPLAYMATRIX)
    if told is None or len(told) < _MATRIX.size:
        return None
    matrix = _MATRIX.unpack_from(told)
    a, b, _, c, d = matrix[:5]
    return matrix if a * d - b * c else None  # one without area shows nothing: players ignore it


def readable(frame: VideoFrame) -> VideoFrame:
    """Return a frame whose matrix swscale knows; it refuses those that few players know."""
    if frame.colorspace not in _MATRICES:
        frame.colorspace = UNSPECIFIED
    return frame


def has_no_yuv(frame: VideoFrame) -> bool:
    """Tell whether a frame is stored as red, green and blue."""
    return frame.format.is_rgb or frame.format.has_palette


def is_grey(frame: VideoFrame) -> bool:
    """Tell whether a frame has brightness alone."""
    colours = [part for part in frame.format.components if not part.is_alpha]
    return len(colours) == 1 and not has_no_yuv(frame)


def shown_rgb(
    frame: VideoFrame, scaler: VideoReformatter, *, kept: tuple[int, int], size: tuple[int, int]
) -> FloatArray:
    """Return a frame small, neither turned nor mirrored, in the colours that players show.

    Size, depth, range and matrix are worked out here in fractions and not by swscale, whose ways
    from different formats to RGB differ by up to two levels.

    Args:
        frame: as it was decoded.
        scaler: for formats that are not read as they are.
        kept: how many columns and lines count, from the left and the top.
        size: width and height to shrink them to.

    Returns:
        Red, green and blue, shape (height, width, 3), 0 to 255; a little beyond where 4:2:0 blends
        colours, so that means stay true.
    """
    if has_no_yuv(frame):
        packed = scaler.reformat(frame, format="rgb24", threads=1)
        rows = _stored(packed, 0, "u1")[:, : frame.width * 3]
        whole = rows.reshape(frame.height, frame.width, 3)
        return _area(whole[: kept[1], : kept[0]], size)
    bits = frame.format.components[0].bits
    if is_grey(frame):
        grey = "gray" if bits <= 8 else "gray16le"
        (luma,) = _planes(frame, scaler, grey, kept, size)
        light = _levels(luma, 0, 8 if bits <= 8 else 16, frame.color_range or FULL)
        return np.repeat(light[..., None] * 255, 3, axis=2)
    is_jpeg = frame.format.name.startswith("yuvj")
    limits = FULL if is_jpeg else int(frame.color_range)
    kind = frame.format.name if _is_laid_out(frame) else _planar(frame)
    planes = _planes(frame, scaler, kind, kept, size)
    light = _levels(planes[0], 0, bits, limits)
    blueness, redness = (_levels(part, 1 << bits - 1, bits, limits) for part in planes[1:])
    r_share, b_share = _SHARES.get(frame.colorspace, _SHARES_ELSE)
    r = light + 2 * (1 - r_share) * redness
    b = light + 2 * (1 - b_share) * blueness
    g = (light - r_share * r - b_share * b) / (1 - r_share - b_share)
    return np.stack([r, g, b], axis=2) * 255


def _levels(part: FloatArray, zero: int, bits: int, limits: int) -> FloatArray:
    """Return levels of a depth as shares of 1."""
    if limits == FULL:
        return (part - zero) / ((1 << bits) - 1)
    black, span = (0, 224) if zero else (16, 219)
    return ((part - zero) / (1 << bits - 8) - black) / span


def _is_laid_out(frame: VideoFrame) -> bool:
    """Tell whether brightness and both colour differences have a plane each."""
    parts = frame.format.components
    return [part.plane for part in parts[:3]] == [0, 1, 2] and parts[0].bits <= 16


def _planar(frame: VideoFrame) -> str:
    """Return the format that holds the same numbers in planes of their own."""
    across = round(frame.width / max(1, frame.format.chroma_width()))
    down = round(frame.height / max(1, frame.format.chroma_height()))
    name = {(1, 1): "yuv444p", (2, 1): "yuv422p"}.get((across, down), "yuv420p")
    bits = frame.format.components[0].bits
    return name if bits <= 8 else f"{name}{bits}le"


def _planes(
    frame: VideoFrame,
    scaler: VideoReformatter,
    pix_fmt: str,
    kept: tuple[int, int],
    size: tuple[int, int],
) -> list[FloatArray]:
    """Return the planes of a frame in another size; no level is moved."""
    if pix_fmt != frame.format.name:
        limits = FULL if pix_fmt.startswith("gray") else LIMITED  # told of both sides
        frame = scaler.reformat(
            frame, format=pix_fmt, src_color_range=limits, dst_color_range=limits, threads=1
        )
    parts = frame.format.components
    count = 1 if len(parts) < 3 else 3
    kind = "u1" if parts[0].bits <= 8 else (">u2" if frame.format.is_big_endian else "<u2")
    found = []
    for number in range(count):
        plane = frame.planes[number]
        across = kept[0] * plane.width // frame.width
        down = kept[1] * plane.height // frame.height
        found.append(_area(_stored(frame, number, kind)[:down, :across], size))
    return found


def _stored(frame: VideoFrame, number: int, kind: str) -> NDArray[np.generic]:
    """Return a plane's lines, padding included."""
    plane = frame.planes[number]
    stored: NDArray[np.generic] = np.frombuffer(plane, kind)  # type: ignore[call-overload]  # a plane is a buffer
    return stored.reshape(-1, plane.line_size // np.dtype(kind).itemsize)[: plane.height]


def _area(picture: NDArray[np.generic], size: tuple[int, int]) -> FloatArray:
    """Return a picture in another size, each pixel the mean of what it covers."""
    native = picture.astype(picture.dtype.newbyteorder("="), copy=False)
    smaller = size[0] <= picture.shape[1] and size[1] <= picture.shape[0]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(native.astype(np.float32), size, interpolation=way).astype(np.float64)
