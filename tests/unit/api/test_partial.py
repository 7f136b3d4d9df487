"""What the head of a storage host's answer means for a file of which a part is here."""

import httpx
import pytest

from agent.api.downloads import (
    RangeResponse,
    RemoteFile,
    RemoteFileChanged,
    range_headers,
    read_head,
)
from agent.errors import (
    DownloadError,
    LinkExpiredError,
    RejectedDownloadError,
    TemporaryDownloadError,
)

HERE = RemoteFile(validator='"v1"', total_bytes=1000)


def head(
    status: int,
    headers: dict[str, str] | None = None,
    *,
    have: int = 400,
    origin: RemoteFile | None = HERE,
) -> RangeResponse:
    told = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return read_head(
        status, httpx.Headers(told), have_bytes=have, origin=origin, most_bytes=5000, now_s=0.0
    )


def test_only_a_part_that_can_be_recognised_is_gone_on_with() -> None:
    assert range_headers(400, HERE) == {"Range": "bytes=400-", "If-Range": '"v1"'}
    for have, origin in ((0, HERE), (400, None), (400, RemoteFile(total_bytes=1000))):
        assert range_headers(have, origin) == {}


def test_the_rest_of_the_same_file_goes_on() -> None:
    for more in ({"ETag": '"v1"'}, {}):
        got = head(206, {"Content-Range": "bytes 400-999/1000", **more})
        assert (got.start, got.origin, got.can_resume) == (400, HERE, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 400-999/1000", "ETag": '"v2"'},
        {"Content-Range": "bytes 0-999/1000", "ETag": '"v1"'},
        {"Content-Range": "bytes 500-999/1000", "ETag": '"v1"'},
        {"Content-Range": "nonsense"},
        {},
    ],
)
def test_another_part_or_another_file_makes_it_begin_anew(headers: dict[str, str]) -> None:
    with pytest.raises(RemoteFileChanged):
        head(206, headers)


def test_a_part_that_nobody_asked_for_is_not_taken() -> None:
    with pytest.raises(RemoteFileChanged):
        head(206, {"Content-Range": "bytes 0-9/10"}, have=0, origin=None)


def test_a_whole_answer_begins_at_the_beginning() -> None:
    got = head(200, {"ETag": '"v2"', "Content-Length": "2000", "Accept-Ranges": "bytes"})

    assert (got.start, got.origin) == (0, RemoteFile(validator='"v2"', total_bytes=2000))
    assert got.can_resume and not got.is_complete


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": 'W/"v1"'}, None),
        ({"ETag": 'W/"v1"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, "Mon, 01 Jan"),
        ({"ETag": '"' + "x" * 300 + '"'}, None),
        ({}, None),
    ],
)
def test_what_vouches_for_nothing_is_not_resumed_by(
    headers: dict[str, str], validator: str | None
) -> None:
    got = head(200, {"Accept-Ranges": "bytes", **headers})

    assert (got.origin.validator or "")[:11] == (validator or "")
    assert got.can_resume == (validator is not None)


def test_nothing_beyond_the_end_means_that_all_is_here() -> None:
    assert head(416, {"Content-Range": "bytes */1000"}, have=1000).is_complete
    for headers in ({"Content-Range": "bytes */900"}, {}):
        with pytest.raises(RemoteFileChanged):
            head(416, headers, have=1000)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, LinkExpiredError) for status in (400, 401, 403, 404, 410)),
        *((status, TemporaryDownloadError) for status in (408, 425, 429, 500, 503, 520)),
        *((status, RejectedDownloadError) for status in (204, 205, 304, 405, 416, 451)),
    ],
)
def test_every_other_answer_has_its_meaning(status: int, kind: type[DownloadError]) -> None:
    with pytest.raises(kind, match=f"HTTP {status}"):
        head(status, have=0)


def test_a_host_may_ask_to_be_left_alone() -> None:
    with pytest.raises(TemporaryDownloadError) as refused:
        head(503, {"Retry-After": "7"})
    assert refused.value.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Content-Type": "text/html; charset=utf-8"}, "it is not a video but text/html"),
        ({"Content-Type": "Application/JSON"}, "it is not a video but application/json"),
        ({"Content-Type": "multipart/byteranges"}, "it is not a video but multipart/byteranges"),
        ({"Content-Type": "x\x07y/\u202e"}, "it is not a video but something unnamed"),
        ({"Content-Encoding": "gzip"}, "compressed the video"),
        ({"Content-Encoding": "br, gzip"}, "compressed the video"),
        ({"Content-Length": "5001"}, "larger than the 0.005 MB"),
        ({"Content-Length": "9" * 40}, "larger than the 0.005 MB"),
    ],
)
def test_what_says_itself_that_it_is_not_wanted_is_not_taken(
    headers: dict[str, str], words: str
) -> None:
    with pytest.raises(RejectedDownloadError, match=words):
        head(200, headers)


@pytest.mark.parametrize(
    "kind", ["", "video/mp4", "VIDEO/webm", "application/octet-stream", "binary/octet-stream"]
)
def test_what_may_be_a_video_is_taken(kind: str) -> None:
    assert head(200, {"Content-Type": kind}).start == 0


@pytest.mark.parametrize("length", ["-5", "ten", "1e3", "\u0661"])
def test_a_length_that_is_none_is_not_believed(length: str) -> None:
    assert head(200, {"Content-Length": length}).origin.total_bytes is None
