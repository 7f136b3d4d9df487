"""Whether a file is a video, by what it holds."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.downloads import breaks_off, is_video


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def large_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


WHOLE = box(b"ftyp", b"isom....") + box(b"moov", b"index") + box(b"mdat", b"picture" * 100)


def does_break_off(content: bytes) -> bool:
    return breaks_off(io.BytesIO(content), len(content))


def test_videos_are_known_by_their_beginning() -> None:
    assert is_video(WHOLE[:12])
    assert is_video(b"\x1a\x45\xdf\xa3 and so on")
    for other in (
        b"",
        b"<!doctype html>",
        b"<?xml version=",
        b'{"error": 1}',
        b"\x1f\x8b\x08",
        b"GIF89a",
    ):
        assert not is_video(other)


@pytest.mark.parametrize(
    "content",
    [
        WHOLE,
        box(b"ftyp") + large_box(b"mdat", b"picture") + box(b"moov"),
        box(b"ftyp") + box(b"moov") + struct.pack(">I4s", 0, b"mdat") + b"to the end",
        box(b"ftyp") + box(b"moof") + box(b"mdat", b"x"),
        b"\x1a\x45\xdf\xa3 Matroska is not analysed",
    ],
)
def test_a_whole_video_does_not_break_off(content: bytes) -> None:
    assert not does_break_off(content)


def test_a_video_breaks_off_wherever_it_is_cut() -> None:
    assert all(does_break_off(WHOLE[:length]) for length in range(len(WHOLE)))


@given(st.binary(max_size=64))
def test_any_bytes_are_told_without_an_error(content: bytes) -> None:
    does_break_off(b"\x00\x00\x00\x10ftyp" + content)
    is_video(content)
