"""A power cut, replayed: what a disk may hold at any moment of a recorded run.

The run is recorded with strace; its file operations are carried out again on a model of a disk,
which knows what was made durable: content by fsync of the file, names by fsync of the folder.
SQLite's `-shm` is memory, not content: it is gone after a cut.
"""

import itertools
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

CALLS = (
    "openat,open,creat,write,pwrite64,ftruncate,fallocate,fsync,fdatasync,rename,renameat,"
    "renameat2,unlink,unlinkat,link,linkat,lseek"
)
_LINE = re.compile(r"(\d+\.\d+) (\w+)\((.*)\)\s+= (-?\d+)(?:<((?:\\x..)*)>)?(\(deleted\))?")
_FD = re.compile(r"(\d+|AT_FDCWD)<((?:\\x..)*)>(\(deleted\))?")
_TEXT = re.compile(r'"((?:\\x..)*)"')
_PATH = re.compile(r'(?:(?:\d+|AT_FDCWD)<((?:\\x..)*)>, )?"((?:\\x..)*)"')
_REST_NUMBERS = re.compile(r", (\d+)")


class Variant(StrEnum):
    """What of the undurable the disk happens to hold."""

    NOTHING = "nothing"  # neither content nor names
    NAMES = "names"  # every name, but no content that was not made durable
    TORN = "torn"  # every name, and the first half of the content
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Call:
    """One system call on a file."""

    at: float
    name: str
    arguments: str
    result: int
    opened: str | None

    @property
    def fd(self) -> tuple[str, str] | None:
        """Number and path of the file it is on; None for a deleted one."""
        found = _FD.match(self.arguments)
        return None if found is None or found[3] else (found[1], _text(found[2]))

    @property
    def paths(self) -> list[str]:
        """The paths it names; those of a descriptor's folder in full."""
        return [
            str(Path(_text(folder), _text(name))) for folder, name in _PATH.findall(self.arguments)
        ]

    @property
    def data(self) -> bytes:
        """What it writes."""
        found = _TEXT.search(self.arguments)
        return b"" if found is None else _bytes(found[1])

    @property
    def numbers(self) -> list[int]:
        """The numbers after what it writes."""
        start = max(self.arguments.rfind('"'), self.arguments.find(">"))
        return [int(number) for number in _REST_NUMBERS.findall(self.arguments[start + 1 :])]


