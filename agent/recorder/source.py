"""The camera: opened, read, and closed; whatever it is, encoded pictures come from it.

H.264, HEVC and AV1 pass as the camera sent them; anything else is encoded once, with a keyframe a
second.  Every error that comes out of here says what to do, and nothing of the address but its
host.
"""

import errno
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple, Protocol

import av
import av.error
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from agent.camera_link import RecorderTrouble
from agent.errors import AgentError, kind_words
from agent.recorder.packets import ArrivalClock, TimeCheck
from agent.recorder.policy import FilmedCamera

STORED_AS_SENT = frozenset({"h264", "hevc", "av1"})
_OPEN_S, _READ_S = 4.0, 3.0  # of silence, after which the camera is taken for lost
# Enough for a keyframe's parameters.  Decoding for it, as libav does by itself, takes 10 MB.
_LOOK = {"analyzeduration": "500000"}
_DECODE_NOTHING = [{"skip_frame": "all"}] * 8  # streams of one camera
_LOOK_CLOSELY = {"analyzeduration": "2000000"}
# Of several tracks, sound included, libav takes the times from the camera's RTCP reports: one whose
# clock stands still or is set would interrupt the pictures at each of them.
_FIRST_VIDEO_ALONE = {"allowed_media_types": "video", "max_streams": "1"}
_SILENT_S = 2.5
_OPENING = 8  # packets among which the first one's missing time is found
_AT_ONCE_S = 0.004  # packets that are read at shorter intervals had piled up
_MOST_AT_ONCE, _MOST_OPENING_S = 600, 30.0
_NAP_S = 0.1  # in which packets gather: to wake for each takes a fifth of the processor time
_UP_TO_DATE_S = 0.02  # a packet that is not later is the last one that had come
_ENCODED = {"preset": "veryfast", "crf": "20", "tune": "zerolatency"}
_TEST_FPS = 30
_MILLISECOND = Fraction(1, 1000)
_IS_ON = "is it on, and in this network?"
_OTHERS = "end other viewers of the camera, such as its app, or try the other camera.transport"
_PLUGGED_IN = "is it plugged in, and is camera.source right?"
_Told = tuple[str, str, RecorderTrouble]  # what happened, what to do
_WORDS: dict[int, _Told] = {
    errno.EPERM: (  # libav's -1, where an answer was due
        "ended the connection",
        f"it is opened again; if it stays so, {_OTHERS}",
        RecorderTrouble.BROKE_OFF,
    ),
    errno.ECONNREFUSED: (
        "refuses the connection",
        "is it on, and is the port right?",
        RecorderTrouble.NO_ANSWER,
    ),
    errno.EHOSTUNREACH: ("cannot be reached", _IS_ON, RecorderTrouble.NO_ANSWER),
    errno.ENETUNREACH: ("cannot be reached", "is the network up?", RecorderTrouble.NO_ANSWER),
    errno.ETIMEDOUT: ("does not answer", _IS_ON, RecorderTrouble.NO_ANSWER),
    errno.EIO: (  # of a name that nobody knows, and of a device that was pulled out
        "cannot be reached",
        "is it on, and is camera.source right?",
        RecorderTrouble.NO_ANSWER,
    ),
    errno.ENOENT: ("does not exist", _PLUGGED_IN, RecorderTrouble.NOT_THERE),
    errno.ENODEV: ("does not exist", _PLUGGED_IN, RecorderTrouble.NOT_THERE),
    errno.EBUSY: (
        "is in use by another program",
        "end that program, or let it write into the capture folder",
        RecorderTrouble.BUSY,
    ),
    errno.EPROTONOSUPPORT: ("refuses this transport", _OTHERS, RecorderTrouble.BUSY),
    errno.EACCES: (
        "may not be opened",
        "the user spotter-camera must be in the group video",
        RecorderTrouble.NOT_ALLOWED,
    ),
}
_BY_KIND: dict[str, _Told] = {
    "HTTPUnauthorizedError": (
        "rejects user or password",
        "check the user in camera.source and the camera's password, then restart the recorder; "
        "of Digest, the camera must offer MD5, not SHA-256 alone",
        RecorderTrouble.REJECTED,
    ),
    "HTTPOtherClientError": ("refuses one more stream", _OTHERS, RecorderTrouble.BUSY),
    "HTTPServerError": ("has no stream to give now", _OTHERS, RecorderTrouble.BUSY),
    "HTTPForbiddenError": (
        "refuses this user",
        "check the user's rights in the camera",
        RecorderTrouble.REJECTED,
    ),
    "HTTPNotFoundError": (
        "has no such stream",
        "check the path in camera.source",
        RecorderTrouble.NOT_THERE,
    ),
    "ExitError": ("does not answer", _IS_ON, RecorderTrouble.NO_ANSWER),
    "InvalidDataError": (
        "sends no video that can be read",
        "set the camera to H.264",
        RecorderTrouble.UNREADABLE,
    ),
    "EOFError": ("ended the stream", "it is opened again", RecorderTrouble.BROKE_OFF),
}

