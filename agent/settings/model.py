"""The settings.  Descriptions become the comments of the sample file."""

import ipaddress
import re
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from agent.bandwidth_schedule import UNLIMITED, parse_hours, parse_timetable
from agent.buttons import parse_buttons
from agent.errors import RequestError
from agent.exercises import EXERCISES, check_movement
from agent.logs import hide_always
from agent.secret_files import read_secret, why_missing

Seconds = Annotated[float, Field(ge=0, le=86400)]
PositiveSeconds = Annotated[float, Field(gt=0, le=86400)]


class Table(BaseModel):
    """One table: unknown keys are mistakes, and nothing changes once it is loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _PlainEnvironment(EnvSettingsSource):
    """The environment, in which a value that is no JSON is judged like any other wrong one."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return a table or list, which is written as JSON; as it is where it is none."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class EnvironmentFirst(BaseSettings):
    """Settings of a file, whose content is passed in; the environment takes precedence."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the signature is pydantic's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment go before the file, whose content comes in as arguments."""
        return _PlainEnvironment(settings_cls), init_settings


# In the state folder, for the daemon's user alone: what was set on the page.
PAGE_API_KEY, PAGE_PIN = "page-api-key", "page-pin"

_WORK_FOLDERS = ("captures", "clips", "pictures", "results", "set-aside", "tmp")
_LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost"})


