"""The ledger against everything a disk may do to it."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.outbox.journal.log import ChangeLog, LogRecord


@pytest.fixture
def ledger(tmp_path: Path) -> ChangeLog:
    return ChangeLog(tmp_path / "ledger.jsonl")


def commit(number: int) -> dict[str, object]:
    """One delivery, as a commit tells it."""
    return {"rows": [["entry", {"clip_code": f"code{number}", "session_id": f"s{number}"}]]}


def fill(ledger: ChangeLog, count: int) -> None:
    ledger.rewrite([], seq=0, count=0, written_by=["first"])
    for number in range(count):
        ledger.append(commit(number), after=0)


def told(ledger: ChangeLog) -> list[LogRecord]:
    return [line for line in ledger.lines() if line.rows]


def test_what_was_appended_is_read_in_order_by_any_process(ledger: ChangeLog) -> None:
    fill(ledger, 3)
    another = ChangeLog(ledger.path)
    assert another.append(commit(3), after=0) == 4
    assert ledger.append(commit(4), after=0) == 5  # it notices what the other one wrote

    assert [line.seq for line in told(ledger)] == [1, 2, 3, 4, 5]
    assert [line.content for line in told(ledger)] == [commit(number) for number in range(5)]
    survey = ledger.survey()
    assert (survey.is_whole, survey.first_seq, survey.last_seq) == (True, 0, 5)


def test_a_torn_last_line_is_no_commit_and_the_next_stands_for_itself(ledger: ChangeLog) -> None:
    fill(ledger, 3)
    os.truncate(ledger.path, ledger.path.stat().st_size - 9)

    assert ledger.survey().is_whole and ledger.survey().torn
    assert ledger.append(commit(9), after=0) == 3
    assert [line.content for line in told(ledger)] == [commit(0), commit(1), commit(9)]
    assert ledger.survey().damaged == 1  # no longer the last: it may have been a commit


def test_a_ledger_that_lost_lines_says_so(ledger: ChangeLog) -> None:
    fill(ledger, 3)
    lines = ledger.path.read_bytes().split(b"\n\n")
    ledger.path.write_bytes(b"\n\n".join([*lines[:2], *lines[3:]]))
    assert ledger.survey().has_gap

    ledger.path.unlink()
    assert ledger.append(commit(7), after=7) == 8  # the database had reached 7
    assert ledger.survey().has_gap


def test_a_commit_that_failed_is_void(ledger: ChangeLog) -> None:
    fill(ledger, 1)
    ledger.append({"void": 1}, after=1)

    assert ledger.survey().voided == {1} and ledger.survey().is_whole


def test_an_append_that_the_disk_refuses_leaves_nothing(
    ledger: ChangeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger, 1)
    before = ledger.path.read_bytes()

    def refuse(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        ledger.append(commit(1), after=0)

    assert ledger.path.read_bytes() == before


def test_a_ledger_written_anew_holds_every_row_or_is_not_whole(ledger: ChangeLog) -> None:
    rows = [("capture", {"sha256": f"{number}"}) for number in range(3)]
    ledger.rewrite(rows, seq=7, count=3, written_by=["first", "second"])

    survey = ledger.survey()
    assert (survey.is_whole, survey.last_seq, survey.written_by) == (True, 7, ("first", "second"))
    assert [line.rows for line in told(ledger)] == [[row] for row in rows]

    lines = ledger.path.read_bytes().split(b"\n\n")
    ledger.path.write_bytes(b"\n\n".join(lines[:-1]) + b"\n")
    assert not ledger.survey().is_whole


damages = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "zero", "insert"]), st.floats(0, 1), st.integers()),
    min_size=1,
    max_size=4,
)


@given(count=st.integers(0, 6), damages=damages)
@settings(max_examples=200, deadline=None)
def test_no_damage_invents_a_delivery_or_loses_an_intact_line(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    damages: list[tuple[str, float, int]],
) -> None:
    ledger = ChangeLog(tmp_path_factory.mktemp("ledger") / "ledger.jsonl")
    fill(ledger, count)
    content = bytearray(ledger.path.read_bytes())
    whole = {bytes(line) for line in content.split(b"\n") if line}
    for kind, where, what in damages:
        place = min(int(where * len(content)), max(len(content) - 1, 0))
        if kind == "cut":
            del content[place:]
        elif kind == "insert":
            content.insert(place, what & 255)
        elif content:
            content[place] = 0 if kind == "zero" else content[place] ^ (1 << (what & 7))
    ledger.path.write_bytes(content)

    read = told(ledger)

    assert all(line.content == commit(line.seq - 1) for line in read)
    intact = {bytes(line) for line in content.split(b"\n")} & whole
    survey = ledger.survey()
    assert len(list(ledger.lines())) == len(intact)
    assert not survey.is_whole or survey.last_seq == len(read)
    if len(read) < count and survey.is_whole:  # nothing but the end may go unnoticed here:
        assert [line.seq for line in read] == list(range(1, len(read) + 1))  # sidecars tell that
