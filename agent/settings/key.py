"""Where the API key comes from.  It is read anew every time: a renewed key needs no restart."""

from collections.abc import Mapping
from pathlib import Path

from agent.redaction import hide_always
from agent.settings.tables import ApiSettings

_MOST_BYTES = 4096
_CREDENTIAL = "api-key"


def read_api_key(settings: ApiSettings, environ: Mapping[str, str]) -> str | None:
    """Return the API key, or None where there is none.

    The first that gives one serves: the setting or $SPOTTER_API__KEY, the key file, the systemd
    credential `api-key`.
    """
    key = _first_key(settings, environ)
    hide_always(key)
    return key


def _first_key(settings: ApiSettings, environ: Mapping[str, str]) -> str | None:
    if settings.key is not None and settings.key.get_secret_value().strip():
        return settings.key.get_secret_value().strip()
    places = [settings.key_file]
    if "CREDENTIALS_DIRECTORY" in environ:
        places.append(Path(environ["CREDENTIALS_DIRECTORY"], _CREDENTIAL))
    keys = (_read(place) for place in places)
    return next((key for key in keys if key), None)


def _read(path: Path) -> str | None:
    """Return a file's only line, or None where it is missing, unreadable or no key."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if text.isprintable() and " " not in text else None
