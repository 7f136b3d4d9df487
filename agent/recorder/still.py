"""Pictures of what the camera sees at this moment, made when somebody asks for one."""

import time
from collections.abc import Sequence
from fractions import Fraction

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from agent.camera_link import StillPicture
from agent.recorder.filming import StillSource
from agent.recorder.source import CameraError

_LONGEST_PX, _LIVE_LONGEST_PX = 1280, 640
_FINE = (3,)  # of mjpeg's quantisers, 1 to 31
_LIVE = (5, 9, 16, 31)
_LIVE_BYTES = 70_000  # twice a second this is less than 150 kB/s
_DECODING_S = 0.15  # of one request: orders are not heard meanwhile


class StillMaker:
    """Decodes from the last keyframe up to this moment, each packet once while somebody looks."""

    def __init__(self) -> None:
        self._source: StillSource | None = None
        self._decoder: VideoCodecContext | None = None
        self._fed = 0  # packets of the source
        self._latest: VideoFrame | None = None

    def make(self, source: StillSource | None, *, now_s: float, live: bool) -> StillPicture:
        """Return the latest picture as JPEG.

        Args:
            source: what the camera sent lately; None: it sends nothing.
            now_s: since boot.
            live: small, of at most 70 kB; else finer, for judging the picture.

        Raises:
            CameraError: the camera sends nothing, or nothing that can be decoded.
        """
        if source is None:
            raise CameraError("the camera sends no picture now", hint="spotter camera")
        try:
            picture = self._decoded(source)
        except av.error.FFmpegError as error:
            self._source = None
            raise CameraError(f"the picture cannot be decoded: {type(error).__name__}") from None
        if picture is None:
            raise CameraError("the last keyframe shows nothing", hint="try again")
        filmed_s = source.packets[picture.pts or 0].filmed_s
        return StillPicture(jpeg=_encoded(picture, live=live), age_s=max(0.0, now_s - filmed_s))

    def _decoded(self, source: StillSource) -> VideoFrame | None:
        if source is not self._source or self._decoder is None:
            self._source, self._fed, self._latest = source, 0, None
            self._decoder = _decoder_of(source)
        latest_s = time.monotonic() + _DECODING_S
        while self._fed < len(source.packets):
            packet = Packet(source.packets[self._fed].payload)
            packet.pts = self._fed
            self._fed += 1
            self._keep_last(self._decoder.decode(packet))
            if self._latest is not None and time.monotonic() > latest_s:
                break
        if self._latest is None:  # it is held back for what may be shown before it
            self._source = None
            self._keep_last(self._decoder.decode(None))
        return self._latest

    def _keep_last(self, pictures: Sequence[VideoFrame]) -> None:
        if pictures:
            self._latest = pictures[-1]


def _decoder_of(source: StillSource) -> VideoCodecContext:
    decoder = VideoCodecContext.create(source.camera.codec, "r")
    assert isinstance(decoder, VideoCodecContext)  # of a video codec's name
    decoder.extradata = source.camera.template.codec_context.extradata
    decoder.skip_frame = "NONREF"  # no other picture needs these
    return decoder


def _encoded(picture: VideoFrame, *, live: bool) -> bytes:
    longest_px = _LIVE_LONGEST_PX if live else _LONGEST_PX
    scale = min(1.0, longest_px / max(picture.width, picture.height))
    width, height = (round(side * scale) & ~1 for side in (picture.width, picture.height))
    small = picture.reformat(width=width, height=height, format="yuvj420p")
    small.pts = 0
    jpeg = b""
    for quantiser in _LIVE if live else _FINE:
        encoder = VideoCodecContext.create("mjpeg", "w")
        assert isinstance(encoder, VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
        encoder.time_base = Fraction(1, 1)
        encoder.options = {"qmin": str(quantiser), "qmax": str(quantiser)}
        packets = (*encoder.encode(small), *encoder.encode(None))
        jpeg = b"".join(bytes(packet) for packet in packets)
        if len(jpeg) <= _LIVE_BYTES:
            break
    return jpeg
