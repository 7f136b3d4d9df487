"""Values as they stand in a settings file."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr


def toml_value(value: object) -> str:
    """Return a value as a person would write it in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(toml_value(part) for part in value)}]"
    assert isinstance(value, str | Path) and not isinstance(value, SecretStr)  # no others exist
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
