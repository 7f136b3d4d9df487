"""What a station sends as a picture: a small plain JPEG, or nothing."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.clock import Instant
from agent.facility.membership import MOST_POSTER_BYTES
from agent.hub.folder import KnownStation, Register
from agent.hub.stations import StationBoard, is_small_jpeg
from analysis.pictures import draw_thumbnail

_NOISE = np.random.default_rng(1).integers(0, 255, (1280, 720, 3), dtype=np.uint8)


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    """The thumbnail of the worst poster: noise."""
    cv2.imwrite(str(tmp_path / "poster.jpg"), _NOISE)
    assert draw_thumbnail(tmp_path / "poster.jpg", out=tmp_path / "small.jpg") == (135, 240)
    return (tmp_path / "small.jpg").read_bytes()


def test_a_thumbnail_of_anything_fits(picture: bytes) -> None:
    assert len(picture) <= MOST_POSTER_BYTES
    assert is_small_jpeg(picture)
    for flags in ([cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 4]):
        _, other = cv2.imencode(".jpg", _NOISE[:64, :64], flags)
        assert is_small_jpeg(other.tobytes())


def test_whatever_else_is_refused(picture: bytes) -> None:
    exif = picture[:2] + b"\xff\xe1\x00\x08Exif\0\0" + picture[2:]
    comment = picture[:2] + b"\xff\xfe\x00\x06<b>!" + picture[2:]
    _, big = cv2.imencode(".jpg", np.zeros((700, 700, 3), np.uint8))
    _, png = cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))
    refused = [exif, comment, picture + b"<script>", picture[:-2], picture[:-1], picture * 2]
    refused += [b"", b"\xff\xd8\xff\xd9", b"GIF89a", b"<svg/>", big.tobytes(), png.tobytes()]
    refused += [picture[:20] + bytes(MOST_POSTER_BYTES), picture[:2] + b"\xff\xc0" + picture[4:]]
    assert [n for n, one in enumerate(refused) if is_small_jpeg(one)] == []
    for length in range(len(picture)):
        assert not is_small_jpeg(picture[:length])


def test_the_board_shows_the_picture_of_the_last_take_alone(picture: bytes) -> None:
    board, register = StationBoard(), Register(stations={"a": KnownStation(key="", since=0.0)})
    told = b'{"state": "safe", "last_take": {"clip_code": "k3x9", "state": "uploaded"}}'
    assert board.see("a", "k3x9", picture)
    assert board.poster("a") is None  # nobody has told of that take yet
    board.hear("a", told, now=Instant(utc_s=1.0))
    shown = board.poster("a")
    assert shown is not None and shown.jpeg == picture
    assert board.views(register, now=Instant(utc_s=1.0))[0].poster_mark == shown.mark
    assert not board.see("a", "k3x9", b"<script>")
    assert board.poster("a") is None  # a bad one replaces the good one
    board.see("a", "k3x9", picture)
    board.hear("a", told.replace(b"k3x9", b"erased"), now=Instant(utc_s=2.0))
    assert board.poster("a") is None
    assert board.see("a", "", b"")  # there is none any longer
