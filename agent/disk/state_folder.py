"""The state folder: a place for every kind of file, moves that survive power cuts, and its lock.

A file gets its final name only after its content is durable, and a row is written only after
the name is: whatever the moment of a power cut, what has a row is whole.  One process owns the
folder at a time.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import pwd
import shutil
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import structlog

from agent.disk.space import READ_ONLY_REMEDY, is_disk_full, is_read_only
from agent.errors import BusyError, ConfigError, plain_words
from agent.stage import StageName
from agent.text import plain_name, printable_file_name

SKELETON_SUFFIX = ".pose"
STRIP, SMALL = "-strip", "-small"  # end the names of a clip's other pictures

LEDGER_NAME = "ledger.jsonl"  # beside the database

OF_SESSIONS = "page-secret"  # signs the sessions of devices
OF_CARDS = "card-secret"  # by it cards are distinguished, without storing what they say
MEMBERSHIP = "hub.json"  # what the station knows of its facility
STATION_KEY = "hub-key"  # its own key there
_RECORDERS = "recorders.json"
_DEEPEST = 64  # folders within folders
_REFERENCE = "reference.jpg"
# In its root: devices stay paired and cards known by them, what was set on the page, and that the
# station belongs to a facility.
BACKED_UP_FILES = (OF_SESSIONS, OF_CARDS, "settings.toml", _REFERENCE, MEMBERSHIP, STATION_KEY)
# What was set on the page and is for the daemon's user alone.
_PAGE_CAMERA = "page-camera.json"
_PAGE_SETUP = "page-setup"
_PAGE_SECRETS = ("page-api-key", "page-pin", _PAGE_CAMERA, _PAGE_SETUP)
_OTHER_FILES = (
    *(*BACKED_UP_FILES, *_PAGE_SECRETS),
    *("mounts.json", "page-cert.pem", "page-key.pem", _RECORDERS),
)

log = structlog.get_logger(stage=StageName.START)

_SYSTEM_STATE, _SYSTEM_RUN = Path("/var/lib"), Path("/run")  # StateDirectory, RuntimeDirectory

_NOTED = b"user.spotter.seq"

# What of a name goes into another that is like it: at most 255 bytes, four for a letter.
_LONGEST_STEM = 50
_SUFFIX = 8


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The places inside the state folder."""

    root: Path

    @property
    def captures(self) -> Path:
        """Captures as the camera wrote them, named by their hash, each with its sidecar."""
        return self.root / "captures"

    @property
    def clips(self) -> Path:
        """Clips, named by their code."""
        return self.root / "clips"

    @property
    def pictures(self) -> Path:
        """Posters and filmstrips, named by their clip's code; activity, by the capture's hash."""
        return self.root / "pictures"

    def pictures_of(self, clip_code: str) -> tuple[Path, Path]:
        """Where a clip's poster and its filmstrip are."""
        poster, strip = _picture_names(clip_code)
        return self.pictures / poster, self.pictures / strip

    def thumbnail_of(self, clip_code: str) -> Path:
        """Where a small copy of a clip's poster is, for the board of a facility."""
        return self.pictures / f"{plain_name(clip_code)}{SMALL}.jpg"

    def skeleton_of(self, clip_code: str) -> Path:
        """Where the athlete's landmarks in a clip are."""
        return self.pictures / f"{plain_name(clip_code)}{SKELETON_SUFFIX}"

    def skeleton_of_recording(self, stored_name: str) -> Path:
        """Where the athlete's landmarks in a capture are, from which those of its clips are cut."""
        return (self.pictures / stored_name).with_suffix(SKELETON_SUFFIX)

    def beside_clip(self, clip_code: str) -> tuple[Path, ...]:
        """Everything that is kept with a clip and goes with it."""
        small = self.thumbnail_of(clip_code)
        return *self.pictures_of(clip_code), small, self.skeleton_of(clip_code)

    def has_pictures_of(self, clip_code: str) -> tuple[bool, bool]:
        """Tell whether a clip's poster and its filmstrip are there: quickly, for many cards."""
        folder = str(self.pictures)
        poster, strip = (
            os.access(f"{folder}/{name}", os.F_OK) for name in _picture_names(clip_code)
        )
        return poster, strip

    @property
    def results(self) -> Path:
        """What the API made of clips, named by the clip's code."""
        return self.root / "results"

    def result_document(self, clip_code: str) -> Path:
        """Where everything the API returned of a clip's session is, as it came."""
        return self.results / f"{plain_name(clip_code)}.json"

    def analysed_video(self, clip_code: str) -> Path:
        """Where the analysed video of a clip is; what is here of one that still comes is beside."""
        return self.results / f"{plain_name(clip_code)}.mp4"

    def result_files(self, clip_code: str) -> tuple[Path, Path]:
        """Where all that there is of a clip's results is: the document and the analysed video."""
        return self.result_document(clip_code), self.analysed_video(clip_code)

    @property
    def set_aside(self) -> Path:
        """Files that nobody here knows; kept for a person."""
        return self.root / "set-aside"

    @property
    def tmp(self) -> Path:
        """Unfinished files; the only ones a start removes."""
        return self.root / "tmp"

    @property
    def wake_socket(self) -> Path:
        """Where a running daemon can be woken."""
        return self.root / "wake.sock"

    @property
    def recorder_socket(self) -> Path:
        """Where recorders find the daemon: in a place that their units can see, under systemd."""
        if self.is_system:
            return _SYSTEM_RUN / self.root.name / "recorder.sock"
        return self.root / "recorder.sock"

    @property
    def recorders(self) -> Path:
        """The names of the recorders that are to be there at the next start."""
        return self.root / _RECORDERS

    @property
    def is_system(self) -> bool:
        """Whether systemd runs the station, and its recorders."""
        return self.root.parent == _SYSTEM_STATE

    @property
    def reference(self) -> Path:
        """The picture that the camera is to keep showing, as it was set on the page."""
        return self.root / _REFERENCE

    @property
    def page_camera(self) -> Path:
        """The camera that was chosen on the page; for the daemon's user alone."""
        return self.root / _PAGE_CAMERA

    @property
    def page_setup(self) -> Path:
        """Who may set the station up; for the daemon's user alone."""
        return self.root / _PAGE_SETUP

    @property
    def places(self) -> tuple[Path, ...]:
        """Every folder in it."""
        kept = (self.captures, self.clips, self.pictures, self.results)
        return (*kept, self.set_aside, self.tmp)

    def prepare(self) -> None:
        """Make the folders; what root makes belongs to the owner of the state folder.

        What this process makes from now on is for its user and group alone: the group of the
        state folder steers the station, and nobody else may see its athletes.

        Raises:
            BusyError: its disk is full or read-only.
            ConfigError: the state folder cannot be made or written, or is a trap for root.
        """
        os.umask(0o007)
        if os.geteuid() == 0:
            self._refuse_traps()
        if is_read_only(self.root):
            raise BusyError(f"{self.root} (paths.state) is read-only", hint=READ_ONLY_REMEDY)
        try:
            for place in self.places:
                place.mkdir(parents=True, exist_ok=True)
                give_to_owner_of(self.root, place)
        except OSError as error:
            if is_disk_full(error):
                raise BusyError(
                    f"the disk of {self.root} is full",
                    hint="free disk space; it resumes automatically",
                ) from error
            where = self.root if isinstance(error, PermissionError) else error.filename
            raise self.refusal(error, where) from error

    def refusal(self, error: OSError, where: Path) -> ConfigError:
        """Return what to say of a place in it that this user may not make or open."""
        told = f"paths.state: {error.strerror}: {where}"
        return ConfigError(told, hint=self._how_to_enter())

    def _refuse_traps(self) -> None:
        """Refuse to follow, as root, links that others laid where Spotter's own files belong.

        The folder's group may lay them, and root would write, and give away, what they lead to.
        """
        for folder in (self.root, self.tmp):
            # What is not a folder is reported when it is to be made.
            with (
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                os.scandir(folder) as found,
            ):
                for entry in found:
                    if not entry.is_symlink() or entry.stat(follow_symlinks=False).st_uid == 0:
                        continue
                    if Path(entry) in self.places or not entry.is_dir():
                        raise ConfigError(
                            f"paths.state: {entry.path} is a link that root does not follow",
                            hint="remove it, or use sudo -u with the folder's owner",
                        )

    def _how_to_enter(self) -> str:
        """Return what lets this user in, and takes the folder from nobody."""
        try:
            places = (self.root, *self.root.parents)
            blocked = next((p for p in places if os.path.lexists(p) and not p.is_dir()), None)
            if blocked is not None:
                kind = "a link to nothing" if blocked.is_symlink() else "a file"
                return f"{blocked} is {kind}: move it away, or set another paths.state"
            if not self.root.exists():
                return f"create it for the station's user: sudo install -d -o USER {self.root}"
            group = self.root.group()
        except (KeyError, OSError):  # a group without a name, or a folder above that is closed
            return "use sudo"
        if group == "root":
            return "use sudo"
        return (
            f"use sudo, or join its group: sudo adduser $(id -un) {group}, then log out and back in"
        )

    def empty_tmp(self) -> None:
        """Remove what an earlier run left unfinished."""
        for leftover in self.tmp.iterdir():
            try:
                if leftover.is_dir() and not leftover.is_symlink():
                    shutil.rmtree(leftover)
                else:
                    leftover.unlink()
            except OSError as error:  # such as of a file that was made immutable
                log.warning(
                    "file removal failed",
                    file=printable_file_name(leftover.name),
                    error=plain_words(error),
                    folder="tmp",
                )

    def files_in(self, place: Path) -> list[Path]:
        """Return the files in one of our folders, in order; what is no file of ours is quarantined.

        That is whatever is no plain file, or has a name that is no text: reading a pipe would wait
        for ever, and a link may lead anywhere.  What cannot be moved is left alone.
        """
        files = []
        for path in sorted(place.iterdir()):
            if is_ours(path):
                files.append(path)
            else:
                quarantine(path, self, why="it is not a file of Spotter's")
        return files

    def quarantine_strange(self) -> None:
        """Take out of the way what has the name of a file in the folder's root, and is none."""
        for path in (self.root / name for name in _OTHER_FILES):
            if os.path.lexists(path) and not is_plain(path):
                quarantine(path, self, why="it is not a plain file")
        for path in (self.wake_socket, self.root / self.recorder_socket.name):
            if os.path.lexists(path) and not path.is_socket():
                quarantine(path, self, why="it is not a socket")


