"""The table of the settings about what comes after the upload."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from agent.settings.table import PositiveSeconds, Table


class ResultsSettings(Table):
    """How each session is followed until its analysis is there, and what is kept of it."""

    follow: bool = Field(
        True, description="Ask the API about every session until its analysis is there."
    )
    first_look_s: PositiveSeconds = Field(20.0, description="After the upload; then less and less.")
    longest_s: PositiveSeconds = Field(900.0, description="Longest wait between two looks.")
    give_up_days: Annotated[float, Field(gt=0, le=365)] = Field(
        2.0,
        description="Days without an analysis after which nobody looks any more; "
        "spotter session ID --look looks again.",
    )
    video: Literal["on_demand", "always", "never"] = Field(
        "on_demand",
        description="When the analysed video is fetched: on_demand | always | never.  Always: "
        "while no clip is to be sent, and at most at the rate of delivery.schedule.",
    )
    max_video_mb: Annotated[float, Field(gt=0, le=100_000)] = Field(
        500.0, description="A larger analysed video is not fetched."
    )
    keep_days: Annotated[float, Field(ge=0)] = Field(
        30.0,
        description="Days that fetched videos and the API's whole answers stay; they go first "
        "where space is short.  The key numbers stay in any case.",
    )

    @model_validator(mode="after")
    def _waits_grow(self) -> "ResultsSettings":
        if self.first_look_s > self.longest_s:
            raise ValueError("first_look_s must not be more than longest_s")
        return self
