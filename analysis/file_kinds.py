"""What a file is that cannot be read as a video: by its first bytes, and else by its name.

Sources: the formats' own specifications, and file(1).
"""

import os
import re
import struct
from pathlib import Path

ACCEPTED = "MP4, MOV, MKV, WebM, AVI, MPEG-TS, MPEG, WMV, FLV, OGG, and raw H.264 or H.265"

_HEAD_BYTES = 4096
_SHORT = 3  # bytes, which a text may begin with too
_NO_VIDEO = (  # first bytes, and what they are
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"(\xb5/\xfd", "a zstd archive"),
    (b"GIF8", "a GIF picture"),
    (b"\xff\xd8\xff", "a JPEG picture, or a series of them"),
    (b"\x89PNG", "a PNG picture"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF or raw picture"),
    (b"MM\x00*", "a TIFF or raw picture"),
    (b"ID3", "an MP3 sound file"),
    (b"fLaC", "a FLAC sound file"),
    (b"#!AMR", "an AMR sound file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"SQLite format 3\x00", "a database"),
    (b"#EXTM3U", "a playlist, which only names videos"),
    (b"{\\rtf", "a text document"),
)
_OTHER_VIDEO = (
    (b".RMF", "a RealMedia video"),
    (b".ra\xfd", "a RealAudio file"),
    (b"YUV4MPEG2", "an uncompressed Y4M video"),
    (b"DKIF", "an IVF video"),
    (b"nut/multimedia container", "a NUT video"),
    (b"FWS", "a Flash animation"),
    (b"CWS", "a Flash animation"),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "an MXF video"),
    (b"DHAV", "a Dahua DAV recording"),
    (b"IMKH", "a Hikvision recording"),
    (b"\x1f\x07\x00", "a raw DV video"),
)
_ACCEPTED = (
    (b"\x1aE\xdf\xa3", "an MKV or WebM video"),
    (b"FLV\x01", "an FLV video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a WMV or ASF video"),
    (b"OggS", "an OGG video"),
    (b"\x00\x00\x01\xba", "an MPEG video"),
    (b"\x00\x00\x00\x01", "a raw H.264 or H.265 video"),
    (b"\x00\x00\x01", "a raw video"),
)
_PICTURE_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"crx "})
_RIFF = {
    b"WAVE": "a WAV sound file",
    b"WEBP": "a WebP picture",
    b"RMID": "a MIDI file",
    b"ACON": "an animated cursor",
}
_NAMES = {  # of formats that say nothing of themselves in their first bytes
    ".yuv": "raw pictures without a header",
    ".rgb": "raw pictures without a header",
    ".raw": "raw pictures without a header",
    ".nv12": "raw pictures without a header",
    ".dav": "a Dahua DAV recording",
    ".dv": "a raw DV video",
}
_MARKUP = re.compile(rb"\s*<(?:!doctype html|html|head|body|\?xml|!--)", re.IGNORECASE)
_SERVER_WORDS = re.compile(rb"\s*[\[{]\s*[\"\]}]")
_MP3 = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xfb]")
_TS_PACKET = 188
_MOST_OF_INDEX = 4 << 20
_MOST_BOXES = 1000


def kind_of(path: Path) -> str | None:
    """Return what a file is that is no video, or none that is accepted; None where it may be one.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head[4:8] == b"ftyp":
        return "a HEIC, AVIF or raw picture" if head[8:12] in _PICTURE_BRANDS else None
    if head.startswith((b"RIFF", b"RF64")):
        return _RIFF.get(head[8:12])
    for begins, kind in (*_NO_VIDEO, *_OTHER_VIDEO):
        if head.startswith(begins) and (len(begins) > _SHORT or not _is_text(head)):
            return kind
    if accepted_kind(head) is not None:
        return None
    return _by_content(head) or _NAMES.get(path.suffix.lower())


def accepted_kind(head: bytes) -> str | None:
    """Return which accepted format a file begins like, by its first bytes; None: like none."""
    if head.startswith(b"RIFF") and head[8:11] == b"AVI":
        return "an AVI video"
    if head[:1] == b"G" and head[_TS_PACKET : _TS_PACKET + 1] == b"G":
        return "an MPEG-TS video"
    return next((kind for begins, kind in _ACCEPTED if head.startswith(begins)), None)


def _by_content(head: bytes) -> str | None:
    if not head.strip(b"\x00"):
        return "nothing but zeros (it was never written, or its disk is damaged)"
    if _MARKUP.match(head):
        return "a web page (its download failed, or needs a login)"
    if _MP3.match(head):
        return "an MP3 sound file"
    if _is_text(head):
        is_message = _SERVER_WORDS.match(head)
        return "a message of a server (JSON)" if is_message else "a text file"
    return None


def _is_text(head: bytes) -> bool:
    """Tell whether bytes are text, of which the last letter may be cut off."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter in "\t\r\n\f\ufeff" for letter in text)


def is_encrypted(path: Path) -> bool:
    """Tell whether the pictures of an MP4 or MOV are encrypted (ISO/IEC 23001-7).

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start, size_bytes = 0, os.fstat(file.fileno()).st_size
        for _ in range(_MOST_BOXES):
            if start >= size_bytes:
                return False
            file.seek(start)
            header = file.read(16)
            if len(header) < 8:
                return False
            length, name = struct.unpack(">I4s", header[:8])
            if length == 1 and len(header) == 16:
                (length,) = struct.unpack(">Q", header[8:])
            if name == b"moov":
                file.seek(start)
                index = file.read(min(length or _MOST_OF_INDEX, _MOST_OF_INDEX))
                return b"encv" in index and b"sinf" in index
            if length < 8:
                return False
            start += length
    return False
