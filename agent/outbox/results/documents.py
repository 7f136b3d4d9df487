"""The file with everything that the API told of one session, beside the clip.

One JSON document.  Its first line holds what Spotter made of it, so that a row that is lost can be
made again without reading megabytes:

    {"spotter": {"session_id": "…", "got_at": …, "whole": true, "numbers": {…}},
    "session": {…}}                           as it came
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.outbox.disk.folders import (
    StateFolder,
    fsync_file,
    give_to_owner_of,
    move_durably,
    write_new,
)
from agent.outbox.results.record import Number

MOST_DOCUMENT_BYTES = 16 << 20
_MOST_HEAD_BYTES = 1 << 18
_OPENING, _BETWEEN = b'{"spotter": ', b',\n"session": '


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What Spotter made of a document."""

    session_id: str
    got_at: float  # Unix time
    whole: bool  # False: it is what the list told, without angles and timestamps
    numbers: Mapping[str, Number]


def write_document(
    folder: StateFolder, clip_code: str, head: Head, session: Mapping[str, object]
) -> int:
    """Write a document so that it is there whole or not at all; return its size.

    0 where it is too large or nested too deep to be kept.

    Raises:
        OSError: the disk refuses; what was there before stays.
    """
    try:
        content = b"".join((_OPENING, _encoded(asdict(head)), _BETWEEN, _encoded(session), b"}\n"))
    except RecursionError:
        return 0
    if len(content) > MOST_DOCUMENT_BYTES:
        return 0
    path = folder.result_document(clip_code)
    unfinished = folder.tmp / f"{path.name}.{os.getpid()}"  # a command may write at the same time
    try:
        write_new(unfinished, content)
        give_to_owner_of(folder.root, unfinished)  # a command may be root's
        fsync_file(unfinished)
        move_durably(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return len(content)


def read_head(path: Path) -> Head | None:
    """Return the head of a document, or None where there is none as we write it."""
    try:
        with path.open("rb") as file:
            line = file.readline(_MOST_HEAD_BYTES)
            file.seek(-2, os.SEEK_END)
            ends = file.read() == b"}\n"
    except OSError:
        return None
    if not (ends and line.startswith(_OPENING) and line.endswith(b",\n")):
        return None
    try:
        return Head(**json.loads(line[len(_OPENING) : -2]))
    except (ValueError, TypeError):
        return None


def read_session(path: Path) -> Mapping[str, object] | None:
    """Return what the API told, as it came, or None where there is no such document."""
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(MOST_DOCUMENT_BYTES + 1))
    except (OSError, ValueError):
        return None
    session = told.get("session") if isinstance(told, Mapping) else None
    return session if isinstance(session, Mapping) else None


def _encoded(value: object) -> bytes:
    """Return JSON that any reader takes: what is no number there is null."""
    try:
        return json.dumps(value, allow_nan=False).encode("ascii")
    except ValueError:
        plain = json.loads(json.dumps(value), parse_constant=lambda _name: None)
        return json.dumps(plain).encode("ascii")