def _web_address(text: str) -> SplitResult | None:
    """Return the parts of an address of the web; None where it is none."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # one that is none raises
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None


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
            *others, last = EXERCISES[self.activity]
            known = f"{', '.join(others)} or {last}"
            raise ValueError(f"exercise is required for {self.activity}: {known}")
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
            raise ValueError("paths.state must not be inside paths.capture")
        if any(self.capture.is_relative_to(self.state / name) for name in _WORK_FOLDERS):
            raise ValueError("paths.capture must not be inside a work folder of paths.state")
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

    _state: Path | None = PrivateAttr(None)  # where the page's key is kept, once that is known

    @property
    def page_key_file(self) -> Path | None:
        """Where the key is that was set on the page."""
        return None if self._state is None else self._state / PAGE_API_KEY

    @field_validator("origin")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = _web_address(value)
        is_plain = value.isascii() and value.isprintable() and " " not in value
        if parts is None or not is_plain:
            raise ValueError('must be an address such as "https://gym.example"')
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @model_validator(mode="after")
    def _address_serves(self) -> "ApiSettings":
        parts = _web_address(self.base_url)
        if parts is None:
            raise ValueError("base_url must be an address such as https://api.aikynetix.app")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("base_url must not contain a user name, query or fragment")
        if parts.scheme == "http" and not (self.allow_http or is_loopback(parts.hostname or "")):
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
        "earlier when space is short.  keep: not deleted, including those without a take.",
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
                f"schedule ({lowest:g} bytes/s): every upload would be aborted as too slow; "
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


class DiskSettings(Table):
    """Disk space, and mounts that must be present."""

    min_free_mb: Annotated[float, Field(ge=0, le=1_000_000_000)] | None = Field(
        None,
        description="Free space below which intake pauses.  If unset: 2 % of the disk, at least "
        "256 MB, at most 5000 MB, and never more than 10 % of it.",
    )
    reserve_mb: Annotated[float, Field(ge=0, le=4096)] = Field(
        32.0,
        description="Reserved space that keeps uploads working when other programs fill the disk; "
        "at most 2 % of it.  0: none.",
    )
    mounts: tuple[Path, ...] = Field(
        (),
        description='Mount points that Spotter waits for, as in ["/mnt/camera"].  Mounts of '
        "/etc/fstab above paths.* are known.",
    )

    @field_validator("mounts")
    @classmethod
    def _absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if any(not place.is_absolute() for place in value):
            raise ValueError("must be absolute paths")
        return value


Severity = Literal["ignore", "warn", "hold"]
Share = Annotated[float, Field(ge=0, le=1)]
_PadSeconds = Annotated[float, Field(ge=0, le=30)]


class AnalysisSettings(Table):
    """How takes are found."""

    zone: tuple[tuple[Share, Share], ...] = Field(
        (),
        description="Where athletes stand, in fractions of the picture from its top left: two "
        "corners of a rectangle, or three or more of a polygon, as in [[0.2, 0.0], [0.8, 1.0]].  "
        "Empty: everywhere.  The largest, most active person is taken as the athlete.",
    )
    reference: Path | None = Field(
        None,
        description="A picture of the empty station (PNG or JPEG): Spotter warns when the camera's "
        "view has changed.",
    )
    model: Path | None = Field(
        None, description="A pose model (.task) to use instead of the shipped one."
    )
    poster: bool = Field(True, description="Create a picture of every take.")
    memory_limit_mb: Annotated[int, Field(ge=400, le=64000)] = Field(
        1500, description="An analysis that uses more memory is stopped."
    )
    stall_limit_s: PositiveSeconds = Field(
        60.0,
        description="An analysis without progress for this long is stopped; longer on slow boxes.",
    )
    on_analysis_failure: Literal["hold", "upload_whole"] = Field(
        "hold", description="A playable video that cannot be analysed: hold | upload_whole"
    )
    offload: Literal["never", "when_behind", "always"] = Field(
        "never",
        description="Let workers of the facility analyse: never | when_behind (all waiting "
        "recordings but the oldest) | always.  Not with analysis.model.",
    )
    work_patience_s: Annotated[float, Field(ge=5, le=3600)] = Field(
        30.0,
        description="The station analyses a recording itself if no worker reports progress "
        "for this long.",
    )

    @field_validator("model", "reference")
    @classmethod
    def _exists(cls, value: Path | None) -> Path | None:
        try:
            # Not is_file(), which hides from Python 3.14 on why a file cannot be looked at.
            is_file = value is None or stat.S_ISREG(value.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            is_file = False
        except OSError as error:  # as in somebody's home, which the service may not enter
            raise ValueError(f"cannot be looked at: {error.strerror}") from None
        if not is_file:
            raise ValueError("no such file")
        return value

    @field_validator("zone")
    @classmethod
    def _encloses(cls, value: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if len(value) == 1:
            raise ValueError("must be two corners of a rectangle, or three or more of a polygon")
        across, down = {x for x, _ in value}, {y for _, y in value}
        if value and (len(across) < 2 or len(down) < 2):
            raise ValueError("encloses nothing")
        return value


class TakeSettings(Table):
    """What makes a take of one activity, and how its clip is padded."""

    pad_before_s: _PadSeconds = Field(1.0, description="Seconds of a clip before the movement.")
    pad_after_s: _PadSeconds = Field(1.0, description="Seconds of a clip after the movement.")
    rest_s: Annotated[float, Field(gt=0, le=60)] = Field(
        2.0, description="Movements with less rest between them are one take."
    )
    longest_s: Annotated[float, Field(ge=5, le=3600)] = Field(
        600.0, description="Longest movement in one clip."
    )


class RunningSettings(TakeSettings):
    """Takes of running."""

    longest_s: Annotated[float, Field(ge=5, le=3600)] = Field(
        60.0, description="Longest run in one clip; the API expects less than a minute."
    )
    further_clips: bool = Field(
        True,
        description="Divide a longer run into clips of equal length; false: only its first part "
        "becomes a clip.",
    )


class JumpingSettings(TakeSettings):
    """Takes of jumping."""

    rest_s: Annotated[float, Field(gt=0, le=60)] = Field(
        1.5, description="Jumps with less rest between them are one take."
    )


class WeightliftingSettings(TakeSettings):
    """Takes of weightlifting."""

    rest_s: Annotated[float, Field(gt=0, le=60)] = Field(
        3.0, description="Repetitions with less rest between them are one take."
    )
    one_lift_per_clip: bool = Field(
        True,
        description="One clip for each of several lifts with little rest between them (snatch, "
        "clean, clean and jerk), as the API expects; false: one clip for all.",
    )


def _code(meaning: str) -> Any:  # as pydantic's own Field
    return Field("warn", description=f"{meaning}: ignore | warn | hold")


class QualitySettings(Table):
    """What to do about a quality problem of a clip: ignore it, warn, or hold the clip."""

    nobody: Severity = _code("Nobody in the picture")
    too_dark: Severity = _code("Too dark")
    too_bright: Severity = _code("Overexposed")
    against_light: Severity = _code("The athlete is backlit")
    blurred: Severity = _code("Blurred, or a dirty lens")
    feet_out_of_frame: Severity = _code("Feet out of the picture during the take")
    hands_out_of_frame: Severity = _code("Hands out of the picture")
    head_out_of_frame: Severity = _code("Head out of the picture")
    too_small: Severity = _code("The athlete is too small in the picture")
    hidden: Severity = _code("Hidden by others or by plates")
    frame_rate_low: Severity = _code("Frame rate too low for the activity")
    frames_uneven: Severity = _code("Frames missing or unevenly spaced")
    camera_moved: Severity = _code("The view differs from analysis.reference")
    picture_frozen: Severity = _code("The picture is frozen")
    picture_turned: Severity = _code("Upside down or on its side")
    times_jump: Severity = _code("Timestamps jump; the jump was cut out")
    frame_rate_assumed: Severity = _code("A raw stream without a frame rate")
    file_damaged: Severity = _code("The file is damaged")
    athlete_undecided: Severity = Field(
        "hold", description="Two people move alike, so the athlete is unclear: ignore | warn | hold"
    )
    effort_doubtful: Severity = Field(
        "hold",
        description="Movement that may not be a take, such as one stretch: ignore | warn | hold",
    )
    activity_differs: Severity = _code("The movement differs from the assigned activity")
    begins_before: Severity = _code("The movement began before the recording")
    goes_on: Severity = _code("The movement continued after the recording")
    too_many_jumps: Severity = _code("More than five jumps in one clip")
    run_too_long: Severity = _code("More than a minute of running in one clip")
    not_from_the_side: Severity = _code("A lift or a run not filmed from the side")
    others_in_picture: Severity = _code("Another person in the picture during the take")
    too_few_pixels: Severity = _code("Fewer than 720 lines of picture")
    take_limited: Severity = _code("Longer than longest_s")


class CutSettings(Table):
    """How clips are cut."""

    method: Literal["auto", "copy", "encode"] = Field(
        "auto",
        description="auto | copy (lossless wherever possible) | encode (always, at visually "
        "lossless quality)",
    )
    max_preroll_s: Annotated[float, Field(ge=0, le=600)] = Field(
        2.0,
        description="A lossless cut begins at a keyframe and hides the frames before the start; "
        "auto encodes where that would be longer than this.",
    )
    keep_audio: bool = Field(False, description="Keep the sound.")
    keep_metadata: bool = Field(
        False, description="Keep location and device; creation time and rotation are always kept."
    )
    rendition_height: Annotated[int, Field(ge=144, le=4320)] | None = Field(
        None, description="For slow uplinks: scale clips to this height in px (H.264)."
    )
    rendition_kbit_s: Annotated[int, Field(ge=100, le=100000)] | None = Field(
        None, description="For slow uplinks: limit the bit rate of clips (H.264)."
    )


_CREDENTIAL = "api-key"
KEY_NAME = "API key"
KEY_FORM = "ASCII characters without spaces"
NO_KEY = "there is no API key"


def read_api_key(settings: ApiSettings, environ: Mapping[str, str]) -> str | None:
    """Return the API key, or None where there is none.

    The first that gives one serves: the setting or $SPOTTER_API__KEY, the key file, the systemd
    credential `api-key`, the key that was set on the page.
    """
    return read_secret(
        settings.key,
        settings.key_file,
        environ,
        credential=_CREDENTIAL,
        accepts=is_key,
        of_page=settings.page_key_file,
    )


def has_own_key(settings: ApiSettings, environ: Mapping[str, str]) -> bool:
    """Tell whether the box itself has a key, which takes precedence over one set on the page."""
    own = read_secret(
        settings.key, settings.key_file, environ, credential=_CREDENTIAL, accepts=is_key
    )
    return own is not None


def why_no_key(settings: ApiSettings, environ: Mapping[str, str]) -> str:
    """Return why there is no key, in words for a person: what is wrong with its file, if it is."""
    fault = why_missing(
        settings.key_file,
        environ,
        credential=_CREDENTIAL,
        name=KEY_NAME,
        form=KEY_FORM,
        accepts=is_key,
    )
    return fault or NO_KEY


def is_key(text: str) -> bool:
    """Tell whether a text looks like a key: visible ASCII in one line, without spaces."""
    return text.isascii() and text.isprintable() and " " not in text


EventName = Literal[
    "take.ready",
    "take.held",
    "take.refused",
    "take.delivered",
    "session.completed",
    "session.failed",
    "station.state",
]
EVENTS: tuple[EventName, ...] = get_args(EventName)

_PREFIX = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_PLAIN_PORT, _TLS_PORT = 1883, 8883


class WebhookSettings(Table):
    """A webhook that receives events; see docs/notifications.md."""

    url: SecretStr | None = Field(
        None,
        description="Where events are posted; if unset: off.  The path is often a secret, so it is "
        "hidden like one.",
    )
    secret_file: Path = Field(
        Path("/etc/spotter/webhook-secret"),
        description='File with the secret that signs events: "whsec_" and the base64 of 24 to 64 '
        'random bytes.  Or the systemd credential "webhook-secret"; missing: events wait.',
    )
    secret: SecretStr | None = Field(None, description="The secret itself; better in the file.")
    events: tuple[EventName, ...] = Field(
        EVENTS, description="Events that are sent; others are not."
    )
    ca_file: Path | None = Field(None, description="Additional certificate authority (PEM).")
    allow_http: bool = Field(
        False, description="Allow an address without TLS that is not on this box."
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(
        10.0, description="Longest wait for the complete response to one event."
    )

    @model_validator(mode="after")
    def _address_serves(self) -> "WebhookSettings":
        if self.url is None:
            return self
        parts = _web_address(self.url.get_secret_value())
        if parts is None:
            raise ValueError("url must be an address such as https://home.example/hooks/spotter")
        if parts.username or parts.password or parts.fragment:
            raise ValueError("url must not contain a user name or fragment")
        if parts.scheme == "http" and not (self.allow_http or is_loopback(parts.hostname or "")):
            raise ValueError(
                "url without TLS would show user ids to the network: use https, or set allow_http"
            )
        return self

    @property
    def place(self) -> str:
        """The receiver's name for people: scheme, host and port, for the rest may be secret."""
        parts = urlsplit("" if self.url is None else self.url.get_secret_value())
        return f"{parts.scheme}://{parts.netloc}"