def is_ours(path: Path) -> bool:
    """Tell whether something may be a file of Spotter's: plain, and with a name that is text."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        return False
    return is_plain(path)


def note_seq(path: Path, seq: int) -> None:
    """Note the number of a commit outside of every file's content, where that can be kept.

    It shows when an older file was put into the place of a newer one.
    """
    with contextlib.suppress(OSError):  # a file system without such attributes
        os.setxattr(path, _NOTED, str(seq).encode())


def noted_seq(path: Path) -> int:
    """Return the number that was last noted; 0 where there is none, as on a copy."""
    try:
        return int(os.getxattr(path, _NOTED))
    except (OSError, ValueError):
        return 0


def remove(path: Path) -> None:
    """Remove a file that nobody needs; one that cannot be removed is left alone."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        name, place = printable_file_name(path.name), printable_file_name(path.parent.name)
        log.warning("file removal failed", file=name, folder=place, error=plain_words(error))


def quarantine(path: Path, folder: StateFolder, *, why: str) -> None:
    """Put something aside that nobody here knows, and say so; leave alone what cannot be moved."""
    name, place = printable_file_name(path.name), printable_file_name(path.parent.name)
    try:
        target = put_aside(path, folder)
    except OSError as error:
        log.warning(
            "file quarantine failed", file=name, folder=place, why=why, error=plain_words(error)
        )
    else:
        log.warning(
            "file quarantined",
            file=name,
            folder=place,
            why=why,
            kept_as=printable_file_name(target.name),
        )


