"""What all tables of the settings have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, le=86400)]
PositiveSeconds = Annotated[float, Field(gt=0, le=86400)]


class Table(BaseModel):
    """One table: unknown keys are mistakes, and nothing changes once it is loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)