av.logging.set_level(None)  # libav's own messages contain the address, with its password


class CameraError(AgentError):
    """The camera sends nothing that can be used; it is tried again."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        trouble: RecorderTrouble = RecorderTrouble.BROKE_OFF,
    ) -> None:
        super().__init__(message, hint=hint)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class CameraFormat:
    """What a camera sends."""

    codec: str
    width: int
    height: int
    template: VideoStream  # from which the streams of files are made


@dataclass(frozen=True, slots=True)
class SourcePacket:
    """An encoded picture as it was read."""

    payload: bytes
    pts_s: float | None
    duration_s: float
    is_keyframe: bool
    arrived_s: float  # seconds since boot
    camera_utc_s: float | None = None  # of a keyframe: when it was filmed by the camera's own clock


class OpenCamera(Protocol):
    """A camera that sends."""

    @property
    def format(self) -> CameraFormat:
        """What it sends."""

    def packets(self) -> Iterator[SourcePacket]:
        """Yield what it sends, until it ends."""


@contextmanager
def opened_camera(camera: FilmedCamera) -> Iterator[OpenCamera]:
    """Open a camera.

    Raises:
        CameraError: it cannot be opened, or breaks off.
    """
    address = camera.address()
    if address == "test:":
        yield _DrawnAthlete()
        return
    begun_s = time.monotonic()
    try:
        with _opened(camera, address) as opened:
            # What libav has no decoder for has no codec context, whatever PyAV's types say.
            if not opened.streams.video or opened.streams.video[0].codec_context is None:
                raise _no_video(camera)
            if not opened.streams.video[0].width:
                raise CameraError(
                    f"{camera.host} sends no picture",
                    hint="is it on? It should send a keyframe every second or two",
                )
            is_buffered = address.startswith("rtsp") and camera.transport == "tcp"
            is_played = _is_played(camera, address)
            yield _Stream(opened, is_played=is_played, is_buffered=is_buffered)
    except (av.error.FFmpegError, OSError) as error:
        # Of a camera that was silent for too long, libav says that it sent nothing valid.
        was_silent = isinstance(error, av.error.InvalidDataError) and (
            time.monotonic() - begun_s >= _READ_S
        )
        if was_silent:
            error = TimeoutError(errno.ETIMEDOUT, "")
        raise explained(error, camera.host) from None


def _no_video(camera: FilmedCamera) -> CameraError:
    return CameraError(
        f"{camera.host} sends no video of a known codec",
        hint="check camera.source, and set the camera to H.264",
        trouble=RecorderTrouble.UNREADABLE,
    )


def _is_played(camera: FilmedCamera, address: str) -> bool:
    return not camera.is_network and not address.startswith("/dev/")


def _opened(camera: FilmedCamera, address: str) -> InputContainer:
    """Open an address; a camera that says little about its stream is opened a second time.

    Raises:
        CameraError: it has no video track.
    """

    def opened_for(options: dict[str, str], streams: list[dict[str, str]] | None) -> InputContainer:
        return av.open(
            address,
            format=how.format,
            options=how.options | options,
            stream_options=streams,  # type: ignore[arg-type]  # dicts; PyAV's types say otherwise
            timeout=None if _is_played(camera, address) else (_OPEN_S, _READ_S),
            metadata_errors="ignore",
        )

    how = _how_to_open(camera, address)
    if how.format != "rtsp":
        return opened_for({}, None)
    begun_s = time.monotonic()
    try:
        opened = opened_for(_LOOK, _DECODE_NOTHING)
    except av.error.FFmpegError:  # some of which are ValueErrors
        raise
    except ValueError:  # of options for tracks, where there is none
        raise _no_video(camera) from None
    # One that has sent nothing for so long would send nothing to a longer probe either.
    if _is_known(opened) or time.monotonic() - begun_s > _SILENT_S:
        return opened
    opened.close()
    return opened_for(_LOOK_CLOSELY, None)


def _is_known(opened: InputContainer) -> bool:
    """Tell whether a file of the video can be begun."""
    if not opened.streams.video:
        return True  # a longer probe would find none either
    codec = opened.streams.video[0].codec_context
    is_stored = codec is not None and codec.name in STORED_AS_SENT
    return codec is None or bool(is_stored and codec.width and codec.height and codec.extradata)


class _HowToOpen(NamedTuple):
    """What libav is given for an address."""

    format: str | None
    options: dict[str, str]


def _how_to_open(camera: FilmedCamera, address: str) -> _HowToOpen:
    if address.startswith("rtsp"):
        return _HowToOpen("rtsp", {"rtsp_transport": camera.transport} | _FIRST_VIDEO_ALONE)
    if address.startswith("/dev/"):
        sizes = {"video_size": camera.size, "framerate": camera.rate and str(camera.rate)}
        options = {key: str(value) for key, value in sizes.items() if value}
        wanted = _pixel_format(address)
        if wanted:
            options["input_format"] = wanted
        return _HowToOpen("v4l2", options)
    return _HowToOpen(None, {})


def _pixel_format(device: str) -> str | None:
    """Return the best of what a video device gives: encoded, if it can; None: as it likes."""
    for wanted in ("h264", "mjpeg"):
        try:
            with av.open(device, format="v4l2", options={"input_format": wanted}) as opened:
                if opened.streams.video[0].codec_context.name == wanted:
                    return wanted
        except (av.error.FFmpegError, OSError):
            continue
    return None


def explained(error: Exception, host: str) -> CameraError:
    """Return an error of libav's in words: its own would repeat the address."""
    number = getattr(error, "errno", None)
    told = _BY_KIND.get(type(error).__name__) or _WORDS.get(number or 0)
    if told is None:
        words = getattr(error, "strerror", None) or kind_words(error)
        told = (f"failed: {words}", "check camera.source", RecorderTrouble.BROKE_OFF)
    return CameraError(f"{host} {told[0]}", hint=told[1], trouble=told[2])


