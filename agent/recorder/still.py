"""Pictures of what the camera sees, made when somebody asks for one."""

import time
from collections.abc import Sequence
from fractions import Fraction
from weakref import WeakKeyDictionary

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from agent.camera_link import PictureKind, StillPicture
from agent.errors import kind_words
from agent.recorder.filming import StillSource
from agent.recorder.source import CameraError

_LONGEST_PX, _SMALL_LONGEST_PX = 1280, 640
_FINE = (3,)  # of mjpeg's quantisers, 1 to 31
_SMALL = (5, 9, 16, 31)
_SMALL_BYTES = 70_000  # twice a second this is less than 150 kB/s
_DECODING_S = 0.15  # of one request: orders are not heard meanwhile
# H.264's filter between blocks takes a quarter of the decoding, and shows in no small picture.
_UNSMOOTHED = {"skip_loop_filter": "all"}


class StillMaker:
    """Makes pictures of what came since the last keyframe; decodes each packet once for all.

    A glance is the keyframe alone.  For any other kind all that came since is decoded, at up to ten
    times the processor time that recording takes.  What is kept for the next picture goes with the
    keyframe.
    """

    def __init__(self) -> None:
        # Small pictures and fine ones have decoders of their own.
        self._followed: dict[bool, WeakKeyDictionary[StillSource, _Followed]] = {
            False: WeakKeyDictionary(),
            True: WeakKeyDictionary(),
        }
        self._glances: WeakKeyDictionary[StillSource, bytes] = WeakKeyDictionary()

    def make(self, source: StillSource | None, *, now_s: float, kind: PictureKind) -> StillPicture:
        """Return the latest picture as JPEG.

        Args:
            source: what the camera sent lately; None: it sends nothing.
            now_s: since boot.
            kind: what it is for; all but a fine one are of at most 70 kB.

        Raises:
            CameraError: the camera sends nothing, or nothing that can be decoded.
        """
        if source is None:
            raise CameraError("the camera sends no picture now", hint="spotter camera")
        is_fine = kind is PictureKind.FINE
        try:
            if kind is PictureKind.GLANCE:
                shown, jpeg = source.packets[0], self._glance(source)
            else:
                picture = self._follow(source, fine=is_fine)
                shown = source.packets[picture.pts or 0]
                jpeg = _encoded(picture, fine=is_fine)
        except av.error.FFmpegError as error:
            self._followed[is_fine].pop(source, None)
            raise CameraError(
                f"the picture cannot be decoded: {error.strerror or kind_words(error)}",
                hint="set the camera to H.264",
            ) from None
        return StillPicture(jpeg=jpeg, age_s=max(0.0, now_s - shown.filmed_s))

    def _glance(self, source: StillSource) -> bytes:
        jpeg = self._glances.get(source)
        if jpeg is None:
            picture = _shown(_decoder_of(source, fine=False), source.packets[0].payload)
            jpeg = self._glances[source] = _encoded(picture, fine=False)
        return jpeg

    def _follow(self, source: StillSource, *, fine: bool) -> VideoFrame:
        known = self._followed[fine]
        followed = known.get(source)
        if followed is None:
            followed = known[source] = _Followed(_decoder_of(source, fine=fine))
        picture = followed.latest(source)
        if picture is None:  # it is held back for what may be shown before it
            del known[source]
            picture = _shown(_decoder_of(source, fine=fine), source.packets[0].payload)
        return picture


class _Followed:
    """A decoder that has been fed what came since a keyframe."""

    def __init__(self, decoder: VideoCodecContext) -> None:
        self._decoder = decoder
        self._fed = 0  # packets
        self._latest: VideoFrame | None = None

    def latest(self, source: StillSource) -> VideoFrame | None:
        """Decode on, for a while; return the latest picture so far, with its packet's place."""
        latest_s = time.monotonic() + _DECODING_S
        while self._fed < len(source.packets):
            packet = Packet(source.packets[self._fed].payload)
            packet.pts = self._fed
            self._fed += 1
            pictures: Sequence[VideoFrame] = self._decoder.decode(packet)
            if pictures:
                self._latest = pictures[-1]
            if self._latest is not None and time.monotonic() > latest_s:
                break
        return self._latest


def _shown(decoder: VideoCodecContext, payload: bytes) -> VideoFrame:
    """Return the only picture of a keyframe.

    Raises:
        CameraError: it shows nothing.
        FFmpegError: it cannot be decoded.
    """
    packet = Packet(payload)
    packet.pts = 0
    pictures = [*decoder.decode(packet), *decoder.decode(None)]
    if not pictures:
        raise CameraError("the last keyframe shows nothing", hint="try again")
    return pictures[-1]


def _decoder_of(source: StillSource, *, fine: bool) -> VideoCodecContext:
    decoder = VideoCodecContext.create(source.camera.codec, "r")
    assert isinstance(decoder, VideoCodecContext)  # of a video codec's name
    decoder.extradata = source.camera.template.codec_context.extradata
    decoder.skip_frame = "NONREF"  # no other picture needs these
    decoder.thread_count = 1  # a further one costs memory, and helps cameras' streams little
    if not fine and source.camera.codec == "h264":
        decoder.options = _UNSMOOTHED
    return decoder


def _encoded(picture: VideoFrame, *, fine: bool) -> bytes:
    longest_px = _LONGEST_PX if fine else _SMALL_LONGEST_PX
    scale = min(1.0, longest_px / max(picture.width, picture.height))
    width, height = (round(side * scale) & ~1 for side in (picture.width, picture.height))
    small = picture.reformat(width=width, height=height, format="yuvj420p")
    jpeg = b""
    for quantiser in _FINE if fine else _SMALL:
        encoder = VideoCodecContext.create("mjpeg", "w")
        assert isinstance(encoder, VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
        encoder.time_base = Fraction(1, 1)
        encoder.thread_count = 1
        encoder.options = {"qmin": str(quantiser), "qmax": str(quantiser)}
        packets = (*encoder.encode(small), *encoder.encode(None))
        jpeg = b"".join(bytes(packet) for packet in packets)
        if len(jpeg) <= _SMALL_BYTES:
            break
    return jpeg
