"""A camera of another maker: an RTSP server over TCP that answers and stamps as a test asks.

GStreamer's server, which other tests use, is never wrong by itself.
"""

import base64
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.faulty_camera import FPS, Footage

_RATE = 90_000  # of RTP's stamps, a second
_MOST_BYTES = 1300  # of a NAL unit in one RTP packet
_SOUND_RATE, _SOUND_BYTES = 8000, 160
_VIDEO, _SOUND = 96, 8  # payload types
_PARAMETERS = (7, 8)  # kinds of NAL unit: a sequence's and a picture's set
_KIND = 0x1F

Answer = Callable[[str], str | None]  # to a method; None: as it should be, "": hangs up


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How a camera behaves."""

    has_video: bool = True
    has_sound: bool = False
    reported_s: Callable[[float], float] | None = None  # its clock in RTCP reports, after so long
    answer: Answer = field(default=lambda _method: None)  # the status line and headers


class ScriptedCamera:
    """Serves one stream, over and over, to whoever asks."""

    def __init__(self, footage: Footage, script: Script) -> None:
        self._pictures = [_nal_units(picture) for picture in _pictures(footage.path)]
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._is_over = False
        self.reports = 0  # RTCP reports of the video that were sent
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/x"

    def close(self) -> None:
        """Be gone."""
        self._is_over = True
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while not self._is_over:
                viewer, _ = self._listener.accept()
                self._open.append(viewer)
                threading.Thread(target=self._talk, args=(viewer,), daemon=True).start()

    def _talk(self, viewer: socket.socket) -> None:
        channels: dict[str, int] = {}
        lock = threading.Lock()
        with contextlib.suppress(OSError):
            for method, address, headers in _requests(viewer):
                answer = self._script.answer(method)
                body = ""
                if answer is None:
                    answer, body = self._answer(method, address, headers, channels)
                if not answer:
                    viewer.shutdown(socket.SHUT_RDWR)
                    return
                told = f"{answer}\r\nCSeq: {headers['cseq']}\r\n"
                with lock:
                    viewer.sendall(f"RTSP/1.0 {told}\r\n{body}".encode())
                if method == "PLAY" and answer.startswith("200"):
                    player = _Player(viewer, lock, channels)
                    threading.Thread(target=self._play, args=(player,), daemon=True).start()

    def _answer(
        self, method: str, address: str, headers: Mapping[str, str], channels: dict[str, int]
    ) -> tuple[str, str]:
        """Return the head of an answer, and its body."""
        match method:
            case "OPTIONS":
                return "200 OK\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN", ""
            case "DESCRIBE":
                body = self._description()
                kind = "Content-Type: application/sdp"
                head = f"200 OK\r\nContent-Base: {self.address}/\r\n{kind}"
                return f"{head}\r\nContent-Length: {len(body)}", body
            case "SETUP":
                first = int(headers["transport"].partition("interleaved=")[2].partition("-")[0])
                channels[address.rpartition("/")[2]] = first
                way = f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"
                return f"200 OK\r\nTransport: {way}\r\nSession: 1;timeout=60", ""
            case _:
                return "200 OK\r\nSession: 1", ""

    def _description(self) -> str:
        units = self._pictures[0]
        sets = [next(one for one in units if one[0] & _KIND == kind) for kind in _PARAMETERS]
        told = ",".join(base64.b64encode(one).decode() for one in sets)
        lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=x", "t=0 0", "a=control:*"]
        video = [
            *(f"m=video 0 RTP/AVP {_VIDEO}", f"a=rtpmap:{_VIDEO} H264/{_RATE}"),
            f"a=fmtp:{_VIDEO} packetization-mode=1;sprop-parameter-sets={told}",
            "a=control:video",
        ]
        if self._script.has_video:
            lines += video
        if self._script.has_sound:
            sound = f"a=rtpmap:{_SOUND} PCMA/{_SOUND_RATE}"
            lines += [f"m=audio 0 RTP/AVP {_SOUND}", sound, "a=control:sound"]
        return "".join(f"{line}\r\n" for line in lines)

    def _play(self, player: "_Player") -> None:
        begun_s, number, sounds = time.monotonic(), 0, 0
        with contextlib.suppress(OSError):
            while not self._is_over:
                passed_s = time.monotonic() - begun_s
                if self._script.reported_s is not None and number % FPS == 0:
                    for track, rate in (("video", _RATE), ("sound", _SOUND_RATE)):
                        clock_s = self._script.reported_s(passed_s)
                        player.report(track, clock_s, round(passed_s * rate))
                    self.reports += 1
                units = self._pictures[number % len(self._pictures)]
                for payload, is_last in _payloads(units):
                    player.send("video", _VIDEO, round(passed_s * _RATE), payload, mark=is_last)
                while sounds * _SOUND_BYTES < passed_s * _SOUND_RATE:
                    stamp = sounds * _SOUND_BYTES
                    player.send("sound", _SOUND, stamp, bytes(_SOUND_BYTES), mark=False)
                    sounds += 1
                number += 1
                time.sleep(max(0.0, begun_s + number / FPS - time.monotonic()))


class _Player:
    """Sends the tracks that a viewer has set up; each has two channels of its connection."""

    def __init__(
        self, viewer: socket.socket, lock: threading.Lock, channels: Mapping[str, int]
    ) -> None:
        self._viewer = viewer
        self._lock = lock
        self._channels = dict(channels)
        self._numbers = dict.fromkeys(channels, 0)

    def send(self, track: str, kind: int, stamp: int, payload: bytes, *, mark: bool) -> None:
        """Send an RTP packet."""
        if track in self._channels:
            number = self._numbers[track] = (self._numbers[track] + 1) % (1 << 16)
            head = struct.pack(">BBHII", 0x80, (mark << 7) | kind, number, stamp % (1 << 32), kind)
            self._put(self._channels[track], head + payload)

    def report(self, track: str, clock_s: float, stamp: int) -> None:
        """Send an RTCP sender report: what the camera's clock shows, in seconds since 1900."""
        if track in self._channels:
            clock = round(clock_s * (1 << 32)) % (1 << 64)
            told = struct.pack(">BBHIQIII", 0x80, 200, 6, 1, clock, stamp % (1 << 32), 0, 0)
            self._put(self._channels[track] + 1, told)

    def _put(self, channel: int, packet: bytes) -> None:
        with self._lock:
            self._viewer.sendall(struct.pack(">BBH", 0x24, channel, len(packet)) + packet)


