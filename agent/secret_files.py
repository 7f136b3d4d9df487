"""Where secrets come from.  They are read at every use: a new one needs no restart."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr

from agent.logs import hide_always

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
    of_page: Path | None = None,
) -> str | None:
    """Return a secret, or None where there is none; it is hidden in all logs from then on.

    The first that gives one serves: the setting (or its variable), the file, the systemd
    credential, what was set on the page.

    Args:
        value: as the settings have it.
        file: with the secret alone, in one line.
        environ: names the folder of the credentials.
        credential: its name there.
        accepts: tells a secret from what somebody put into the file by mistake.
        of_page: the file in the state folder of what was set on the page.
    """
    secret = None if value is None else value.get_secret_value().strip()
    if not secret:
        places = [] if file is None else [file]
        if "CREDENTIALS_DIRECTORY" in environ:
            places.append(Path(environ["CREDENTIALS_DIRECTORY"], credential))
        found = (_content(place) for place in places)
        secret = next((text for text in found if text and accepts(text)), None)
    if not secret and of_page is not None:
        text = read_page_secret(of_page)
        secret = text if text and accepts(text) else None
    hide_always(secret)
    return secret


def read_page_secret(path: Path) -> str | None:
    """Return what was set on the page and is kept in the state folder, None where there is none.

    The folder's group can put files there; only one counts that its owner, the daemon's user,
    wrote for nobody else.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            found, owner = os.fstat(opened), path.parent.stat().st_uid
            is_private = stat.S_ISREG(found.st_mode) and not found.st_mode & 0o077
            if not is_private or found.st_uid != owner or found.st_nlink != 1:
                return None
            return file.read(_MOST_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError):
        return None


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
