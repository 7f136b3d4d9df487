"""The storage host that the sandbox's video links lead to.

It knows no keys, and refuses whoever sends one: the link alone opens a file, and only for a
while.  Like the big ones it serves ranges, and answers in XML where it refuses.
"""

import gzip
import hashlib
import re
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from agent.sandbox.account import fault_of_link
from agent.sandbox.faults import PlannedFault
from agent.sandbox.http import ConnectionClosed, FaultyRequestHandler
from agent.sandbox.uploads import Refused

_MEDIA = re.compile(r"/media/(?P<session_id>[A-Za-z0-9]+)/(video|analyzed)\.mp4")
_RANGE = re.compile(r"bytes=(\d+)-")
_PART_BYTES = 64 * 1024
_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42"  # what a video begins with
_IN_MID_BODY = frozenset({"cut", "reset", "stall"})  # of the answer: the request has no body
_VIDEO = {"Content-Type": "video/mp4"}


class StorageRequestHandler(FaultyRequestHandler):
    """One exchange with the storage host."""

    is_storage = True

    def serve(self) -> None:
        """Hand a video out, or break it as a fault says."""
        if self.key_and_form()[0] is not None:
            raise Refused("InvalidArgument: only one way to be let in, and the link is it", 400)
        media = _MEDIA.fullmatch(self.plain_path)
        if media is None or self.command != "GET":
            raise Refused("NoSuchKey", 404)
        why_not = fault_of_link(
            self.plain_path, self.query, secret=self.account.link_secret, now_s=time.time()
        )
        if why_not is not None:
            raise Refused(f"AccessDenied: {why_not}", 403)
        fault = self.fault_at("storage")
        if fault is not None and fault.what not in _IN_MID_BODY:
            done = self._play_body(fault) or self.play_instead(fault)
        else:
            done = False
        if not done:
            self._send_video(self._find(media["session_id"]), fault)

    def refuse(self, refusal: Refused) -> None:
        """Say no, as a storage service does."""
        document = f'<?xml version="1.0"?><Error><Code>{refusal}</Code></Error>'
        self.answer_raw(refusal.status, document.encode(), {"Content-Type": "application/xml"})

    def _find(self, session_id: str) -> Path:
        session = self.account.book.find(session_id)
        if session is None or session.video_path is None or not session.video_path.exists():
            raise Refused("NoSuchKey", 404)
        return session.video_path

    def _send_video(self, path: Path, fault: PlannedFault | None) -> None:
        what = None if fault is None else fault.what
        size = path.stat().st_size
        tag = f'"{time.monotonic_ns()}"' if what == "changed" else _tag(path, size)
        start = 0 if what == "no-ranges" else self._range_start(tag)
        headers = {**_VIDEO, "ETag": tag}
        if what != "no-ranges":
            headers["Accept-Ranges"] = "bytes"
        if start is not None and start >= size:
            self.answer_raw(416, b"", {"Content-Range": f"bytes */{size}"})
            return
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        length = size - (start or 0)
        more = 0 if fault is None or what != "wrong-length" else int(fault.number("n", 1000))
        status = 206 if start else 200
        self.send_stream(status, _file(path, start or 0), headers, length + more, fault)

    def _range_start(self, tag: str) -> int | None:
        """Return from where on a client wants the file; None: it says nothing, or of another."""
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or self.headers.get("If-Range", tag) != tag:
            return None
        return int(match[1])

    def _play_body(self, fault: PlannedFault) -> bool:
        """Answer with something that is no such video; False where the fault is another."""
        if fault.what == "huge":
            size = int(fault.number("n", 1e12))
            self.send_stream(200, _nothing(size), _VIDEO, size, None)
        elif fault.what == "endless":
            self.send_stream(200, _nothing(None), _VIDEO, None, None)
        elif fault.what == "disguised":
            page = b"<html><body>Please sign in." + b" " * 100_000
            self.send_stream(200, [page], _VIDEO, len(page), None)
        elif fault.what == "packed":
            packed = gzip.compress(_HEAD + bytes(int(fault.number("n", 1e7))))
            headers = {**_VIDEO, "Content-Encoding": "gzip"}
            self.send_stream(200, [packed], headers, len(packed), None)
        else:
            return False
        return True

    def send_stream(
        self,
        status: int,
        parts: Iterable[bytes],
        headers: dict[str, str],
        length: int | None,
        fault: PlannedFault | None,
    ) -> None:
        """Send a body of any length, or of none that is told, as a fault would have it sent."""
        self.begin_answer(status, {**headers, "Connection": "close"}, length)
        stop_at = self.stop_at(fault, length or 0)
        rate = fault.number("rate", 64e3) if fault is not None and fault.what == "slow" else None
        try:
            for part in parts:
                rest = None if stop_at is None else stop_at - self.sent_bytes
                self.send_part(part[:rest])
                if fault is not None and rest is not None and len(part) >= rest:
                    self.break_off(fault)
                if self.stopping.wait(0.0 if rate is None else len(part) / rate):
                    break
        except OSError:  # the client went away: that is its right
            raise ConnectionClosed from None
        finally:
            self.close_connection = True


@cache
def _tag(path: Path, size: int) -> str:
    return f'"{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}-{size}"'


def _file(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as video:
        video.seek(start)
        while part := video.read(_PART_BYTES):
            yield part


def _nothing(size: int | None) -> Iterator[bytes]:
    """Yield what begins like a video and goes on with nothing, up to a size or for ever."""
    yield _HEAD
    left = None if size is None else size - len(_HEAD)
    while left is None or left > 0:
        part = bytes(_PART_BYTES if left is None else min(left, _PART_BYTES))
        left = None if left is None else left - len(part)
        yield part
