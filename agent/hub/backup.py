"""The backup of a hub: its keys, stations, plans and devices; not what the broker stores.

The stations send the broker everything again that it lacks, so a hub that is restored on another
machine is whole a moment after they have connected.
"""

import os
from pathlib import Path

from agent.backup import BackupContent, BackupKind, put_records_aside, restore_backup
from agent.disk.state_folder import (
    MEMBERSHIP,
    OF_SESSIONS,
    STATION_KEY,
    StateFolder,
    acting_as_owner,
)
from agent.errors import ConfigError, RequestError
from agent.hub.folder import HubFolder
from agent.outbox.recovery import accept_copy

_FILES = (
    *("hub-secret", "certificate.pem", "certificate-key.pem", "stations.json", "last-words.json"),
    *("roster.json", "wanted-settings.json", OF_SESSIONS, MEMBERSHIP, STATION_KEY),
    *("wanted-releases.json", "last-sites.json"),
)


def restore_hub(path: Path, root: Path) -> BackupContent:
    """Put the state of a backup into a folder that has no stations.

    Raises:
        RequestError: it cannot be read, is no backup or a damaged one, or there are stations.
        BusyError: a hub runs on the folder.
    """
    content = restore_backup(path, root, kind=HUB_BACKUP)
    with acting_as_owner(root):
        accept_copy(root)
    return content


def _prepare(folder: StateFolder) -> None:
    os.umask(0o077)
    try:
        for place in (folder.tmp, folder.set_aside, HubFolder(folder.root).plans):
            place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"hub.state: {error.strerror}: {error.filename}", hint="use sudo, or another folder"
        ) from None


def _make_room(folder: StateFolder) -> None:
    """Put the keys of a hub aside that no station has joined.

    Raises:
        RequestError: one has.
    """
    register = HubFolder(folder.root).register()
    if register.stations or register.sites:
        raise RequestError(
            f"{folder.root} holds a hub's stations already, which a restore does not replace",
            hint=f"stop the hub and move them away first: sudo mv {folder.root} {folder.root}.old",
        )
    put_records_aside(folder, *_FILES)


HUB_BACKUP = BackupKind(
    name="hub",
    settings_name="hub.toml",
    command="spotter hub backup",
    root_files=_FILES,
    places=("plans",),
    mode=0o600,
    prepare=_prepare,
    make_room=_make_room,
)
