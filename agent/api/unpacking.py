"""The body of an answer, unpacked a little at a time: a few bytes may be packed from gigabytes.

httpx would unpack whatever has arrived in one piece, and as often as the answer says that it was
packed: 3 kB then become 4 GB before anybody can look at them.  So only gzip is asked for, it is
undone once, and what is packed otherwise is left as it is, which no reader takes for an answer.
"""

import zlib
from collections.abc import Iterator

import httpx

ACCEPTED = {"Accept": "application/json", "Accept-Encoding": "gzip"}  # what is asked for
_NAMES = frozenset({"gzip", "x-gzip"})  # one and the same (RFC 9110, 8.4.1.3)
_MOST_AT_ONCE = 256 << 10  # unpacked bytes
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def body_parts(response: httpx.Response) -> Iterator[bytes]:
    """Yield the body of an answer as it arrives, unpacked, in parts that are never large.

    Raises:
        httpx.RequestError: it breaks off, or is not packed as it says.
    """
    parts = response.iter_raw()
    if response.headers.get("Content-Encoding", "").strip().lower() in _NAMES:
        return _unpacked(parts)
    return parts


def _unpacked(parts: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        for part in parts:
            left = part
            while left and not unpacker.eof:
                yield unpacker.decompress(left, _MOST_AT_ONCE)
                left = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error:
        raise httpx.DecodingError("the answer is not packed as it says") from None
