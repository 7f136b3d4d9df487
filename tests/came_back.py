"""Takes of which something came back after their upload, without an API that tells it."""

from collections.abc import Mapping
from dataclasses import replace

from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.results import FollowUpState, NewResult, Number
from tests.factories import NOW_S, admitted, new_entry

HOSTILE = "<script>alert(1)</script>"


def delivered(
    outbox: Outbox, number: int, *, user_id: str = "athlete-1", filmed_at: float = NOW_S
) -> Entry:
    """A clip that became a session."""
    made = replace(new_entry(admitted(outbox, number), user_id=user_id), filmed_at=filmed_at)
    entry = outbox.entries.create(made, now_s=NOW_S)
    sent = outbox.entries.adopt_session(
        entry.id, session_id=f"session-{number}", server_title=None, now_s=NOW_S
    )
    assert sent is not None
    return sent


def followed(outbox: Outbox, entry: Entry, state: FollowUpState, detail: str = "") -> None:
    """Let a look at its session have found this."""
    follow_up = outbox.follow_ups.of_entry(entry.id)
    assert follow_up is not None
    changes = {"state": state, "detail": detail or None, "due_at": None}
    assert outbox.follow_ups.note(follow_up, changes, now_s=NOW_S)


def analysed(outbox: Outbox, entry: Entry, numbers: Mapping[str, Number]) -> None:
    """Let its analysis be there."""
    followed(outbox, entry, FollowUpState.COMPLETED)
    new = NewResult(numbers=numbers, analysed_video_url=None, document_bytes=0)
    assert outbox.results.record(entry.id, new, now_s=NOW_S)
