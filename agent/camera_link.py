"""What the daemon and a recorder send each other over a Unix socket: JSON, one message a line.

Once a second the daemon sends an order (whether to film, why, and until when), and the recorder a
report of what its camera does.  Both ends are on one box and in one boot, so the time since boot
decides; UTC is for people and logs.
"""

import base64
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from agent.clock import Instant
from agent.text import printable, read_json

CAMERA_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,39}"  # a regular expression
REPORT_EVERY_S = 1.0
LOST_AFTER_S = 3.0  # without a report, a recorder is taken for dead
MOST_LINE_BYTES = 4 << 20  # a still picture is the largest message
_MOST_TEXT = 300  # signs of a foreign text


class OrderReason(StrEnum):
    """Why the station wants its camera armed, or not."""

    ASSIGNED = "assigned"  # an athlete is on the station
    UNASSIGNED = "unassigned"  # nobody is
    STOPPED = "stopped"  # a person stopped filming: no mode overrides it


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmingOrder:
    """What a station wants of its recorders."""

    reason: OrderReason
    said: Instant
    until: Instant | None  # from then on it says nothing; None: it holds until the next one

    @property
    def armed(self) -> bool:
        """Whether an athlete is to be filmed."""
        return self.reason is OrderReason.ASSIGNED

    def message(self) -> dict[str, object]:
        """Return it as it is sent."""
        until = None if self.until is None else asdict(self.until)
        return {
            "armed": self.armed,
            "reason": str(self.reason),
            "said": asdict(self.said),
            "until": until,
        }

    @classmethod
    def of_message(cls, message: Mapping[str, Any]) -> "FilmingOrder | None":
        """Read what `message` gave; None where it is no order."""
        try:
            until = message["until"]
            return cls(
                reason=OrderReason(message["reason"]),
                said=Instant(**message["said"]),
                until=None if until is None else Instant(**until),
            )
        except (KeyError, TypeError, ValueError):
            return None


RECORDER_TOKEN = "recorder-token"  # noqa: S105  # the name of a systemd credential
FROM_STATION = "station:"  # as a recorder's source: the station says which camera it is
_SCHEMES = frozenset({"rtsp", "rtsps", "http", "https"})
_DEVICE = re.compile(r"/dev/video\d{1,3}")


