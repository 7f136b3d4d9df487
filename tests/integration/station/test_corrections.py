"""Takes after the fact: another athlete, hold, send now, and undo."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.clock import Instant
from agent.errors import AgentError, BusyError, RequestError
from agent.outbox.models import ClipTarget, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, FileState, Reason, Recipient
from agent.station.assignments import assign_person, enqueue
from agent.station.attribution import ClipWarning
from agent.station.clip_actions import (
    clear_queue,
    discard_undoably,
    edit,
    give,
    give_all,
    hold,
    last_undoable,
    release,
    remember_given,
    resend,
    send_now,
    undo,
)
from agent.station.roster import note_guest, resolve_guest
from tests.factories import NOW_S, admitted, instant, new_entry, ready_entry
from tests.integration.station.conftest import RULES, doing

PATIENT = replace(RULES, send_delay_s=20.0)


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
    assert given.barbell_mass_kg == 60  # what was on the bar, whoever lifted it
    stale = outbox.entries.claim(entry, now_s=NOW_S + 20)
    assert stale is None  # whoever read it before sends nothing to the wrong one


SHOWN = ClipTarget(
    recipient=Recipient.UNKNOWN,
    user_id=None,
    activity="weightlifting",
    exercise="clean_and_jerk",
    barbell_mass_kg=82.5,
)
RUNNING = replace(SHOWN, activity="running", exercise=None, barbell_mass_kg=None, incline_deg=2.0)
JUMPING = replace(SHOWN, activity="jumping", exercise="Drop Jump", barbell_mass_kg=None)


def movement_of(known: Entry | ClipTarget) -> tuple[object, ...]:
    return known.activity, known.exercise, known.barbell_mass_kg, known.incline_deg


def showing(outbox: Outbox, shown: ClipTarget, state: EntryState = EntryState.HELD) -> Entry:
    """A clip that shows something else than the station's default."""
    new = new_entry(admitted(outbox), state=state, user_id=None, due_at=NOW_S + 15)
    return outbox.entries.create(replace(new, target=shown), now_s=NOW_S)


@pytest.mark.parametrize("shown", [SHOWN, RUNNING, JUMPING])
@pytest.mark.parametrize("way", ["give", "release", "several", "guest", "hold and give"])
def test_what_a_take_shows_stays_with_the_take_by_every_way_to_another_athlete(
    outbox: Outbox, shown: ClipTarget, way: str
) -> None:
    for key in ("ann", "ben"):
        assign_person(outbox, key, doing("snatch", 90), rules=RULES, now=instant(), set_by="test")
    entry = showing(outbox, shown)

    if way == "give":
        given = give(outbox, entry, "ben", rules=RULES, now_s=NOW_S)
    elif way == "several":
        give_all(outbox, [entry.name], "ben", rules=RULES, now_s=NOW_S)
        given = again(outbox, entry)
    elif way == "release":
        said = ClipTarget(recipient=Recipient.UNKNOWN, user_id="ben", activity=shown.activity)
        given = release(outbox, entry, said=said, rules=RULES, now_s=NOW_S)
    elif way == "guest":
        guest = note_guest(outbox, "Ben", now_s=NOW_S)
        give(outbox, entry, guest.key, rules=RULES, now_s=NOW_S)
        (given,) = resolve_guest(outbox, guest.key, "ben", now_s=NOW_S, send_delay_s=20)
        assert given.due_at == NOW_S + 20
    else:
        given = give(outbox, entry, "ann", rules=RULES, now_s=NOW_S)
        held = hold(outbox, given, now_s=NOW_S)
        given = give(outbox, held, "ben", rules=RULES, now_s=NOW_S)

    assert given.user_id == "ben"
    assert movement_of(given) == movement_of(shown)


def test_a_take_that_is_sent_anew_keeps_what_it_shows(outbox: Outbox, tmp_path: Path) -> None:
    entry = entry_in(outbox, EntryState.UPLOADED)
    (tmp_path / entry.stored_name).write_bytes(b"x" * entry.clip_bytes)
    assign_person(outbox, "ben", doing("snatch", 90), rules=RULES, now=instant(), set_by="test")

    asked = resend(outbox, tmp_path, entry, "ben", rules=RULES, now=instant())

    assert movement_of(asked.target) == ("weightlifting", "snatch", 60.0, None)


def test_what_was_never_known_of_a_take_is_what_the_coach_had_said_of_this_athlete(
    outbox: Outbox,
) -> None:
    for at, mass_kg in ((-600, 70), (60, 95)):  # the second after it was filmed
        wanted = doing("clean_and_jerk", mass_kg)
        assign_person(outbox, "ben", wanted, rules=RULES, now=instant(at), set_by="test")
    new = new_entry(admitted(outbox), state=EntryState.HELD, user_id=None)
    unknown = ClipTarget(
        recipient=Recipient.UNKNOWN, user_id=None, activity="weightlifting", exercise="snatch"
    )
    two = replace(new, target=unknown, reason=Reason.TWO_ATHLETES)
    entry = outbox.entries.create(two, now_s=NOW_S)

    given = give(outbox, entry, "ben", rules=RULES, now_s=NOW_S + 100)

    assert movement_of(given) == ("weightlifting", "clean_and_jerk", 70.0, None)


