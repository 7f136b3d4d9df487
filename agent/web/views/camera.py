"""What the page shows of the station's cameras: a live picture, how each recorder does, whether the
framing is good; and what the set-up page of a new station offers to choose from.
"""

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from agent.camera_link import PictureKind, RecorderState, RecorderTrouble, StillPicture
from agent.clipping.analysis_process import Framing, check_framing
from agent.errors import BusyError
from agent.exercises import EXERCISES
from agent.settings.load import is_of_environment
from agent.settings.model import has_own_key, languages, read_api_key
from agent.station.camera import CameraState
from agent.station.recorders import RecorderSight, ask_for_still
from agent.web.context import PageContext
from agent.web.i18n import N_, WARNINGS, Texts

_FRESH_S = {PictureKind.LIVE: 0.4, PictureKind.GLANCE: 2.5}  # as long all who watch share a picture
_WITHIN_S = 2.0  # a recorder must answer

_STATES: Mapping[RecorderState, str] = {
    RecorderState.CONNECTING: N_("Connecting to the camera"),
    RecorderState.WATCHING: N_("Watching, nothing is stored"),
    RecorderState.RECORDING: N_("Recording"),
}
_TROUBLES: Mapping[RecorderTrouble, str] = {
    RecorderTrouble.NO_ANSWER: N_(
        "The camera does not answer. Check its power, its cable and the network."
    ),
    RecorderTrouble.REJECTED: N_(
        "The camera rejects its user or password. Correct them on the station."
    ),
    RecorderTrouble.NOT_THERE: N_(
        "The camera is not where its address says. Check its cable and its address."
    ),
    RecorderTrouble.BUSY: N_("Another program is using the camera. End that program."),
    RecorderTrouble.NOT_ALLOWED: N_(
        "Spotter may not open the camera. Run spotter doctor on the station."
    ),
    RecorderTrouble.UNREADABLE: N_("The camera's video cannot be read. Set the camera to H.264."),
    RecorderTrouble.FOLDER_MISSING: N_(
        "The folder for recordings is missing: nothing is recorded. Check the disk."
    ),
    RecorderTrouble.DISK_FULL: N_("The disk is full: nothing is recorded. Free space on it."),
    RecorderTrouble.NOT_RUNNING: N_(
        "The recorder is not running. Run spotter doctor on the station."
    ),
}
_FAULTS: Mapping[CameraState, str] = {
    CameraState.LOST: N_("The camera sends nothing. Check its power and its cable."),
    CameraState.NOT_STORED: N_("Recordings cannot be stored. Check the disk."),
    CameraState.UNREADABLE: N_("The latest recordings are unreadable. Check the camera."),
    CameraState.DARK: N_("The latest recordings are dark or frozen. Check the camera."),
}


def fault_words(trouble: RecorderTrouble | None, otherwise: CameraState, texts: Texts) -> str:
    """Return what is wrong with a camera, and what to do, for every view.

    Args:
        trouble: what its recorder says; None: no more than that something is wrong.
        otherwise: what is said where that is all.
        texts: of the page.
    """
    found = None if trouble is None else _TROUBLES.get(trouble)
    return texts.gettext(found or _FAULTS[otherwise])


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraView:
    """One recorder in words."""

    name: str
    state: str
    is_bad: bool
    detail: str | None  # as the recorder says it, in English
    figures: tuple[tuple[str, str], ...]  # name and value


def camera_view(sight: RecorderSight, texts: Texts) -> CameraView:
    """Return a recorder in words."""
    report = sight.report
    if sight.fault is not None:
        is_stored = report.state is not RecorderState.NOT_STORED or sight.is_silent
        otherwise = CameraState.LOST if is_stored else CameraState.NOT_STORED
        words = fault_words(sight.trouble, otherwise, texts)
    elif report.choice == "" and report.state is RecorderState.CONNECTING:
        words = texts.gettext("No camera chosen yet.")
    else:
        words = texts.gettext(_STATES[report.state])
    is_bad = sight.fault is not None
    return CameraView(
        name=report.camera,
        state=words,
        is_bad=is_bad,
        detail=report.error if is_bad and not sight.is_silent else None,
        figures=tuple(_figures(sight, texts)) if report.width and not is_bad else (),
    )


def _figures(sight: RecorderSight, texts: Texts) -> list[tuple[str, str]]:
    report = sight.report
    figures = [
        (texts.gettext("Picture"), f"{report.width} × {report.height}"),
        (texts.gettext("Frames per second"), texts.number(report.fps, digits=0)),
    ]
    if report.keyframe_s:
        seconds = texts.gettext("%(n)s s", n=texts.number(report.keyframe_s))
        figures.append((texts.gettext("Keyframe every"), seconds))
    return figures


