"""Which files may go: never one that is needed for something undelivered."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.outbox import disk, files
from agent.outbox.corrections import ResendState, UndoKind
from agent.outbox.database import OutboxDatabase
from agent.outbox.models import Capture, ClipSource, Entry, NewEntry, derive_clip_code
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, FileState
from tests.factories import NOW_S, admitted, instant, new_entry

_ALL = float("inf")


def analysed(outbox: Outbox, number: int = 1) -> Capture:
    """A capture that was analysed; its clips come after."""
    admitted(outbox, number)
    claimed = outbox.captures.claim_next(NOW_S)
    assert claimed is not None
    moved = outbox.captures.move(claimed, CaptureState.ANALYSED, now_s=NOW_S)
    assert moved is not None
    return moved


def clip(outbox: Outbox, capture: Capture) -> Entry:
    return outbox.entries.create(new_entry(capture), now_s=NOW_S)


def joined(outbox: Outbox, first: Capture, second: Capture) -> Entry:
    """A clip over two captures."""
    plain = new_entry(second, 2)
    values = {name: getattr(plain, name) for name in NewEntry.__slots__}
    sources = tuple(
        ClipSource(capture_id=c.id, take_number=2, start_s=0.0, end_s=1.0) for c in (first, second)
    )
    code = derive_clip_code(second.sha256, 2)
    return outbox.entries.create(
        NewEntry(**{**values, "sources": sources, "clip_code": code}), now_s=NOW_S
    )


def deliver(outbox: Outbox, entry: Entry) -> None:
    outbox.entries.adopt_session(
        entry.id, session_id=f"s{entry.id}", server_title=None, now_s=NOW_S
    )


def may_go(outbox: Outbox) -> tuple[list[int], list[int]]:
    """Originals and clips that may go, however young."""
    return (
        outbox.clearing.originals(delivered_before=_ALL, skipped_before=_ALL, most=99),
        outbox.clearing.clips(delivered_before=_ALL, most=99),
    )


def test_a_joined_clip_holds_both_of_its_captures(outbox: Outbox) -> None:
    first, second = analysed(outbox, 1), analysed(outbox, 2)
    alone = clip(outbox, first)
    over_both = joined(outbox, first, second)
    deliver(outbox, alone)

    assert may_go(outbox) == ([], [alone.id])
    deliver(outbox, over_both)
    assert may_go(outbox) == ([first.id, second.id], [alone.id, over_both.id])


def test_a_clip_that_is_to_be_sent_once_more_stays_until_that_has_begun(outbox: Outbox) -> None:
    entry = clip(outbox, analysed(outbox))
    deliver(outbox, entry)
    undoable = outbox.undoables.add(UndoKind.RESEND, {}, now=instant())
    (found,) = outbox.entries.of_capture(1)
    target = replace(new_entry(analysed(outbox, 2)).target, user_id="ben")
    asked = outbox.resends.add(found, target, undoable_id=undoable.id, now_s=NOW_S)

    assert may_go(outbox)[1] == [] and outbox.clearing.begin_clip(entry.id, now_s=NOW_S) is None
    outbox.resends.move(asked, ResendState.SENDING, now_s=NOW_S)
    assert may_go(outbox)[1] == [entry.id]


def test_the_clip_that_a_joined_one_took_over_may_go_and_its_capture_not(outbox: Outbox) -> None:
    first, second = analysed(outbox, 1), analysed(outbox, 2)
    alone = clip(outbox, first)
    joined(outbox, first, second)
    outbox.entries.move(alone, EntryState.DISCARDED, now_s=NOW_S)

    assert may_go(outbox) == ([], [alone.id])


def test_a_discarded_capture_whose_clips_wait_is_never_cleared(outbox: Outbox) -> None:
    capture = analysed(outbox)
    clip(outbox, capture)
    outbox.captures.move(capture, CaptureState.DISCARDED, now_s=NOW_S)

    assert may_go(outbox) == ([], [])
    assert outbox.clearing.begin_original(capture.id, now_s=NOW_S) is None


def test_what_cannot_be_read_waits_for_a_person(outbox: Outbox) -> None:
    admitted(outbox)
    claimed = outbox.captures.claim_next(NOW_S)
    assert claimed is not None
    set_aside = outbox.captures.move(claimed, CaptureState.QUARANTINED, now_s=NOW_S)
    assert set_aside is not None

    assert may_go(outbox) == ([], [])
    outbox.captures.move(set_aside, CaptureState.DISCARDED, now_s=NOW_S)
    assert may_go(outbox) == ([1], [])


def test_what_moved_since_it_was_found_is_not_cleared(outbox: Outbox) -> None:
    capture = analysed(outbox)
    deliver(outbox, clip(outbox, capture))
    assert may_go(outbox)[0] == [capture.id]

    outbox.captures.move(capture, CaptureState.CAPTURED, now_s=NOW_S)  # to look again

    assert outbox.clearing.begin_original(capture.id, now_s=NOW_S) is None


def test_what_is_being_cleared_is_not_looked_into_again(outbox: Outbox) -> None:
    capture = analysed(outbox)
    assert outbox.clearing.begin_original(capture.id, now_s=NOW_S) is not None

    assert outbox.captures.move(capture, CaptureState.CAPTURED, now_s=NOW_S) is None


def test_a_file_that_came_back_meanwhile_is_not_called_cleared(outbox: Outbox) -> None:
    capture = analysed(outbox)
    begun = outbox.clearing.begin_original(capture.id, now_s=NOW_S)
    assert begun is not None
    outbox.captures.restore_file(begun, begun.facts, now_s=NOW_S)

    outbox.clearing.end_original(begun, now_s=NOW_S)

    back = outbox.captures.by_id(capture.id)
    assert back is not None and back.file_state is FileState.PRESENT


def test_the_weights_are_those_of_the_files_on_the_disk(outbox: Outbox) -> None:
    first, second = analysed(outbox, 1), analysed(outbox, 2)
    clip(outbox, second)
    deliver(outbox, clip(outbox, first))

    weights = outbox.rooms.weights()

    assert (weights.captures, weights.clips_waiting, weights.clips_delivered) == (2000, 500, 500)
    assert outbox.rooms.delivered_originals_bytes() == 1000


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        (files.ORIGINALS, {"delivered": 0, "skipped": 0, "most": 9}),
        (files.REMOVABLE_CLIPS, {"delivered": 0, "most": 9}),
        (files.BEGIN_ORIGINAL, {"id": 1, "now": 0}),
        (files.BEGIN_CLIP, {"id": 1, "now": 0}),
        (disk.CAPTURE_WEIGHTS, {}),
        (disk.CLIP_WEIGHTS, {}),
        (disk.DELIVERED_ORIGINALS, {}),
    ],
)
def test_no_query_about_files_scans_a_table(
    tmp_path: Path, query: str, parameters: dict[str, object]
) -> None:
    database = OutboxDatabase(tmp_path / "outbox.db")

    plan = [str(row["detail"]) for row in database.rows(f"EXPLAIN QUERY PLAN {query}", parameters)]

    assert plan and not [step for step in plan if step.startswith("SCAN")], plan
    database.close()