def _template(stream: VideoStream) -> VideoStream:
    """Return a copy of a stream's description that outlives its camera."""
    keeper = av.open("/dev/null", "w", format="matroska")
    return keeper.add_stream_from_template(stream, opaque=True)


class _Stream:
    """A camera that libav reads."""

    def __init__(self, opened: InputContainer, *, is_played: bool, is_buffered: bool) -> None:
        """Prepare to read.

        Args:
            opened: the camera.
            is_played: it is a file.
            is_buffered: what is not read at once waits in the network's buffers, however much.
        """
        self._opened = opened
        self._is_buffered = is_buffered
        self._stream = stream = opened.streams.video[0]
        self._is_played = is_played
        codec = stream.codec_context.name
        self._encoder = None if codec in STORED_AS_SENT else _Encoder(stream)
        template = _template(stream) if self._encoder is None else self._encoder.template
        self.format = CameraFormat(
            codec if self._encoder is None else "h264", stream.width, stream.height, template
        )

    def packets(self) -> Iterator[SourcePacket]:
        """Yield what it sends; a file is played at its own pace."""
        read = self._read() if self._encoder is None else self._encoder.encoded(self._opened)
        if self._is_played:
            yield from _paced(read)
            return
        opening: list[SourcePacket] | None = []
        clock, check, gathers = ArrivalClock(), TimeCheck(), self._is_buffered
        for packet in read:
            if opening is None:
                yield packet
                # Once a stamp is wrong, pictures may be timed by when they are read.
                gathers = gathers and check.fault(packet.pts_s, packet.arrived_s) is None
                if gathers and packet.pts_s is not None:
                    filmed_s = clock.filmed_s(packet.pts_s, packet.arrived_s)
                    if packet.arrived_s - filmed_s < _UP_TO_DATE_S:
                        time.sleep(_NAP_S)
                continue
            is_live = bool(opening) and packet.arrived_s - opening[-1].arrived_s > _AT_ONCE_S
            opening.append(packet)
            if (is_live and len(opening) >= _OPENING) or len(opening) >= _MOST_AT_ONCE:
                for sent in as_sent(opening):
                    gathers = check.fault(sent.pts_s, sent.arrived_s) is None and gathers
                    yield sent
                opening = None

    def _read(self) -> Iterator[SourcePacket]:
        unit_s = float(self._stream.time_base or _MILLISECOND)
        for packet in self._opened.demux(self._stream):
            if packet.size:
                yield _read_packet(packet, unit_s)


def _read_packet(packet: "Packet[VideoStream]", unit_s: float) -> SourcePacket:
    """Return what libav has read; every line here is run for every picture."""
    pts, is_keyframe = packet.pts, packet.is_keyframe
    return SourcePacket(
        bytes(packet),
        None if pts is None else pts * unit_s,
        (packet.duration or 0) * unit_s,
        is_keyframe,
        time.clock_gettime(time.CLOCK_BOOTTIME),
        _camera_utc_s(packet) if is_keyframe else None,
    )


