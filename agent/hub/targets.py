"""The stations that Prometheus scrapes, as its file-based service discovery reads them.

Source: prometheus.io, configuration, file_sd_config.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from agent.disk.state_folder import open_plain, rewriting
from agent.hub.stations import StationView

_MODE = 0o644  # Prometheus runs as another user; addresses and names of stations are no secret
_MOST_BYTES = 1 << 22


def targets_document(views: Sequence[StationView], *, site: str) -> bytes:
    """Return the file's content: every station whose page listens on the network.

    Those that are away are in it: that they do not answer is what an alert says.
    """
    found = []
    for view in sorted(views, key=lambda one: one.station):
        address = None if view.word is None else view.word.page
        if address is None:
            continue
        parts = urlsplit(address)
        labels = {"__scheme__": parts.scheme, "site": site, "station": view.station}
        group = {} if view.group is None else {"group": view.group}
        found.append({"targets": [parts.netloc], "labels": {**labels, **group}})
    return json.dumps(found, indent=1).encode()


def write_targets(path: Path, document: bytes) -> None:
    """Write the file where its content has changed.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    try:
        with open_plain(path) as file:
            if file.read(_MOST_BYTES) == document:
                return
    except FileNotFoundError:
        pass
    with rewriting(path, _MODE) as written:
        written.write(document)
