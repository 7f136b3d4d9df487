"""The recorder's process: one thread reads the camera, one films, and the main one speaks with the
station.  `spotter record` becomes it: `python -m agent.recorder.run NAME DESCRIPTOR`.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

import av
import av.error
import structlog
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from agent.camera_link import (
    RECORDER_TOKEN,
    REPORT_EVERY_S,
    CameraChoice,
    FilmingOrder,
    LineReader,
    PictureKind,
    RecorderReport,
    RecorderTrouble,
    StillPicture,
    as_line,
)
from agent.clock import Instant, read_clock
from agent.errors import kind_words
from agent.logs import configure_logs
from agent.recorder.filming import FilmingLoop, Mailbox, StillSource
from agent.recorder.policy import FilmedCamera, RecorderPolicy
from agent.recorder.source import CameraError, explained, opened_camera
from agent.retry import Backoff, BackoffTimer
from agent.secret_files import read_secret
from agent.stage import ShutdownRequested, StageName, StopFlag
from agent.wakeup import short_path

_OPEN_AGAIN = Backoff(base_s=0.5, longest_s=4.0)  # the stream is back within 10 s of its camera
_ASK_AGAIN = Backoff(base_s=10.0, longest_s=300.0)  # cameras lock out who often gives a wrong word
_END_WITHIN_S = 5.0
_TRUST_S = 1.0
_CHOICE_S = 0.2  # between two checks for the camera that was chosen
_RECEIVED_BYTES = 65536

log = structlog.get_logger(stage=StageName.RECORDER)


def run_recorder(policy: RecorderPolicy) -> None:
    """Film until SIGTERM or SIGINT."""
    stop = StopFlag()
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        with contextlib.suppress(BlockingIOError):
            os.write(wake, b"\0")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    mailbox = Mailbox(policy.cutting.ring_bytes)
    reader = CameraReader(policy.camera, mailbox.put, stop)
    filming = FilmingLoop(policy, mailbox, now=RecorderClock(), reopen=reader.reopen)

    def film() -> None:
        try:
            filming.run(stop.is_set)
        except Exception:
            log.exception("filming failed", camera=policy.camera.name)
            os._exit(1)  # without a good-bye: the station misses it until it is started again

    films = threading.Thread(target=film, name="filming")
    films.start()
    threading.Thread(target=reader.run, name="reader", daemon=True).start()
    log.info("recorder started", camera=policy.camera.name, pid=os.getpid())
    stills = StillMaker()

    def still(kind: PictureKind) -> StillPicture:
        return stills.make(filming.still, now_s=read_clock().boot_s or 0.0, kind=kind)

    try:
        link = StationLink(
            policy.socket,
            filming.report_now,
            mailbox.put,
            still,
            reader.choose,
        )
        link.run(stop, woken)
    finally:
        stop.set()
        films.join(_END_WITHIN_S)
    log.info("recorder stopped", camera=policy.camera.name)


class RecorderClock:
    """Reads the clock for every picture; whether it is right, which costs more, once a second."""

    def __init__(self) -> None:
        self._read = read_clock()

    def __call__(self) -> Instant:
        boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        read = self._read
        if boot_s - (read.boot_s or 0.0) >= _TRUST_S:
            self._read = read = read_clock()
        return Instant(utc_s=time.time(), boot_id=read.boot_id, boot_s=boot_s, trusted=read.trusted)


class CameraReader:
    """Reads the camera for ever: opened again, after growing pauses, whenever it breaks off."""

    def __init__(self, camera: FilmedCamera, put: Callable[[object], None], stop: StopFlag) -> None:
        self._camera = camera
        self._is_chosen = camera.is_chosen_at_station
        self._put = put
        self._stop = stop
        self._pause = BackoffTimer(_OPEN_AGAIN)
        self._pause_rejected = BackoffTimer(_ASK_AGAIN)
        self._unforeseen: str | None = None  # the last error that nobody had thought of
        self._reopens = threading.Event()
        self._choice: CameraChoice | None = None  # what the station said last

    def choose(self, choice: CameraChoice) -> None:
        """Use the camera that was chosen at the station, where the settings leave it to that."""
        if self._is_chosen and choice != self._choice:
            self._choice = choice
            self._reopens.set()

    def reopen(self) -> None:
        """Open the camera again after the present packet."""
        self._reopens.set()

    def run(self) -> None:
        """Read until the process ends."""
        with contextlib.suppress(ShutdownRequested):
            while True:
                error = self._error()
                if error is not None:
                    is_rejected = error.trouble is RecorderTrouble.REJECTED
                    pause = self._pause_rejected if is_rejected else self._pause
                    self._put(error)
                    self._rest(pause.note_failure())

    def _rest(self, seconds: float) -> None:
        """Wait, unless another camera is chosen meanwhile."""
        latest_s = time.monotonic() + seconds
        while not self._reopens.is_set() and (left_s := latest_s - time.monotonic()) > 0:
            self._stop.wait(min(left_s, _CHOICE_S))

    def _error(self) -> CameraError | None:
        """Read the camera; return why it broke off, or None where it is to be opened again."""
        try:
            self._read()
        except CameraError as error:
            return error
        except ShutdownRequested:
            raise
        except Exception as error:  # of libav's binding, on what a camera can send
            if str(error) != self._unforeseen:
                self._unforeseen = str(error)
                log.exception("camera failed", camera=self._camera.name)
            return explained(error, self._camera.host)
        return None

    def _read(self) -> None:
        """Pass on what the camera sends, until it is to be opened again.

        Raises:
            CameraError: it broke off.
        """
        self._reopens.clear()
        self._take_choice()
        with opened_camera(self._camera) as opened:
            self._put(opened.format)
            for packet in opened.packets():
                self._stop.check()
                self._put(packet)
                if self._pause.failures or self._pause_rejected.failures:
                    self._pause.note_success()
                    self._pause_rejected.note_success()
                if self._reopens.is_set():
                    return
        raise CameraError(f"{self._camera.host} ended the stream", hint="it is opened again")

    def _take_choice(self) -> None:
        """Go over to the camera that was chosen last; wait for a first one."""
        if not self._is_chosen:
            return
        while (choice := self._choice) is None:
            self._stop.wait(_CHOICE_S)
        if self._camera.choice == choice.id:
            return
        self._camera = chosen = self._camera.chosen(choice)
        self._put(chosen)
        self._pause.note_success()
        self._pause_rejected.note_success()


class StationLink:
    """The recorder's end of the daemon's socket; without a daemon it tries again for ever."""

    def __init__(
        self,
        path: Path | None,
        report: Callable[[], RecorderReport],
        put: Callable[[object], None],
        still: Callable[[PictureKind], StillPicture],
        choose: Callable[[CameraChoice], None],
    ) -> None:
        """Prepare to connect.

        Args:
            path: of the daemon's socket; None: there is none.
            report: returns how the camera does.
            put: takes orders.
            still: makes a picture, or raises `CameraError`.
            choose: takes the camera that was chosen at the station.
        """
        self._choose = choose
        self._still = still
        self._path = path
        self._report = report
        self._put = put

    def run(self, stop: StopFlag, woken: int) -> None:
        """Report and take orders until the process ends.

        Args:
            stop: the request to end.
            woken: a descriptor that becomes readable then.
        """
        while not stop.is_set():
            connected = self._connected()
            if connected is None:
                select.select([woken], [], [], REPORT_EVERY_S)
                continue
            log.info("station connected")
            with connected, contextlib.suppress(OSError, ValueError):
                for _ in self._talk(connected, woken):
                    if stop.is_set():
                        connected.sendall(as_line({"bye": True}))
                        return
            log.warning("station lost")

    def _connected(self) -> socket.socket | None:
        if self._path is None:
            return None
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(REPORT_EVERY_S)
        try:
            with short_path(self._path) as short:
                link.connect(short)
        except OSError:
            link.close()
            return None
        return link

    def _talk(self, link: socket.socket, woken: int) -> Iterator[None]:
        """Send a report a second, and pass orders on; end when the station does.

        Raises:
            OSError: the connection is broken.
            ValueError: what comes is not the daemon's.
        """
        token = read_secret(None, None, os.environ, credential=RECORDER_TOKEN)
        if token is not None:
            link.sendall(as_line({"token": token}))
        lines, next_s = LineReader(), 0.0
        while True:
            now_s = time.monotonic()
            if now_s >= next_s:
                link.sendall(as_line({"report": self._report().message()}))
                next_s = now_s + REPORT_EVERY_S
            ready, _, _ = select.select([link.fileno(), woken], [], [], max(0.0, next_s - now_s))
            if link.fileno() in ready:
                received = link.recv(_RECEIVED_BYTES)
                if not received:
                    return
                for message in lines.take(received):
                    self._hear(link, message)
            yield

    def _hear(self, link: socket.socket, message: dict[str, Any]) -> None:
        order = FilmingOrder.of_message(message.get("order") or {})
        if order is not None:
            self._put(order)
        choice = CameraChoice.of_message(message.get("camera") or {})
        if choice is not None:
            self._choose(choice)
        if "still" in message:
            told = self._picture(message.get("kind"))
            link.sendall(as_line({"still": {"id": message["still"], **told}}))

    def _picture(self, told: object) -> dict[str, object]:
        kind = next((kind for kind in PictureKind if kind == told), PictureKind.FINE)
        try:
            return self._still(kind).message()
        except CameraError as error:
            return {"error": str(error)}


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


def main() -> None:
    """Film by the policy that a descriptor holds; the name before it distinguishes processes."""
    with open(int(sys.argv[2]), encoding="utf-8") as handed:  # noqa: PTH123  # no path
        policy = RecorderPolicy.from_json(handed.read())
    configure_logs()
    run_recorder(policy)


if __name__ == "__main__":
    main()
