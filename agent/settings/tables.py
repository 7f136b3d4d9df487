"""The tables of the settings.  Descriptions become the comments of the sample file."""

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator, model_validator

from agent.activities import EXERCISES, check_movement
from agent.errors import RequestError
from agent.settings.table import PositiveSeconds, Seconds, Table
from agent.timetable import UNLIMITED, parse_hours, parse_timetable

_WORK_FOLDERS = ("captures", "clips", "pictures", "results", "set-aside", "tmp")
_LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost"})


def _host_id() -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname()).strip("-")[:40] or "station"


class StationSettings(Table):
    """What is filmed here, and whose clips they are."""

    id: str = Field(
        default_factory=_host_id,
        pattern=r"^[A-Za-z0-9_-]{1,40}$",
        description="Name for logs and metrics; the host's name where absent.",
    )
    name: str | None = Field(None, max_length=80, description="Name for people.")
    activity: Literal["running", "jumping", "weightlifting"] = Field(
        description="running | jumping | weightlifting"
    )
    exercise: str | None = Field(
        None,
        description="weightlifting: snatch | clean | clean_and_jerk; "
        "jumping: Countermovement Jump | Drop Jump",
    )
    user_id: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="The athlete when no coach has assigned one; may be absent.",
    )
    barbell_mass: float | None = Field(
        None,
        gt=0,
        le=500,
        description="kg; absent: sent without, and remarked (the server would assume 100 kg)",
    )
    incline_degree: float | None = Field(None, ge=-30, le=60, description="Of the treadmill.")
    unassigned: Literal["hold", "upload", "discard"] = Field(
        "hold",
        description="Clips of nobody: hold | upload (to the key owner's own account) | discard",
    )

    runs_out_after_min: Annotated[float, Field(ge=0, le=1440)] = Field(
        45.0,
        description="Minutes without a take after which nobody is on the station any more; 0: "
        "a coach's word holds until the next.",
    )

    hours: tuple[str, ...] = Field(
        (),
        description='When the camera must record, as ["Mon-Fri 06:00-22:00", "Sat 08:00-14:00"]; '
        "absent: learnt from what was recorded in the last weeks.",
    )
    camera_silent_min: Annotated[float, Field(ge=0, le=1440)] = Field(
        10.0,
        description="Minutes without a recording, in these hours, after which the camera counts as "
        "silent; 0: it is never looked at.",
    )

    @field_validator("hours", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) and value else value

    @field_validator("hours")
    @classmethod
    def _hours_read(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_hours(value)
        return value

    @model_validator(mode="after")
    def _movement_fits(self) -> "StationSettings":
        if self.exercise is None and EXERCISES[self.activity]:
            raise ValueError(f"exercise is missing: one of {', '.join(EXERCISES[self.activity])}")
        try:
            check_movement(
                self.activity,
                self.exercise,
                barbell_mass_kg=self.barbell_mass,
                incline_deg=self.incline_degree or None,
            )
        except RequestError as error:
            raise ValueError(str(error)) from None
        return self


class PathSettings(Table):
    """Where files lie."""

    capture: Path = Field(
        Path("/var/lib/spotter/capture"), description="The camera program writes here."
    )
    state: Path = Field(Path("/var/lib/spotter"), description="Outbox database, work files.")

    @field_validator("capture", "state")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("must be an absolute path")
        return value

    @model_validator(mode="after")
    def _apart(self) -> "PathSettings":
        if self.state.is_relative_to(self.capture):
            raise ValueError("paths.state must not lie inside paths.capture")
        if any(self.capture.is_relative_to(self.state / name) for name in _WORK_FOLDERS):
            raise ValueError("paths.capture must not lie inside a work folder of paths.state")
        return self


class ApiSettings(Table):
    """The way to the API."""

    base_url: str = Field("https://api.aikynetix.app", description="Address of the API.")
    key_file: Path = Field(
        Path("/etc/spotter/api-key"),
        description="File with the key alone.  Or $SPOTTER_API__KEY, or the systemd credential "
        '"api-key"; missing or empty: the lane pauses.',
    )
    key: SecretStr | None = Field(
        None, description="The key itself; better in key_file, which can be read by root alone."
    )
    key_header: Literal["auto", "Authorization", "API-KEY"] = Field(
        "auto",
        description="auto | Authorization (API-KEY <key>) | API-KEY; auto tries both",
    )
    role: Literal["auto", "admin", "user"] = Field(
        "auto",
        description="Which upload endpoint: auto asks at start, after a key change and on 403.",
    )
    owner_id: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="The user_id of the key's owner, where the API tells it to admins alone: with "
        "another key only this user's clips are sent, to their own account.",
    )
    origin: str | None = Field(
        None,
        description="The address that requests say they come from (Origin and Referer), where the "
        'key is bound to a domain: "https://gym.example".',
    )
    ca_file: Path | None = Field(None, description="A certificate authority of your own.")
    allow_http: bool = Field(False, description="Allow an address without TLS beyond this box.")
    connect_timeout_s: PositiveSeconds = Field(10.0, description="Longest wait for a connection.")
    answer_timeout_s: PositiveSeconds = Field(
        120.0, description="Longest wait for the answer after a clip went out whole."
    )

    @field_validator("origin")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        is_plain = value.isascii() and value.isprintable() and " " not in value
        if parts.scheme not in {"http", "https"} or not parts.hostname or not is_plain:
            raise ValueError('must be an address such as "https://gym.example"')
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @model_validator(mode="after")
    def _address_serves(self) -> "ApiSettings":
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("base_url must be an address such as https://api.aikynetix.app")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("base_url must hold no user name, query or fragment")
        if parts.scheme == "http" and not (self.allow_http or is_loopback(parts.hostname)):
            raise ValueError("base_url without TLS would show the key to the network: use https")
        return self


