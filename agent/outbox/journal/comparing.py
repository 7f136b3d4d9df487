"""Whether the rows say what the ledger says: a byte that flips inside a page breaks no page.

Compared is what never changes without the ledger being told.  Of each row a digest is kept, so
that a hundred thousand of them fit into some megabytes.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping

from agent.outbox.journal.ledger import Ledger, Survey

_LASTING: Mapping[str, tuple[str, ...]] = {
    "boot": ("seq", "boot_id"),
    "athlete": ("id", "name", "user_id", "resolved_to"),
    "capture": ("id", "sha256", "state", "file_name", "stored_name", "evidence", "admitted_at"),
    "entry": (
        *("id", "clip_code", "state", "generation", "recipient", "user_id", "guest_id", "activity"),
        *("exercise", "barbell_mass_kg", "incline_deg", "filmed_at", "stored_name"),
        *("clip_sha256", "clip_bytes", "session_id", "title", "created_at"),
    ),
    "assignment": (
        *("id", "layer", "kind", "user_id", "guest_id", "activity", "exercise"),
        *("barbell_mass_kg", "incline_deg", "starts_at", "boot_id", "boot_s"),
        *("clock_trusted", "lasts_s", "idle_s", "set_by", "taken_back_at"),
    ),
    "renewal": ("id", "assignment_id", "at", "boot_id", "boot_s", "clock_trusted", "why"),
}
# States that a clip or a capture may enter without the ledger being told.
_UNTOLD = {"uploading": "ready", "analysing": "captured"}
_WHICH = {"athlete": "WHERE user_id IS NULL"}  # the others are not in the ledger


def contradiction(connection: sqlite3.Connection, ledger: Ledger, survey: Survey) -> str | None:
    """Return what speaks against the rows, or None.

    Args:
        connection: of the database, in whose transaction nothing has been changed yet but by
            the ledger.
        ledger: of the same outbox.
        survey: what it is worth; one that is not whole speaks against nothing.
    """
    if not survey.is_whole:
        return None
    told = _told(ledger, survey)
    try:
        for kind, columns in _LASTING.items():
            query = f"SELECT {', '.join(columns)} FROM {kind} {_WHICH.get(kind, '')}"  # noqa: S608  # our own words
            for row in connection.execute(query):
                if told.pop((kind, row[0]), None) != _digest(row):
                    return f"{kind} {row[0]} is not what the ledger says"
    except sqlite3.OperationalError as error:  # text that is none
        return str(error)
    for kind, key in told:
        return f"{kind} {key} is missing"
    return None


def _told(ledger: Ledger, survey: Survey) -> dict[tuple[str, object], bytes]:
    """Return the digests of the latest images, by kind and key."""
    told = {}
    for line in ledger.lines():
        if line.seq in survey.voided:
            continue
        for kind, image in line.rows:
            columns = _LASTING.get(kind)
            if columns is not None:
                told[kind, image[columns[0]]] = _digest([image.get(name) for name in columns])
    return told


def _digest(values: Iterable[object]) -> bytes:
    told = [_UNTOLD.get(value, value) if isinstance(value, str) else value for value in values]
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=8).digest()