def part_of(final: Path) -> Path:
    """Return where a file is as long as it is here in part."""
    return final.with_name(f"{final.name}.part")


def note_of(final: Path) -> Path:
    """Return where it is noted what a file's part is a part of."""
    return final.with_name(f"{final.name}.note")


def give_to_owner_of(folder: Path, path: Path) -> None:
    """Let a file that root made belong to the owner of a folder, so that the service can use it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def other_owner(root: Path) -> os.stat_result | None:
    """Return whose a folder is, where this process is root's and the folder is somebody else's."""
    if os.geteuid() != 0:
        return None
    try:
        found = root.stat()
    except OSError:
        return None
    return found if found.st_uid != 0 else None


def user_name(uid: int) -> str:
    """Return a user's name, or the number in the form that sudo takes."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


@contextlib.contextmanager
def acting_as_owner(root: Path) -> Iterator[None]:
    """As root, have the rights of a folder's owner alone meanwhile.

    The folder's group may put links and rows there: with root's rights they would lead anywhere.

    Raises:
        ConfigError: the system does not let root become the owner.
    """
    owner = other_owner(root)
    if owner is None:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        try:
            os.setgroups(_groups_of(owner))
            os.setegid(owner.st_gid)
            os.seteuid(owner.st_uid)
        except OSError as error:
            name = user_name(owner.st_uid)
            told = f"{root} belongs to {name}, which root cannot switch to here: {error.strerror}"
            raise ConfigError(told, hint=f"use sudo -u {name}") from error
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def is_acting() -> bool:
    """Tell whether this process of root's has given root's rights up for now."""
    return os.getuid() == 0 and os.geteuid() != 0


