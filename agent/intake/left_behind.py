"""What stays in the capture folder: footage that intake cannot ingest, and what is no video.

The status and the page name it, for nothing else would: a video that nobody may read makes no take,
and no error that a coach sees.
"""

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.disk.rights import (
    FolderRights,
    ServiceUser,
    how_to_let_take,
    may_list,
    service_user_of,
)
from agent.disk.state_folder import born_ns_of, walk
from agent.intake.folder import UNFINISHED_SUFFIXES
from agent.intake.stability import WriterState, writer_state
from agent.settings import Settings
from agent.text import counted, gettext_noop, ngettext_noop, printable_file_name

_GROWS_S = 12.0  # recorders flush every few seconds; a file that grows may get its rights yet
_MUST_BE_IN_S = 120.0  # on top of the longest settling
_LONG_S = 2 * 3600.0  # recordings are shorter
_MOST_SEEN = 20_000
_MOST_ASKED = 100  # files are opened to ask about their writer
_MOST_NAME = 60
_OF_THE_SYSTEM = frozenset(
    {"lost+found", "System Volume Information", "$RECYCLE.BIN", "@eaDir", "#recycle", "#snapshot"}
)
_NAMED = 3
_MOST_COUNTED = 1000
_AT_REST_S = 60.0  # younger ones may be renamed by their writer yet
_SIDECARS = frozenset({".json", ".xml", ".thm", ".lrv", ".srt", ".md5", ".sha256"})
# What cameras write and no setting names: footage is lost if nobody checks.
_MAY_BE_VIDEOS = frozenset(
    {
        *(".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"),
        *(".3gp", ".3g2", ".h264", ".264", ".h265", ".265", ".hevc", ".avc", ".flv", ".f4v"),
        *(".wmv", ".asf", ".vob", ".ogv", ".mjpeg", ".mjpg", ".dav", ".mxf", ".ivf", ".mod"),
        ".tod",
    }
)


class LeftReason(StrEnum):
    """Why footage stays in the capture folder."""

    FILE_CLOSED = "file_closed"  # the daemon may not read it, or not move it
    FOLDER_CLOSED = "folder_closed"  # nor enter the folder, whatever is in it
    LINK = "link"  # to elsewhere; intake follows none
    HELD_OPEN = "held_open"  # by a program that has written nothing for long
    GROWING = "growing"  # without an end


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftFootage:
    """What stays in the capture folder for one reason."""

    reason: LeftReason
    count: int
    name: str  # of the first, as it may be shown
    remedy: str  # what to do, in English; a command where there is one

    @property
    def has_command(self) -> bool:
        """Whether the remedy is a command, which is the same in every language."""
        return self.reason in {LeftReason.FILE_CLOSED, LeftReason.FOLDER_CLOSED}

    def words(self) -> str:
        """Return it in a sentence, as the page has it in its language too."""
        one, many = WORDS[self.reason]
        return (one if self.count == 1 else many) % {"n": self.count, "name": self.name}


