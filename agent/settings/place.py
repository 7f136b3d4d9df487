"""Where the settings of a station are stored."""

from collections.abc import Mapping
from pathlib import Path

DEFAULT_PATH = Path("/etc/spotter/station.toml")
CONFIG_VARIABLE = "SPOTTER_CONFIG"


def find_config(
    explicit: Path | None, environ: Mapping[str, str], *, system: Path = DEFAULT_PATH
) -> Path:
    """Return the settings file: as given, else $SPOTTER_CONFIG, else the system's, else the user's.

    The user's file serves only where the system has none, so that a file in somebody's home can
    never replace a station that is installed.
    """
    if explicit or environ.get(CONFIG_VARIABLE):
        return explicit or Path(environ[CONFIG_VARIABLE])
    own = user_folder(environ, "XDG_CONFIG_HOME", ".config") / "station.toml"
    return own if not _exists(system) and _exists(own) else system


def user_folder(environ: Mapping[str, str], variable: str, beneath_home: str) -> Path:
    """Return Spotter's folder of one kind for the current user (XDG Base Directory)."""
    named = environ.get(variable, "")
    base = Path(named) if named.startswith("/") else Path(environ.get("HOME") or "/") / beneath_home
    return base / "spotter"


def _exists(path: Path) -> bool:
    """Tell whether there is such a file, also where this user may not look into its folder."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
