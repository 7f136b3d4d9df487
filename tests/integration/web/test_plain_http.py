"""What a page with TLS answers to whoever asks it without."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from agent.card_reader import CardSender
from agent.errors import RequestError
from agent.web import server
from agent.web import server as web_server
from tests.facility import Hub
from tests.served_page import ServedPage, page_settings, served_page

GET = b"GET / HTTP/1.1\r\nHost: box\r\n\r\n"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    root = tmp_path_factory.mktemp("encrypted")
    with served_page(page_settings(root, web={"tls": "own"})) as page:
        yield page


def connect(page: ServedPage, source: str = "127.0.0.1") -> socket.socket:
    host, _, port = page.settings.web.listen.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20, source_address=(source, 0))


def said(page: ServedPage, *parts: bytes) -> bytes:
    """Return everything that the page answers to these bytes, until it ends the connection."""
    with connect(page) as plain:
        for part in parts:
            plain.sendall(part)
        answer = b""
        while more := plain.recv(65536):
            answer += more
    return answer


def answers_with_tls(page: ServedPage) -> bool:
    trusted = ssl.create_default_context(cafile=str(page.folder.root / "page-cert.pem"))
    address = page.origin.replace("http:", "https:")
    return httpx.get(f"{address}/login", verify=trusted, timeout=20).status_code == 200


def head(*lines: str) -> bytes:
    return "\r\n".join((*lines, "", "")).encode()


@pytest.mark.parametrize(
    ("target", "host", "leads_to"),
    [
        ("/", "box:8377", "https://box:8377/"),
        ("/take/e7?x=1&y=%2F", "rack_1.local:8377", "https://rack_1.local:8377/take/e7?x=1&y=%2F"),
        ("/", "192.168.1.20", "https://192.168.1.20:80/"),
        ("/pair/abc", "[fe80::1]:8377", "https://[fe80::1]:8377/pair/abc"),
        ("//evil.example/", "box:1", "https://box:1//evil.example/"),
    ],
)
def test_a_browser_is_led_to_the_same_address_with_https(
    encrypted: ServedPage, target: str, host: str, leads_to: str
) -> None:
    for method in ("GET", "HEAD"):
        answer = said(encrypted, head(f"{method} {target} HTTP/1.1", f"Host: {host}"))
        found, _, body = answer.partition(b"\r\n\r\n")
        status, *headers = found.decode().split("\r\n")
        assert status == "HTTP/1.1 307 Temporary Redirect"
        assert f"Location: {leads_to}" in headers and "Cache-Control: no-store" in headers
        assert bool(body) is (method == "GET")
    assert answers_with_tls(encrypted)


def test_a_browser_that_follows_arrives_at_the_page(encrypted: ServedPage) -> None:
    trusted = ssl.create_default_context(cafile=str(encrypted.folder.root / "page-cert.pem"))
    arrived = httpx.get(f"{encrypted.origin}/login", verify=trusted, follow_redirects=True)
    assert arrived.status_code == 200 and arrived.url.scheme == "https"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example/path", "a b", "user@box", "box:8377:1", "box:port", "[::1", "<script>"),
        *("", "box:123456", "bücher", "box\\evil", "x" * 300),
    ],
)
def test_a_host_that_is_none_is_never_repeated(encrypted: ServedPage, host: str) -> None:
    answer = said(encrypted, head("GET / HTTP/1.1", f"Host: {host}"))
    assert answer.startswith(b"HTTP/1.1 400 ") and b"Location" not in answer
    assert answer.endswith(b"\r\n\r\nthis page uses TLS: its address begins with https://\n")


@pytest.mark.parametrize(
    "asked",
    [
        head("OPTIONS * HTTP/1.1", "Host: box"),
        head("GET http://box/ HTTP/1.1", "Host: box"),
        head("GET / HTTP/1.1", "Host: box", "Host: evil.example"),
        head("GET / HTTP/1.1", "X: box"),
        head("CONNECT evil.example:443 HTTP/1.1", "Host: evil.example:443"),
        head("GET / HTTP/1.1", "Host: box\rLocation: x"),
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x80\x2e\x01\x00\x02" + bytes(60) + b"\r\n\r\n",
        b"\x00\xff\x15\x03\x01\x00\x02\x02\r\n\r\n",
    ],
)
def test_anything_else_is_told_in_one_line(encrypted: ServedPage, asked: bytes) -> None:
    answer = said(encrypted, asked)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"482913" not in answer
    assert answer.endswith(b"this page uses TLS: its address begins with https://\n")


def test_what_a_form_sent_is_not_sent_once_more(encrypted: ServedPage) -> None:
    asked = head("POST /login HTTP/1.1", "Host: box", "Content-Length: 10") + b"pin=482913"
    found, _, body = said(encrypted, asked).partition(b"\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 426 ") and b"Location" not in found
    assert b"\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n" in found and found.endswith(b"close, upgrade")
    assert body == b"this page uses TLS: its address begins with https://\n"


def test_a_card_reader_with_the_wrong_address_names_the_right_one(encrypted: ServedPage) -> None:
    with pytest.raises(RequestError, match="this page uses TLS") as caught:
        CardSender(encrypted.origin, "token").send("0004711")
    assert caught.value.hint == f"--url {encrypted.origin.replace('http:', 'https:')}"


def test_the_answer_arrives_though_a_large_form_is_on_its_way(encrypted: ServedPage) -> None:
    body = bytes(300_000)
    asked = head("POST / HTTP/1.1", "Host: box", f"Content-Length: {len(body)}")
    assert said(encrypted, asked, body).startswith(b"HTTP/1.1 426 ")


def test_a_head_without_an_end_is_bounded(encrypted: ServedPage) -> None:
    answer = said(encrypted, b"GET / HTTP/1.1\r\n", b"X-A: " + b"a" * 40_000)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_who_is_slow_is_ended_in_time_and_holds_nobody_up(
    encrypted: ServedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_PLAIN_WITHIN_S", 1.5)
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(connect(encrypted, "127.0.0.9")) for _ in range(10)]
        for one in slow[:5]:
            one.sendall(b"G")
        assert answers_with_tls(encrypted)
        assert said(encrypted, GET).startswith(b"HTTP/1.1 307 ")
        for one in slow:
            with contextlib.suppress(ConnectionError):
                assert one.recv(1) == b""
    assert answers_with_tls(encrypted)


def test_plain_connections_are_within_the_limits(
    encrypted: ServedPage,
) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(web_server._MOST_OF_ONE):
            held.enter_context(connect(encrypted, "127.0.0.8")).sendall(b"GET /")
        crowded = held.enter_context(connect(encrypted, "127.0.0.8"))
        with contextlib.suppress(ConnectionError):
            crowded.sendall(GET)
            assert crowded.recv(1) == b""
        assert answers_with_tls(encrypted)


def test_connections_that_said_nothing_do_not_hold_up_the_end(tmp_path: Path) -> None:
    with contextlib.ExitStack() as held:
        with served_page(page_settings(tmp_path, web={"tls": "own"})) as page:
            for begin in (b"", b"GET", b"\x16", b"\x16\x03\x01"):
                held.enter_context(connect(page)).sendall(begin)
            assert answers_with_tls(page)
            ends_s = time.monotonic()
        assert time.monotonic() - ends_s < 6


def test_the_page_of_a_hub_does_the_same(tmp_path: Path) -> None:
    web = '[web]\nlisten = "PAGE"\npin = "482913"\ntls = "own"\n'
    with Hub(tmp_path, more=web) as hub:
        redirected = httpx.get(f"http://{hub.page}/login", timeout=20)
    assert redirected.status_code == 307
    assert redirected.headers["location"] == f"https://{hub.page}/login"
