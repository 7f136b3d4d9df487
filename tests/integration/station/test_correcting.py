"""Takes after the fact: another athlete, hold, send now, and undo."""

import pytest

from agent.clock import Instant
from agent.errors import AgentError, BusyError, RequestError
from agent.outbox.entry import Entry
from agent.outbox.states import CaptureState, EntryState, FileState, Reason
from agent.outbox.store import Outbox
from agent.station.assigning import assign_person
from agent.station.correcting import give, give_all, hold, send_now
from agent.station.queueing import enqueue
from agent.station.roster import note_guest
from agent.station.undoing import clear_queue, discard, last_undoable, undo
from tests.factories import NOW_S, admitted, instant, new_entry, ready_entry
from tests.integration.station.conftest import RULES, doing


def again(outbox: Outbox, entry: Entry) -> Entry:
    found = outbox.entries.by_id(entry.id)
    assert found is not None
    return found


def entry_in(outbox: Outbox, state: EntryState, number: int = 1) -> Entry:
    """A clip in a state, by the way that leads there."""
    first = EntryState.HELD if state is EntryState.HELD else EntryState.READY
    new = new_entry(admitted(outbox, number), state=first, due_at=NOW_S + 15)
    entry = outbox.entries.create(new, now_s=NOW_S)
    if state in {EntryState.READY, EntryState.HELD}:
        return entry
    claimed = outbox.entries.claim(entry, now_s=NOW_S)
    assert claimed is not None
    if state is EntryState.UPLOADED:
        outbox.entries.adopt_session(entry.id, session_id="s", server_title=None, now_s=NOW_S)
    elif state is not EntryState.UPLOADING:
        outbox.entries.move(claimed[0], state, now_s=NOW_S)
    return again(outbox, entry)


def test_a_clip_that_counts_down_goes_to_somebody_else_and_goes_on_counting(
    outbox: Outbox,
) -> None:
    assign_person(outbox, "ben", doing("snatch", 90), rules=RULES, now=instant(), set_by="test")
    entry = entry_in(outbox, EntryState.READY)

    given = give(outbox, entry, "ben", rules=RULES, now_s=NOW_S + 5)

    assert (given.state, given.due_at, given.user_id) == (EntryState.READY, NOW_S + 15, "ben")
    assert given.barbell_mass_kg == 90  # their own, not that of the athlete before
    stale = outbox.entries.claim(entry, now_s=NOW_S + 20)
    assert stale is None  # whoever read it before sends nothing to the wrong one


@pytest.mark.parametrize("state", [EntryState.HELD, EntryState.DEAD])
def test_what_waits_for_a_person_is_released_by_giving_it(
    outbox: Outbox, state: EntryState
) -> None:
    given = give(outbox, entry_in(outbox, state), "ben", rules=RULES, now_s=NOW_S)

    assert (given.state, given.user_id, given.reason) == (EntryState.READY, "ben", None)


@pytest.mark.parametrize("state", [EntryState.READY, EntryState.HELD, EntryState.DEAD])
def test_what_is_given_to_a_guest_waits_for_a_name(outbox: Outbox, state: EntryState) -> None:
    guest = note_guest(outbox, "Zoë", now_s=NOW_S)

    given = give(outbox, entry_in(outbox, state), guest.key, rules=RULES, now_s=NOW_S)

    assert (given.state, given.reason) == (EntryState.HELD, Reason.GUEST)
    assert (given.user_id, given.guest_id) == (None, guest.id)


@pytest.mark.parametrize("state", [EntryState.UPLOADING, EntryState.UNCERTAIN])
def test_what_is_under_way_is_left_alone(outbox: Outbox, state: EntryState) -> None:
    entry = entry_in(outbox, state)

    for refused in (
        lambda: give(outbox, entry, "ben", rules=RULES, now_s=NOW_S),
        lambda: hold(outbox, entry, now_s=NOW_S),
        lambda: send_now(outbox, entry, now_s=NOW_S),
        lambda: discard(outbox, entry, now=instant()),
    ):
        with pytest.raises(BusyError, match=f"e1 is {state}"):
            refused()
    assert again(outbox, entry) == entry


def test_what_is_sent_is_not_given_but_sent_anew(outbox: Outbox) -> None:
    with pytest.raises(RequestError) as refused:
        give(outbox, entry_in(outbox, EntryState.UPLOADED), "ben", rules=RULES, now_s=NOW_S)
    assert "resend e1" in str(refused.value.hint)


