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
    """What is recorded here, and who it is attributed to."""

    id: str = Field(
        default_factory=_host_id,
        pattern=r"^[A-Za-z0-9_-]{1,40}$",
        description="Name in logs and metrics; default: the host name.",
    )
    name: str | None = Field(None, max_length=80, description="Display name.")
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
        description="The athlete when no coach has assigned one; optional.",
    )
    barbell_mass: float | None = Field(
        None,
        gt=0,
        le=500,
        description="kg; if unset: sent without weight, with a warning (the API assumes 100 kg)",
    )
    incline_degree: float | None = Field(
        None, ge=-30, le=60, description="Incline of the treadmill, in degrees."
    )
    unassigned: Literal["hold", "upload", "discard"] = Field(
        "hold",
        description="Unassigned clips: hold | upload (to the key owner's own account) | discard",
    )

    runs_out_after_min: Annotated[float, Field(ge=0, le=1440)] = Field(
        45.0,
        description="Minutes without a take after which an assignment ends; 0: an assignment "
        "stays until it is replaced.",
    )

    hours: tuple[str, ...] = Field(
        (),
        description='When the camera must record, as ["Mon-Fri 06:00-22:00", "Sat 08:00-14:00"]; '
        "if unset: learnt from the recordings of the last weeks.",
    )
    camera_silent_min: Annotated[float, Field(ge=0, le=1440)] = Field(
        10.0,
        description="Minutes without a recording, within these hours, after which the camera "
        "counts as silent; 0: never.",
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
    """Where files are stored."""

    capture: Path = Field(
        Path("/var/lib/spotter/capture"), description="The camera program writes here."
    )
    state: Path = Field(
        Path("/var/lib/spotter"),
        description="The outbox database and the files that Spotter keeps.",
    )

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
    """API connection."""

    base_url: str = Field("https://api.aikynetix.app", description="Address of the API.")
    key_file: Path = Field(
        Path("/etc/spotter/api-key"),
        description="File that contains only the key.  Or $SPOTTER_API__KEY, or the systemd "
        'credential "api-key"; missing or empty: uploads are paused.',
    )
    key: SecretStr | None = Field(
        None, description="The key itself; prefer key_file, which can be readable by root only."
    )
    key_header: Literal["auto", "Authorization", "API-KEY"] = Field(
        "auto",
        description="auto | Authorization (API-KEY <key>) | API-KEY; auto tries both",
    )
    role: Literal["auto", "admin", "user"] = Field(
        "auto",
        description="Upload endpoint; auto checks at start, after a key change and on 403.",
    )
    owner_id: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="The user_id of the key's owner, for keys that are not an admin's: only this "
        "user's clips are sent, to their own account.",
    )
    origin: str | None = Field(
        None,
        description="Sent as Origin and Referer, for a key that is bound to a domain: "
        '"https://gym.example".',
    )
    ca_file: Path | None = Field(None, description="Additional certificate authority (PEM).")
    allow_http: bool = Field(
        False, description="Allow an address without TLS that is not on this box."
    )
    connect_timeout_s: PositiveSeconds = Field(10.0, description="Longest wait for a connection.")
    answer_timeout_s: PositiveSeconds = Field(
        120.0, description="Longest wait for the response after a clip was sent completely."
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
    """How recordings are ingested and kept."""

    settle_s: PositiveSeconds = Field(
        2.0, description="A file is complete when unchanged for this long and closed by its writer."
    )
    settle_unseen_s: PositiveSeconds = Field(
        90.0, description="The same where closing cannot be observed (network folders)."
    )
    rescan_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        30.0, description="How often the whole folder is scanned."
    )
    suffixes: tuple[str, ...] = Field(
        (
            *(".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm"),
            *(".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".3gp"),
            *(".h264", ".264", ".h265", ".265", ".hevc"),
        ),
        description="Video file extensions, in lower case.",
    )
    clock_offset_s: float | None = Field(
        None,
        ge=-86400,
        le=86400,
        description="Seconds to add to the camera's clock, 0 if it is right; if unset: unknown, "
        "and files that are copied in late are held for review.",
    )
    originals: Literal["delete", "keep", "archive"] = Field(
        "delete",
        description="delete | keep | archive, keep_originals_h after all clips are delivered; "
        "earlier when space is short.  keep: for ever, including those without a take.",
    )
    archive_dir: Path | None = Field(None, description="Target folder for originals = archive.")
    keep_originals_h: Annotated[float, Field(ge=0)] = Field(
        48.0,
        description="Hours that originals are kept after delivery: a detector can miss a take.",
    )
    keep_skipped_days: Annotated[float, Field(ge=0)] = Field(
        7.0, description="Days that recordings without a take are kept; fewer when space is short."
    )
    keep_clips_days: Annotated[float, Field(ge=0)] = Field(
        7.0,
        description="Days that delivered clips and their pictures are kept; deleted first when "
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
    """How clips are uploaded."""

    send_delay_s: Seconds = Field(
        20.0, description="Delay before a new clip is sent, in which it can be corrected."
    )
    reconcile_wait_s: Seconds = Field(
        120.0,
        description="Time between the two searches that prove absence; 15 times that after a "
        "time-out.",
    )
    min_rate_bytes_s: Annotated[float, Field(ge=100)] = Field(
        8000.0, description="A slower upload is aborted and retried."
    )
    schedule: str = Field(
        "",
        description="Upload hours and bandwidth limits, in the box's time zone; the first matching "
        'rule applies: "Mon-Fri 06:00-22:00 = 2Mbit/s, Sat Sun = off, else unlimited".  Results '
        "and lost answers are requested in closed hours too.",
    )
    smaller_if_too_large: bool = Field(
        False,
        description="If the API rejects a clip as too large (413): send a smaller rendition "
        "(at most 720 px, half the rate or less); false: it stays rejected.",
    )
    date_sessions: bool = Field(
        False,
        description="Date a session by its recording time if it was uploaded more than a minute "
        "later; needs an admin's key.",
    )
    date_zone: str = Field(
        "UTC",
        description="Time zone in which the API reads that time; the vendor does not document it.",
    )
    backoff_base_s: PositiveSeconds = Field(5.0, description="Longest delay after a first failure.")
    backoff_max_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        3600.0, description="Longest delay after any failure."
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
    """Logging."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level logged."
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this box itself."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