def _requests(viewer: socket.socket) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield the method, address and headers of each request; a viewer's own reports are left out.

    Raises:
        OSError: the connection is broken.
    """
    waiting = b""
    while received := viewer.recv(65536):
        waiting += received
        while waiting:
            if waiting.startswith(b"$"):
                size = 4 + int.from_bytes(waiting[2:4], "big")
                if len(waiting) < max(4, size):
                    break
                waiting = waiting[size:]
                continue
            head, found, rest = waiting.partition(b"\r\n\r\n")
            if not found:
                break
            waiting = rest
            line, *lines = head.decode().split("\r\n")
            pairs = (one.partition(":") for one in lines)
            method, address, _ = line.split(" ")
            yield method, address, {key.lower(): value.strip() for key, _, value in pairs}


def _pictures(path: Path) -> list[bytes]:
    whole, at, found = path.read_bytes(), 0, []
    while at < len(whole):
        size = int.from_bytes(whole[at : at + 4], "big")
        found.append(whole[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _nal_units(picture: bytes) -> list[bytes]:
    parts = picture.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [part for part in parts if part]


def _payloads(units: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield the RTP payloads of a picture (RFC 6184), and whether each is the last one."""
    for unit in units:
        is_last = unit is units[-1]
        if len(unit) <= _MOST_BYTES:
            yield unit, is_last
            continue
        head, body = unit[0], unit[1:]
        for at in range(0, len(body), _MOST_BYTES):
            begins, ends = at == 0, at + _MOST_BYTES >= len(body)
            within = begins << 7 | ends << 6 | (head & _KIND)
            yield (
                bytes((head & ~_KIND | 28, within)) + body[at : at + _MOST_BYTES],
                (is_last and ends),
            )


@contextmanager
def scripted_camera(footage: Footage, script: Script) -> Iterator[ScriptedCamera]:
    """Serve until the end of the block."""
    camera = ScriptedCamera(footage, script)
    try:
        yield camera
    finally:
        camera.close()