def _camera_utc_s(packet: "Packet[VideoStream]") -> float | None:
    """Return the producer reference time, which libav takes from RTCP sender reports."""
    if not packet.has_sidedata("prft"):
        return None
    told = bytes(packet.get_sidedata("prft"))
    return int.from_bytes(told[:8], "little", signed=True) / 1e6


def as_sent(opening: Sequence[SourcePacket]) -> list[SourcePacket]:
    """Return a stream's first packets as if each had been read when it was sent.

    While libav finds out what a stream is, packets pile up.  The first one of an RTSP stream has no
    time, which libav does not know yet.
    """
    known = [packet.pts_s for packet in opening[1:] if packet.pts_s is not None]
    first = opening[0]
    if first.pts_s is None and known and first.duration_s:
        first = replace(first, pts_s=min(known) - first.duration_s)
    packets = [first, *opening[1:]]
    delays = [p.arrived_s - p.pts_s for p in packets if p.pts_s is not None]
    if not delays or max(known, default=0.0) - min(known, default=0.0) > _MOST_OPENING_S:
        return packets
    least_s = min(delays)
    return [p if p.pts_s is None else replace(p, arrived_s=p.pts_s + least_s) for p in packets]


def _paced(packets: Iterator[SourcePacket]) -> Iterator[SourcePacket]:
    """Yield the packets of a file when a camera would have sent them."""
    begun_s: float | None = None
    latest_s = float("-inf")
    for packet in packets:
        latest_s = max(latest_s, packet.pts_s if packet.pts_s is not None else latest_s)
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        if begun_s is None:
            begun_s = now_s - latest_s
        time.sleep(max(0.0, begun_s + latest_s - now_s))
        yield replace(packet, arrived_s=time.clock_gettime(time.CLOCK_BOOTTIME))


class _Encoder:
    """Makes H.264 of pictures."""

    def __init__(self, stream: VideoStream) -> None:
        rate = stream.average_rate or stream.guessed_rate or Fraction(_TEST_FPS)
        self.template = new_encoder(stream.width, stream.height, Fraction(rate))

    def encoded(self, opened: InputContainer) -> Iterator[SourcePacket]:
        """Yield the pictures of a camera, encoded."""
        begun_s: float | None = None
        for frame in opened.decode(video=0):
            now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
            begun_s = now_s if begun_s is None else begun_s
            picture = frame.reformat(
                width=self.template.width, height=self.template.height, format="yuv420p"
            )
            # MJPEG and devices give no time that is better than this.
            yield from encode_picture(self.template, picture, at_s=now_s - begun_s)


_TICKS = 90_000  # a second


def new_encoder(width: int, height: int, rate: Fraction) -> VideoStream:
    """Return an encoder of H.264."""
    keeper = av.open("/dev/null", "w", format="matroska")
    stream = keeper.add_stream("libx264", rate=rate)
    stream.width, stream.height = width & ~1, height & ~1
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, _TICKS)
    stream.codec_context.gop_size = max(1, round(rate))
    stream.codec_context.options = dict(_ENCODED)
    keeper.start_encoding()
    return stream


def encode_picture(
    stream: VideoStream, picture: VideoFrame, *, at_s: float
) -> Iterator[SourcePacket]:
    """Yield what encoding one picture gives."""
    picture.pts = round(at_s * _TICKS)
    picture.time_base = Fraction(1, _TICKS)
    for packet in stream.encode(picture):
        yield SourcePacket(
            bytes(packet),
            at_s if packet.pts is None else packet.pts / _TICKS,
            0.0,
            packet.is_keyframe,
            time.clock_gettime(time.CLOCK_BOOTTIME),
        )


class _DrawnAthlete:
    """An athlete drawn live: stands, lifts, stands, without end."""

    def __init__(self) -> None:
        # Drawing takes OpenCV and numpy, which no other source needs.
        from agent.synthetic.performance import Segment
        from agent.synthetic.render import draw_frame
        from agent.synthetic.storyboard import Storyboard

        self._draw = draw_frame
        self._story = Storyboard((Segment("stand", 8.0), Segment("snatch")), fps=_TEST_FPS)
        template = new_encoder(640, 360, Fraction(_TEST_FPS))
        self.format = CameraFormat("h264", 640, 360, template)

    def packets(self) -> Iterator[SourcePacket]:
        """Yield the drawn athlete, as fast as time passes."""
        begun_s, index = time.monotonic(), 0
        while True:
            image = self._draw(self._story, index % self._story.frame_count)
            picture = VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            yield from encode_picture(self.format.template, picture, at_s=index / _TEST_FPS)
            index += 1
            late_s = time.monotonic() - begun_s - index / _TEST_FPS
            if late_s > 1.0:  # the box is too slow for it: pictures are left out, as a camera would
                index += round(late_s * _TEST_FPS)
            time.sleep(max(0.0, -late_s))