def test_several_are_given_each_by_itself(outbox: Outbox) -> None:
    entry_in(outbox, EntryState.HELD, 1)
    entry_in(outbox, EntryState.UPLOADED, 2)
    entry_in(outbox, EntryState.HELD, 3)

    outcomes = give_all(outbox, ["e1", "e2", "e9", "e3"], "ben", rules=RULES, now_s=NOW_S)

    assert [outcome.state for outcome in outcomes] == ["ready", None, None, "ready"]
    assert "uploaded" in str(outcomes[1].error) and "no 'e9'" in str(outcomes[2].error)


def test_hold_and_send_now(outbox: Outbox) -> None:
    held = hold(outbox, entry_in(outbox, EntryState.READY), now_s=NOW_S)
    assert (held.state, held.reason) == (EntryState.HELD, Reason.HELD_BY_PERSON)
    assert hold(outbox, held, now_s=NOW_S) == held
    with pytest.raises(RequestError, match="e1 is held"):
        send_now(outbox, held, now_s=NOW_S)

    sooner = send_now(outbox, entry_in(outbox, EntryState.READY, 2), now_s=NOW_S)
    assert sooner.due_at == NOW_S


@pytest.mark.parametrize("state", [EntryState.READY, EntryState.HELD, EntryState.DEAD])
def test_a_discard_is_undone_within_ten_seconds_as_if_it_had_never_been(
    outbox: Outbox, state: EntryState
) -> None:
    entry = entry_in(outbox, state)

    ended = discard(outbox, entry, now=instant())
    assert again(outbox, entry).state is EntryState.DISCARDED
    assert last_undoable(outbox, now=instant(9.9)) == ended
    undo(outbox, ended.id, now=instant(9.9))

    back = again(outbox, entry)
    assert (back.state, back.reason, back.user_id) == (entry.state, entry.reason, entry.user_id)
    assert back.due_at == max(entry.due_at, NOW_S + 9.9)
    assert last_undoable(outbox, now=instant(9.9)) is None
    with pytest.raises(RequestError, match="too late"):
        undo(outbox, ended.id, now=instant(9.95))


LATER_BOOT = Instant(utc_s=NOW_S + 3, boot_id="another", boot_s=2.0)


@pytest.mark.parametrize("when", [instant(10), instant(10**6), instant(-5), LATER_BOOT])
def test_after_that_or_after_a_restart_of_the_box_it_stays(outbox: Outbox, when: Instant) -> None:
    entry = entry_in(outbox, EntryState.READY)
    ended = discard(outbox, entry, now=instant())

    with pytest.raises(RequestError, match="too late"):
        undo(outbox, ended.id, now=when)
    assert again(outbox, entry).state is EntryState.DISCARDED


def test_a_capture_comes_back_with_its_clips_all_or_none(outbox: Outbox) -> None:
    entry = ready_entry(outbox)
    outbox.entries.create(new_entry(admitted(outbox), 2, state=EntryState.HELD), now_s=NOW_S)
    capture = outbox.captures.by_id(1)
    assert capture is not None
    first = discard(outbox, capture, now=instant())
    undo(outbox, first.id, now=instant(5))
    assert [e.state for e in outbox.entries.of_capture(1)] == ["ready", "held"]

    capture = outbox.captures.by_id(1)
    assert capture is not None and capture.state is CaptureState.CAPTURED
    second = discard(outbox, capture, now=instant(6))
    found = outbox.clearing.begin_clip(entry.id, now_s=NOW_S)  # its file is going
    assert found is not None and found.file_state is FileState.CLEARING
    with pytest.raises(BusyError):
        undo(outbox, second.id, now=instant(7))
    assert {e.state for e in outbox.entries.of_capture(1)} == {EntryState.DISCARDED}


def test_a_cleared_queue_comes_back_before_whoever_came_since(outbox: Outbox) -> None:
    for key in ("ann", "ben"):
        enqueue(outbox, key, rules=RULES)
    cleared = clear_queue(outbox, now=instant())
    assert outbox.queue.all() == []
    enqueue(outbox, "cleo", rules=RULES)

    undo(outbox, cleared.id, now=instant(5))

    assert [queued.whose.user_id for queued in outbox.queue.all()] == ["ann", "ben", "cleo"]


def test_a_refused_discard_leaves_nothing_to_undo(outbox: Outbox) -> None:
    with pytest.raises(AgentError):
        discard(outbox, entry_in(outbox, EntryState.UPLOADED), now=instant())
    assert outbox.undoables.open() == []
