"""The tables of the settings about footage: how takes are found, judged and cut."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from agent.settings.table import PositiveSeconds, Table

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

    @field_validator("model", "reference")
    @classmethod
    def _exists(cls, value: Path | None) -> Path | None:
        try:
            if value is not None and not value.is_file():
                raise ValueError("no such file")
        except OSError as error:  # as in somebody's home, which the service may not enter
            raise ValueError(f"cannot be looked at: {error.strerror}") from None
        return value

    @field_validator("zone")
    @classmethod
    def _encloses(cls, value: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if len(value) == 1:
            raise ValueError("must be two corners of a rectangle, or three and more of a polygon")
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
    feet_out_of_frame: Severity = _code("Feet out of the picture during the effort")
    hands_out_of_frame: Severity = _code("Hands out of the picture")
    head_out_of_frame: Severity = _code("Head out of the picture")
    too_small: Severity = _code("The athlete is too small in the picture")
    hidden: Severity = _code("Hidden by others or by plates")
    frame_rate_low: Severity = _code("Frame rate too low for the activity")
    frames_uneven: Severity = _code("Frames missing or unevenly spaced")
    camera_moved: Severity = _code("The view differs from analysis.reference")
    picture_frozen: Severity = _code("The picture is frozen")
    picture_turned: Severity = _code("Upside down or on its side")
    times_jump: Severity = _code("Time stamps jump; the jump was cut out")
    frame_rate_assumed: Severity = _code("A raw stream without a frame rate")
    file_damaged: Severity = _code("The file is damaged")
    athlete_undecided: Severity = Field(
        "hold", description="Two people move alike, so the athlete is unclear: ignore | warn | hold"
    )
    activity_differs: Severity = _code("The movement differs from the assigned activity")
    begins_before: Severity = _code("The movement began before the recording")
    goes_on: Severity = _code("The movement continued after the recording")
    too_many_jumps: Severity = _code("More than five jumps in one clip")
    run_too_long: Severity = _code("More than a minute of running in one clip")
    not_from_the_side: Severity = _code("A lift or a run not filmed from the side")
    others_in_picture: Severity = _code("Another person in the picture during the effort")
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
