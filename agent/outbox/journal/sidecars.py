"""Sidecars: beside every capture and every clip lies a file with its row, as it last stood.

They are the second witness beside the ledger: written durably before the commit, each with a
checksum and with the ledger's number of that commit.  A sidecar lives and goes with its file.
"""

import contextlib
import errno
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.outbox.disk.folders import (
    StateFolder,
    fsync_folder,
    note_seq,
    noted_seq,
    open_plain,
    rewriting,
)
from agent.outbox.file_name import plain_name

SIDECAR_SUFFIX = ".json"

_UNFINISHED = re.compile(r"\.[0-9a-z]+\.json\.[0-9a-f]+")
_MOST_BYTES = 1 << 24
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})

Image = Mapping[str, object]


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
        """Make a row's sidecar durable, where the row's file lies; take it away where that went.

        A sidecar whose file is missing, though nobody cleared it away, goes on with its row.

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
            stored = json.loads(file.read(_MOST_BYTES))
        seq, image = int(stored["seq"]), stored["row"]
        kind = str(stored["kind"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    if stored.get("check") != _check(kind, image, seq):
        return None
    return Sidecar(kind=kind, seq=seq, image=image)


def _is_of(sidecar: Sidecar, path: Path) -> bool:
    """Tell whether a sidecar has the name of its own file: a copy of it is no witness."""
    stored_name = sidecar.image.get("stored_name")
    return plain_name(stored_name) == stored_name and Path(stored_name).stem == path.stem


def _says_no_more_than_intake(kind: str, image: Image) -> bool:
    """Tell whether what intake wrote beside a capture is enough: it would be looked into again."""
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
