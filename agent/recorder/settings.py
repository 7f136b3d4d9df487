"""The recorder's settings, one file for each camera; another user's than the station's."""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator

from agent.bandwidth_schedule import parse_timetable
from agent.camera_link import CAMERA_NAME, FROM_STATION, CameraChoice, is_camera_address
from agent.errors import ConfigError
from agent.logs import hide_always
from agent.recorder.arming import ArmingPolicy
from agent.recorder.cutting import CutPolicy
from agent.secret_files import read_secret
from agent.table import Table

ENV_PREFIX = "RECORDER_"
_MB = 1_000_000


class CameraSettings(Table):
    """The camera."""

    name: str = Field(
        "main", pattern=f"^{CAMERA_NAME}$", description="Begins the names of its files."
    )
    source: SecretStr = Field(
        description="rtsp://USER@HOST/PATH (also rtsps, http, https), /dev/videoN, a video file "
        "that is played at its own pace, test: (an athlete drawn live), or station: (what is "
        "chosen on the set-up page). The password goes "
        "into password_file; {password} says where in the address it belongs, if not behind "
        "USER."
    )
    password_file: Path | None = Field(
        None, description="The password alone; else the systemd credential camera-password."
    )
    transport: Literal["tcp", "udp"] = Field("tcp", description="tcp | udp, for RTSP.")
    size: str | None = Field(
        None, pattern=r"^\d{2,5}x\d{2,5}$", description="Of a /dev/videoN, as in 1280x720."
    )
    rate: Annotated[float, Field(gt=0, le=240)] | None = Field(
        None, description="Frames per second of a /dev/videoN."
    )

    @field_validator("source")
    @classmethod
    def _known(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        is_here = text in {"test:", FROM_STATION} or text.startswith("/")
        if not is_here and not is_camera_address(text):
            raise ValueError(
                "must be an rtsp or http address, an absolute path, test:, or station:"
            )
        return value

    @property
    def is_network(self) -> bool:
        """Whether the camera is reached over the network."""
        return "://" in self.source.get_secret_value()

    @property
    def host(self) -> str:
        """What may be shown of the source."""
        text = self.source.get_secret_value()
        if not self.is_network:
            return text
        parts = urlsplit(text)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")

    def address(self) -> str:
        """Return the address with its password, which is hidden everywhere from now on."""
        text = self.source.get_secret_value()
        if not self.is_network:
            return text
        hide_always(text)
        hide_always(urlsplit(text).password)
        password = read_secret(None, self.password_file, os.environ, credential="camera-password")
        if not password:
            return text
        shown = quote(password, safe="")
        hide_always(shown)
        if "{password}" in text:
            return text.replace("{password}", shown)
        return re.sub(r"://([^/@:]+)@", rf"://\g<1>:{shown}@", text, count=1)


class ChosenCamera(CameraSettings):
    """A camera that was chosen on the page."""

    choice: str  # the id of that choice

    @classmethod
    def of(cls, choice: CameraChoice, own: CameraSettings) -> "ChosenCamera":
        """Return a choice as a recorder uses it, under the recorder's own name."""
        return cls(
            name=own.name,
            source=SecretStr(choice.source),
            transport="udp" if choice.transport == "udp" else "tcp",
            choice=choice.id,
        )

    def address(self) -> str:
        """Return the address as it was chosen: no password of the recorder's own goes there."""
        text = self.source.get_secret_value()
        if self.is_network:
            hide_always(text)
            hide_always(urlsplit(text).password)
            hide_always(unquote(urlsplit(text).password or "") or None)
        return text


class ArmSettings(Table):
    """When it films."""

    mode: str = Field(
        "assigned",
        description="assigned (while an athlete is on the station) | always | a timetable as in "
        'delivery.schedule: "Mon-Fri 06:00-22:00 = unlimited, else off". Stop filming overrides '
        "all of them.",
    )
    tail_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        10.0, description="Seconds of filming once nobody is on the station any more."
    )
    pre_roll_s: Annotated[float, Field(ge=0, le=60)] = Field(
        5.0, description="Seconds before that, kept in memory alone until it films."
    )

    @field_validator("mode")
    @classmethod
    def _means_something(cls, value: str) -> str:
        if value not in {"assigned", "always"}:
            parse_timetable(value)
        return value


class FileSettings(Table):
    """The files it writes."""

    capture: Path = Field(
        Path("/var/lib/spotter/capture"), description="The station's capture folder."
    )
    segment_s: Annotated[float, Field(ge=2, le=3600)] = Field(
        60.0, description="Longest file; it ends at the next keyframe."
    )
    quiet_s: Annotated[float, Field(ge=1, le=60)] = Field(
        3.0, description="A file ends, too, when everything was at rest for so long."
    )
    ring_mb: Annotated[float, Field(ge=1, le=2000)] = Field(
        64.0, description="Most memory for the seconds before."
    )
    min_free_mb: Annotated[float, Field(ge=0, le=1e6)] = Field(
        200.0, description="Nothing is stored while the disk has less free space."
    )


class LinkSettings(Table):
    """The station that arms it."""

    socket: Path | None = Field(
        Path("/run/spotter/recorder.sock"),
        description="Where the daemon listens for its recorders.",
    )


class RecorderSettings(Table):
    """Everything a recorder can be told; every key also as RECORDER_TABLE__KEY."""

    camera: CameraSettings
    arm: ArmSettings = Field(default_factory=ArmSettings)
    files: FileSettings = Field(default_factory=FileSettings)
    station: LinkSettings = Field(default_factory=LinkSettings)

    def arming(self) -> ArmingPolicy:
        """Return what arms it."""
        mode = self.arm.mode
        hours = None if mode in {"assigned", "always"} else parse_timetable(mode)
        return ArmingPolicy(assigned=mode == "assigned", tail_s=self.arm.tail_s, hours=hours)

    def cutting(self) -> CutPolicy:
        """Return how files are cut."""
        return CutPolicy(
            pre_roll_s=self.arm.pre_roll_s,
            segment_s=self.files.segment_s,
            quiet_s=self.files.quiet_s,
            ring_bytes=round(self.files.ring_mb * _MB),
        )


def load_recorder(path: Path) -> RecorderSettings:
    """Load a recorder's settings from its file and the environment.

    Raises:
        ConfigError: naming every mistake, each with what would be right; never the source.
    """
    hint = "docs/cameras.md shows a recorder's settings"
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint=hint) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}", hint=hint) from None
    if path.stem.startswith("recorder-") and isinstance(document.get("camera", {}), dict):
        document.setdefault("camera", {}).setdefault("name", path.stem.removeprefix("recorder-"))
    try:
        return RecorderSettings(**_with_environment(document))
    except ValidationError as error:
        # With them comes the model of the station's settings, a tenth of this process's memory.
        from agent.settings.load import explained

        raise explained(error, path, hint=hint) from None


def _with_environment(document: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with those of the environment, which go before the file's."""
    merged = dict(document)
    for name, value in os.environ.items():
        table, found, key = name.lower().removeprefix(ENV_PREFIX.lower()).partition("__")
        is_ours = name.upper().startswith(ENV_PREFIX) and found
        if is_ours and table in RecorderSettings.model_fields:
            before = merged.get(table, {})
            merged[table] = {**before, key: value} if isinstance(before, dict) else before
    return merged
