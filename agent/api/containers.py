"""Whether a file is a video, by what it holds and not by what it is called.  Pure but for reading.

What is kept is played in browsers and sent on to people: a page or a document that calls itself a
video is not.  MP4 and its kin (ISO/IEC 14496-12) and Matroska with WebM (RFC 8794) are known.
"""

import struct
from typing import BinaryIO

ENOUGH_BYTES = 12  # from the beginning, to tell what it is
_EBML = b"\x1a\x45\xdf\xa3"
_FIRST_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_MOST_BOXES = 100_000


def is_video(beginning: bytes) -> bool:
    """Tell whether a file that begins so is a video."""
    return beginning.startswith(_EBML) or beginning[4:8] in _FIRST_BOXES


def breaks_off(video: BinaryIO, size_bytes: int) -> bool:
    """Tell whether an MP4 ends inside one of its parts, or without its index or pictures.

    Args:
        video: open at any place.
        size_bytes: of the file.
    """
    video.seek(0)
    if video.read(4) == _EBML:
        return False
    at, seen = 0, set()
    for _ in range(_MOST_BOXES):
        if at == size_bytes:
            break
        video.seek(at)
        length, kind = _box(video.read(16), size_bytes - at)
        seen.add(kind)
        at += length
        if length < 8 or at > size_bytes:
            return True
    return b"mdat" not in seen or not seen & {b"moov", b"moof"}


def _box(head: bytes, left_bytes: int) -> tuple[int, bytes]:
    """Return length and kind of the part that begins so; a length of 0 is of no part."""
    if len(head) < 8:
        return 0, b""
    length, kind = struct.unpack(">I4s", head[:8])
    if length == 1 and len(head) == 16:
        (length,) = struct.unpack(">Q", head[8:])
    elif length == 0:  # to the end of the file
        length = left_bytes
    return int(length), bytes(kind)
