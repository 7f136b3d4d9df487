"""Files that a wrong clock has dated years ahead: they are not for ever the newest."""

import os
from pathlib import Path

from agent.clock import Instant
from agent.intake.folder import CaptureFolder

_AHEAD_S = 4_323_456_000  # 2107, the last year of a FAT file system


def folder_at(root: Path, now_s: float) -> CaptureFolder:
    return CaptureFolder(root, suffixes=frozenset({".mp4"}), now=lambda: Instant(utc_s=now_s))


def test_a_file_that_stays_there_is_neither_growing_nor_arriving(tmp_path: Path) -> None:
    for name in ("stays.mp4", ".unfinished.mp4.part"):
        (tmp_path / name).write_bytes(b"video")
        os.utime(tmp_path / name, (_AHEAD_S, _AHEAD_S))
    put_at_s = (tmp_path / "stays.mp4").stat().st_ctime

    soon, later = folder_at(tmp_path, put_at_s + 1), folder_at(tmp_path, put_at_s + 3600)

    assert soon.is_growing() and not later.is_growing()
    assert sorted(later.arriving(since_s=put_at_s - 60)) == ["stays.mp4", "unfinished.mp4"]
    assert later.arriving(since_s=put_at_s + 60) == []
