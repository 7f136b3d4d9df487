"""What people set on the coach's page, kept in the state folder beside the outbox."""

from collections.abc import Mapping

from agent.disk.state_folder import StateFolder, put_aside, rewriting
from agent.errors import ConfigError
from agent.settings.load import PAGE_FILE, read_page_settings, toml_value


def save_page_settings(folder: StateFolder, chosen: Mapping[str, Mapping[str, object]]) -> None:
    """Keep some settings, already validated, beside what was set before.

    A file that cannot be read is put aside, for a person: it counted for nothing.

    Args:
        folder: the state folder.
        chosen: by table and key; None: as the station's own file says.

    Raises:
        OSError: they cannot be stored; the ones before stay.
    """
    path = folder.root / PAGE_FILE
    try:
        stored = read_page_settings(path)
    except ConfigError:
        stored = {}
        put_aside(path, folder)
    lines = ["# Set on the coach's page; goes before station.toml."]
    for table in sorted({*stored, *chosen}):
        values = {**stored.get(table, {}), **chosen.get(table, {})}
        kept = {key: value for key, value in values.items() if value is not None}
        lines += ["", f"[{table}]"] if kept else []
        lines += [f"{key} = {toml_value(value)}" for key, value in kept.items()]
    with rewriting(path) as file:
        file.write("\n".join([*lines, ""]).encode())
