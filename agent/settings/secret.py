"""Where a secret comes from.  It is read anew every time: a renewed one needs no restart."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr

from agent.redaction import hide_always

_MOST_BYTES = 4096

# A command of root's gives root's rights up before it works in somebody else's folder.
_READ_AS_ROOT: dict[Path, str] = {}


def read_secret(
    value: SecretStr | None,
    file: Path | None,
    environ: Mapping[str, str],
    *,
    credential: str,
    accepts: Callable[[str], bool] = str.isprintable,
) -> str | None:
    """Return a secret, or None where there is none; it is hidden in all logs from then on.

    The first that gives one serves: the setting (or its variable), the file, the systemd
    credential.

    Args:
        value: as the settings have it.
        file: with the secret alone, in one line.
        environ: names the folder of the credentials.
        credential: its name there.
        accepts: tells a secret from what somebody put into the file by mistake.
    """
    secret = None if value is None else value.get_secret_value().strip()
    if not secret:
        places = [] if file is None else [file]
        if "CREDENTIALS_DIRECTORY" in environ:
            places.append(Path(environ["CREDENTIALS_DIRECTORY"], credential))
        found = (_content(place) for place in places)
        secret = next((text for text in found if text and accepts(text)), None)
    hide_always(secret)
    return secret


def _content(path: Path) -> str | None:
    """Return a file's only line, or None where it is missing, unreadable or no text."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES).decode().strip()
    except PermissionError:
        return _READ_AS_ROOT.get(path)
    except (OSError, UnicodeDecodeError):
        return None
    if os.geteuid() == 0:
        _READ_AS_ROOT[path] = content
    return content