@contextlib.contextmanager
def acting_as_caller() -> Iterator[None]:
    """Write a file that a person asked for, at their own place, with the rights given up before."""
    user, group = os.geteuid(), os.getegid()
    if not is_acting():
        yield
        return
    os.seteuid(0)
    try:
        os.setegid(os.getgid())
        yield
    finally:
        os.setegid(group)
        os.seteuid(user)


def _groups_of(owner: os.stat_result) -> list[int]:
    try:
        known = pwd.getpwuid(owner.st_uid)
    except KeyError:
        return [owner.st_gid]
    return os.getgrouplist(known.pw_name, owner.st_gid)


def _picture_names(clip_code: str) -> tuple[str, str]:
    name = plain_name(clip_code)
    return f"{name}.jpg", f"{name}{STRIP}.jpg"


def device_of(folder: Path) -> int | None:
    """Return which file system a folder is on, or None where it is not there."""
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def fsync_file(path: Path) -> None:
    """Make a file's content durable."""
    _fsync(path, os.O_RDONLY)


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    _fsync(path, os.O_RDONLY | os.O_DIRECTORY)


def move_durably(source: Path, target: Path) -> None:
    """Give a durable file its final name, on the same file system, and make the name durable."""
    source.replace(target)
    fsync_folder(target.parent)
    if source.parent != target.parent:
        fsync_folder(source.parent)


def put_aside(path: Path, folder: StateFolder) -> Path:
    """Move a file that has no place into the folder `set-aside`, never over another one."""
    target, number = folder.set_aside / path.name, 1
    while os.path.lexists(target):
        number += 1
        target = folder.set_aside / f"{path.stem[:_LONGEST_STEM]}-{number}{path.suffix[:_SUFFIX]}"
    move_durably(path, target)
    return target


def open_plain(path: Path) -> BufferedReader:
    """Open a plain file to read it: no link is followed, no pipe is waited for.

    Raises:
        OSError: it cannot be opened, or is anything but a plain file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return os.fdopen(fd, "rb")


def walk(
    root: Path, *, with_hidden: bool = True, meet: Callable[[Path], None] = lambda _folder: None
) -> Iterator[tuple[Path, list[str], int]]:
    """Yield each folder beneath one, itself first, with the names of its files and a descriptor.

    By descriptors: a folder that becomes a link meanwhile leads nowhere else.  What cannot be read
    is passed over, and so is what nests deeper than anybody means it to, for each level takes a
    descriptor and a call.

    Args:
        root: where to begin; it may be behind a link itself.
        with_hidden: whether folders are entered whose names begin with a dot.
        meet: called with each folder, and each link to one, before it is tried to be entered.
    """
    real = os.path.realpath(root)
    if not os.access(real, os.R_OK | os.X_OK):
        return
    for found, subfolders, names, descriptor in os.fwalk(real):
        inside = Path(found).relative_to(real)
        entered = [name for name in subfolders if with_hidden or not name.startswith(".")]
        for name in sorted(entered):
            meet(root / inside / name)
        subfolders[:] = sorted(entered) if len(inside.parts) < _DEEPEST else []
        yield root / inside, names, descriptor


def is_plain(path: Path) -> bool:
    """Tell whether a name stands for a plain file; not for one that a link leads to."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


@contextlib.contextmanager
def rewriting(path: Path, mode: int = 0o660, *, group_id: int | None = None) -> Iterator[BinaryIO]:
    """Write a file's next content beside it, and put it into its place once it is durable.

    The unfinished file has a name that nobody can have taken beforehand.

    Raises:
        OSError: the old content stays.  It names the file, also where the system names none, as of
            a write to a full disk.
    """
    unfinished = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(unfinished, flags, mode), "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            give_to_owner_of(path.parent, unfinished)
            if group_id is not None:
                os.fchown(file.fileno(), -1, group_id)
            os.fsync(file.fileno())
        unfinished.replace(path)
        fsync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):  # a disk that became read-only
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in {None, str(unfinished)}:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


_SECRET_BYTES = 32


def load_secret(folder: StateFolder, name: str) -> bytes:
    """Return one of the station's own secrets, made where it is missing or damaged.

    A new `OF_SESSIONS` ends all sessions; with a new `OF_CARDS` no card is known any longer.

    Raises:
        OSError: it cannot be read or written.
    """
    path = folder.root / name
    with contextlib.suppress(FileNotFoundError):
        content = path.read_bytes()
        if len(content) == _SECRET_BYTES:
            return content
    secret = os.urandom(_SECRET_BYTES)
    with rewriting(path) as file:
        file.write(secret)
    return secret


