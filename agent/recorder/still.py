"""A still picture of what the camera sees, made when somebody asks for it."""

from fractions import Fraction

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from agent.recorder.filming import StillSource
from agent.recorder.source import CameraError

_MOST_WIDTH = 960  # px
_FINE = "3"  # of mjpeg's quantisers, 1 to 31


def still_jpeg(still: StillSource | None) -> bytes:
    """Return the camera's last keyframe as JPEG, at most 960 px wide.

    Raises:
        CameraError: the camera sends nothing, or nothing that can be decoded.
    """
    if still is None:
        raise CameraError("the camera sends no picture now", hint="spotter camera")
    try:
        picture = _decoded(still)
        if picture is None:
            raise CameraError("the last keyframe shows nothing", hint="try again")
        return _encoded(picture)
    except av.error.FFmpegError as error:
        raise CameraError(f"the picture cannot be decoded: {type(error).__name__}") from None


def _decoded(still: StillSource) -> VideoFrame | None:
    decoder = VideoCodecContext.create(still.camera.codec, "r")
    assert isinstance(decoder, VideoCodecContext)  # of a video codec's name
    decoder.extradata = still.camera.template.codec_context.extradata
    for packet in (Packet(still.packet.payload), None):
        for picture in decoder.decode(packet):
            return picture
    return None


def _encoded(picture: VideoFrame) -> bytes:
    width = min(_MOST_WIDTH, picture.width) & ~1
    height = round(picture.height * width / picture.width) & ~1
    encoder = VideoCodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.options = {"qmin": _FINE, "qmax": _FINE}
    small = picture.reformat(width=width, height=height, format="yuvj420p")
    small.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(small), *encoder.encode(None)))
