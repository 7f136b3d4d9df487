"""What people set on the page, kept in the state folder beside the outbox.

Settings stand in a file that the folder's group may write.  The key, the PIN and the camera's
address stand in files of their own, which count only as the daemon's user wrote them.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from agent.camera_link import CameraChoice
from agent.disk.state_folder import StateFolder, put_aside, rewriting
from agent.errors import ConfigError, RequestError
from agent.secret_files import read_page_secret
from agent.settings.load import PAGE_FILE, read_page_settings, toml_value
from agent.text import read_json


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
    lines = ["# Set on the coach's page; takes precedence over station.toml."]
    for table in sorted({*stored, *chosen}):
        values = {**stored.get(table, {}), **chosen.get(table, {})}
        kept = {key: value for key, value in values.items() if value is not None}
        lines += ["", f"[{table}]"] if kept else []
        lines += [f"{key} = {toml_value(value)}" for key, value in kept.items()]
    with rewriting(path) as file:
        file.write("\n".join([*lines, ""]).encode())


def save_page_secret(path: Path, secret: str) -> None:
    """Keep a key or a PIN for the daemon's user alone.

    Raises:
        OSError: it cannot be stored; the one before stays.
    """
    with rewriting(path, 0o600) as file:
        file.write(f"{secret}\n".encode())


def camera_choice(folder: StateFolder) -> CameraChoice | None:
    """Return the camera that was chosen on the page; None where there is none."""
    with suppress(ValueError):
        told = read_json(read_page_secret(folder.page_camera) or "null")
        return CameraChoice.of_message(told) if isinstance(told, dict) else None
    return None


def save_camera_choice(folder: StateFolder, choice: CameraChoice | None) -> None:
    """Keep the camera that was chosen, with its password; None: there is none again.

    Raises:
        OSError: it cannot be stored; the one before stays.
    """
    if choice is None:
        folder.page_camera.unlink(missing_ok=True)
    else:
        save_page_secret(folder.page_camera, json.dumps(choice.message()))


def offer_setup(folder: StateFolder, token: str) -> None:
    """Let the holder of `token` set the station up; an earlier link is no longer valid.

    The folder's group, which can pair devices, may not: it could put its own key there.

    Raises:
        RequestError: this user is not the folder's owner, nor root.
        OSError: it cannot be stored.
    """
    save_page_secret(folder.page_setup, _digest(token))
    if read_page_secret(folder.page_setup) is None:
        folder.page_setup.unlink(missing_ok=True)
        raise RequestError(
            "only the station's own user sets it up", hint="sudo spotter pair --setup"
        )


def begin_setup(folder: StateFolder, token: str, *, device_id: str) -> bool:
    """Let a device set the station up that showed the token; False where it was another one.

    Raises:
        OSError: it cannot be stored.
    """
    if read_page_secret(folder.page_setup) != _digest(token):
        return False
    save_page_secret(folder.page_setup, device_id)
    return True


def may_set_up(folder: StateFolder, device_id: str) -> bool:
    """Tell whether a device is the one that sets the station up."""
    return read_page_secret(folder.page_setup) == device_id


def end_setup(folder: StateFolder) -> None:
    """Let nobody set the station up any longer."""
    folder.page_setup.unlink(missing_ok=True)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
