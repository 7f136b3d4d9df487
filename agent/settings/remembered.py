"""Settings that were found right before: loading and checking them costs more than a look.

They are remembered by everything that they were read from, so that they can never be out of date:
the file's content, the environment, and the version.  Secrets are not among them.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from agent import __version__
from agent.settings.place import find_config

if TYPE_CHECKING:
    from agent.settings.model import Settings

_PREFIX = "SPOTTER_"
_MOST = 8  # are kept: one box may have several stations
_PLAIN = (str, int, float, type(None))


def remembered_settings(explicit: Path | None) -> "Settings":
    """Return the settings for a command that only looks; no secrets, and nothing to change.

    Raises:
        ConfigError: as `load_settings`, for settings that were never found right.
    """
    place = _place(explicit, os.environ)
    if place is not None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            tables = json.loads(place.read_bytes())
            known = {table: _namespace(values) for table, values in tables.items()}
            return cast("Settings", SimpleNamespace(**known))
    from agent.settings.load import load_settings

    settings = load_settings(explicit)
    if place is not None:
        _remember(settings, place)
    return settings


def _place(explicit: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return where settings read from this file and environment are remembered."""
    path = find_config(explicit, environ).absolute()
    try:
        content = path.read_bytes()
    except OSError:
        return None
    ours = sorted((name, value) for name, value in environ.items() if name.startswith(_PREFIX))
    told = json.dumps([__version__, str(path), content.hex(), ours])
    home = environ.get("XDG_CACHE_HOME") or (environ.get("HOME") and f"{environ['HOME']}/.cache")
    if not home:
        return None
    return Path(home, "spotter", "settings", f"{hashlib.sha256(told.encode()).hexdigest()}.json")


def _remember(settings: "Settings", place: Path) -> None:
    """Keep the plain values; where that cannot be done, the next look costs what this one did."""
    tables = {
        table: {name: _encoded(value) for name, value in dict(getattr(settings, table)).items()}
        for table in type(settings).model_fields
    }
    unfinished = place.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError, TypeError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for older in sorted(place.parent.iterdir(), key=_written_at)[: 1 - _MOST]:
            older.unlink()
        unfinished.write_text(json.dumps(tables))
        unfinished.replace(place)


def _written_at(path: Path) -> float:
    return path.stat().st_mtime


def _encoded(value: object) -> object:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Path):
        return {"path": str(value)}
    return [_encoded(part) for part in value] if isinstance(value, tuple) else None


def _namespace(values: Mapping[str, object]) -> SimpleNamespace:
    return SimpleNamespace(**{name: _decoded(value) for name, value in values.items()})


def _decoded(value: object) -> object:
    if isinstance(value, Mapping):
        return Path(str(value["path"]))
    return tuple(_decoded(part) for part in value) if isinstance(value, list) else value
