"""The recorder's settings, one file for each camera; another user's than the station's.

The installer writes them by `python -m agent.recorder.settings NAME ARM`.  From standard input
come lines of KEY=VALUE: SOURCE, and as wanted PASSWORD, CAPTURE, SEGMENT_S, SIZE and RATE.  So no
address is on a command line.
"""

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from agent.bandwidth_schedule import parse_timetable
from agent.camera_link import CAMERA_NAME, FROM_STATION, is_camera_address
from agent.disk.state_folder import rewriting
from agent.errors import ConfigError
from agent.recorder.cutting import CutPolicy
from agent.recorder.policy import FilmedCamera, RecorderPolicy
from agent.settings.load import explained_toml, toml_tables, toml_value, validated
from agent.settings.model import EnvironmentFirst, Table

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


class ArmSettings(Table):
    """When it films."""

    mode: str = Field(
        "assigned",
        description="assigned (while an athlete is on the station) | always | a timetable as in "
        'delivery.schedule: "Mon-Fri 06:00-22:00 = unlimited, else off". Stop filming overrides '
        "all of them.",
    )
    tail_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        10.0, description="Seconds of filming after the station has become unassigned."
    )
    pre_roll_s: Annotated[float, Field(ge=0, le=60)] = Field(
        5.0, description="Seconds before filming, kept in memory only until then."
    )

    @field_validator("mode")
    @classmethod
    def _means_something(cls, value: str) -> str:
        if value not in {"assigned", "always"}:
            try:
                parse_timetable(value)
            except ValueError as error:
                raise ValueError(f"must be assigned, always or a timetable; {error}") from None
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
        3.0, description="A file also ends when nothing has moved for this long."
    )
    ring_mb: Annotated[float, Field(ge=1, le=2000)] = Field(
        64.0, description="Memory limit for pre_roll_s."
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


class RecorderSettings(EnvironmentFirst):
    """Every setting of a recorder; every key also as RECORDER_TABLE__KEY."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    camera: CameraSettings
    arm: ArmSettings = Field(default_factory=ArmSettings)
    files: FileSettings = Field(default_factory=FileSettings)
    station: LinkSettings = Field(default_factory=LinkSettings)

    def policy(self) -> RecorderPolicy:
        """Return what the recorder's process is to do."""
        camera, files = self.camera, self.files
        return RecorderPolicy(
            camera=FilmedCamera(
                name=camera.name,
                source=camera.source.get_secret_value(),
                password_file=camera.password_file,
                transport=camera.transport,
                size=camera.size,
                rate=camera.rate,
            ),
            mode=self.arm.mode,
            tail_s=self.arm.tail_s,
            cutting=CutPolicy(
                pre_roll_s=self.arm.pre_roll_s,
                segment_s=files.segment_s,
                quiet_s=files.quiet_s,
                ring_bytes=round(files.ring_mb * _MB),
            ),
            capture=files.capture,
            min_free_bytes=files.min_free_mb * _MB,
            socket=self.station.socket,
        )


def load_recorder(path: Path) -> RecorderSettings:
    """Load a recorder's settings from its file and the environment.

    Raises:
        ConfigError: naming every mistake, each with what would be right; never the source.
    """
    hint = "docs/cameras.md shows a recorder's settings"
    try:
        document = toml_tables(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint=hint) from None
    except ValueError as error:
        raise explained_toml(error, path) from None
    if path.stem.startswith("recorder-") and isinstance(document.get("camera", {}), dict):
        document.setdefault("camera", {}).setdefault("name", path.stem.removeprefix("recorder-"))
    return validated(RecorderSettings, document, path, hint=hint)


_FOLDER = Path("/etc/spotter")
_KEYS = {
    "SIZE": ("camera", "size"),
    "RATE": ("camera", "rate"),
    "CAPTURE": ("files", "capture"),
    "SEGMENT_S": ("files", "segment_s"),
}
_NUMBERS = frozenset({"RATE", "SEGMENT_S"})
# As cameras' makers write it into a path or a query: user=kim&password=x, user=kim_password=x.
_NAMED = re.compile(r"(?i)([/?&;,_](?:pass(?:word|wd|phrase)?|pwd|psw|pw)[=:])([^&;,/?_\s]+)")
_PLACE = "{password}"


def without_password(source: str) -> tuple[str, str | None]:
    """Return a camera's address without its password, and the password.

    Where it does not stand behind the user, {password} marks its place.
    """
    scheme, found, rest = source.partition("://")
    if not found:
        return source, None
    try:
        inside = urlsplit(source)
        _ = inside.port
        user, has_user, _host = inside.netloc.rpartition("@")
    except ValueError:  # a password with a slash in it: only the last @ ends it
        user, has_user, _host = rest.rpartition("@")
    name, has_password, password = user.partition(":")
    if has_user and has_password and password != _PLACE:
        left = rest[len(user) :]
        kept = name if name else f":{_PLACE}"
        return f"{scheme}://{kept}{left}", unquote(password)
    named = _NAMED.search(source)
    if named is None or named[2] == _PLACE:
        return source, None
    return f"{source[: named.start(2)]}{_PLACE}{source[named.end(2) :]}", unquote(named[2])


def environment(text: str) -> dict[str, str]:
    """Read lines of KEY=VALUE as systemd reads them."""
    pairs = (line.strip().partition("=") for line in text.splitlines())
    return {
        key.strip(): _unquoted(value.strip())
        for key, found, value in pairs
        if found and not key.startswith(("#", ";"))
    }


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def write_recorder(folder: Path, name: str, given: Mapping[str, str], *, arm: str) -> None:
    """Write a recorder's settings and its camera's password, both for root alone.

    Settings that were there before are kept as recorder-NAME.toml.before.

    Raises:
        ConfigError: a recorder cannot use them; nothing was written.
        OSError: they cannot be written.
    """
    source, password = without_password(given.get("SOURCE", ""))
    password = given.get("PASSWORD") or password
    tables: dict[str, dict[str, object]] = {"camera": {"source": source}, "arm": {"mode": arm}}
    for key, (table, setting) in _KEYS.items():
        if given.get(key):
            value = given[key]
            tables.setdefault(table, {})[setting] = _number(value) if key in _NUMBERS else value
    text = f"# spotter-recorder@{name}: docs/cameras.md\n" + "".join(
        f"\n[{table}]\n"
        + "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items())
        for table, values in tables.items()
    )
    path = folder / f"recorder-{name}.toml"
    document = tomllib.loads(text)
    document["camera"]["name"] = name
    validated(RecorderSettings, document, path, hint="docs/cameras.md shows what a camera can be")
    if password:
        _write(folder / f"camera-password-{name}", f"{password}\n")
    if path.exists():
        path.replace(f"{path}.before")
    _write(path, text)


def _number(value: str) -> object:
    try:
        return float(value)
    except ValueError:
        return value  # the settings say what is wrong with it


def _write(path: Path, text: str) -> None:
    with rewriting(path, 0o600) as file:
        file.write(text.encode())


def main() -> int:
    """Write what standard input says; return the exit code."""
    name, arm, folder, *_ = (*sys.argv[1:], _FOLDER)
    try:
        write_recorder(Path(folder), str(name), environment(sys.stdin.read()), arm=str(arm))
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201  # the installer's
        return 78
    return 0


if __name__ == "__main__":
    sys.exit(main())
