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
        "corners of a rectangle, or three and more of a polygon, as in [[0.2, 0.0], [0.8, 1.0]]. "
        "Empty: everywhere; the larger and livelier of several people is the athlete.",
    )
    reference: Path | None = Field(
        None,
        description="A picture of the empty station (PNG or JPEG): Spotter says so when the camera "
        "no longer sees the same.",
    )
    model: Path | None = Field(None, description="Another pose model (.task) than the shipped one.")
    poster: bool = Field(True, description="Draw a picture of every take.")
    memory_limit_mb: Annotated[int, Field(ge=400, le=64000)] = Field(
        1500, description="An analysis larger than that is ended."
    )
    stall_limit_s: PositiveSeconds = Field(
        60.0, description="An analysis silent for that long is ended; slower boxes get longer."
    )
    on_analysis_failure: Literal["hold", "upload_whole"] = Field(
        "hold", description="A video that plays but cannot be analysed: hold | upload_whole"
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
    """What makes a take of one activity, and how much its clip holds around it."""

    pad_before_s: _PadSeconds = Field(
        1.0, description="Seconds that a clip holds before the movement."
    )
    pad_after_s: _PadSeconds = Field(1.0, description="Seconds that a clip holds after it.")
    rest_s: Annotated[float, Field(gt=0, le=60)] = Field(
        2.0, description="Movements with less rest between them are one take."
    )
    longest_s: Annotated[float, Field(ge=5, le=3600)] = Field(
        600.0, description="No clip holds more of a movement."
    )


class RunningSettings(TakeSettings):
    """Takes of running."""

    longest_s: Annotated[float, Field(ge=5, le=3600)] = Field(
        60.0, description="No clip holds more of a run; the API wants less than a minute."
    )
    further_clips: bool = Field(
        True,
        description="A longer run goes on in further clips of equal length; false: the rest of it "
        "stays in the recording.",
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
        description="Several lifts with little rest between them (snatch, clean, clean and jerk) "
        "become a clip each, as the API expects; false: one clip.",
    )


def _code(meaning: str) -> Any:  # as pydantic's own Field
    return Field("warn", description=f"{meaning}: ignore | warn | hold")


class QualitySettings(Table):
    """What to do about a clip when its picture is not good: ignore it, warn, or hold the clip."""

    nobody: Severity = _code("Nobody is in the picture")
    too_dark: Severity = _code("Too dark to see anybody")
    too_bright: Severity = _code("Much of the picture is blown out")
    against_light: Severity = _code("The athlete stands against the light")
    blurred: Severity = _code("Blurred, or a smeared lens")
    feet_out_of_frame: Severity = _code("The feet are out of the picture during the effort")
    hands_out_of_frame: Severity = _code("The hands leave the picture")
    head_out_of_frame: Severity = _code("The head is out of the picture")
    too_small: Severity = _code("The athlete is small in the picture")
    hidden: Severity = _code("Hidden by others or by plates")
    frame_rate_low: Severity = _code("Too few pictures a second for the activity")
    frames_uneven: Severity = _code("Pictures missing or uneven")
    camera_moved: Severity = _code("Not what analysis.reference shows")
    picture_frozen: Severity = _code("One picture that never changes")
    picture_turned: Severity = _code("Upside down or on its side")
    times_jump: Severity = _code("Time stamps jump: the jump takes no time")
    frame_rate_assumed: Severity = _code("A raw stream that does not say its frame rate")
    file_damaged: Severity = _code("The file is damaged")
    athlete_undecided: Severity = Field(
        "hold", description="Two people move alike: ignore | warn | hold"
    )
    activity_differs: Severity = _code("The movement is not what was assigned")
    begins_before: Severity = _code("Under way when the recording began")
    goes_on: Severity = _code("Not over when the recording ended")
    too_many_jumps: Severity = _code("More than five jumps in a clip")
    run_too_long: Severity = _code("A run of more than a minute in a clip")
    not_from_the_side: Severity = _code("A lift or a run that is not seen from the side")
    others_in_picture: Severity = _code("Somebody else is in the picture during the effort")
    too_few_pixels: Severity = _code("Fewer than 720 lines")
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
        description="A lossless cut begins at a keyframe and hides what comes before the start; "
        "auto encodes where that would be longer.",
    )
    keep_audio: bool = Field(False, description="Keep the sound.")
    keep_metadata: bool = Field(
        False, description="Keep place and device; creation time and rotation always stay."
    )
    rendition_height: Annotated[int, Field(ge=144, le=4320)] | None = Field(
        None, description="For thin uplinks: shrink clips to that many px (H.264)."
    )
    rendition_kbit_s: Annotated[int, Field(ge=100, le=100000)] | None = Field(
        None, description="For thin uplinks: limit the rate of clips (H.264)."
    )