def has_secret(folder: StateFolder, name: str) -> bool:
    """Tell whether the station has one of its secrets already."""
    try:
        return (folder.root / name).stat().st_size == _SECRET_BYTES
    except OSError:
        return False


def write_durably(path: Path, content: bytes, *, tmp: Path) -> None:
    """Write a small file so that it is there whole, or not at all."""
    unfinished = tmp / path.name
    try:
        write_new(unfinished, content)
        fsync_file(unfinished)
    except OSError:  # never trusted again: what fsync could not write may be lost without a word
        unfinished.unlink(missing_ok=True)
        raise
    move_durably(unfinished, path)


def write_new(path: Path, content: bytes) -> None:
    """Write a file from its beginning; never through a link, for root may be who writes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    if is_plain(path):  # of an earlier run; perhaps another name of a file elsewhere
        path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(content)


def _fsync(path: Path, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# No second name for this file: on another disk, or another user's (proc(5), protected_hardlinks).
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second place; on the same disk, and if the file is ours, without a copy."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)


_AT_FDCWD = -100
_STATX_BTIME = 0x800
_STATX_BYTES = 256
_MASK_AT, _BTIME_AT = 0, 80  # in struct statx


def born_ns_of(path: Path) -> int | None:
    """Return when a file was made, which no copy takes over; None where the system keeps it not.

    A number that an inode had before may be given to another file; this one is not.
    Source: statx(2).
    """
    found = ctypes.create_string_buffer(_STATX_BYTES)
    try:
        failed = ctypes.CDLL(None).statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found)
    except AttributeError:  # a C library from before 2018
        return None
    if failed or not struct.unpack_from("=I", found, _MASK_AT)[0] & _STATX_BTIME:
        return None
    seconds, nanoseconds = struct.unpack_from("=qI", found, _BTIME_AT)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


_PID_DIGITS = 12
_MODE = 0o640  # who may only read cannot lock it
_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FLOCK = "hhqqi0q"  # struct flock of fcntl(2): type, whence, start, length, process


class StateFolderLock:
    """The lock of the one process that may move clips in a state folder.

    It is a write lock of an open file (fcntl(2)), so that only who may write the file can hold it:
    a camera program that reads the folder cannot keep the daemon from starting.  The folder itself
    is locked too, for the file may be removed by somebody who takes it for a stale one; as anybody
    who reads the folder can lock that, it counts only where the file names no daemon before.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._path = folder.root / "owner.lock"
        self._fds: list[int] = []

    def take(self) -> None:
        """Become the owner.

        Raises:
            BusyError: another process is.
            ConfigError: this user may not be.
        """
        if os.path.lexists(self._path) and not is_plain(self._path):
            quarantine(self._path, self._folder, why="it is not a plain file")
        for path, flags in ((self._path, _FILE), (self._folder.root, _FOLDER)):
            try:
                self._fds.append(os.open(path, flags | os.O_CLOEXEC, _MODE))
            except PermissionError as error:
                self.release()
                raise self._folder.refusal(error, path) from error
        give_to_owner_of(self._folder.root, self._path)  # as whom the service runs
        fd = self._fds[0]
        with contextlib.suppress(PermissionError):  # another's, who may write it all the same
            os.fchmod(fd, _MODE)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
            self._lock_folder(is_needed=not os.fstat(fd).st_size)
        except BlockingIOError:
            owner = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise BusyError(
                f"another spotter (process {owner}) runs on {self._path.parent}",
                hint="stop it first, or give this one a state folder of its own",
            ) from None
        with contextlib.suppress(OSError):  # for other processes only: a full disk must not matter
            os.pwrite(fd, f"{os.getpid():<{_PID_DIGITS}}".encode("ascii"), 0)

    def release(self) -> None:
        """Let another process become the owner."""
        while self._fds:
            os.close(self._fds.pop())

    def _lock_folder(self, *, is_needed: bool) -> None:
        try:
            fcntl.flock(self._fds[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError) and is_needed:
                raise
            # A file system that cannot lock folders, or a reader's lock: the file has to do.

    def is_taken(self) -> bool:
        """Tell whether a living process is the owner; nobody is hindered by the question."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
        except OSError:  # a file system without locks
            return False
        finally:
            os.close(fd)
        kind: int = struct.unpack_from("h", found)[0]
        return kind != fcntl.F_UNLCK


def _whole_file(kind: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)
