"""The table of the settings about the disk."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from agent.settings.table import Table


class DiskSettings(Table):
    """What Spotter may use of the disk, and which disks must be there."""

    min_free_mb: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="Free space below which nothing more is taken in.  Absent: a fiftieth of the "
        "disk, but 256 MB to 5000 MB, and never over a tenth of it.",
    )
    reserve_mb: Annotated[float, Field(ge=0, le=4096)] = Field(
        32.0,
        description="Space held ready so that delivery goes on when other programs have filled the "
        "disk; at most a fiftieth of it.  0: none.",
    )
    mounts: tuple[Path, ...] = Field(
        (),
        description='Mount points without which Spotter waits, as in ["/mnt/camera"].  Those that '
        "/etc/fstab names above paths.* need not be said here.",
    )

    @field_validator("mounts")
    @classmethod
    def _absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if any(not place.is_absolute() for place in value):
            raise ValueError("must be absolute paths")
        return value
