"""Writes the settings of a recorder, for the installer: `python -m agent.recorder NAME ARM`.

From standard input come lines of KEY=VALUE: SOURCE, and as wanted PASSWORD, CAPTURE, SEGMENT_S,
SIZE and RATE.  So no address is on a command line.
"""

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from agent.disk.state_folder import rewriting
from agent.errors import ConfigError
from agent.recorder.settings import RecorderSettings
from agent.settings.load import explained, toml_value

_FOLDER = Path("/etc/spotter")
_KEYS = {
    "SIZE": ("camera", "size"),
    "RATE": ("camera", "rate"),
    "CAPTURE": ("files", "capture"),
    "SEGMENT_S": ("files", "segment_s"),
}
_NUMBERS = frozenset({"RATE", "SEGMENT_S"})
# As cameras' makers write it into a path or a query: user=kim&password=x, user=kim_password=x.
_NAMED = re.compile(r"(?i)([/?&;,_](?:pass(?:word|wd|phrase)?|pwd|psw|pw)[=:])([^&;,/?_\s]+)")
_PLACE = "{password}"


def without_password(source: str) -> tuple[str, str | None]:
    """Return a camera's address without its password, and the password.

    Where it does not stand behind the user, {password} marks its place.
    """
    scheme, found, rest = source.partition("://")
    if not found:
        return source, None
    try:
        inside = urlsplit(source)
        _ = inside.port
        user, has_user, _host = inside.netloc.rpartition("@")
    except ValueError:  # a password with a slash in it: only the last @ ends it
        user, has_user, _host = rest.rpartition("@")
    name, has_password, password = user.partition(":")
    if has_user and has_password and password != _PLACE:
        left = rest[len(user) :]
        kept = name if name else f":{_PLACE}"
        return f"{scheme}://{kept}{left}", unquote(password)
    named = _NAMED.search(source)
    if named is None or named[2] == _PLACE:
        return source, None
    return f"{source[: named.start(2)]}{_PLACE}{source[named.end(2) :]}", unquote(named[2])


def environment(text: str) -> dict[str, str]:
    """Read lines of KEY=VALUE as systemd reads them."""
    pairs = (line.strip().partition("=") for line in text.splitlines())
    return {
        key.strip(): _unquoted(value.strip())
        for key, found, value in pairs
        if found and not key.startswith(("#", ";"))
    }


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def write_recorder(folder: Path, name: str, given: Mapping[str, str], *, arm: str) -> None:
    """Write a recorder's settings and its camera's password, both for root alone.

    Settings that were there before are kept as recorder-NAME.toml.before.

    Raises:
        ConfigError: a recorder cannot use them; nothing was written.
        OSError: they cannot be written.
    """
    source, password = without_password(given.get("SOURCE", ""))
    password = given.get("PASSWORD") or password
    tables: dict[str, dict[str, object]] = {"camera": {"source": source}, "arm": {"mode": arm}}
    for key, (table, setting) in _KEYS.items():
        if given.get(key):
            value = given[key]
            tables.setdefault(table, {})[setting] = _number(value) if key in _NUMBERS else value
    text = f"# spotter-recorder@{name}: docs/cameras.md\n" + "".join(
        f"\n[{table}]\n"
        + "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items())
        for table, values in tables.items()
    )
    path = folder / f"recorder-{name}.toml"
    document = tomllib.loads(text)
    document["camera"]["name"] = name
    try:
        RecorderSettings(**document)
    except ValidationError as error:
        raise explained(error, path, hint="docs/cameras.md shows what a camera can be") from None
    if password:
        _write(folder / f"camera-password-{name}", f"{password}\n")
    if path.exists():
        path.replace(f"{path}.before")
    _write(path, text)


def _number(value: str) -> object:
    try:
        return float(value)
    except ValueError:
        return value  # the settings say what is wrong with it


def _write(path: Path, text: str) -> None:
    with rewriting(path, 0o600) as file:
        file.write(text.encode())


def main() -> int:
    """Write what standard input says; return the exit code."""
    name, arm, folder, *_ = (*sys.argv[1:], _FOLDER)
    try:
        write_recorder(Path(folder), str(name), environment(sys.stdin.read()), arm=str(arm))
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201  # the installer's
        return 78
    return 0


if __name__ == "__main__":
    sys.exit(main())
