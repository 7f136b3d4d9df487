"""Rows as documents: how the change log and the sidecars store and restore them.

An image is whole: a capture with its takes, a clip with what it was cut from and with the upload
that may have gone out last.  Applied in order, each replaces the one before it.
"""

import contextlib
import errno
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.disk.state_folder import (
    StateFolder,
    fsync_folder,
    note_seq,
    noted_seq,
    open_plain,
    rewriting,
)
from agent.text import plain_name, read_json

Image = Mapping[str, object]
Key = tuple[str, object]  # kind and primary key

# With their keys, in the order in which they can be applied: clips name captures and guests.
_TABLES = {
    "boot": "seq",
    "athlete": "id",  # guests only: the others are known to the API
    "capture": "id",
    "entry": "id",
    "assignment": "id",
    "renewal": "id",
    "lane": "host",
    "undoable": "id",
    "resend": "id",
    "forgetting": "id",
    "session_deletion": "id",
    "athlete_group": "id",
    "card": "digest",
}
_SOME_OF = {
    "athlete": "WHERE user_id IS NULL",
    "undoable": "WHERE kind IN ('resend', 'forget')",
}
_NATURAL_KEYS = {**_TABLES, "boot": "boot_id", "capture": "sha256", "entry": "clip_code"}

_COLUMNS: dict[str, frozenset[str]] = {}  # of tables that are up to date, asked for once

_SOURCES = """
SELECT capture.sha256, entry_capture.take_number, entry_capture.start_s, entry_capture.end_s
  FROM entry_capture JOIN capture ON capture.id = entry_capture.capture_id
 WHERE entry_capture.entry_id = ? ORDER BY entry_capture.position
"""
_SENT = """
SELECT * FROM attempt WHERE entry_id = ? AND kind = 'upload' AND body_complete_at IS NOT NULL
 ORDER BY id DESC LIMIT 1
"""
# Of what was delivered, its delivery; of the rest, the upload that may have gone out whole.
_BY_SENDING = """
coalesce(
    (SELECT max(event.id) FROM event
      WHERE entry_id = entry.id AND what = 'state' AND word = 'uploaded'),
    (SELECT min(event.id) FROM event WHERE what = 'attempt' AND word =
        (SELECT CAST(max(attempt.id) AS TEXT) FROM attempt
          WHERE attempt.entry_id = entry.id AND kind = 'upload'
            AND body_complete_at IS NOT NULL)),
    0), entry.id
"""
_UNKNOWN_EVIDENCE = (
    '{"grew_until": null, "mtime_s": 0.0, "appeared": '
    '{"utc_s": 0.0, "boot_id": null, "boot_s": null, "trusted": false}}'
)


def order_of(key: Key) -> tuple[int, str]:
    """Return where a key belongs among others, so that they can be applied."""
    return list(_TABLES).index(key[0]), str(key[1]).zfill(12)


def every_key(connection: sqlite3.Connection) -> list[Key]:
    """Return what all images of the outbox are of, in the order in which they can be applied.

    Clips come in the order in which they were sent: of an outbox that is rebuilt from them, this
    order alone says what was delivered before what.
    """
    keys: list[Key] = []
    for table, key in _TABLES.items():
        which = _SOME_OF.get(table, "")
        order = _BY_SENDING if table == "entry" else key
        query = f"SELECT {key} FROM {table} {which} ORDER BY {order}"  # noqa: S608  # our own words
        keys += [(table, row[0]) for row in connection.execute(query).fetchall()]
    return keys


def read_image(connection: sqlite3.Connection, key: Key) -> dict[str, object]:
    """Return one row, and what belongs to it, as it stands inside this transaction."""
    kind, value = key
    query = f"SELECT * FROM {kind} WHERE {_TABLES[kind]} = ?"  # noqa: S608  # our own words
    (image,) = _rows(connection, query, (value,))
    if kind == "capture":
        takes = "SELECT * FROM take WHERE capture_id = ? ORDER BY number"
        image["takes"] = [_without(row, "capture_id") for row in _rows(connection, takes, (value,))]
    if kind == "entry":
        image["sources"] = _rows(connection, _SOURCES, (value,))
        image["sent"] = [_without(row, "entry_id") for row in _rows(connection, _SENT, (value,))]
    if kind == "lane":
        return {name: image[name] for name in ("host", "titles_altered")}
    return image


