"""Every session is followed, whatever gave the clip its session; results are kept for nobody."""

from dataclasses import replace
from pathlib import Path

from agent.disk.state_folder import StateFolder
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.results import FollowUpState, NewResult
from agent.outbox.states import EntryState, Reason
from tests.factories import NOW_S, ready_entry

FIRST_S = 20.0
FAR_S = 5400.0
NEW = NewResult(numbers={"peak": 1.9}, analysed_video_url="https://x/y?sig=1", document_bytes=70)


def delivered(outbox: Outbox, number: int = 1) -> Entry:
    """A clip that became a session."""
    entry = ready_entry(outbox, number)
    adopted = outbox.entries.adopt_session(
        entry.id, session_id=f"session{number}", server_title=None, now_s=NOW_S
    )
    assert adopted is not None
    return adopted


def test_a_session_is_followed_from_the_commit_that_records_it(outbox: Outbox) -> None:
    entry = delivered(outbox)

    found = outbox.follow_ups.of_entry(entry.id)

    assert found is not None and found.state is FollowUpState.WAITING
    assert (found.session_id, found.clip_code) == ("session1", entry.clip_code)
    assert outbox.follow_ups.next_due_at(first_look_s=FIRST_S) == NOW_S + FIRST_S
    assert (
        outbox.follow_ups.due(NOW_S + FIRST_S - 1, first_look_s=FIRST_S, most=9, farthest_s=FAR_S)
        == []
    )
    assert outbox.follow_ups.due(
        NOW_S + FIRST_S, first_look_s=FIRST_S, most=9, farthest_s=FAR_S
    ) == [found]
    # the clock was ahead when it was planned
    assert outbox.follow_ups.due(
        NOW_S - FAR_S - 1, first_look_s=FIRST_S, most=9, farthest_s=FAR_S
    ) == [found]


def test_a_completed_clip_and_a_discarded_one_are_looked_for_no_more(outbox: Outbox) -> None:
    for number, to in ((1, EntryState.COMPLETED), (2, EntryState.DISCARDED)):
        entry = delivered(outbox, number)
        outbox.database.change("UPDATE entry SET state = ? WHERE id = ?", (to, entry.id))

    assert outbox.follow_ups.counts() == {"completed": 1, "gone": 1}
    assert outbox.follow_ups.next_due_at(first_look_s=FIRST_S) is None
    told = [event.word for event in outbox.events.of_entry(2) if event.what == "follow_up"]
    assert told == ["gone"]
    assert not outbox.follow_ups.resume(2, now_s=NOW_S)


def test_who_holds_an_older_fence_changes_nothing(outbox: Outbox) -> None:
    before = outbox.follow_ups.of_entry(delivered(outbox).id)
    assert before is not None

    seen = outbox.follow_ups.note(before, {"state": "not_seen", "due_at": None}, now_s=NOW_S)

    assert seen is not None and seen.state is FollowUpState.NOT_SEEN
    assert outbox.follow_ups.note(before, {"polls": 9}, now_s=NOW_S) is None
    assert outbox.follow_ups.resume(before.entry_id, now_s=NOW_S + 5)
    (again,) = outbox.follow_ups.due(NOW_S + 5, first_look_s=FIRST_S, most=9, farthest_s=FAR_S)
    assert (again.state, again.polls, again.began_at) == ("waiting", 0, NOW_S + 5)


def test_a_rebuilt_outbox_follows_what_was_under_way(tmp_path: Path) -> None:
    StateFolder(tmp_path).prepare()
    with open_as_owner(tmp_path, now_s=NOW_S) as outbox:
        delivered(outbox, 1)
        done = delivered(outbox, 2)
        outbox.entries.move(done, EntryState.COMPLETED, now_s=NOW_S)
        ready_entry(outbox, 3)
    (tmp_path / DATABASE_NAME).unlink()

    with open_as_owner(tmp_path, now_s=NOW_S + 60) as rebuilt:
        assert rebuilt.follow_ups.counts() == {"completed": 1, "waiting": 1}
        (waiting,) = rebuilt.follow_ups.due(
            NOW_S + 60, first_look_s=FIRST_S, most=9, farthest_s=FAR_S
        )
        assert (waiting.session_id, waiting.began_at) == ("session1", NOW_S)


def test_a_later_answer_takes_the_place_of_the_first_and_keeps_the_link(outbox: Outbox) -> None:
    entry = delivered(outbox)
    assert outbox.results.record(entry.id, NEW, now_s=NOW_S)

    later = replace(NEW, numbers={"peak": 2.0}, analysed_video_url=None)
    assert outbox.results.record(entry.id, later, now_s=NOW_S + 9)

    result = outbox.results.of_entry(entry.id)
    assert result is not None and outbox.results.of_entries([entry.id]) == {entry.id: result}
    assert (result.numbers, result.got_at, result.url_at) == ({"peak": 2.0}, NOW_S + 9, NOW_S)
    assert (result.document_state, result.video_state) == ("present", "none")
    assert "sig=1" in (result.analysed_video_url or "") and "sig=1" not in repr(result)
    assert "sig=1" not in repr(NEW)


def test_nothing_is_kept_of_a_clip_that_is_nobodys_any_more(outbox: Outbox) -> None:
    forgotten, discarded = delivered(outbox, 1), delivered(outbox, 2)
    outbox.database.change(
        "UPDATE entry SET user_id = NULL, recipient = 'unknown' WHERE id = ?", (forgotten.id,)
    )
    outbox.database.change(
        "UPDATE entry SET state = 'discarded', reason = ? WHERE id = ?",
        (Reason.SENT_ANEW, discarded.id),
    )

    for entry in (forgotten, discarded):
        assert not outbox.results.record(entry.id, NEW, now_s=NOW_S)
        assert outbox.results.of_entry(entry.id) is None
