"""Where the API key comes from.  It is read anew every time: a renewed key needs no restart."""

from collections.abc import Mapping
from pathlib import Path

from agent.settings.secret import read_secret
from agent.settings.tables import ApiSettings

_CREDENTIAL = "api-key"
_MOST_BYTES = 4096


def read_api_key(settings: ApiSettings, environ: Mapping[str, str]) -> str | None:
    """Return the API key, or None where there is none.

    The first that gives one serves: the setting or $SPOTTER_API__KEY, the key file, the systemd
    credential `api-key`.
    """
    return read_secret(
        settings.key, settings.key_file, environ, credential=_CREDENTIAL, accepts=is_key
    )


def malformed_key(settings: ApiSettings, environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with what stands in a key's place; None where nothing stands there."""
    given = "" if settings.key is None else settings.key.get_secret_value().strip()
    places = [settings.key_file]
    if "CREDENTIALS_DIRECTORY" in environ:
        places.append(Path(environ["CREDENTIALS_DIRECTORY"], _CREDENTIAL))
    for text in (given, *map(_text, places)):
        if text is None:
            return "it is no text"
        if not text or is_key(text):
            continue
        if len(text.splitlines()) > 1:
            return f"it has {len(text.splitlines())} lines"
        if any(sign.isspace() for sign in text):
            return "there are spaces in it"
        return "there are characters in it that no key has"
    return None


def _text(path: Path) -> str | None:
    """Return what a file holds, "" where it cannot be read, None where that is no text."""
    try:
        return path.read_bytes()[:_MOST_BYTES].decode().strip()
    except OSError:
        return ""
    except UnicodeDecodeError:
        return None


def is_key(text: str) -> bool:
    """Tell whether a text looks like a key: visible ASCII in one line, without spaces."""
    return text.isascii() and text.isprintable() and " " not in text
