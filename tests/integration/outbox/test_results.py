"""Results and their files: torn, stray or without a row, a start brings them together again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import Instant
from agent.disk.state_folder import StateFolder
from agent.outbox.consistency import ResultRepair
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.models import Entry
from agent.outbox.recovery import open_as_owner
from agent.outbox.removal import FileRemover
from agent.outbox.results import (
    DocumentState,
    FollowUpState,
    Head,
    NewResult,
    read_head,
    read_session,
    write_document,
)
from agent.outbox.states import EntryState
from tests.factories import NOW_S, ready_entry


def now() -> Instant:
    return Instant(utc_s=NOW_S)


class Box:
    """A state folder with delivered clips."""

    def __init__(self, root: Path) -> None:
        self.folder = StateFolder(root)
        self.folder.prepare()
        self.outbox = open_as_owner(root, now_s=NOW_S)

    def delivered(self, number: int = 1) -> Entry:
        entry = ready_entry(self.outbox, number)
        adopted = self.outbox.entries.adopt_session(
            entry.id, session_id=f"s{number}", server_title=None, now_s=NOW_S
        )
        assert adopted is not None
        return adopted

    def write(self, entry: Entry, *, whole: bool = True, session_id: str | None = None) -> int:
        head = Head(
            session_id=session_id or entry.session_id or "",
            got_at=NOW_S,
            whole=whole,
            numbers={"peak": 1.9},
        )
        return write_document(self.folder, entry.clip_code, head, {"metrics": {"peak": 1.9}})

    def completed(self, number: int = 1) -> Entry:
        entry = self.delivered(number)
        new = NewResult(
            numbers={"peak": 1.9},
            analysed_video_url="https://x/y",
            document_bytes=self.write(entry),
        )
        assert self.outbox.results.record(entry.id, new, now_s=NOW_S + number)
        moved = self.outbox.entries.move(entry, EntryState.COMPLETED, now_s=NOW_S)
        assert moved is not None
        return moved

    def path(self, entry: Entry) -> Path:
        return self.folder.result_document(entry.clip_code)

    def start(self) -> None:
        ResultRepair(self.outbox, self.folder, now=now).run()

    def state(self, entry: Entry) -> EntryState:
        found = self.outbox.entries.by_id(entry.id)
        assert found is not None
        return found.state

    def due_at(self, entry: Entry) -> float | None:
        found = self.outbox.follow_ups.of_entry(entry.id)
        assert found is not None
        return found.due_at


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    opened = Box(tmp_path)
    yield opened
    opened.outbox.close()


def test_a_file_of_a_crash_is_adopted_and_the_rest_is_fetched(box: Box) -> None:
    entry = box.delivered()
    box.write(entry)

    box.start()

    result = box.outbox.results.of_entry(entry.id)
    assert result is not None and result.numbers == {"peak": 1.9}
    assert box.state(entry) is EntryState.COMPLETED
    assert box.due_at(entry) == NOW_S  # for the link to the video


@pytest.mark.parametrize("how", ["torn", "gone"])
def test_a_file_that_is_torn_or_gone_is_fetched_again(box: Box, how: str) -> None:
    entry, whole = box.completed(1), box.completed(2)
    if how == "torn":
        box.path(entry).write_bytes(box.path(entry).read_bytes()[:-5])
    else:
        box.path(entry).unlink()

    box.start()

    result = box.outbox.results.of_entry(entry.id)
    assert result is not None and result.document_state is DocumentState.NONE
    assert result.numbers == {"peak": 1.9}
    assert (box.due_at(entry), box.due_at(whole)) == (NOW_S, None)


def test_files_that_belong_to_nothing_go_and_unknown_ones_are_set_aside(box: Box) -> None:
    other_session, garbage = box.delivered(1), box.delivered(2)
    box.write(other_session, session_id="another")
    box.path(garbage).write_bytes(b"{}")
    (box.folder.results / "zzzzzzzzzz.json").write_bytes(b"{}")

    box.start()

    assert not list(box.folder.results.iterdir())
    assert [path.name for path in box.folder.set_aside.iterdir()] == ["zzzzzzzzzz.json"]
    assert box.outbox.follow_ups.counts() == {"waiting": 2}


def test_results_outlive_a_lost_database(box: Box) -> None:
    entry = box.completed()
    box.outbox.close()
    (box.folder.root / DATABASE_NAME).unlink()

    again = Box(box.folder.root)
    again.start()

    result = again.outbox.results.of_entry(entry.id)
    assert result is not None and (result.numbers, result.document_state) == (
        {"peak": 1.9},
        "present",
    )
    follow_up = again.outbox.follow_ups.of_entry(entry.id)
    assert follow_up is not None and follow_up.state is FollowUpState.COMPLETED
    again.outbox.close()


def test_files_go_and_the_numbers_stay(box: Box) -> None:
    first, second = box.completed(1), box.completed(2)
    clearing, removal = box.outbox.result_clearing, FileRemover(box.outbox, box.folder, now=now)
    assert clearing.may_go(got_before=NOW_S + 2, most=9) == [first.id]
    assert clearing.weight_bytes() == sum(box.path(e).stat().st_size for e in (first, second))

    assert clearing.begin(first.id) == first.clip_code  # and a crash
    assert clearing.begin(first.id) is None
    removal.finish()

    assert (box.path(first).exists(), box.path(second).exists()) == (False, True)
    result = box.outbox.results.of_entry(first.id)
    assert result is not None and (result.document_state, result.document_bytes) == ("cleared", 0)
    assert result.numbers == {"peak": 1.9} and box.due_at(first) is None
    assert clearing.may_go(got_before=float("inf"), most=9) == [second.id]


def test_a_document_is_one_that_any_reader_takes(box: Box) -> None:
    entry = box.delivered()
    head = Head(session_id="s1", got_at=NOW_S, whole=True, numbers={})

    told = {"nan": float("nan"), "inf": float("inf"), "text": "\ud800 ü", "n": 1e300}
    write_document(box.folder, entry.clip_code, head, told)

    assert b"NaN" not in box.path(entry).read_bytes()
    assert read_head(box.path(entry)) == head
    assert read_session(box.path(entry)) == {
        "nan": None,
        "inf": None,
        "text": "\ud800 ü",
        "n": 1e300,
    }


def test_what_is_too_large_or_too_deep_is_not_kept(box: Box) -> None:
    entry = box.delivered()
    head = Head(session_id="s1", got_at=NOW_S, whole=True, numbers={})
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"in": deep}

    assert write_document(box.folder, entry.clip_code, head, {"pad": "x" * (17 << 20)}) == 0
    assert write_document(box.folder, entry.clip_code, head, deep) == 0
    assert not box.path(entry).exists()
