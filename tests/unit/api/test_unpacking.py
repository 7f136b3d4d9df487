"""Answers are unpacked a little at a time, and once."""

import gzip
import tracemalloc
import zlib

import httpx
import pytest

from agent.api.client import body_parts

WORDS = b'{"sessions": {}}'
PACKED = gzip.compress(WORDS, mtime=0)  # the same in every process that runs these tests


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return gzip.compress(bytes(64 << 20))


def answer(content: bytes, encoding: str = "gzip") -> httpx.Response:
    parts = (content[at : at + 65536] for at in range(0, len(content), 65536))
    return httpx.Response(200, headers={"Content-Encoding": encoding}, content=parts)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [(PACKED, "gzip"), (PACKED, " X-GZip "), (WORDS, "identity")],
)
def test_an_answer_reads_the_same_packed_and_not(content: bytes, encoding: str) -> None:
    assert b"".join(body_parts(answer(content, encoding))) == WORDS


@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate", "br", "gzip;q=1", "zstd"])
def test_what_was_not_asked_for_is_left_as_it_is(bomb: bytes, encoding: str) -> None:
    twice = gzip.compress(bomb)
    assert b"".join(body_parts(answer(twice, encoding))) == twice


def test_what_a_few_bytes_are_packed_from_is_never_there_at_once(bomb: bytes) -> None:
    unpacked_bytes = 0
    tracemalloc.start()
    try:
        for part in body_parts(answer(bomb)):
            unpacked_bytes += len(part)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert unpacked_bytes == 64 << 20
    assert most_bytes < 4 << 20


@pytest.mark.parametrize("content", [b"no gzip at all", PACKED[:9] + b"\xff" * 40])
def test_what_is_not_packed_as_it_says_breaks_off(content: bytes) -> None:
    with pytest.raises(httpx.RequestError):
        list(body_parts(answer(content)))


def test_what_follows_a_packed_answer_is_no_part_of_it() -> None:
    assert b"".join(body_parts(answer(PACKED + zlib.compress(WORDS)))) == WORDS
