"""Where the API key comes from.  It is read anew every time: a renewed key needs no restart."""

from collections.abc import Mapping

from agent.settings.secret import read_secret
from agent.settings.tables import ApiSettings

_CREDENTIAL = "api-key"


def read_api_key(settings: ApiSettings, environ: Mapping[str, str]) -> str | None:
    """Return the API key, or None where there is none.

    The first that gives one serves: the setting or $SPOTTER_API__KEY, the key file, the systemd
    credential `api-key`.
    """
    return read_secret(
        settings.key, settings.key_file, environ, credential=_CREDENTIAL, accepts=_is_key
    )


def _is_key(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
