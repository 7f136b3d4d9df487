"""The sandbox's storage host: links open, keys do not, and what a bad one does is done."""

import gzip
from urllib.parse import urlsplit

import httpx
import pytest

from agent.sandbox.server import Sandbox
from tests.station import ATHLETE, KEY

VIDEO = bytes(range(256)) * 1000


@pytest.fixture
def link(sandbox: Sandbox) -> str:
    """A link to an analysed video."""
    with httpx.Client(base_url=sandbox.base_url, headers={"API-KEY": KEY}) as http:
        form = {"data": {"user_id": ATHLETE}, "files": {"video": ("a.mp4", VIDEO)}}
        made = http.post("/running/management/sessions/", **form).json()  # type: ignore[arg-type]  # the parts of a form
        session = http.get(f"/running/sessions/{made['session_id']}/").json()
    return str(session["analyzed_video_url"])


def test_a_link_leads_to_another_host_and_opens_without_a_key(sandbox: Sandbox, link: str) -> None:
    assert urlsplit(link).netloc != urlsplit(sandbox.base_url).netloc

    answer = httpx.get(link)

    assert (answer.status_code, answer.content) == (200, VIDEO)
    assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("headers", [{"Authorization": f"API-KEY {KEY}"}, {"API-KEY": KEY}])
def test_whoever_sends_a_key_is_refused_and_on_record(
    sandbox: Sandbox, link: str, headers: dict[str, str]
) -> None:
    assert httpx.get(link, headers=headers).status_code == 400
    assert sandbox.book.wait_for(lambda book: book.requests[-1].is_storage)
    assert sandbox.book.requests[-1].key_form is not None


def test_a_link_that_was_changed_or_has_expired_opens_nothing(sandbox: Sandbox, link: str) -> None:
    assert httpx.get(link.replace("signature=", "signature=%C3%A9")).status_code == 403
    assert httpx.get(link.partition("?")[0]).status_code == 403
    sandbox.link_s = -1.0
    assert b"ExpiredToken" in httpx.get(sandbox.link(urlsplit(link).path)).content
    sandbox.link_s = 60.0
    lost = httpx.get(sandbox.link("/media/nobody/analyzed.mp4"))
    assert (lost.status_code, lost.headers["Content-Type"]) == (404, "application/xml")


def test_ranges_are_served_for_the_same_video_alone(link: str) -> None:
    tag = httpx.get(link).headers["ETag"]

    rest = httpx.get(link, headers={"Range": "bytes=1000-", "If-Range": tag})
    other = httpx.get(link, headers={"Range": "bytes=1000-", "If-Range": '"other"'})
    beyond = httpx.get(link, headers={"Range": f"bytes={len(VIDEO)}-"})

    assert (rest.status_code, rest.content) == (206, VIDEO[1000:])
    assert rest.headers["Content-Range"] == f"bytes 1000-{len(VIDEO) - 1}/{len(VIDEO)}"
    assert (other.status_code, other.content) == (200, VIDEO)
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(VIDEO)}")


def test_what_a_bad_storage_host_does_is_done(sandbox: Sandbox, link: str) -> None:
    def with_fault(fault: str) -> httpx.Response:
        sandbox.add_fault(f"{fault}@storage")
        return httpx.get(link, headers={"Range": "bytes=1000-", "Accept-Encoding": "identity"})

    assert with_fault("no-ranges").content == VIDEO
    assert with_fault("changed").headers["ETag"] != httpx.get(link).headers["ETag"]
    assert with_fault("html").headers["Content-Type"] == "text/html"
    assert with_fault("disguised").headers["Content-Type"] == "video/mp4"
    assert with_fault("410").status_code == 410
    assert with_fault("redirect:to=http://10.0.0.1/x").headers["Location"] == "http://10.0.0.1/x"
    assert with_fault("redirect:to=loop").headers["Location"] in link
    assert with_fault("wrong-length:n=-1000").content == VIDEO[1000:-1000]
    for fault in ("wrong-length", "cut:at=50", "reset:at=50"):
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            with_fault(fault)
    assert not sandbox.plan.take("storage")


@pytest.mark.parametrize("fault", ["endless", "huge", "packed:n=1M"])
def test_large_answers_are_sent_part_by_part(sandbox: Sandbox, link: str, fault: str) -> None:
    sandbox.add_fault(fault)

    with httpx.stream("GET", link) as answer:
        first = next(answer.iter_raw())

    if fault.startswith("packed"):
        assert len(gzip.decompress(first)) > 1e6
    else:
        assert first[4:8] == b"ftyp"
        assert answer.headers.get("Content-Length") == (None if fault == "endless" else str(10**12))


def test_the_link_of_a_session_can_be_anything(sandbox: Sandbox) -> None:
    with httpx.Client(base_url=sandbox.base_url, headers={"API-KEY": KEY}) as http:
        form = {"data": {"user_id": ATHLETE}, "files": {"video": ("a.mp4", VIDEO)}}
        made = http.post("/running/management/sessions/", **form).json()  # type: ignore[arg-type]  # the parts of a form
        for told, found in (
            ("link:to=http://169.254.169.254/latest", "http://169.254.169.254/latest"),
            ("link:json=42", 42),
            ('link:json={"a": [null]}', {"a": [None]}),
        ):
            sandbox.add_fault(told)
            session = http.get(f"/running/sessions/{made['session_id']}/").json()
            assert session["analyzed_video_url"] == found


def test_the_storage_host_comes_and_goes_with_the_other(sandbox: Sandbox, link: str) -> None:
    sandbox.go_away()
    with pytest.raises(httpx.ConnectError):
        httpx.get(link)

    sandbox.come_back()

    assert httpx.get(link).content == VIDEO
