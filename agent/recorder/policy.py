"""What a recorder's process is to do, as plain values that one process hands to the next.

The settings are validated by pydantic, whose code takes as much memory as libav's.  So `spotter
record` validates them and then replaces itself by a process that only films.
"""

import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote, unquote, urlsplit

from agent.bandwidth_schedule import parse_timetable
from agent.camera_link import FROM_STATION, CameraChoice
from agent.logs import hide_always
from agent.recorder.cutting import ArmingPolicy, CutPolicy
from agent.secret_files import read_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmedCamera:
    """The camera of a recorder."""

    name: str  # begins the names of its files
    source: str = field(repr=False)  # as the settings have it: it may hold a password
    password_file: Path | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    size: str | None = None
    rate: float | None = None
    choice: str | None = None  # the id of the choice on the page that it comes from

    @property
    def is_chosen_at_station(self) -> bool:
        """Whether the station says which camera it is."""
        return self.source == FROM_STATION

    @property
    def is_network(self) -> bool:
        """Whether the camera is reached over the network."""
        return "://" in self.source

    @property
    def host(self) -> str:
        """What may be shown of the source."""
        if not self.is_network:
            return self.source
        parts = urlsplit(self.source)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")

    def chosen(self, choice: CameraChoice) -> Self:
        """Return the camera that was chosen on the page, under this recorder's own name."""
        return type(self)(
            name=self.name,
            source=choice.source,
            transport="udp" if choice.transport == "udp" else "tcp",
            choice=choice.id,
        )

    def address(self) -> str:
        """Return the address with its password, which is hidden everywhere from now on.

        A camera that was chosen on the page has its own password: the recorder's goes to the
        camera of its settings alone.
        """
        if not self.is_network:
            return self.source
        own_password = urlsplit(self.source).password
        hide_always(self.source)
        hide_always(own_password)
        if self.choice is not None:
            hide_always(unquote(own_password or "") or None)
            return self.source
        password = read_secret(None, self.password_file, os.environ, credential="camera-password")
        if not password:
            return self.source
        shown = quote(password, safe="")
        hide_always(shown)
        if "{password}" in self.source:
            return self.source.replace("{password}", shown)
        return re.sub(r"://([^/@:]+)@", rf"://\g<1>:{shown}@", self.source, count=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderPolicy:
    """Everything a recorder's process needs to know."""

    camera: FilmedCamera
    mode: str  # what arms it: assigned, always, or a timetable
    tail_s: float
    cutting: CutPolicy
    capture: Path  # the station's capture folder
    min_free_bytes: float
    socket: Path | None  # where the daemon listens; None: there is none

    def arming(self) -> ArmingPolicy:
        """Return what arms it."""
        hours = None if self.mode in {"assigned", "always"} else parse_timetable(self.mode)
        return ArmingPolicy(assigned=self.mode == "assigned", tail_s=self.tail_s, hours=hours)

    def as_json(self) -> str:
        """Return it as text, for `from_json`; it may hold a password."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `as_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        camera = told.pop("camera")
        return cls(
            camera=FilmedCamera(**camera | {"password_file": _path(camera["password_file"])}),
            cutting=CutPolicy(**told.pop("cutting")),
            capture=Path(told.pop("capture")),
            socket=_path(told.pop("socket")),
            **told,
        )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
