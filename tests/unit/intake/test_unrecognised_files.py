"""What is left alone in the capture folder for its name is counted and named, and no more."""

import os
from pathlib import Path

import pytest

from agent.intake.left_behind import LeftBehind, UnrecognisedFiles, left_behind
from tests.served_page import page_settings

NOW_S = 1_795_000_000.0
SUFFIXES = (".mp4", ".mkv")


def unrecognised(root: Path) -> UnrecognisedFiles:
    settings = page_settings(root, capture={"suffixes": SUFFIXES})
    return left_behind(settings, now_s=NOW_S).unrecognised


def put(root: Path, name: str, *, age_s: float = 3600.0) -> None:
    path = root / "capture" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))


def test_it_is_said_in_a_sentence(tmp_path: Path) -> None:
    assert unrecognised(tmp_path).words() == ""
    put(tmp_path, "a.txt")
    left = unrecognised(tmp_path)
    assert left.words() == "1 file in the capture folder is not a video: a.txt"
    for name in ("b.doc", "deep/c", "d.zip"):
        put(tmp_path, name)
    left = unrecognised(tmp_path)
    assert left.words() == ("4 files in the capture folder are not videos: a.txt, b.doc, d.zip, …")
    assert left.videos == 0


@pytest.mark.parametrize(
    "name",
    [
        *("set.mp4", "SET.MKV", ".hidden", ".folder/a.txt", "set.mp4.part", "set.tmp", "set.mp4~"),
        *("set.mp4.json", "set.xml", "GOPR1.THM", "set.partial"),
    ],
)
def test_what_is_taken_hidden_unfinished_or_beside_a_video_is_not_meant(
    tmp_path: Path, name: str
) -> None:
    put(tmp_path, name)
    assert unrecognised(tmp_path).count == 0


def test_what_is_young_or_no_plain_file_is_not_meant(tmp_path: Path) -> None:
    put(tmp_path, "young.txt", age_s=5)
    os.mkfifo(tmp_path / "capture" / "pipe")
    (tmp_path / "capture" / "link.txt").symlink_to("/etc/hostname")
    assert unrecognised(tmp_path).count == 0


def test_what_may_be_a_video_is_counted_apart(tmp_path: Path) -> None:
    for name in ("raw.H264", "cam.dav", "old.wmv", "notes.txt"):
        put(tmp_path, name)
    left = unrecognised(tmp_path)
    assert (left.count, left.videos) == (4, 3)


def test_it_is_bounded_and_strange_names_are_harmless(tmp_path: Path) -> None:
    put(tmp_path, "a\nb\x1b[31m.txt")
    put(tmp_path, "b" * 200 + ".txt")
    for number in range(1100):
        put(tmp_path, f"n{number}.txt")
    left = unrecognised(tmp_path)
    assert left.count == 1000
    assert left.words().isprintable() and len(left.words()) < 300


def test_a_folder_that_is_missing_holds_nothing(tmp_path: Path) -> None:
    settings = page_settings(tmp_path, paths={"capture": str(tmp_path / "gone")})
    assert left_behind(settings, now_s=NOW_S) == LeftBehind()
