"""Every request that the client can make, made to the sandbox, and every answer it gives."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import httpx
from python_multipart.multipart import MultipartParser, parse_options_header

from agent.api.contract import OPERATIONS, Operation

_DROPPED = frozenset({"host", "connection", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """One request and its answer, as a proxy between client and sandbox saw them."""

    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    body: bytes
    status: int
    answer: bytes

    @property
    def operation(self) -> Operation | None:
        """What of the contract it is, or None."""
        path = self.path.rstrip("/") if self.method in {"PUT", "DELETE"} else self.path
        for operation in OPERATIONS:
            if operation.method == self.method and operation.pattern().fullmatch(path):
                return operation
        return None

    def document(self) -> object:
        """Return the answer's JSON."""
        return json.loads(self.answer)

    def sent_document(self) -> object:
        """Return the request's JSON."""
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        """Return the fields of a multipart body; of the video its file's name."""
        return form_of(self.content_type, self.body)


def form_of(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a multipart form; of a file its name."""
    _, options = parse_options_header(content_type)
    fields: dict[str, str] = {}
    head, value = [b""], [b""]

    def end() -> None:
        told = dict(re.findall(r'(\w+)="([^"]*)"', head[0].decode()))
        fields[told["name"]] = told.get("filename") or value[0].decode("utf-8", "replace")
        head[0], value[0] = b"", b""

    def header(data: bytes, start: int, stop: int) -> None:
        head[0] += data[start:stop]

    def content(data: bytes, start: int, stop: int) -> None:
        value[0] += data[start:stop][: 4096 - len(value[0])]

    parser = MultipartParser(
        options[b"boundary"],
        {"on_header_value": header, "on_part_data": content, "on_part_end": end},
    )
    parser.write(body)
    parser.finalize()
    return fields


@contextlib.contextmanager
def listening_to(base_url: str) -> Iterator[tuple[str, list[Exchanged]]]:
    """Stand between a client and the sandbox; gives an address and what was exchanged there."""
    exchanged: list[Exchanged] = []
    onwards = httpx.Client(timeout=30, verify=False)  # noqa: S501  # no TLS: it is this box

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are written apart

        def do_GET(self) -> None:  # the library calls it so
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _DROPPED}
            body = self._body()
            answer = onwards.request(
                self.command, base_url + self.path, headers=headers, content=body
            )
            exchanged.append(
                Exchanged(
                    method=self.command,
                    path=urlsplit(self.path).path,
                    query=dict(parse_qsl(urlsplit(self.path).query)),
                    content_type=self.headers.get("Content-Type", ""),
                    body=body,
                    status=answer.status_code,
                    answer=answer.content,
                )
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  # the library calls them so

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while length := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(length))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", exchanged
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        onwards.close()
