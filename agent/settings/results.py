"""The table of the settings about what comes after the upload."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from agent.settings.table import PositiveSeconds, Table


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
