"""One table of settings, of whichever program."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """One table: unknown keys are mistakes, and nothing changes once it is loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)
