"""The table of the settings about the disk."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from agent.settings.table import Table


class DiskSettings(Table):
    """Disk space, and mounts that must be present."""

    min_free_mb: Annotated[float, Field(ge=0)] | None = Field(
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
