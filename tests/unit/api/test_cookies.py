"""Cookies of answers: none is kept, however many come."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent.api.client import ApiClient, ApiKey
from agent.clock import read_clock


@pytest.fixture
def heard() -> Iterator[tuple[str, list[str | None]]]:
    """Serve answers with one more cookie each; yield the address and what came with requests."""
    cookies: list[str | None] = []

    class _Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cookies.append(self.headers["Cookie"])
            self.send_response(200)
            self.send_header("Set-Cookie", f"trace-{len(cookies)}={'x' * 100}; Path=/")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", cookies
        server.shutdown()
        thread.join()


def test_no_request_carries_a_cookie_of_an_earlier_answer(
    heard: tuple[str, list[str | None]],
) -> None:
    address, cookies = heard
    with ApiClient(address, now=read_clock) as client:
        for token in ("one", "another", "one"):
            assert client.ask("GET", "/x", ApiKey(token=token, header="API-KEY")).status == 200

    assert cookies == [None, None, None]
