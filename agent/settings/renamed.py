"""Keys of older versions: they go on working, and it is said what they are called now.  Pure."""

from collections.abc import Mapping
from typing import Any

Key = tuple[str, str]  # table and key

# What a key was called, and the keys that took its place.
RENAMED: Mapping[Key, tuple[Key, ...]] = {
    ("analysis", "pad_s"): tuple(
        (table, key)
        for table in ("running", "jumping", "weightlifting")
        for key in ("pad_before_s", "pad_after_s")
    ),
}


def with_present_names(
    document: Mapping[str, Any], variables: Mapping[Key, str]
) -> tuple[dict[str, Any], list[str]]:
    """Return a settings file's content with old names replaced, and what to say of it.

    Args:
        document: the file's tables.
        variables: what the environment sets by old names; it goes before the file.

    A key that stands there under its present name too keeps that value.
    """
    renewed = {t: dict(v) if isinstance(v, Mapping) else v for t, v in document.items()}
    notes = []
    for (table, key), places in RENAMED.items():
        values = renewed.get(table)
        in_file = isinstance(values, dict) and key in values
        if not in_file and (table, key) not in variables:
            continue
        from_file = values.pop(key) if in_file and isinstance(values, dict) else None
        value = variables.get((table, key), from_file)
        for new_table, new_key in places:
            target = renewed.setdefault(new_table, {})
            if isinstance(target, dict):
                target.setdefault(new_key, value)
        now = ", ".join(f"{t}.{k}" for t, k in places)
        notes.append(f"{table}.{key} is an old name, and still works; it is called {now} now")
    return renewed, notes
