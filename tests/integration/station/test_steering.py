"""What people say and do: assign, retry, discard, release."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import BusyError, RequestError
from agent.outbox.assignments import AssignmentKind
from agent.outbox.models import Capture, ClipTarget, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, Reason, Recipient
from agent.station import assignments, clip_actions
from agent.station.assignments import StationRules
from agent.station.attribution import Timeline
from tests.factories import BOOT, NOW_S, admitted, instant, new_entry, ready_entry

LIFTING = ClipTarget(
    recipient=Recipient.ATHLETE,
    user_id="owner",
    activity="weightlifting",
    exercise="snatch",
    barbell_mass_kg=60.0,
)


def wanted(**told: object) -> ClipTarget:
    plain = {"recipient": Recipient.ATHLETE, "user_id": "ann", "activity": "weightlifting"}
    return ClipTarget(**{**plain, **told})  # type: ignore[arg-type]  # tests say what they need


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox.open(tmp_path) as opened:
        yield opened


def say(
    outbox: Outbox, target: ClipTarget, *, at: float = 0.0, lasts_s: float | None = None
) -> None:
    assignments.assign(
        outbox,
        target,
        rules=StationRules(default=LIFTING),
        now=instant(at),
        set_by="test",
        lasts_s=lasts_s,
    )


def who(outbox: Outbox, at: float) -> str | None:
    return Timeline(outbox.assignments.all(), boots=(BOOT,)).at(instant(at)).user_id


def test_what_was_left_open_comes_from_the_station_for_the_same_activity(outbox: Outbox) -> None:
    say(outbox, wanted(exercise="clean"))
    say(outbox, wanted(activity="running"))

    lifting, running = outbox.assignments.all()
    assert (lifting.exercise, lifting.barbell_mass_kg) == ("clean", 60.0)
    assert (running.exercise, running.barbell_mass_kg) == (None, None)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"exercise": "squat"}, "unknown exercise 'squat'"),
        ({"activity": "jumping"}, "exercise is required for jumping"),
        ({"activity": "running", "barbell_mass_kg": 60.0}, "cannot be set for running"),
        ({"barbell_mass_kg": 5000.0}, "at most 500"),
        ({"user_id": "two\nlines"}, "not a valid user_id"),
        ({"user_id": ""}, "not a valid user_id"),
    ],
)
def test_what_the_api_would_refuse_is_refused_at_once(
    outbox: Outbox, told: dict[str, object], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        say(outbox, wanted(**told))
    assert outbox.assignments.all() == []


def test_editing_the_settings_never_touches_the_past(outbox: Outbox) -> None:
    assignments.record_default(outbox, LIFTING, now=instant(0))
    assignments.record_default(outbox, LIFTING, now=instant(50))
    assignments.record_default(outbox, wanted(user_id="ben", exercise="snatch"), now=instant(100))

    assert len(outbox.assignments.all()) == 2
    assert (who(outbox, -(10**6)), who(outbox, 99), who(outbox, 101)) == ("owner", "owner", "ben")


def test_an_assignment_runs_out_into_nobody(outbox: Outbox) -> None:
    assignments.record_default(outbox, LIFTING, now=instant(0))
    say(outbox, wanted(), at=10, lasts_s=60)

    assert [who(outbox, at) for at in (5, 10, 69, 71)] == ["owner", "ann", "ann", None]
    cleared = assignments.clear_assignment(outbox, now=instant(100), set_by="test")
    assert cleared.kind is AssignmentKind.DEFAULT
    assert who(outbox, 101) == "owner"


def held(outbox: Outbox, user_id: str | None = None) -> Entry:
    new = new_entry(admitted(outbox), state=EntryState.HELD, user_id=user_id)
    return outbox.entries.create(new, now_s=NOW_S)


def release(outbox: Outbox, entry: Entry, said: ClipTarget | None) -> Entry:
    return clip_actions.release(
        outbox, entry, said=said, rules=StationRules(default=LIFTING), now_s=NOW_S
    )


def test_release_needs_an_athlete_where_none_is_known(outbox: Outbox) -> None:
    entry = held(outbox)

    with pytest.raises(RequestError, match="the athlete of e1 is unknown"):
        release(outbox, entry, None)
    released = release(outbox, entry, wanted())

    assert (released.state, released.user_id) == (EntryState.READY, "ann")
    assert (released.exercise, released.barbell_mass_kg) == ("snatch", 60.0)


def test_what_is_known_is_released_as_it_is(outbox: Outbox) -> None:
    assert release(outbox, held(outbox, "ben"), None).user_id == "ben"


def test_only_what_is_held_can_be_released(outbox: Outbox) -> None:
    with pytest.raises(RequestError, match="is ready, not held"):
        release(outbox, ready_entry(outbox), None)


def test_what_is_under_way_can_neither_be_discarded_nor_sent_again(outbox: Outbox) -> None:
    claimed = outbox.entries.claim(ready_entry(outbox), now_s=NOW_S)
    assert claimed is not None

    for verb in (clip_actions.discard, clip_actions.retry):
        with pytest.raises(BusyError, match="e1 is uploading"):
            verb(outbox, claimed[0], now_s=NOW_S)
    capture = outbox.captures.claim_next(NOW_S)
    assert capture is not None
    for verb in (clip_actions.discard, clip_actions.retry):
        with pytest.raises(BusyError, match="c1 is analysing"):
            verb(outbox, capture, now_s=NOW_S)


def test_discarding_a_capture_discards_its_clips(outbox: Outbox) -> None:
    entry = held(outbox)
    capture = outbox.captures.by_id(1)
    assert capture is not None

    clip_actions.discard(outbox, capture, now_s=NOW_S)

    ended = outbox.entries.by_id(entry.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (EntryState.DISCARDED, Reason.BY_PERSON)


def test_a_quarantined_capture_can_be_looked_at_again(outbox: Outbox) -> None:
    admitted(outbox)
    claimed = outbox.captures.claim_next(NOW_S)
    assert claimed is not None
    outbox.captures.move(claimed, CaptureState.QUARANTINED, now_s=NOW_S, reason="unreadable")

    found = clip_actions.find(outbox, "c1")
    assert isinstance(found, Capture)
    assert clip_actions.retry(outbox, found, now_s=NOW_S).state is CaptureState.CAPTURED


@pytest.mark.parametrize("wanted_id", ["e2", "c9", "x", "", "e-1", "gwwmm5jrw9", "e1 or 1=1"])
def test_an_id_of_nothing_is_said_so(outbox: Outbox, wanted_id: str) -> None:
    ready_entry(outbox)

    with pytest.raises(RequestError, match="no recording or clip"):
        clip_actions.find(outbox, wanted_id)


def test_a_clip_is_found_by_its_code_in_either_case(outbox: Outbox) -> None:
    entry = ready_entry(outbox)

    assert clip_actions.find(outbox, entry.clip_code.upper()) == entry
    assert clip_actions.find(outbox, "e1") == entry