class LivePictures:
    """The latest picture of each camera: requested once at a time for all viewers."""

    def __init__(self, socket: Path) -> None:
        """Prepare to ask the daemon's recorder stage, over its socket."""
        self._socket = socket
        self._asked: dict[tuple[str, PictureKind], tuple[float, asyncio.Task[StillPicture]]] = {}

    async def of(self, camera: str, kind: PictureKind) -> StillPicture:
        """Return what a camera sees at this moment, or saw a moment ago.

        Raises:
            BusyError: there is no picture now.
        """
        asked_s, task = self._asked.get((camera, kind), (0.0, None))
        age_s = time.monotonic() - asked_s
        if task is None or (task.done() and age_s > _FRESH_S[kind]):
            asking = asyncio.to_thread(
                ask_for_still, self._socket, camera, kind=kind, within_s=_WITHIN_S
            )
            task, age_s = asyncio.create_task(asking), 0.0
            self._asked[camera, kind] = time.monotonic(), task
        seen = await asyncio.shield(task)
        return replace(seen, age_s=seen.age_s + age_s)


_NO_ROOM = N_("No headroom for the bar or the jump. Tilt the camera up or move it back.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPicture:
    """A picture that was analysed."""

    drawn: bytes  # JPEG, with the skeleton on it
    empty: bytes  # without the athlete: nobody is to be seen in a reference that is kept
    framing: Framing

    def remarks(self, texts: Texts) -> list[str]:
        """Return what needs to be corrected, each with its remedy."""
        words = {**WARNINGS, "no_room_above": _NO_ROOM}
        told = self.framing.remarks.items()
        return [texts.gettext(words[code]) if code in words else text for code, text in told]


class FramingChecker:
    """Checks a camera's picture on request, one check at a time; keeps the last one."""

    def __init__(self, source: PageContext) -> None:
        self._source = source
        self._looking = threading.Lock()
        self.last: CheckedPicture | None = None

    def look(self, sight: RecorderSight) -> CheckedPicture:
        """Analyse what a camera sees at this moment; takes seconds.

        Raises:
            BusyError: there is no picture now, or an analysis is under way.
            AnalysisError: the picture cannot be judged.
            ShutdownRequested: the daemon ends.
        """
        if not self._looking.acquire(blocking=False):
            raise BusyError("a check is under way", hint="wait a few seconds")
        try:
            self.last = self._look(sight)
        finally:
            self._looking.release()
        return self.last

    def _look(self, sight: RecorderSight) -> CheckedPicture:
        folder, report = self._source.folder, sight.report
        jpeg = ask_for_still(folder.recorder_socket, report.camera).jpeg
        with tempfile.TemporaryDirectory(dir=folder.tmp) as name:
            picture, drawn, empty = (Path(name, f"{n}.jpg") for n in ("seen", "drawn", "empty"))
            picture.write_bytes(jpeg)
            framing = check_framing(
                picture,
                self._source.settings,
                stored_px=report.size_px,
                out=drawn,
                empty=empty,
                check=self._source.signs.stop.check,
            )
            return CheckedPicture(
                drawn=drawn.read_bytes(), empty=empty.read_bytes(), framing=framing
            )


_SYS_FOLDER = Path("/sys/class/video4linux")
_MOST_NAME = 80  # signs
_MINUTE_S = 60.0
_LANGUAGES = {"de": "Deutsch", "en": "English"}  # each in its own words


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoDevice:
    """A camera that is plugged in."""

    path: str  # /dev/videoN
    name: str


def video_devices(sys_folder: Path = _SYS_FOLDER) -> list[VideoDevice]:
    """Return the cameras that are plugged in, by what the kernel says of them.

    The daemon may open no device itself.  Of the nodes of one camera only the first gives pictures.
    """
    found = []
    with suppress(OSError):
        for node in sorted(sys_folder.iterdir(), key=lambda node: (len(node.name), node.name)):
            with suppress(OSError, ValueError):
                if int((node / "index").read_text()) == 0 and node.name.startswith("video"):
                    name = (node / "name").read_text(errors="replace").strip()
                    shown = "".join(sign for sign in name if sign.isprintable())[:_MOST_NAME]
                    found.append(VideoDevice(path=f"/dev/{node.name}", name=shown or node.name))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupView:
    """The station as it is set up by now."""

    name: str
    activity: str
    exercise: str | None
    exercises: Mapping[str, tuple[str, ...]]
    language: str
    languages: Mapping[str, str]
    unit: str
    devices: list[VideoDevice]
    takes_camera: bool  # the recorder films what is chosen here
    has_key: bool
    key_is_fixed: bool  # by a file of the box's own, which goes first
    pin_is_fixed: bool
    minutes_left: int
    is_open: bool  # others in the network can read what is typed


def setup_view(
    source: PageContext, taker: RecorderSight | None, *, left_s: float, is_open: bool
) -> SetupView:
    """Return what the set-up page shows.

    Args:
        source: the page.
        taker: the recorder that films the camera that is chosen here.
        left_s: until the set-up ends automatically.
        is_open: whether the connection is not encrypted.
    """
    station, web, api = source.settings.station, source.settings.web, source.settings.api
    return SetupView(
        name=station.name or "",
        activity=station.activity,
        exercise=station.exercise,
        exercises=EXERCISES,
        language=web.language,
        languages={code: _LANGUAGES.get(code, code) for code in languages()},
        unit=web.unit,
        devices=video_devices(),
        takes_camera=taker is not None,
        has_key=read_api_key(api, os.environ) is not None,
        key_is_fixed=has_own_key(api, os.environ),
        pin_is_fixed=web.pin is not None or is_of_environment("web", "pin_file"),
        minutes_left=max(1, round(left_s / _MINUTE_S)),
        is_open=is_open,
    )
