"""HTTP on a real socket, with the faults of a bad server.

Uploads are read as a stream, and what the contract does not allow is rejected.
"""

import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import IO
from urllib.parse import parse_qsl, urlsplit

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from agent.api import contract
from agent.sandbox.account import Request, SandboxAccount
from agent.sandbox.faults import NO_FAULT, PlannedFault

_MOST_FIELD_BYTES = 4096
_CODES = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND"}


class Refused(Exception):
    """The request breaks the contract; the text is the server's answer."""

    def __init__(self, message: str, status: int = 400, *, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code or _CODES.get(status, "REFUSED")


@dataclass(slots=True)
class Received:
    """What an upload brought."""

    fields: dict[str, str] = field(default_factory=dict)
    video_name: str | None = None
    video_bytes: int = 0
    video_sha256: str = ""


class UploadReader:
    """A multipart form, read part by part: the video goes to its file, never into memory."""

    def __init__(self, content_type: str, *, video_path: Path | None) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise Refused("the body must be multipart/form-data")
        self._received = Received()
        self._digest = hashlib.sha256()
        self._video: IO[bytes] | None = video_path.open("wb") if video_path else None
        self._header = [b"", b""]
        self._disposition: dict[bytes, bytes] = {}
        self._value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
                "on_header_end": self._end_header,
                "on_part_data": lambda data, start, end: self._add_content(data[start:end]),
                "on_part_end": self._end_part,
            },
        )

    def read(self, parts: Iterable[bytes]) -> Received:
        """Read the whole body.

        Raises:
            Refused: it is no form, or holds a part that no form of the API has.
        """
        try:
            for part in parts:
                self._parser.write(part)
            self._parser.finalize()
        except MultipartParseError as error:
            raise Refused(f"broken form: {error}") from None
        finally:
            if self._video is not None:
                self._video.close()
        self._received.video_sha256 = self._digest.hexdigest()
        return self._received

    @property
    def _is_video(self) -> bool:
        return self._disposition.get(b"name") == b"video"

    def _begin_part(self) -> None:
        self._disposition = {}
        self._value.clear()

    def _add_header(self, half: int, text: bytes) -> None:
        self._header[half] += text

    def _end_header(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            _, self._disposition = parse_options_header(self._header[1])
        self._header = [b"", b""]

    def _add_content(self, content: bytes) -> None:
        if self._is_video:
            self._digest.update(content)
            self._received.video_bytes += len(content)
            if self._video is not None:
                self._video.write(content)
            return
        self._value += content
        if len(self._value) > _MOST_FIELD_BYTES:
            raise Refused("a field is too long")

    def _end_part(self) -> None:
        name = self._disposition.get(b"name", b"").decode("utf-8", "replace")
        if self._is_video:
            self._received.video_name = self._disposition.get(b"filename", b"").decode(
                "utf-8", "replace"
            )
        elif name in self._received.fields:
            raise Refused(f"the field {name} came twice")
        else:
            self._received.fields[name] = self._value.decode("utf-8", "replace")


def check_upload(
    received: Received, *, activity: str, on_behalf: bool, athletes: Collection[str]
) -> None:
    """Raise `Refused` where an upload breaks the contract of its endpoint."""
    name = "upload_on_behalf" if on_behalf else "upload"
    form = contract.operation(name, activity).form
    assert form is not None  # every upload has one
    fields = received.fields
    if unknown := sorted(set(fields) - set(form["properties"])):
        raise Refused(f"unknown field {unknown[0]}")
    _check_video(received)
    if on_behalf and "user_id" not in fields:
        raise Refused("user_id is required")
    if on_behalf and fields["user_id"] not in athletes:
        raise Refused("no such user in this account", 403)
    for field_name, schema in form["properties"].items():
        is_needed = field_name in form["required"]
        if "enum" in schema and (is_needed or field_name in fields):
            _check_choice(field_name, fields.get(field_name), schema["enum"])
    for field_name in contract.NUMERIC_FIELDS:
        _check_number(field_name, fields.get(field_name))


def _check_video(received: Received) -> None:
    if received.video_name is None:
        raise Refused("video is required")
    if not received.video_name or not received.video_bytes:
        raise Refused("video must be a file with a name and content")


def _check_choice(name: str, text: str | None, choice: Collection[str]) -> None:
    if text not in choice:
        raise Refused(f"{name} must be one of {', '.join(choice)}")


def _check_number(name: str, text: str | None) -> None:
    try:
        float(text or "0")
    except ValueError:
        raise Refused(f"{name} must be a number") from None


_READ_BYTES = 64 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close sends RST


class ConnectionClosed(Exception):
    """The exchange is over: the connection was cut on purpose, or by the client."""


class RequestHandler(BaseHTTPRequestHandler):
    """Reads requests and writes answers; what they mean is the business of `routes`."""

    protocol_version = "HTTP/1.1"
    server_version = "spotter-sandbox"
    disable_nagle_algorithm = True  # head and body are written apart: neither waits for the other
    timeout = 60  # seconds without a byte from a client
    is_storage = False

    sent_bytes = 0  # of an answer's body
    _status: int | None = None
    _read_bytes = 0
    _is_noted = False  # whether this exchange is in the log

    @property
    def account(self) -> SandboxAccount:
        """The server's keys, books and faults."""
        return self.server.account  # type: ignore[attr-defined, no-any-return]  # its server has one

    @property
    def stopping(self) -> threading.Event:
        """Set when the server ends."""
        return self.account.stopping

    @property
    def body_length(self) -> int:
        """What the client says that its body has."""
        text = self.headers.get("Content-Length", "0")
        return int(text) if text.isdigit() else 0

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters."""
        return dict(parse_qsl(urlsplit(self.path).query))

    @property
    def plain_path(self) -> str:
        """The path without its query."""
        return urlsplit(self.path).path

    def key_and_form(self) -> tuple[str | None, str | None]:
        """Return the key that was sent and the header that carried it."""
        authorization = self.headers.get("Authorization", "")
        if authorization.startswith("API-KEY "):
            return authorization.removeprefix("API-KEY ").strip(), "Authorization"
        if "API-KEY" in self.headers:
            return self.headers["API-KEY"], "API-KEY"
        return None, None

    def body(self, fault: PlannedFault = NO_FAULT) -> Iterator[bytes]:
        """Yield the request's body, as a fault would have it read."""
        length = self.body_length
        stop_at = self.stop_at(fault, length)
        pause_per_byte_s = 1 / fault.number("rate", 64e3) if fault.what == "slow" else 0.0
        while self._read_bytes < length:
            if stop_at is not None and self._read_bytes >= stop_at:
                self.break_off(fault)
            wanted = min(_READ_BYTES, (stop_at or length) - self._read_bytes)
            part = self._read(wanted)
            self._read_bytes += len(part)
            if pause_per_byte_s:
                self.stopping.wait(len(part) * pause_per_byte_s)
            yield part
        if stop_at is not None:
            self.break_off(fault)

    def drain(self, fault: PlannedFault = NO_FAULT) -> None:
        """Read the rest of the body and forget it."""
        for _ in self.body(fault):
            pass

    def answer(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        """Answer with JSON."""
        content = json.dumps(document).encode()
        self.answer_raw(status, content, {"Content-Type": "application/json", **(headers or {})})

    def answer_raw(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        """Answer with anything.

        The exchange is in the log before the client can have the whole answer: who reads the log
        after an answer finds it there.
        """
        has_body = status != 204 and self.command != "HEAD"
        self._status, self.sent_bytes = status, len(content) if has_body else 0
        self._note()
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if has_body:
                self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the client did not wait: that is its right

    def begin_answer(self, status: int, headers: dict[str, str], length: int | None) -> None:
        """Send an answer's head, with a length that may not be true, or with none."""
        self._status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def send_part(self, part: bytes) -> None:
        """Send a part of an answer's body.

        Raises:
            OSError: the client went away.
        """
        self.wfile.write(part)
        self.sent_bytes += len(part)

    def answer_interim(self) -> None:
        """Say what may come before an answer (RFC 9110, 15.2)."""
        for line in (b"100 Continue", b"102 Processing", b"103 Early Hints"):
            self.wfile.write(b"HTTP/1.1 " + line + b"\r\n\r\n")
        self.wfile.flush()

    def hang_up(self) -> None:
        """Close the connection without an answer, and leave."""
        self._cut(reset=False)

    def abandon(self) -> None:
        """Close the connection without an answer, and continue."""
        with contextlib.suppress(ConnectionClosed):
            self._cut(reset=False)

    def break_off(self, fault: PlannedFault) -> None:
        """Stop reading or sending for good, as the fault says."""
        if fault.what == "stall":
            self.stopping.wait()
        self._cut(reset=fault.what == "reset")

    @staticmethod
    def stop_at(fault: PlannedFault, length: int) -> int | None:
        """Return after how many bytes of a body a fault breaks off; None: it does not."""
        if fault.what not in {"cut", "reset", "stall"}:
            return None
        return int(length * min(fault.number("at", 50), 100) / 100)

    def log_message(self, format: str, *args: object) -> None:  # the signature is the library's
        """Stay quiet: the book keeps what happened."""

    def _note(self) -> None:
        """Enter this exchange in the log, once."""
        if self._is_noted:
            return
        self._is_noted = True
        self.account.book.note(
            Request(
                method=self.command,
                path=self.plain_path,
                query=urlsplit(self.path).query,
                origin=self.headers.get("Origin"),
                status=self._status,
                sent_bytes=self.sent_bytes,
                is_storage=self.is_storage,
                key_form=self.key_and_form()[1],
                at=time.time(),
            )
        )

    def _read(self, wanted: int) -> bytes:
        try:
            part = self.rfile.read1(wanted)
        except OSError:
            part = b""
        if not part:
            self.close_connection = True
            raise ConnectionClosed
        return bytes(part)

    def _cut(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionClosed


_PAGE = b"<!doctype html><title>Gym Wi-Fi</title><p>Please accept our terms."
# Faults of a request that is carried out as it should be.
_AFTER_ALL = frozenset(
    {
        *("lost-answer", "late-answer", "late-made", "twice", "truncated-json", "slow"),
        *("interim", "more-fields"),
    }
)


class FaultyRequestHandler(RequestHandler):
    """One exchange, answered as a fault says; `serve` answers it properly."""

    def do_GET(self) -> None:  # the library calls it so
        """Serve any method alike."""
        self._status, self._read_bytes, self.sent_bytes, self._is_noted = None, 0, 0, False
        try:
            self.serve()
        except ConnectionClosed:
            pass
        except Refused as refusal:
            self.drain()
            self.refuse(refusal)
        finally:
            self._note()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  # the library calls them so

    def serve(self) -> None:
        """Answer one request.

        Raises:
            Refused: it breaks the contract.
        """
        raise NotImplementedError

    def refuse(self, refusal: Refused) -> None:
        """Say that a request breaks the contract."""
        self.answer(refusal.status, {"error": str(refusal), "error_code": refusal.code})

    def fault_at(self, place: str) -> PlannedFault:
        """Return the fault to be played now at a place."""
        fault = self.account.plan.take(place) or NO_FAULT
        if fault is not NO_FAULT:
            self.account.book.on_change(f"fault   {fault.what} at {place}")
        return fault

    def play_instead(self, fault: PlannedFault) -> bool:
        """Play a fault that leaves nothing to be done; False where the request must continue."""
        made = "made" in fault.options
        if fault is NO_FAULT or fault.what in _AFTER_ALL or made:
            return False
        if fault.what == "silent":
            self.drain()
            self.account.stopping.wait()
            self.hang_up()
        if "early" in fault.options:
            self.close_connection = True
        else:
            self.drain(fault)
        return self.answer_fault(fault)

    def answer_fault(self, fault: PlannedFault) -> bool:
        """Answer as a fault says; False where it says nothing of the answer."""
        if fault.status is not None:
            headers = {}
            if "retry-after" in fault.options:
                headers["Retry-After"] = _retry_after(fault.options["retry-after"])
            if fault.options.get("body") == "html":
                self.answer_raw(fault.status, _PAGE, {"Content-Type": "text/html", **headers})
            else:
                words = fault.options.get("error", f"sandbox fault {fault.what}")
                code = {"error_code": fault.options["code"]} if "code" in fault.options else {}
                self.answer(fault.status, {"error": words, **code}, headers)
        elif fault.what == "html":
            self.answer_raw(200, _PAGE, {"Content-Type": "text/html"})
        elif fault.what == "empty":
            self.answer_raw(204, b"", {})
        elif fault.what == "redirect":
            self.answer_raw(302, b"", {"Location": self._elsewhere(fault)})
        else:
            return False
        return True

    def _elsewhere(self, fault: PlannedFault) -> str:
        """Return where a redirect leads: an address, round in a circle, or on for ever."""
        to = fault.options.get("to", "/elsewhere")
        if to == "loop":
            return self.path
        return f"{self.path}&on={time.monotonic_ns()}" if to == "chain" else to


def _retry_after(told: str) -> str:
    """Return a Retry-After header; `date+7` is the date in seven seconds."""
    kind, plus, seconds = told.partition("+")
    if kind == "date" and plus:
        return formatdate(time.time() + float(seconds), usegmt=True)
    return told
