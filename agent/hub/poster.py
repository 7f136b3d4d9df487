"""Whether bytes from a station are a small plain JPEG, and nothing else.

Browsers of the facility decode what a station sends, so only what every camera writes is let
through: one picture, no metadata, nothing behind its end.  Source: ITU-T T.81, annex B.
"""

from agent.facility.membership import MOST_POSTER_BYTES

_SIDES = range(8, 641)  # pixels
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_TABLES = frozenset({0xC4, 0xDB, 0xDD, 0xE0})  # Huffman, quantisation, restart interval, JFIF
_RESTARTS = range(0xD0, 0xD8)


def is_small_jpeg(body: bytes) -> bool:
    """Tell whether bytes are one picture of at most 640 pixels and 16 kB, without metadata."""
    if not 4 <= len(body) <= MOST_POSTER_BYTES or body[:2] != bytes([0xFF, _START]):
        return False
    at, frames, scans = 2, 0, 0
    while at + 2 <= len(body) and body[at] == 0xFF:
        marker = body[at + 1]
        if marker == _END:
            return at + 2 == len(body) and frames == 1 and scans > 0
        length = int.from_bytes(body[at + 2 : at + 4], "big")
        segment = body[at + 4 : at + 2 + length]
        if length < 2 or len(segment) != length - 2:
            return False
        at += 2 + length
        if marker in _FRAMES and frames == 0 and _is_frame(segment):
            frames = 1
        elif marker == _SCAN and frames == 1:
            scans += 1
            at = _end_of_scan(body, at)
        elif marker not in _TABLES:
            return False
    return False


def _is_frame(segment: bytes) -> bool:
    """Tell whether a frame header is of 8 bits, of a bounded size, grey or in colour."""
    if len(segment) < 6 or segment[0] != 8 or segment[5] not in {1, 3}:
        return False
    height, width = (int.from_bytes(segment[n : n + 2], "big") for n in (1, 3))
    return height in _SIDES and width in _SIDES and len(segment) == 6 + 3 * segment[5]


def _end_of_scan(body: bytes, at: int) -> int:
    """Return where the marker behind a scan's data is; behind the end where there is none."""
    while True:
        at = body.find(b"\xff", at)
        if at < 0 or at + 1 >= len(body):
            return len(body)
        if body[at + 1] != 0 and body[at + 1] not in _RESTARTS:
            return at
        at += 2