@dataclass(slots=True)
class _Inode:
    """One file: what is durable, and what was done to it since."""

    durable: bytes = b""
    since: list[tuple[int, bytes]] = field(default_factory=list)  # offset and data; or a length

    def content(self, variant: Variant) -> bytes:
        done = self.since
        if variant in {Variant.NOTHING, Variant.NAMES}:
            done = []
        elif variant is Variant.TORN:
            done = done[: (len(done) + 1) // 2]
        content = bytearray(self.durable)
        for position, (offset, data) in enumerate(done):
            if offset < 0:  # a new length
                length = -offset - 1
                content = content[:length].ljust(length, b"\0")
                continue
            torn = variant is Variant.TORN and position == len(done) - 1
            part = data[: len(data) // 2] if torn else data
            content = content.ljust(offset, b"\0")
            content[offset : offset + len(part)] = part
        return bytes(content)

    def length(self) -> int:
        return len(self.content(Variant.ALL))

    def sync(self) -> None:
        self.durable, self.since = self.content(Variant.ALL), []


def read_trace(prefix: Path, root: Path) -> list[Call]:
    """Return the calls on files below `root`, in the order of their time."""
    calls = []
    needle = "".join(f"\\x{byte:02x}" for byte in str(root).encode())
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        for line in path.read_text().splitlines():
            found = _LINE.match(line) if needle in line else None
            if found is not None and int(found[4]) >= 0:
                opened = _text(found[5]) if found[5] and not found[6] else None
                calls.append(Call(float(found[1]), found[2], found[3], int(found[4]), opened))
    return sorted(calls, key=lambda call: call.at)


class Disk:
    """The model."""

    def __init__(self, before: Mapping[str, bytes]) -> None:
        self._names = {path: _Inode(durable=content) for path, content in before.items()}
        self._durable_names = dict(self._names)
        self._places: dict[tuple[str, int], int] = {}  # where a descriptor stands in its file

    def carry_out(self, call: Call) -> None:
        """Do what a call did."""
        kind = call.name.rstrip("0123456789")
        if kind.startswith("open") or kind == "creat":
            self._open(call)
        elif kind in {"write", "pwrite", "ftruncate", "fallocate", "lseek"}:
            self._change(call, kind)
        elif kind in {"fsync", "fdatasync"}:
            self._sync(call)
        elif kind.startswith("rename"):
            source, target = call.paths
            self._names[target] = self._names.pop(source)
        elif kind.startswith("unlink"):
            self._names.pop(call.paths[0], None)
        elif kind.startswith("link"):
            source, target = call.paths
            self._names[target] = self._names[source]

    def hold(self, root: Path, target: Path, variant: Variant) -> None:
        """Write what the disk may hold after a cut at this moment, to `target` for `root`."""
        shutil.rmtree(target, ignore_errors=True)
        names = self._durable_names if variant is Variant.NOTHING else self._names
        for path, inode in names.items():
            if path.endswith("-shm") or not Path(path).is_relative_to(root):
                continue
            place = target / Path(path).relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(inode.content(variant))

    def _open(self, call: Call) -> None:
        path = call.opened
        if path is None or "O_DIRECTORY" in call.arguments:
            return
        inode = self._names.get(path)
        if inode is None:
            if "O_CREAT" not in call.arguments:
                return
            inode = self._names[path] = _Inode()
        if "O_TRUNC" in call.arguments and inode.length():
            inode.since.append((-1, b""))
        self._places[path, call.result] = -1 if "O_APPEND" in call.arguments else 0

    def _change(self, call: Call, kind: str) -> None:
        if call.fd is None or call.fd[1] not in self._names:
            return
        number, path = int(call.fd[0]), call.fd[1]
        inode, numbers = self._names[path], call.numbers
        if kind == "lseek":
            self._places[path, number] = call.result
        elif kind == "pwrite":
            inode.since.append((numbers[-1], call.data[: call.result]))
        elif kind == "ftruncate":
            inode.since.append((-numbers[-1] - 1, b""))
        elif kind == "fallocate":
            length = max(numbers[-1] + numbers[-2], inode.length())
            inode.since.append((-length - 1, b""))
        else:
            place = self._places.get((path, number), 0)
            offset = inode.length() if place < 0 else place
            inode.since.append((offset, call.data[: call.result]))
            self._places[path, number] = -1 if place < 0 else offset + call.result

    def _sync(self, call: Call) -> None:
        if call.fd is None:
            return
        path = call.fd[1]
        if path in self._names:
            self._names[path].sync()
            return
        for names, others in ((self._durable_names, self._names), (self._names, self._names)):
            for name in [name for name in names if str(Path(name).parent) == path]:
                if name in others:
                    self._durable_names[name] = others[name]
                else:
                    del self._durable_names[name]


def moments(calls: list[Call]) -> list[int]:
    """Return the cuts worth a look: just before and just after each step that orders others."""
    ordering = ("fsync", "fdatasync", "rename", "unlink", "link")
    steps = [n for n, call in enumerate(calls) if call.name.startswith(ordering)]
    return sorted({cut for step in steps for cut in (step, step + 1)})


def replay(before: Mapping[str, bytes], calls: list[Call], cuts: list[int]) -> Iterator[Disk]:
    """Yield the disk as it is after so many calls, for each of the cuts in order."""
    disk, done = Disk(before), 0
    for cut in cuts:
        for call in itertools.islice(calls, done, cut):
            disk.carry_out(call)
        done = cut
        yield disk


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _text(escaped: str) -> str:
    return _bytes(escaped).decode()
