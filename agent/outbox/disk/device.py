"""Which file system a folder is on."""

from pathlib import Path


def device_of(folder: Path) -> int | None:
    """Return which file system a folder is on, or None where it is not there."""
    try:
        return folder.stat().st_dev
    except OSError:
        return None
