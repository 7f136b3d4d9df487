"""Where secrets come from, and what an API key that is a token says of itself.

They are read at every use: a new one needs no restart.
"""

import base64
import binascii
import codecs
import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agent.logs import hide_always

if TYPE_CHECKING:
    from pydantic import SecretStr  # loaded, it would double the memory of a recorder's own code

_MOST_BYTES = 4096
# The marks that editors and shells put before a text, with the encoding that each stands for.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MOST_TOKEN_CHARS = 16_384
_OWNER_CLAIMS = ("uid", "user_uid", "user_id", "sub")
_LATEST_S = 1e11  # later is no moment that anybody meant
_WARN_S = 14 * 86_400.0

# A command of root's gives root's rights up before it works in somebody else's folder.
_READ_AS_ROOT: dict[Path, str] = {}


def read_secret(
    value: "SecretStr | None",
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
        accepts: distinguishes a secret from what somebody put into the file by mistake.
        of_page: the file in the state folder of what was set on the page.
    """
    secret = None if value is None else value.get_secret_value().strip()
    if not secret:
        found = (_content(place) for place in _places(file, environ, credential))
        secret = next((text for text in found if text and accepts(text)), None)
    if not secret and of_page is not None:
        text = read_page_secret(of_page)
        secret = text if text and accepts(text) else None
    hide_always(secret)
    return secret


def why_missing(
    file: Path | None,
    environ: Mapping[str, str],
    *,
    credential: str,
    name: str,
    form: str,
    accepts: Callable[[str], bool] = str.isprintable,
) -> str | None:
    """Return why `read_secret` gives None although something is there; None: nothing is.

    Args:
        file, environ, credential, accepts: as there.
        name: of the secret, as people call it.
        form: what it must look like.
    """
    faults = (
        fault_of(place, name=name, form=form, accepts=accepts)
        for place in _places(file, environ, credential)
    )
    return next((fault for fault in faults if fault is not None), None)


def fault_of(path: Path, *, name: str, form: str, accepts: Callable[[str], bool]) -> str | None:
    """Return what is wrong with a secret's file, without a sign of what it holds.

    Returns:
        A clause in which a comma follows the file's name, for the log takes what follows the word
        api-key otherwise for a key; None where the file is well, missing or empty.
    """
    try:
        content = _read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"no access to {path}, {error.strerror}"
    text = text_of(content)
    if text is not None and (not text or accepts(text)):
        return None
    told = _kind_of(text, accepts)
    if told is None:
        return f"no {name} in {path}, which must hold {form}"
    return f"{told} in {path}, which must hold the {name} alone"


def _kind_of(text: str | None, accepts: Callable[[str], bool]) -> str | None:
    """Return what a file has that is no secret; None where that has no name."""
    if text is None:
        return "bytes that are not text"
    lines = len(text.splitlines())
    if lines > 1:
        return f"{lines} lines"
    return "spaces" if accepts("".join(text.split())) else None


def text_of(content: bytes) -> str | None:
    """Return a file's text without what editors and shells put around it; None: it is no text."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding).strip()
    except UnicodeDecodeError:
        return None
    return None if encoding == "utf-16" and not text.isascii() else text


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


def _places(file: Path | None, environ: Mapping[str, str], credential: str) -> list[Path]:
    places = [] if file is None else [file]
    if "CREDENTIALS_DIRECTORY" in environ:
        places.append(Path(environ["CREDENTIALS_DIRECTORY"], credential))
    return places


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def _content(path: Path) -> str | None:
    """Return a file's only line, or None where it is missing, unreadable or no text."""
    try:
        content = text_of(_read(path))
    except PermissionError:
        return _READ_AS_ROOT.get(path)
    except OSError:
        return None
    if content is not None and os.geteuid() == 0:
        _READ_AS_ROOT[path] = content
    return content


def key_expires_at(token: str) -> float | None:
    """Return the Unix time at which a key expires, or None where it does not say."""
    told = _claims_of(token).get("exp")
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    return float(told) if is_number and 0 < told < _LATEST_S else None  # type: ignore[arg-type, operator]  # a number, as was seen


def key_owner_ids(token: str) -> frozenset[str]:
    """Return whose key it is, in every word that it has for that."""
    claims = _claims_of(token)
    told = (claims.get(name) for name in _OWNER_CLAIMS)
    return frozenset(one for one in told if isinstance(one, str) and one)


def key_expires_soon(at: float | None, *, now_s: float) -> bool:
    """Tell whether a person should ask for a new key by now."""
    return at is not None and at - now_s < _WARN_S


def _claims_of(token: str) -> Mapping[str, object]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _MOST_TOKEN_CHARS:
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        told = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