class MqttSettings(Table):
    """An MQTT broker that receives events; see docs/notifications.md."""

    host: str = Field("", description='Host name or address of the broker; "": off.')
    port: Annotated[int, Field(gt=0, lt=65536)] | None = Field(
        None, description="If unset: 1883, with TLS 8883."
    )
    tls: bool = Field(False, description="Use TLS.")
    ca_file: Path | None = Field(None, description="Additional certificate authority (PEM).")
    version: Literal["5", "3.1.1"] = Field(
        "5", description="5 | 3.1.1, which cannot report a refused event"
    )
    user: str | None = Field(None, description="MQTT user name.")
    password_file: Path | None = Field(
        None,
        description="File with the password.  Or $SPOTTER_MQTT__PASSWORD, or the systemd "
        'credential "mqtt-password".',
    )
    password: SecretStr | None = Field(None, description="The password itself.")
    prefix: str = Field("spotter", description="Prefix of all topics.")
    discovery: bool = Field(True, description="Publish Home Assistant discovery.")
    discovery_prefix: str = Field(
        "homeassistant", description="Discovery prefix of Home Assistant."
    )

    @field_validator("prefix", "discovery_prefix")
    @classmethod
    def _is_a_topic(cls, value: str) -> str:
        if not _PREFIX.fullmatch(value):
            raise ValueError('must be a topic such as "spotter" or "gym/hall-2"')
        return value

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or (_TLS_PORT if self.tls else _PLAIN_PORT)


