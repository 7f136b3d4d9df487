"""What the page shows of the station's cameras: a live picture, and how each recorder does."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.camera_link import RecorderState, StillPicture
from agent.station.recorders import RecorderSight, ask_for_still
from agent.web.i18n import N_, Texts

_FRESH_S = 0.4  # a picture is shared by all who look within this time
_WITHIN_S = 2.0  # a recorder must answer

_STATES: Mapping[RecorderState, str] = {
    RecorderState.CONNECTING: N_("Connecting to the camera"),
    RecorderState.WATCHING: N_("Watching, nothing is stored"),
    RecorderState.RECORDING: N_("Recording"),
    RecorderState.CAMERA_LOST: N_("Camera lost"),
    RecorderState.NOT_STORED: N_("Recordings cannot be stored"),
}
_REMEDIES: Mapping[RecorderState, str] = {
    RecorderState.CAMERA_LOST: N_("Check the camera's power, cable and network."),
    RecorderState.NOT_STORED: N_("Check the disk and the capture folder."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraView:
    """One recorder in words."""

    name: str
    state: str
    remedy: str | None  # None: all is well
    detail: str | None  # as the recorder says it, in English
    figures: tuple[tuple[str, str], ...]  # name and value


def camera_view(sight: RecorderSight, texts: Texts) -> CameraView:
    """Return a recorder in words."""
    report = sight.report
    if sight.is_silent:
        remedy = texts.gettext(
            "Restart it on the station: sudo systemctl restart spotter-recorder@%(name)s",
            name=report.camera,
        )
        state = texts.gettext("The recorder is not running")
        return CameraView(name=report.camera, state=state, remedy=remedy, detail=None, figures=())
    words = _REMEDIES.get(report.state)
    return CameraView(
        name=report.camera,
        state=texts.gettext(_STATES[report.state]),
        remedy=None if words is None else texts.gettext(words),
        detail=report.error if words is not None else None,
        figures=tuple(_figures(sight, texts)) if report.width and words is None else (),
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
    """The latest picture of each camera: asked for once at a time, whoever looks at it."""

    def __init__(self, socket: Path) -> None:
        """Prepare to ask the daemon's recorder stage, over its socket."""
        self._socket = socket
        self._asked: dict[str, tuple[float, asyncio.Task[StillPicture]]] = {}

    async def of(self, camera: str) -> StillPicture:
        """Return what a camera sees at this moment, or saw a moment ago.

        Raises:
            BusyError: there is no picture now.
        """
        asked_s, task = self._asked.get(camera, (0.0, None))
        is_old = time.monotonic() - asked_s > _FRESH_S
        if task is None or (task.done() and is_old):
            asking = asyncio.to_thread(
                ask_for_still, self._socket, camera, live=True, within_s=_WITHIN_S
            )
            task = asyncio.create_task(asking)
            self._asked[camera] = time.monotonic(), task
        return await asyncio.shield(task)
