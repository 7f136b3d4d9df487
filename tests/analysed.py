"""Sessions whose analysed video lies at the sandbox's storage host."""

import random
import struct
import time
from urllib.parse import urlsplit

from agent.sandbox.account import Request, SandboxSession, new_session_id
from agent.sandbox.server import Sandbox
from tests.station import ATHLETE


def mp4(size_bytes: int, *, seed: int = 1) -> bytes:
    """Bytes that have the form of an MP4, and no picture."""
    head = _box(b"ftyp", b"isom\x00\x00\x02\x00isommp42") + _box(b"moov", b"an index")
    return head + _box(b"mdat", random.Random(seed).randbytes(size_bytes - len(head) - 8))


def analysed_session(
    sandbox: Sandbox, video: bytes, *, activity: str = "running"
) -> SandboxSession:
    """Let the account have a session whose analysed video is there."""
    session_id = new_session_id()
    path = sandbox.videos / f"{session_id}.mp4"
    path.write_bytes(video)
    session = SandboxSession(
        session_id=session_id,
        title="a run",
        activity=activity,
        user_id=ATHLETE,
        endpoint="management",
        fields={},
        video_sha256="",
        video_bytes=len(video),
        video_name="a.mp4",
        video_path=path,
        created_at=time.time() - 60,
    )
    sandbox.book.add(session)
    return session


def link_of(sandbox: Sandbox, session: SandboxSession) -> str:
    """A link to its analysed video, as the API would tell it now."""
    return sandbox.link(f"/media/{session.session_id}/analyzed.mp4")


def storage_requests(sandbox: Sandbox, count: int) -> list[Request]:
    """Wait until so many requests to the storage host have ended, and return them."""

    def found() -> list[Request]:
        return [request for request in sandbox.book.requests if request.is_storage]

    assert sandbox.book.wait_for(lambda _book: len(found()) >= count)
    assert len(found()) == count
    return found()


def storage_port(sandbox: Sandbox) -> int:
    """Where the storage host listens."""
    return int(urlsplit(sandbox.storage_url).port or 0)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content
