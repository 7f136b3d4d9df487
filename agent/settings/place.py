"""Where the settings of a station lie."""

from collections.abc import Mapping
from pathlib import Path

DEFAULT_PATH = Path("/etc/spotter/station.toml")
CONFIG_VARIABLE = "SPOTTER_CONFIG"


def find_config(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the settings file: as given, else $SPOTTER_CONFIG, else the system's."""
    return explicit or Path(environ.get(CONFIG_VARIABLE) or DEFAULT_PATH)