def apply_image(connection: sqlite3.Connection, kind: str, image: Image) -> None:
    """Make a row, and what belongs to it, say what an image says; unknown kinds say nothing."""
    if kind == "capture":
        _apply_capture(connection, image)
    elif kind == "entry":
        _apply_entry(connection, image)
    elif kind in _TABLES:
        _upsert(connection, kind, image)


def _apply_capture(connection: sqlite3.Connection, image: Image) -> None:
    capture_id = _upsert(connection, "capture", image)
    connection.execute("DELETE FROM take WHERE capture_id = ?", (capture_id,))
    for take in _documents(image, "takes"):
        _insert(connection, "take", {**take, "capture_id": capture_id})


def _apply_entry(connection: sqlite3.Connection, image: Image) -> None:
    entry_id = _upsert(connection, "entry", image)
    connection.execute("DELETE FROM entry_capture WHERE entry_id = ?", (entry_id,))
    for position, source in enumerate(_documents(image, "sources"), start=1):
        place = {"entry_id": entry_id, "position": position}
        capture_id = _capture_of(connection, source, image)
        _insert(connection, "entry_capture", {**place, **source, "capture_id": capture_id})
    for attempt in _documents(image, "sent"):
        taken = connection.execute(
            "SELECT entry_id FROM attempt WHERE id = ?", (attempt["id"],)
        ).fetchone()
        known = attempt if taken in (None, (entry_id,)) else _without(attempt, "id")
        _insert(connection, "attempt", {**known, "entry_id": entry_id}, verb="INSERT OR REPLACE")


def _capture_of(connection: sqlite3.Connection, source: Image, entry: Image) -> object:
    """Return the id of what a clip was cut from; a capture nobody knows any more gets a row."""
    found = connection.execute("SELECT id FROM capture WHERE sha256 = ?", (source["sha256"],))
    row = found.fetchone()
    if row is not None:
        return row[0]
    lost = {
        "sha256": source["sha256"],
        "file_name": "unknown",
        "stored_name": f"{source['sha256']}.mp4",
        "bytes": 0,
        "mtime_ns": 0,
        "inode": 0,
        "state": "analysed",
        "file_state": "cleared",
        "evidence": _UNKNOWN_EVIDENCE,
        "admitted_at": entry["created_at"],
        "changed_at": entry["created_at"],
    }
    return _upsert(connection, "capture", lost)


def _upsert(connection: sqlite3.Connection, table: str, image: Image) -> object:
    """Insert or replace the row with this natural key and return its id."""
    key, on = _TABLES[table], _NATURAL_KEYS[table]
    found = connection.execute(
        f"SELECT {key} FROM {table} WHERE {on} = ?",  # noqa: S608  # our own words
        (image[on],),
    ).fetchone()
    if found is None:
        taken = connection.execute(
            f"SELECT 1 FROM {table} WHERE {key} = ?",  # noqa: S608  # our own words
            (image.get(key),),
        ).fetchone()
        return _insert(connection, table, image if taken is None else _without(image, key))
    values = _known(connection, table, _without(image, key))
    if values:
        settings = ", ".join(f"{column} = ?" for column in values)
        connection.execute(
            f"UPDATE {table} SET {settings} WHERE {key} = ?",  # noqa: S608  # columns of our schema
            (*values.values(), found[0]),
        )
    return found[0]


def _insert(
    connection: sqlite3.Connection, table: str, image: Image, *, verb: str = "INSERT"
) -> object:
    values = _known(connection, table, image)
    marks = ", ".join("?" * len(values))
    return connection.execute(
        f"{verb} INTO {table} ({', '.join(values)}) VALUES ({marks})",  # columns of our schema
        tuple(values.values()),
    ).lastrowid


def _known(connection: sqlite3.Connection, table: str, image: Image) -> dict[str, object]:
    """Keep the columns that the table has: an older Spotter, or a newer one, had others."""
    columns = _COLUMNS.get(table)
    if columns is None:
        told = connection.execute(f"PRAGMA table_info({table})").fetchall()
        columns = _COLUMNS[table] = frozenset(column[1] for column in told)
    return {name: value for name, value in image.items() if name in columns}


def _rows(
    connection: sqlite3.Connection, query: str, params: Sequence[object]
) -> list[dict[str, object]]:
    cursor = connection.execute(query, params)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _documents(image: Image, name: str) -> Iterator[Image]:
    documents = image.get(name)
    if isinstance(documents, list):
        yield from documents