def is_camera_address(text: str) -> bool:
    """Tell whether a text is the address of a camera on the network."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # one that is none raises
    except ValueError:
        return False
    return text.isprintable() and parts.scheme in _SCHEMES and bool(parts.hostname)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraChoice:
    """The camera that a person has chosen on the page, for a recorder that takes it from there."""

    id: str  # random: another one for every choice
    source: str = field(repr=False)  # with its password; never shown or logged
    transport: str = "tcp"

    def __post_init__(self) -> None:
        """Refuse what is no camera: a recorder opens no other files for the page.

        Raises:
            ValueError: neither an address on the network nor a device, nor the drawn athlete.
        """
        is_here = self.source == "test:" or _DEVICE.fullmatch(self.source)
        if not is_here and not is_camera_address(self.source):
            raise ValueError("must be an rtsp or http address, or /dev/videoN")
        if self.transport not in {"tcp", "udp"}:
            raise ValueError("must be tcp or udp")

    def message(self) -> dict[str, object]:
        """Return it as it is sent, and stored."""
        return asdict(self)

    @classmethod
    def of_message(cls, message: Mapping[str, Any]) -> "CameraChoice | None":
        """Read what `message` gave; None where it is no choice."""
        try:
            told = {name: message[name] for name in ("id", "source", "transport")}
            return cls(**{name: str(value) for name, value in told.items()})
        except (KeyError, TypeError, ValueError):
            return None


class RecorderState(StrEnum):
    """What a recorder does."""

    CONNECTING = "connecting"  # it has just started
    WATCHING = "watching"  # the camera sends; nothing is stored
    RECORDING = "recording"  # the camera sends, and it is stored
    CAMERA_LOST = "camera_lost"  # the camera does not send
    NOT_STORED = "not_stored"  # it should be stored, and the disk or the folder refuses


class RecorderTrouble(StrEnum):
    """What keeps a recorder from recording."""

    NO_ANSWER = "no_answer"  # the camera cannot be reached
    REJECTED = "rejected"  # it does not accept user or password
    NOT_THERE = "not_there"  # no such stream, or no such device
    BUSY = "busy"  # another program holds the device
    NOT_ALLOWED = "not_allowed"  # the recorder's user may not open the device
    UNREADABLE = "unreadable"  # what it sends is no video that can be stored
    BROKE_OFF = "broke_off"  # it was there, and sends nothing any more
    FOLDER_MISSING = "folder_missing"
    DISK_FULL = "disk_full"
    NOT_WRITABLE = "not_writable"  # the capture folder refuses
    NOT_RUNNING = "not_running"  # the recorder itself, by the daemon's word


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderReport:
    """One camera as its recorder knows it at this moment."""

    camera: str
    state: RecorderState
    since_s: float  # Unix time
    armed_by: str | None = None  # None: disarmed
    codec: str | None = None
    width: int = 0  # px
    height: int = 0
    fps: float = 0.0  # measured
    kbit_s: float = 0.0
    keyframe_s: float = 0.0  # the longest distance between two keyframes lately
    ring_s: float = 0.0  # what the ring holds
    ring_bytes: int = 0
    dropped: int = 0  # packets dropped since the start: the disk was too slow
    files: int = 0  # placed since the start
    moved: bool = False  # in the file that grows: it ends as soon as all is at rest
    trouble: RecorderTrouble | None = None  # None: all is well
    error: str | None = None  # the same in words, with what to do
    choice: str | None = None  # id of its `CameraChoice`, "": none yet; None: of its own settings

    @property
    def size_px(self) -> tuple[int, int] | None:
        """Width and height of what the camera sends; None where it has only just connected."""
        return (self.width, self.height) if self.width and self.height else None

    def message(self) -> dict[str, object]:
        """Return it as it is sent."""
        return asdict(self)

    @classmethod
    def of_message(cls, message: Mapping[str, Any]) -> "RecorderReport | None":
        """Read what `message` gave; None where it is no report."""
        try:
            return cls(
                camera=_text(message["camera"]) or "",
                state=RecorderState(message["state"]),
                since_s=_number(message["since_s"]),
                armed_by=_text(message["armed_by"]),
                codec=_text(message["codec"]),
                width=int(_number(message["width"])),
                height=int(_number(message["height"])),
                fps=_number(message["fps"]),
                kbit_s=_number(message["kbit_s"]),
                keyframe_s=_number(message["keyframe_s"]),
                ring_s=_number(message["ring_s"]),
                ring_bytes=int(_number(message["ring_bytes"])),
                dropped=int(_number(message["dropped"])),
                files=int(_number(message["files"])),
                moved=message.get("moved") is True,  # an older recorder does not say
                trouble=_trouble(message.get("trouble")),  # an older recorder says none
                error=_text(message["error"]),
                choice=_text(message.get("choice")),
            )
        except (KeyError, TypeError, ValueError):
            return None


class PictureKind(StrEnum):
    """What a picture of a camera is for."""

    FINE = "fine"  # large, of this moment: to judge the picture by
    LIVE = "live"  # small, of this moment: all since the last keyframe is decoded for it
    GLANCE = "glance"  # small, of the last keyframe: costs a small part of that


@dataclass(frozen=True, slots=True, kw_only=True)
class StillPicture:
    """What a camera sees."""

    jpeg: bytes
    age_s: float  # since it was filmed

    def message(self) -> dict[str, object]:
        """Return it as it is sent."""
        return {"jpeg": base64.b64encode(self.jpeg).decode(), "age_s": self.age_s}

    @classmethod
    def of_message(cls, message: Mapping[str, Any]) -> "StillPicture | None":
        """Read what `message` gave; None where it is no picture."""
        try:
            jpeg = base64.b64decode(message["jpeg"], validate=True)
            return cls(jpeg=jpeg, age_s=_number(message["age_s"]))
        except (KeyError, TypeError, ValueError):
            return None


def _text(value: object) -> str | None:
    return None if value is None else printable(str(value), _MOST_TEXT)


def _trouble(value: object) -> RecorderTrouble | None:
    return None if value is None else RecorderTrouble(str(value))


def _number(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]  # whoever calls catches what this raises
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def as_line(message: Mapping[str, object]) -> bytes:
    """Return a message as it goes over the socket."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class LineReader:
    """Puts messages together from what a socket gives."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, received: bytes) -> Iterator[dict[str, Any]]:
        """Yield the messages that are whole by now; what is none is passed over.

        Raises:
            ValueError: a line is longer than any message.
        """
        *lines, self._rest = (self._rest + received).split(b"\n")
        if len(self._rest) > MOST_LINE_BYTES:
            raise ValueError("a line without an end")
        for line in lines:
            try:
                message = read_json(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                yield message
