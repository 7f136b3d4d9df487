"""Links that the API tells: anything may stand there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.downloads import follow, read_link
from agent.errors import RejectedDownloadError

SECRET = "X-Signature=abcdef"
GOOD = f"https://storage.example.com/a/b%20c.mp4?{SECRET}"


def test_a_proper_link_keeps_every_sign_and_shows_none_of_its_secret() -> None:
    link = read_link(GOOD)

    assert (link.host, link.port, link.host_header) == (
        "storage.example.com",
        443,
        "storage.example.com",
    )
    assert str(link.to("192.0.2.7")) == GOOD.replace("storage.example.com", "192.0.2.7")
    assert str(link.to("2001:db8::7")).startswith("https://[2001:db8::7]/a/b%20c.mp4?")
    assert SECRET not in repr(link)


@pytest.mark.parametrize("told", [None, True, 42, 4.2, [], {}, [GOOD], {"url": GOOD}])
def test_what_is_no_text_is_no_link(told: object) -> None:
    with pytest.raises(RejectedDownloadError, match="the link is not text but"):
        read_link(told)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("", "is empty"),
        (" https://example.com", "spaces"),
        ("https://example.com/\r\nHost: other", "control characters"),
        ("https://example.com/" + "a" * 9000, "too long"),
        ("http://example.com/a", "no TLS"),
        ("ftp://example.com/a", "not a web address"),
        ("file:///etc/passwd", "not a web address"),
        ("javascript:alert(1)", "not a web address"),
        ("//example.com/a", "not a web address"),
        ("/a/b", "not a web address"),
        ("https:///a", "names no host"),
        ("https://user:word@example.com/a", "a user name"),
        ("https://example.com:0/a", "no port"),
        ("https://example.com:99999/a", "no port"),
        ("https://%31%32%37.0.0.1/a", "no host"),
        ("https://exa mple.com/a", "spaces"),
        ("https://[::1/a", "not a web address"),
    ],
)
def test_what_is_no_proper_link_is_refused_with_a_reason(told: str, words: str) -> None:
    with pytest.raises(RejectedDownloadError, match=words) as refused:
        read_link(told)
    assert SECRET not in str(refused.value)


def test_a_link_without_tls_goes_where_the_api_does_without() -> None:
    link = read_link("http://127.0.0.1:8000/a", allow_http=True)

    assert (link.host, link.port, link.host_header) == ("127.0.0.1", 8000, "127.0.0.1:8000")


def test_a_redirect_is_read_like_a_link_and_never_gives_tls_up() -> None:
    link = read_link(GOOD)

    assert follow(link, "/other").host == "storage.example.com"
    assert follow(link, "//cdn.example.com/x").host == "cdn.example.com"
    for onward, words in (
        (None, "without an address"),
        ("", "without an address"),
        ("http://example.com/x", "no TLS"),
        ("file:///etc/passwd", "not a web address"),
        ("https://[", "no host"),
    ):
        with pytest.raises(RejectedDownloadError, match=words):
            follow(link, onward, allow_http=True)


@given(st.text() | st.from_regex(r"https?://[^/]{0,20}(:[0-9]*)?/.{0,20}", fullmatch=True))
def test_any_text_is_a_link_to_a_host_or_refused(told: str) -> None:
    try:
        link = read_link(told)
    except RejectedDownloadError:
        return
    assert link.scheme == "https"
    assert link.host and link.host.isascii() and "@" not in link.host
    assert str(link.to("192.0.2.7")).startswith("https://192.0.2.7")
