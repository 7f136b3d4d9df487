"""Files in the capture folder that are no videos by their names: never taken in, and said so."""

import os
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.outbox.file_name import printable
from agent.plurals import counted

_NAMED = 3
_MOST_NAME = 60  # characters
_MOST_SEEN = 20_000
_MOST_COUNTED = 1000
_AT_REST_S = 60.0  # younger ones may be renamed by their writer yet
_UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", "~")
_SIDECARS = frozenset({".json", ".xml", ".thm", ".lrv", ".srt", ".md5", ".sha256"})
# What cameras write and no setting names: footage is lost if nobody looks.
_MAY_BE_VIDEOS = frozenset(
    {
        *(".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"),
        *(".3gp", ".3g2", ".h264", ".264", ".h265", ".265", ".hevc", ".avc", ".flv", ".f4v"),
        *(
            ".wmv",
            ".asf",
            ".vob",
            ".ogv",
            ".mjpeg",
            ".mjpg",
            ".dav",
            ".mxf",
            ".ivf",
            ".mod",
            ".tod",
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone:
    """What lies in the capture folder and is not taken in for its name."""

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


def left_alone(root: Path, suffixes: Collection[str], *, now_s: float) -> LeftAlone:
    """Return what lies in the capture folder and is not taken in for its name.

    Hidden and unfinished files are not meant, nor what cameras write beside their videos.
    """
    names: list[str] = []
    count = videos = seen = 0
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(files):
            seen += 1
            if seen > _MOST_SEEN or count >= _MOST_COUNTED:
                return LeftAlone(count=count, names=tuple(names), videos=videos)
            suffix = Path(name).suffix.lower()
            if name.startswith(".") or suffix in suffixes or suffix in _SIDECARS:
                continue
            if name.lower().endswith(_UNFINISHED) or not _is_at_rest(Path(folder, name), now_s):
                continue
            count += 1
            videos += suffix in _MAY_BE_VIDEOS
            if len(names) < _NAMED:
                shown = printable(name)
                names.append(shown if len(shown) <= _MOST_NAME else f"{shown[:_MOST_NAME]}…")
    return LeftAlone(count=count, names=tuple(names), videos=videos)


def _is_at_rest(path: Path, now_s: float) -> bool:
    """Tell whether a path is a plain file that nobody has written for a while."""
    with suppress(OSError):
        found = path.lstat()
        return stat.S_ISREG(found.st_mode) and abs(now_s - found.st_mtime) > _AT_REST_S
    return False