@pytest.mark.parametrize("state", [EntryState.READY, EntryState.HELD, EntryState.DEAD])
def test_what_is_assigned_counts_down_like_a_fresh_take_and_can_be_taken_back(
    outbox: Outbox, state: EntryState
) -> None:
    entry = entry_in(outbox, state)
    with outbox.transaction():
        given = give(outbox, entry, "ben", rules=PATIENT, now_s=NOW_S)
        undoable = remember_given(outbox, [(entry, given)], now=instant())
    assert (given.state, given.due_at) == (EntryState.READY, NOW_S + 20)
    assert outbox.entries.next_ready(NOW_S + 19.9) is None

    assert last_undoable(outbox, now=instant(9)) == undoable
    undo(outbox, undoable.id, now=instant(9))

    back = again(outbox, entry)
    moved = {"fence": 0, "due_at": 0.0, "changed_at": 0.0}
    assert replace(back, **moved) == replace(entry, **moved)  # type: ignore[arg-type]  # as they are
    settled = outbox.undoables.by_id(undoable.id)
    assert settled is not None and settled.payload == {}  # nobody's id stays there


def test_what_has_moved_on_is_not_taken_back(outbox: Outbox) -> None:
    entry = entry_in(outbox, EntryState.HELD)
    with outbox.transaction():
        given = give(outbox, entry, "ben", rules=RULES, now_s=NOW_S)
        undoable = remember_given(outbox, [(entry, given)], now=instant())
    assert outbox.entries.claim(given, now_s=NOW_S) is not None

    with pytest.raises(BusyError, match="cannot be undone"):
        undo(outbox, undoable.id, now=instant(1))
    assert again(outbox, entry).state is EntryState.UPLOADING


@pytest.mark.parametrize("state", [EntryState.READY, EntryState.HELD, EntryState.DEAD])
def test_what_a_take_shows_is_edited_and_whose_it_is_stays(
    outbox: Outbox, state: EntryState
) -> None:
    entry = entry_in(outbox, state)

    edited = edit(outbox, entry, SHOWN, rules=PATIENT, now_s=NOW_S)

    assert movement_of(edited) == movement_of(SHOWN)
    assert (edited.user_id, edited.recipient) == (entry.user_id, entry.recipient)
    assert edited.state is (EntryState.READY if state is EntryState.DEAD else state)
    assert edited.reason == (entry.reason if state is EntryState.HELD else None)
    with pytest.raises(RequestError, match="cannot be set for running"):
        wrong = replace(SHOWN, activity="running", exercise=None)
        edit(outbox, edited, wrong, rules=PATIENT, now_s=NOW_S)


def test_a_take_without_a_mass_says_so_until_it_has_one(outbox: Outbox) -> None:
    bare = replace(SHOWN, recipient=Recipient.ATHLETE, user_id="ann", barbell_mass_kg=None)
    entry = showing(outbox, bare, EntryState.READY)

    edited = edit(outbox, entry, bare, rules=RULES, now_s=NOW_S)
    assert edited.remarks == (ClipWarning.NO_MASS,)
    weighed = edit(outbox, edited, SHOWN, rules=RULES, now_s=NOW_S)
    assert weighed.remarks == ()


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
        lambda: discard_undoably(outbox, entry, now=instant()),
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
    assert "uploaded" in str(outcomes[1].error) and "no recording or clip 'e9'" in str(
        outcomes[2].error
    )


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

    ended = discard_undoably(outbox, entry, now=instant())
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
    ended = discard_undoably(outbox, entry, now=instant())

    with pytest.raises(RequestError, match="too late"):
        undo(outbox, ended.id, now=when)
    assert again(outbox, entry).state is EntryState.DISCARDED


def test_a_capture_comes_back_with_its_clips_all_or_none(outbox: Outbox) -> None:
    entry = ready_entry(outbox)
    outbox.entries.create(new_entry(admitted(outbox), 2, state=EntryState.HELD), now_s=NOW_S)
    capture = outbox.captures.by_id(1)
    assert capture is not None
    first = discard_undoably(outbox, capture, now=instant())
    undo(outbox, first.id, now=instant(5))
    assert [e.state for e in outbox.entries.of_capture(1)] == ["ready", "held"]

    capture = outbox.captures.by_id(1)
    assert capture is not None and capture.state is CaptureState.CAPTURED
    second = discard_undoably(outbox, capture, now=instant(6))
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

    assert [queued.target.user_id for queued in outbox.queue.all()] == ["ann", "ben", "cleo"]


def test_a_refused_discard_leaves_nothing_to_undo(outbox: Outbox) -> None:
    with pytest.raises(AgentError):
        discard_undoably(outbox, entry_in(outbox, EntryState.UPLOADED), now=instant())
    assert outbox.undoables.open() == []


@pytest.mark.parametrize("how", ["given", "edited"])
def test_what_is_corrected_waits_no_longer_for_the_next_recording(outbox: Outbox, how: str) -> None:
    new = new_entry(admitted(outbox), due_at=NOW_S + 3600)
    entry = outbox.entries.create(replace(new, reason=Reason.NEXT_RECORDING), now_s=NOW_S)
    rules = replace(RULES, send_delay_s=20.0)

    if how == "given":
        corrected = give(outbox, entry, "ben", rules=rules, now_s=NOW_S + 5)
    else:
        corrected = edit(outbox, entry, doing("clean", 70), rules=rules, now_s=NOW_S + 5)

    assert (corrected.state, corrected.reason) == (EntryState.READY, None)
    assert corrected.due_at == NOW_S + 25
