"""A real receiver of webhooks on loopback, which can refuse, hang, send elsewhere or never end."""

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.station import PATIENCE_S

_PART = b"x" * 65536


@dataclass(frozen=True, slots=True)
class Posted:
    """One notice as it arrived."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> str:
        return str(json.loads(self.body)["event"])


class Receiver(AbstractContextManager["Receiver"]):
    """Answers what it is told to: a status, "hang", "endless" or "elsewhere"."""

    def __init__(self) -> None:
        self.answers: dict[str, int | str] = {}  # by event or clip code; else `otherwise`
        self.otherwise: int | str = 204
        self.headers: dict[str, str] = {}
        self.taken: list[Posted] = []  # answered with 2xx
        self.asked: list[Posted] = []  # everything that came
        self.on_asked: Callable[[Posted], None] = lambda _posted: None  # before it is answered
        self.over = threading.Event()
        self._news = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with contextlib.suppress(OSError):
                    receiver._answer(self)

            def log_message(self, *_words: object) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hooks/0123456789abcdef"

    def wait_for(self, count: int, *, timeout_s: float = PATIENCE_S) -> list[Posted]:
        """Return what was taken, once it is so much."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.taken) >= count, timeout_s)
            return list(self.taken)

    def events(self) -> list[str]:
        """Return what was taken, less the station's state."""
        return [posted.event for posted in self.taken if posted.event != "station.state"]

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_ended: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        posted = Posted(dict(request.headers), body)
        document = json.loads(body)
        self.on_asked(posted)
        names = (str(document.get("clip_code")), str(document["event"]))
        answer = next((self.answers[n] for n in names if n in self.answers), self.otherwise)
        self.asked.append(posted)
        if answer == "hang":
            self.over.wait()
            return
        status = answer if isinstance(answer, int) else 302 if answer == "elsewhere" else 200
        request.send_response(status)
        for name, value in self.headers.items():
            request.send_header(name, value)
        if answer == "elsewhere":
            request.send_header("Location", self.url)
        if 200 <= status < 300:  # on record before the sender can know
            with self._news:
                self.taken.append(posted)
                self._news.notify_all()
        request.end_headers()
        while answer == "endless" and not self.over.is_set():
            request.wfile.write(_PART)