WORDS = {
    LeftReason.FILE_CLOSED: ngettext_noop(
        "%(n)s recording cannot be read and moved by Spotter: %(name)s.",
        "%(n)s recordings cannot be read and moved by Spotter, such as %(name)s.",
    ),
    LeftReason.FOLDER_CLOSED: ngettext_noop(
        "%(n)s folder in the capture folder is closed to Spotter: %(name)s.",
        "%(n)s folders in the capture folder are closed to Spotter, such as %(name)s.",
    ),
    LeftReason.LINK: ngettext_noop(
        "%(n)s link in the capture folder is not followed: %(name)s.",
        "%(n)s links in the capture folder are not followed, such as %(name)s.",
    ),
    LeftReason.HELD_OPEN: ngettext_noop(
        "%(n)s recording has not been closed by its program: %(name)s.",
        "%(n)s recordings have not been closed by their program, such as %(name)s.",
    ),
    LeftReason.GROWING: ngettext_noop(
        "%(n)s recording has been growing for more than 2 hours: %(name)s.",
        "%(n)s recordings have been growing for more than 2 hours, such as %(name)s.",
    ),
}
REMEDIES = {
    LeftReason.LINK: gettext_noop("copy the videos themselves into the capture folder"),
    LeftReason.HELD_OPEN: gettext_noop("restart the program that recorded it"),
    LeftReason.GROWING: gettext_noop(
        "set the camera program to begin a new file every few minutes"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrecognisedFiles:
    """The files of the capture folder that are not ingested because of their names."""

    count: int = 0
    names: tuple[str, ...] = ()  # the first few, as they may be shown
    videos: int = 0  # of these, how many may be videos all the same

    def words(self) -> str:
        """Return it in a sentence; "" where there is nothing."""
        if not self.count:
            return ""
        files = counted(self.count, "file", "files")
        are = "is not a video" if self.count == 1 else "are not videos"
        rest = ", …" if self.count > len(self.names) else ""
        return f"{files} in the capture folder {are}: {', '.join(self.names)}{rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """Everything that stays in the capture folder as it is now."""

    footage: tuple[LeftFootage, ...] = ()  # by reason
    unrecognised: UnrecognisedFiles = UnrecognisedFiles()


def left_behind(settings: Settings, *, now_s: float) -> LeftBehind:
    """Return what is in the capture folder and will not be ingested as it is now.

    Args:
        settings: of the station.
        now_s: Unix time.
    """
    looking = _Look(settings, now_s)
    found: dict[LeftReason, list[Path]] = {}
    for reason, path in looking.all():
        found.setdefault(reason, []).append(path)
    footage = tuple(
        LeftFootage(
            reason=reason,
            count=len(found[reason]),
            name=_shown(found[reason][0].name),
            remedy=_remedy(reason, found[reason][0], looking.who),
        )
        for reason in LeftReason
        if reason in found
    )
    return LeftBehind(footage=footage, unrecognised=looking.unrecognised.result())


def _shown(name: str) -> str:
    name = printable_file_name(name)
    return name if len(name) <= _MOST_NAME else f"{name[:_MOST_NAME]}…"


def _remedy(reason: LeftReason, path: Path, who: ServiceUser) -> str:
    if reason is LeftReason.FILE_CLOSED:
        name = shlex.quote(printable_file_name(path.name))
        return f"spotter show {'-- ' if name.startswith('-') else ''}{name}"
    if reason is LeftReason.FOLDER_CLOSED:
        with suppress(OSError):
            return how_to_let_take(path, who)
        return "spotter doctor"
    return REMEDIES[reason]


class _Unrecognised:
    """Counts the files that are not ingested because of their names.

    Hidden and unfinished files are not meant, nor what cameras write beside their videos.
    """

    def __init__(self, suffixes: frozenset[str], now_s: float) -> None:
        self._passed_over = suffixes | _SIDECARS
        self._now_s = now_s
        self._seen = self._count = self._videos = 0
        self._names: list[str] = []

    def look(self, folder: Path, names: Sequence[str]) -> None:
        """Count those of one more folder."""
        for name in sorted(names):
            self._seen += 1
            if self._seen > _MOST_SEEN or self._count >= _MOST_COUNTED:
                return
            lower = name.lower()
            suffix = _suffix(lower)
            if name.startswith(".") or suffix in self._passed_over:
                continue
            if lower.endswith(UNFINISHED_SUFFIXES) or not self._is_at_rest(folder / name):
                continue
            self._count += 1
            self._videos += suffix in _MAY_BE_VIDEOS
            if len(self._names) < _NAMED:
                self._names.append(_shown(name))

    def result(self) -> UnrecognisedFiles:
        """Return what was counted."""
        return UnrecognisedFiles(count=self._count, names=tuple(self._names), videos=self._videos)

    def _is_at_rest(self, path: Path) -> bool:
        """Tell whether a path is a plain file that nobody has written for a while."""
        with suppress(OSError):
            found = path.lstat()
            return stat.S_ISREG(found.st_mode) and abs(self._now_s - found.st_mtime) > _AT_REST_S
        return False


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1]  # noqa: PTH122  # of many names


class _Look:
    """One look through the capture folder."""

    def __init__(self, settings: Settings, now_s: float) -> None:
        capture = settings.capture
        self.who = service_user_of(settings.paths.state)
        self._root = settings.paths.capture
        self._suffixes = frozenset(capture.suffixes)
        self._quiet_s = max(capture.settle_s, capture.settle_unseen_s) + _MUST_BE_IN_S
        self._now_s = now_s
        self.unrecognised = _Unrecognised(self._suffixes, now_s)
        self._met: list[tuple[LeftReason, Path]] = []
        self._asked = 0
        self._closed: set[Path] = set()  # folders; who asks may see more of them than the daemon

    def all(self) -> Iterator[tuple[LeftReason, Path]]:
        """Yield each file and folder that stays, with the reason."""
        seen = 0
        for folder, names, descriptor in walk(self._root, with_hidden=False, meet=self._meet):
            self.unrecognised.look(folder, names)
            if self._closed and self._closed.intersection((folder, *folder.parents)):
                self._met.clear()
                continue
            some = names[: max(0, _MOST_SEEN - seen)]
            seen += len(some)
            with suppress(OSError):  # it has gone meanwhile
                rights = FolderRights(folder, self.who)
                for name in sorted(filter(self._is_video, some)):
                    reason = self._reason(folder, name, descriptor, rights)
                    if reason is not None:
                        yield reason, folder / name
            yield from self._met
            self._met.clear()

    def _meet(self, folder: Path) -> None:
        """Note a folder that the daemon does not enter."""
        if folder.name in _OF_THE_SYSTEM:
            self._closed.add(folder)
            return
        with suppress(OSError):
            if folder.is_symlink():
                if self._leads_out(folder):
                    self._met.append((LeftReason.LINK, folder))
            elif not may_list(folder, self.who):  # of one that it can list, each file is judged
                self._closed.add(folder)
                self._met.append((LeftReason.FOLDER_CLOSED, folder))

    def _is_video(self, name: str) -> bool:
        """Tell whether intake would ingest a file of this name."""
        lower = name.lower()
        is_named_so = _suffix(lower) in self._suffixes
        return is_named_so and not name.startswith(".") and not lower.endswith(UNFINISHED_SUFFIXES)

    def _reason(
        self, folder: Path, name: str, descriptor: int, rights: FolderRights
    ) -> LeftReason | None:
        try:
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                return LeftReason.LINK if self._leads_out(folder / name) else None
            if not stat.S_ISREG(found.st_mode):
                return None
            quiet_s = abs(self._now_s - found.st_mtime)
            if not rights.may_take(name, found):
                return LeftReason.FILE_CLOSED if quiet_s > _GROWS_S else None
            return self._reason_of_open(folder / name, quiet_s) if self._asks(quiet_s) else None
        except OSError:  # it has gone meanwhile
            return None

    def _asks(self, quiet_s: float) -> bool:
        """Tell whether more of a file is to be asked, which costs more; of few among many."""
        if _GROWS_S <= quiet_s <= self._quiet_s or self._asked >= _MOST_ASKED:
            return False
        self._asked += 1
        return True

    def _reason_of_open(self, path: Path, quiet_s: float) -> LeftReason | None:
        """Return why a file stays that the daemon may take.

        Raises:
            OSError: it has gone meanwhile.
        """
        if quiet_s > self._quiet_s:
            is_open = writer_state(path) is WriterState.OPEN
            return LeftReason.HELD_OPEN if is_open else None
        born_ns = born_ns_of(path)
        is_old = born_ns is not None and self._now_s - born_ns / 1e9 > _LONG_S
        return LeftReason.GROWING if is_old else None

    def _leads_out(self, link: Path) -> bool:
        """Tell whether a link leads out of the capture folder, by its text alone.

        What it leads to is not touched: it may be on a network folder that does not answer.
        """
        target = os.path.normpath(link.parent / link.readlink())
        return not Path(target).is_relative_to(os.path.normpath(self._root))
