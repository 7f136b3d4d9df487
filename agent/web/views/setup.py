"""What the set-up page of a new station shows: what is chosen, and what can be chosen from."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.exercises import EXERCISES
from agent.settings.load import is_of_environment
from agent.settings.model import has_own_key, languages, read_api_key
from agent.station.recorders import RecorderSight
from agent.web.context import PageContext

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
        left_s: until the set-up ends by itself.
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
