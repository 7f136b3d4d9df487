"""Entries that have no place in a state folder, of every kind that a file system can hold."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

HUGE_BYTES = 1 << 40
_CODE = "0123456789"
_DIGEST = "ab" * 32

Maker = Callable[[Path], Path]


def _file(name: str | bytes, content: bytes = b"stray") -> Maker:
    def make(place: Path) -> Path:
        path = place / os.fsdecode(name)
        path.write_bytes(content)
        return path

    return make


def _folder(name: str, inside: str | None = None) -> Maker:
    def make(place: Path) -> Path:
        path = place / name
        path.mkdir()
        if inside is not None:
            (path / inside).write_bytes(b"inside")
        return path

    return make


def _pipe(name: str) -> Maker:
    def make(place: Path) -> Path:
        os.mkfifo(place / name)
        return place / name

    return make


def _socket(name: str) -> Maker:
    def make(place: Path) -> Path:
        descriptor = os.open(place, os.O_PATH)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{descriptor}/{name}")
        os.close(descriptor)
        return place / name

    return make


def _link(name: str, to: str) -> Maker:
    def make(place: Path) -> Path:
        (place / name).symlink_to(to)
        return place / name

    return make


def _device(name: str) -> Maker:
    def make(place: Path) -> Path:
        path = place / name
        if os.geteuid() == 0:
            with contextlib.suppress(PermissionError):  # a container may not make any
                os.mknod(path, 0o20600, os.makedev(1, 3))  # as /dev/null
        return path

    return make


def _huge(name: str) -> Maker:
    def make(place: Path) -> Path:
        with (place / name).open("wb") as file:
            file.truncate(HUGE_BYTES)
        return place / name

    return make


def _closed(name: str) -> Maker:
    def make(place: Path) -> Path:
        path = _file(name)(place)
        path.chmod(0)
        return path

    return make


def _immutable(name: str) -> Maker:
    def make(place: Path) -> Path:
        path = _file(name)(place)
        _chattr("+i", path)
        return path

    return make


KINDS: dict[str, Maker] = {
    "file": _file("notes.txt"),
    "empty file": _file("empty", b""),
    "hidden file": _file(".hidden"),
    "video that nobody knows": _file("holiday.mp4"),
    "named like a capture": _file(f"{_DIGEST}.mp4", b"not what its name says"),
    "named like a clip": _file(f"{_CODE}.mp4"),
    "named like a sidecar": _file(f"{_CODE}.json", b'{"kind": "entry"'),
    "sidecar of a capture, damaged": _file(f"{_DIGEST[::-1]}.json", b"\xff\xfe{"),
    "unfinished": _file(f"{_CODE}.mp4.new"),
    "temporary": _file("upload.tmp"),
    "lock": _file("owner.lock.1"),
    "log of a database": _file("outbox.db-wal"),
    "index of a database": _file("outbox.db-shm"),
    "name with a new line": _file("two\nlines.mp4"),
    "name that is no text": _file(b"\xff\xfe\x80.mp4"),
    "name of 255 bytes": _file("n" * 251 + ".mp4"),
    "name with marks": _file("[0-9]*?.json"),
    "folder": _folder("lost+found"),
    "folder named like a sidecar": _folder(f"{_CODE[::-1]}.json", "inside.txt"),
    "folder named like a clip": _folder("abcdefghjk.mp4", "inside.mp4"),
    "pipe": _pipe("pipe"),
    "pipe named like a sidecar": _pipe("zzzzzzzzzz.json"),
    "pipe named like a capture": _pipe(f"{'cd' * 32}.mp4"),
    "socket": _socket("socket.json"),
    "link that leads nowhere": _link("nowhere.json", "/nowhere/at/all"),
    "link to itself": _link("loop.mp4", "loop.mp4"),
    "link to a device": _link("endless.json", "/dev/zero"),
    "device": _device("device.json"),
    "huge file with nothing in it": _huge("huge.mp4"),
    "huge file named like a capture": _huge(f"{'ef' * 32}.mp4"),
    "huge file named like a sidecar": _huge("yyyyyyyyyy.json"),
    "closed to everybody": _closed("closed.json"),
    "immutable": _immutable("immutable.json"),
}


def put_all(root: Path) -> list[Path]:
    """Put one of each kind into every subfolder of a state folder; return what is there."""
    places = [path for path in sorted(root.iterdir()) if path.is_dir()]
    made = [make(place) for place in places for make in KINDS.values()]
    return [path for path in made if os.path.lexists(path)]


def release(root: Path) -> None:
    """Let a test's folder be removed again."""
    _chattr("-R", "-i", root)


def _chattr(*words: str | Path) -> None:
    """Change attributes where that can be done; else the file is as any other."""
    program = shutil.which("chattr", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if program is not None:
        subprocess.run([program, *map(str, words)], capture_output=True, check=False)
