"""Sessions for tests, as an upload leaves them: in the outbox, and in the sandbox's books."""

from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.sandbox.account import SandboxSession
from agent.sandbox.server import Sandbox
from tests.factories import ready_entry
from tests.station import ATHLETE


def made_session(outbox: Outbox, sandbox: Sandbox, number: int, *, now_s: float) -> Entry:
    """A clip that became a session, at that moment of both clocks."""
    entry = ready_entry(outbox, number)
    session = SandboxSession(
        session_id=f"session{number:03}",
        title=f"[{entry.clip_code}] snatch",
        activity=entry.activity,
        user_id=ATHLETE,
        endpoint="management",
        fields={},
        video_sha256=entry.clip_sha256,
        video_bytes=entry.clip_bytes,
        video_name=entry.stored_name,
        video_path=None,
        created_at=now_s,
    )
    sandbox.processing.begin(session)
    sandbox.book.add(session)
    adopted = outbox.entries.adopt_session(
        entry.id, session_id=session.session_id, server_title=session.title, now_s=now_s
    )
    assert adopted is not None
    return adopted