class CaptureSettings(Table):
    """How files are taken in and kept."""

    settle_s: PositiveSeconds = Field(
        2.0, description="Unchanged for this long, and closed by its writer."
    )
    settle_unseen_s: PositiveSeconds = Field(
        90.0, description="The same where no close was seen (network folders)."
    )
    rescan_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        30.0, description="How often the whole folder is looked at."
    )
    suffixes: tuple[str, ...] = Field(
        (
            *(".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm"),
            *(".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".3gp"),
            *(".h264", ".264", ".h265", ".265", ".hevc"),
        ),
        description="What counts as a video, in lower case.",
    )
    clock_offset_s: float | None = Field(
        None,
        ge=-86400,
        le=86400,
        description="What must be added to the camera's clock, 0 if it is right; absent: nobody "
        "knows, and files that are copied in late are held instead of guessed.",
    )
    originals: Literal["delete", "keep", "archive"] = Field(
        "delete",
        description="delete | keep | archive, after keep_originals_h once all clips are delivered; "
        "earlier where space is short.  keep: for ever, those without a take too.",
    )
    archive_dir: Path | None = Field(None, description="Where originals = archive puts them.")
    keep_originals_h: Annotated[float, Field(ge=0)] = Field(
        48.0, description="Hours that originals stay after delivery: a detector can miss."
    )
    keep_skipped_days: Annotated[float, Field(ge=0)] = Field(
        7.0, description="Days that captures without a take stay; fewer where space is short."
    )
    keep_clips_days: Annotated[float, Field(ge=0)] = Field(
        7.0,
        description="Days that delivered clips and their pictures stay; they go first where "
        "space is short.",
    )

    @field_validator("suffixes")
    @classmethod
    def _dotted(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or any(not re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) for suffix in value):
            raise ValueError('must be suffixes such as ".mp4", in lower case')
        return value

    @model_validator(mode="after")
    def _archive_is_known(self) -> "CaptureSettings":
        if self.originals == "archive" and self.archive_dir is None:
            raise ValueError('originals = "archive" needs archive_dir')
        return self


class DeliverySettings(Table):
    """How clips go out."""

    send_delay_s: Seconds = Field(20.0, description="Time to correct a fresh clip before it goes.")
    reconcile_wait_s: Seconds = Field(
        120.0,
        description="Between the two look-ups that prove absence; after a time-out 15 times that.",
    )
    min_rate_bytes_s: Annotated[float, Field(ge=100)] = Field(
        8000.0, description="An upload slower than that is given up and tried again."
    )
    schedule: str = Field(
        "",
        description="Upload hours and bandwidth caps by the box's own clock; the first rule that "
        'fits holds: "Mon-Fri 06:00-22:00 = 2Mbit/s, Sat Sun = off, else unlimited".  The API is '
        "asked in closed hours too: what became of a clip, and for its results.",
    )
    smaller_if_too_large: bool = Field(
        False,
        description="Where the API refuses a clip as too large (413): send a smaller rendition "
        "of it (720 px at most, half the rate or less); off: it stays refused.",
    )
    date_sessions: bool = Field(
        False,
        description="Give a session the time of filming where its upload came more than a minute "
        "later; needs an admin's key.",
    )
    date_zone: str = Field(
        "UTC",
        description="The time zone in which the API reads that time; the vendor names none.",
    )
    backoff_base_s: PositiveSeconds = Field(5.0, description="Longest wait after a first failure.")
    backoff_max_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        3600.0, description="Longest wait after any failure."
    )

    @field_validator("date_zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError('must be a time zone such as "Europe/Berlin"') from None
        return value

    @field_validator("schedule")
    @classmethod
    def _schedule_reads(cls, value: str) -> str:
        parse_timetable(value)
        return value

    @model_validator(mode="after")
    def _caps_leave_room(self) -> "DeliverySettings":
        lowest = min(parse_timetable(self.schedule).caps, default=UNLIMITED)
        if self.min_rate_bytes_s >= lowest:
            raise ValueError(
                f"min_rate_bytes_s = {self.min_rate_bytes_s:g} is not below the lowest cap in "
                f"schedule ({lowest:g} bytes/s): every upload would be given up as too slow; "
                f"set it to {max(100, lowest // 2):g} or less"
            )
        return self


class LogSettings(Table):
    """What is logged."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug | info | warning | error"
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this box itself."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