def _without(image: Image, name: str) -> dict[str, object]:
    return {key: value for key, value in image.items() if key != name}


SIDECAR_SUFFIX = ".json"

_UNFINISHED = re.compile(r"\.[0-9a-z]+\.json\.[0-9a-f]+")
_MOST_BYTES = 1 << 24
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """One that is as it was written."""

    kind: str  # capture or entry
    seq: int
    image: Image
    is_stale: bool = False  # its file has seen a later one


class Sidecars:
    """The sidecars of a state folder."""

    def __init__(self, root: Path) -> None:
        self._places = {"capture": StateFolder(root).captures, "entry": StateFolder(root).clips}

    def write(self, kind: str, image: Image, *, seq: int) -> None:
        """Make a row's sidecar durable, where the row's file is; take it away where that went.

        A sidecar whose file is missing, though nobody cleared it away, continues with its row.

        Raises:
            OSError: it is not durable; the old one stays.  (A full disk is no error.)
        """
        if kind not in self._places or _says_no_more_than_intake(kind, image):
            return
        file = self._places[kind] / plain_name(image["stored_name"])
        path = sidecar_of(file)
        is_cleared = image["file_state"] == "cleared"
        if file.exists() or (path.exists() and not is_cleared):
            _write(path, _encode(kind, image, seq))
            note_seq(file, seq)
        elif is_cleared:
            path.unlink(missing_ok=True)

    def all(self) -> Iterator[Sidecar]:
        """Yield every sidecar that is as it was written."""
        for place in self._places.values():
            with contextlib.suppress(FileNotFoundError):
                for path in sorted(place.glob(f"*{SIDECAR_SUFFIX}")):
                    found = read_sidecar(path)
                    if found is not None and _is_of(found, path):
                        file = place / plain_name(found.image["stored_name"])
                        yield replace(found, is_stale=noted_seq(file) > found.seq)


def sidecar_of(file: Path) -> Path:
    """Return where a file's sidecar is."""
    return file.with_suffix(SIDECAR_SUFFIX)


def is_unfinished_sidecar(path: Path) -> bool:
    """Tell whether a file is what a crash left of writing a sidecar: `.NAME.json.DIGITS`."""
    return _UNFINISHED.fullmatch(path.name) is not None


def read_sidecar(path: Path) -> Sidecar | None:
    """Read a sidecar; None where there is none, it is damaged, or it holds no row yet."""
    try:
        with open_plain(path) as file:
            stored = read_json(file.read(_MOST_BYTES))
        seq, image = int(stored["seq"]), stored["row"]
        kind = str(stored["kind"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    if stored.get("check") != _check(kind, image, seq):
        return None
    return Sidecar(kind=kind, seq=seq, image=image)


def _is_of(sidecar: Sidecar, path: Path) -> bool:
    """Tell whether a sidecar has the name of its own file: a copy of it is no witness."""
    stored_name = sidecar.image.get("stored_name")
    return plain_name(stored_name) == stored_name and Path(stored_name).stem == path.stem


def _says_no_more_than_intake(kind: str, image: Image) -> bool:
    """Tell whether what intake wrote beside a capture is enough: it would be analysed again."""
    told = image.get("takes") or image["state"] in {"analysed", "discarded"}
    return kind == "capture" and not told and image["file_state"] != "cleared"


def _encode(kind: str, image: Image, seq: int) -> bytes:
    document = {"kind": kind, "seq": seq, "check": _check(kind, image, seq), "row": image}
    if kind == "capture":  # what intake wrote before there was a row stays in its place
        document["file_name"] = image["file_name"]
        document["evidence"] = json.loads(str(image["evidence"]))
    return json.dumps(document, indent=1).encode()


def _check(kind: str, image: Image, seq: int) -> str:
    told = json.dumps([kind, seq, image], sort_keys=True)
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write a sidecar; on a full disk none is better than one that has become wrong."""
    try:
        _replace(path, content)
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        path.unlink(missing_ok=True)
        fsync_folder(path.parent)


def _replace(path: Path, content: bytes) -> None:
    try:
        with rewriting(path) as file:
            file.write(content)
    except IsADirectoryError:  # somebody made a folder of that name: the file is without a sidecar
        return