def channels_of(webhook: WebhookSettings, mqtt: MqttSettings) -> list[str]:
    """Return the names of the channels that are on."""
    found = {"mqtt": bool(mqtt.host), "webhook": webhook.url is not None}
    return [name for name, is_on in found.items() if is_on]


def read_webhook_secret(settings: WebhookSettings, environ: Mapping[str, str]) -> str | None:
    """Return the secret by which notices are signed, or None where there is none."""
    hide_always(None if settings.url is None else settings.url.get_secret_value())
    return read_secret(settings.secret, settings.secret_file, environ, credential="webhook-secret")


def why_no_webhook_secret(settings: WebhookSettings, environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with the file of the webhook's secret; None: it is missing or empty."""
    return why_missing(
        settings.secret_file,
        environ,
        credential="webhook-secret",
        name="webhook secret",
        form='"whsec_" and base64',
    )


def read_secrets(settings: "Settings", environ: Mapping[str, str]) -> None:
    """Read every secret once, before the right to do so is given up."""
    read_api_key(settings.api, environ)
    read_webhook_secret(settings.webhook, environ)
    read_mqtt_password(settings.mqtt, environ)
    read_tap_token(settings.web, environ)


def read_mqtt_password(settings: MqttSettings, environ: Mapping[str, str]) -> str | None:
    """Return the password for the broker, or None where there is none."""
    return read_secret(
        settings.password, settings.password_file, environ, credential="mqtt-password"
    )


def why_no_mqtt_password(settings: MqttSettings, environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with the password's file; None: it is missing or empty."""
    return why_missing(
        settings.password_file,
        environ,
        credential="mqtt-password",
        name="MQTT password",
        form="printable characters in one line",
    )


class ResultsSettings(Table):
    """How sessions are followed until their analysis is complete, and what is kept."""

    follow: bool = Field(True, description="Follow every session until its analysis is complete.")
    first_look_s: PositiveSeconds = Field(
        20.0, description="First request after the upload; then less often."
    )
    longest_s: PositiveSeconds = Field(900.0, description="Longest interval between two requests.")
    give_up_days: Annotated[float, Field(gt=0, le=365)] = Field(
        2.0,
        description="Days without an analysis after which following ends; "
        "spotter session ID --look asks again.",
    )
    video: Literal["on_demand", "always", "never"] = Field(
        "on_demand",
        description="When to download the analysed video: on_demand | always | never.  always: "
        "while no clip is waiting, within the limits of delivery.schedule.",
    )
    max_video_mb: Annotated[float, Field(gt=0, le=100_000)] = Field(
        500.0, description="Larger analysed videos are not downloaded."
    )
    keep_days: Annotated[float, Field(ge=0)] = Field(
        30.0,
        description="Days that downloaded videos and complete results are kept; deleted first when "
        "space is short.  The key metrics are always kept.",
    )

    @model_validator(mode="after")
    def _waits_grow(self) -> "ResultsSettings":
        if self.first_look_s > self.longest_s:
            raise ValueError("first_look_s must not be more than longest_s")
        return self


LOCALES = Path(__file__).parents[1] / "web" / "locale"  # the page's translations
_SHORTEST_PIN = 6
_SHORTEST_TOKEN = 16


def languages() -> list[str]:
    """Return the languages into which the page is translated."""
    return sorted(path.parts[-3] for path in LOCALES.glob("*/LC_MESSAGES/spotter.mo"))


class WebSettings(Table):
    """The coach's page."""

    listen: str = Field("127.0.0.1:8377", description='Address and port; "" turns the page off.')
    pin_file: Path | None = Field(
        None,
        description="File with the PIN, six characters or more; needed for any address but "
        "loopback.",
    )
    pin: SecretStr | None = Field(None, description="The PIN itself.")
    hosts: tuple[str, ...] = Field(
        (),
        description="Additional host names of the page; the host name and the addresses of this "
        "box are known.",
    )
    tls: Literal["auto", "off", "own", "given"] = Field(
        "auto",
        description="auto (own, where listen is more than this box) | off (plain HTTP: the network "
        "can read the PIN) | own (a certificate that Spotter creates) | given (tls_cert, tls_key)",
    )
    tls_cert: Path | None = Field(None, description="Certificate chain, for tls = given.")
    tls_key: Path | None = Field(None, description="Its private key.")
    wall_metrics: bool = Field(
        False, description="Show the first metrics of the latest take on the wall, to everybody."
    )
    session_days: Annotated[float, Field(gt=0, le=400)] = Field(
        90.0, description="Days without use after which a device must log in again."
    )
    metrics_token_file: Path | None = Field(
        None,
        description="File with the bearer token for /metrics (Authorization: Bearer TOKEN); "
        "if unset: only from this box.",
    )
    metrics_token: SecretStr | None = Field(None, description="The token itself.")
    tap_token_file: Path | None = Field(
        None,
        description="File with the bearer token for POST /api/tap, 16 characters or more; "
        "if unset: card readers must use spotter tap.",
    )
    tap_token: SecretStr | None = Field(None, description="The token itself.")
    button_keys: tuple[str, ...] = Field(
        (),
        description='What the keys of a button or pedal do, as ["pagedown = next", "b = done", '
        '"f13 = stop"], with spotter-reader@ for its device: done | next (of the queue) | stop.',
    )
    language: str = Field(
        "en", description="en | de, or another language with a catalogue in agent/web/locale."
    )
    unit: Literal["kg", "lb"] = Field(
        "kg", description="kg | lb, on the page only: the API always gets kilograms."
    )

    _state: Path | None = PrivateAttr(None)  # where the page's PIN is kept, once that is known

    @property
    def page_pin_file(self) -> Path | None:
        """Where the PIN is that was set on the page."""
        return None if self._state is None else self._state / PAGE_PIN

    @field_validator("language")
    @classmethod
    def _translated(cls, value: str) -> str:
        if value not in languages():
            raise ValueError(f"must be one of {', '.join(languages())}")
        return value

    @field_validator("button_keys")
    @classmethod
    def _buttons_read(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_buttons(value)
        return value

    @field_validator("hosts")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name) for name in value):
            raise ValueError('must be names such as "platform-3.gym.example"')
        return value

    @field_validator("pin")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().strip()) < _SHORTEST_PIN:
            raise ValueError(f"a PIN has {_SHORTEST_PIN} characters or more")
        return value

    @field_validator("tap_token")
    @classmethod
    def _unguessable(cls, value: SecretStr | None) -> SecretStr | None:
        token = None if value is None else value.get_secret_value()
        if token is not None and (len(token) < _SHORTEST_TOKEN or not is_key(token)):
            raise ValueError(f"a token has {_SHORTEST_TOKEN} visible characters or more")
        return value

    @property
    def host(self) -> str:
        """The address at which the page listens, without its port."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def certificate(self) -> Literal["own", "given"] | None:
        """Whose certificate the page shows; None: plain HTTP."""
        if self.tls == "auto":
            return None if is_loopback(self.host) else "own"
        return None if self.tls == "off" else self.tls

    @model_validator(mode="after")
    def _guarded(self) -> "WebSettings":
        if self.tls == "given" and (self.tls_cert is None or self.tls_key is None):
            raise ValueError('tls = "given" needs tls_cert and tls_key')
        if not self.listen:
            return self
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError('listen needs a port, as in "127.0.0.1:8377"; "" turns the page off')
        if not is_loopback(self.host) and self.pin is None and self.pin_file is None:
            raise ValueError("a page on the network needs pin or pin_file")
        return self


def read_tap_token(settings: WebSettings, environ: Mapping[str, str]) -> str | None:
    """Return the token of card readers, or None where there is none that is long enough."""
    return read_secret(
        settings.tap_token,
        settings.tap_token_file,
        environ,
        credential="tap-token",
        accepts=_is_token,
    )


def why_no_tap_token(settings: WebSettings, environ: Mapping[str, str]) -> str:
    """Return why there is no token of card readers, in words for a person."""
    fault = why_missing(
        settings.tap_token_file,
        environ,
        credential="tap-token",
        name="token",
        form=f"{_SHORTEST_TOKEN} characters or more, without spaces",
        accepts=_is_token,
    )
    return fault or f"no token of {_SHORTEST_TOKEN} characters or more in {settings.tap_token_file}"


def _is_token(text: str) -> bool:
    return is_key(text) and len(text) >= _SHORTEST_TOKEN


ENV_PREFIX = "SPOTTER_"


class Settings(EnvironmentFirst):
    """All settings of a station; every key also as SPOTTER_TABLE__KEY."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    station: StationSettings
    paths: PathSettings = Field(default_factory=PathSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    capture: CaptureSettings = Field(default_factory=CaptureSettings)
    disk: DiskSettings = Field(default_factory=DiskSettings)
    analysis: AnalysisSettings = Field(default_factory=AnalysisSettings)
    running: RunningSettings = Field(default_factory=RunningSettings)
    jumping: JumpingSettings = Field(default_factory=JumpingSettings)
    weightlifting: WeightliftingSettings = Field(default_factory=WeightliftingSettings)
    quality: QualitySettings = Field(default_factory=QualitySettings)
    cut: CutSettings = Field(default_factory=CutSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    results: ResultsSettings = Field(default_factory=ResultsSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    webhook: WebhookSettings = Field(default_factory=WebhookSettings)
    mqtt: MqttSettings = Field(default_factory=MqttSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @model_validator(mode="after")
    def _tell_the_state_folder(self) -> "Settings":
        for table in (self.api, self.web):
            table._state = self.paths.state
        return self
