"""Reads uploads as a stream, and rejects what the contract does not allow."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from agent.api import contract

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
