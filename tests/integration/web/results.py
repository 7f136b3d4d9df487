"""Takes of which something came after their upload, on a page for tests."""

from collections.abc import Mapping
from dataclasses import replace

from agent.outbox.entry import Entry
from agent.outbox.follow_ups import FollowUpState
from agent.outbox.results import NewResult, Number
from agent.outbox.states import EntryState
from tests.factories import NOW_S, admitted, new_entry
from tests.served_page import ServedPage

HOSTILE = "<script>alert(1)</script>"


def delivered(
    page: ServedPage, number: int, *, user_id: str = "athlete-1", filmed_at: float = NOW_S
) -> Entry:
    """A clip that became a session."""
    made = replace(new_entry(admitted(page.outbox, number), user_id=user_id), filmed_at=filmed_at)
    entry = page.outbox.entries.create(made, now_s=NOW_S)
    sending = page.outbox.entries.move(entry, EntryState.UPLOADING, now_s=NOW_S)
    assert sending is not None
    changes = {"session_id": f"session-{number}", "sent_at": NOW_S}
    sent = page.outbox.entries.move(sending, EntryState.UPLOADED, now_s=NOW_S, changes=changes)
    assert sent is not None
    return sent


def followed(page: ServedPage, entry: Entry, state: FollowUpState, detail: str = "") -> None:
    """Let a look at its session have found this."""
    follow_up = page.outbox.follow_ups.of_entry(entry.id)
    assert follow_up is not None
    changes = {"state": state, "detail": detail or None, "due_at": None}
    assert page.outbox.follow_ups.note(follow_up, changes, now_s=NOW_S)


def analysed(page: ServedPage, entry: Entry, numbers: Mapping[str, Number]) -> None:
    """Let its analysis be there."""
    followed(page, entry, FollowUpState.COMPLETED)
    new = NewResult(numbers=numbers, analysed_video_url=None, document_bytes=0)
    assert page.outbox.results.record(entry.id, new, now_s=NOW_S)
