"""Takes made by hand, and captures looked at again: never a second clip of what was sent."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import BusyError, RequestError
from agent.outbox.models import Capture, Take, TakeOrigin
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, FileState, Reason
from agent.station.clip_actions import add_take, find_capture, look_again
from tests.factories import NOW_S, admitted, new_entry


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox.open(tmp_path) as opened:
        yield opened


def found(start_s: float, end_s: float) -> Take:
    return Take(
        number=0,
        start_s=start_s - 1,
        end_s=end_s + 1,
        active_start_s=start_s,
        active_end_s=end_s,
    )


def analysed(outbox: Outbox, *states: EntryState) -> Capture:
    """A capture of 60 s with a clip for each state, 10 s apart."""
    admitted(outbox)
    capture = outbox.captures.claim_next(NOW_S)
    assert capture is not None
    outbox.captures.record_recording_time(capture, by="growth", end_at=NOW_S, duration_s=60.0)
    takes = [found(10.0 * n, 10.0 * n + 4) for n in range(1, len(states) + 1)]
    for take, state in zip(outbox.takes.record(capture, takes, report="{}"), states, strict=True):
        first = EntryState.HELD if state is EntryState.HELD else EntryState.READY
        entry = outbox.entries.create(new_entry(capture, take.number, state=first), now_s=NOW_S)
        if state is EntryState.UPLOADED:
            outbox.entries.adopt_session(
                entry.id, session_id=f"s{entry.id}", server_title=None, now_s=NOW_S
            )
        if state is EntryState.UPLOADING:
            outbox.entries.claim(entry, now_s=NOW_S)
    outbox.captures.move(capture, CaptureState.ANALYSED, now_s=NOW_S)
    return again(outbox)


def again(outbox: Outbox) -> Capture:
    capture = outbox.captures.by_id(1)
    assert capture is not None
    return capture


def test_a_take_by_hand_waits_to_be_cut_under_a_new_number(outbox: Outbox) -> None:
    capture = analysed(outbox, EntryState.UPLOADED)

    take = add_take(outbox, capture, start_s=30.0, end_s=36.0, now_s=NOW_S)

    assert (take.number, take.origin) == (2, TakeOrigin.BY_HAND)
    assert again(outbox).state is CaptureState.CAPTURED
    assert outbox.takes.waiting(capture) == [take]
    assert outbox.takes.report(capture.id) == "{}"  # so it is not looked at again


@pytest.mark.parametrize("state", [EntryState.UPLOADED, EntryState.READY, EntryState.UPLOADING])
def test_what_has_a_clip_gets_no_second_one(outbox: Outbox, state: EntryState) -> None:
    capture = analysed(outbox, state)

    with pytest.raises(RequestError, match=r"10\.0 to 14\.0 s of c1 already has a clip"):
        add_take(outbox, capture, start_s=13.0, end_s=20.0, now_s=NOW_S)

    assert len(outbox.takes.of(capture)) == 1  # nothing stays of the refused one
    assert again(outbox).state is CaptureState.ANALYSED
    add_take(outbox, capture, start_s=14.0, end_s=20.0, now_s=NOW_S)


@pytest.mark.parametrize(("start_s", "end_s"), [(5, 5), (9, 4), (-1, 4), (58, 75)])
def test_a_stretch_must_be_one(outbox: Outbox, start_s: float, end_s: float) -> None:
    with pytest.raises(RequestError, match="is outside c1"):
        add_take(outbox, analysed(outbox), start_s=start_s, end_s=end_s, now_s=NOW_S)


def test_looking_again_replaces_what_is_unsent_and_keeps_the_rest(outbox: Outbox) -> None:
    capture = analysed(outbox, EntryState.UPLOADED, EntryState.READY, EntryState.HELD)
    by_hand = add_take(outbox, capture, start_s=50.0, end_s=55.0, now_s=NOW_S)
    outbox.entries.create(new_entry(capture, by_hand.number), now_s=NOW_S)
    claimed = outbox.captures.claim_next(NOW_S)
    assert claimed is not None
    outbox.captures.move(claimed, CaptureState.ANALYSED, now_s=NOW_S)

    look_again(outbox, again(outbox), now_s=NOW_S)

    states = {e.id: (e.state, e.reason) for e in outbox.entries.of_capture(1)}
    gone = (EntryState.DISCARDED, Reason.LOOKED_AGAIN)
    assert states == {
        1: (EntryState.UPLOADED, None),
        2: gone,
        3: gone,
        4: (EntryState.READY, None),
    }
    assert outbox.takes.report(capture.id) is None
    assert [take.number for take in outbox.takes.kept(capture)] == [1, 4]
    recorded = outbox.takes.record(capture, [found(20.0, 24.0)], report="{}")
    assert [take.number for take in recorded] == [5]  # a clip code is never used twice


def test_what_is_sent_or_under_way_is_not_looked_at_again(outbox: Outbox) -> None:
    capture = analysed(outbox, EntryState.UPLOADED)
    with pytest.raises(RequestError, match="all clips of c1 are uploaded"):
        look_again(outbox, capture, now_s=NOW_S)

    outbox.captures.set_file_state(capture.id, FileState.CLEARED, now_s=NOW_S)
    with pytest.raises(RequestError, match="the file of c1 is no longer on this box"):
        add_take(outbox, again(outbox), start_s=30, end_s=40, now_s=NOW_S)


def test_what_waits_for_its_analysis_is_left_alone(outbox: Outbox) -> None:
    capture = admitted(outbox)

    with pytest.raises(BusyError, match="c1 is captured"):
        look_again(outbox, capture, now_s=NOW_S)
    with pytest.raises(BusyError, match="c1 is captured"):
        add_take(outbox, capture, start_s=1, end_s=2, now_s=NOW_S)


def test_a_capture_is_found_by_whatever_a_person_knows_of_it(
    outbox: Outbox, tmp_path: Path
) -> None:
    capture = analysed(outbox, EntryState.UPLOADED)
    (entry,) = outbox.entries.of_capture(capture.id)
    for wanted in ("c1", "e1", entry.clip_code, "set-1.mp4", "/gone/set-1.mp4"):
        assert find_capture(outbox, wanted) == capture

    (tmp_path / "other.mp4").write_text("never seen")
    with pytest.raises(RequestError, match="no recording named"):
        find_capture(outbox, str(tmp_path / "other.mp4"))
    with pytest.raises(RequestError, match="no recording or clip 'c9'"):
        find_capture(outbox, "c9")
