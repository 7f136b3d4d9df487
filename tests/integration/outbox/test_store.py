"""The outbox on a real SQLite file."""

import sqlite3
import threading
from pathlib import Path

import pytest

from agent.errors import OutboxError
from agent.outbox import captures, entries
from agent.outbox.database import OutboxDatabase
from agent.outbox.entries import AttemptEnd
from agent.outbox.models import Take
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState
from tests.factories import NOW_S, admitted, new_entry, ready_entry


def test_the_same_content_makes_one_capture(outbox: Outbox) -> None:
    assert admitted(outbox, 1).id == admitted(outbox, 1).id
    assert admitted(outbox, 2).id != admitted(outbox, 1).id


def test_the_same_take_makes_one_entry(outbox: Outbox) -> None:
    capture = admitted(outbox)

    first = outbox.entries.create(new_entry(capture), now_s=NOW_S)

    assert outbox.entries.create(new_entry(capture), now_s=NOW_S + 5) == first


def test_a_claim_is_counted_before_anything_is_sent(outbox: Outbox) -> None:
    entry = ready_entry(outbox)

    claimed = outbox.entries.claim(entry, now_s=NOW_S)

    assert claimed is not None
    assert (claimed[0].state, claimed[0].attempts) == (EntryState.UPLOADING, 1)
    assert outbox.attempts.last_upload(entry.id) is not None
    assert outbox.entries.claim(entry, now_s=NOW_S) is None  # the fence has risen


def test_an_older_fence_changes_nothing(outbox: Outbox) -> None:
    stale = ready_entry(outbox)
    outbox.entries.hasten(stale, now_s=NOW_S + 1)

    assert outbox.entries.move(stale, EntryState.HELD, now_s=NOW_S) is None
    found = outbox.entries.by_id(stale.id)
    assert found is not None and found.state is EntryState.READY


def test_a_clip_that_is_due_keeps_its_turn_when_it_is_hastened(outbox: Outbox) -> None:
    first, later = ready_entry(outbox, 1), ready_entry(outbox, 2, due_at=NOW_S + 60)

    hastened = [outbox.entries.hasten(entry, now_s=NOW_S + 1) for entry in (first, later)]

    assert [entry and entry.due_at for entry in hastened] == [NOW_S, NOW_S + 1]


def test_a_way_that_the_design_does_not_know_is_refused(outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="no way from ready to uploaded"):
        outbox.entries.move(ready_entry(outbox), EntryState.UPLOADED, now_s=NOW_S)


def test_what_was_being_sent_when_the_box_died_is_looked_up_first(tmp_path: Path) -> None:
    with Outbox.open(tmp_path) as before:
        sent_whole, cut_off = ready_entry(before, 1), ready_entry(before, 2)
        claimed = before.entries.claim(sent_whole, now_s=NOW_S)
        assert claimed is not None
        before.attempts.mark_body_complete(claimed[1], now_s=NOW_S)
        before.entries.claim(cut_off, now_s=NOW_S)

    with Outbox.open(tmp_path) as after:
        assert after.resume_interrupted(now_s=NOW_S) == 2
        states = {e.id: e.state for e in after.entries.in_states(set(EntryState))}

    assert states == {sent_whole.id: EntryState.UNCERTAIN, cut_off.id: EntryState.READY}


def test_a_late_answer_is_adopted_whatever_was_concluded_meanwhile(outbox: Outbox) -> None:
    claimed = outbox.entries.claim(ready_entry(outbox), now_s=NOW_S)
    assert claimed is not None
    outbox.entries.move(claimed[0], EntryState.UNCERTAIN, now_s=NOW_S)

    adopted = outbox.entries.adopt_session(
        claimed[0].id, session_id="abcd1234", server_title=None, now_s=NOW_S
    )

    assert adopted is not None and adopted.state is EntryState.UPLOADED
    again = outbox.entries.adopt_session(
        claimed[0].id, session_id="other", server_title=None, now_s=NOW_S
    )
    assert again is None


def test_takes_are_recorded_once_and_all_together(outbox: Outbox) -> None:
    capture = admitted(outbox)
    takes = [
        Take(number=n, start_s=n, end_s=n + 2, active_start_s=n, active_end_s=n + 1) for n in (1, 5)
    ]

    outbox.takes.record(capture, takes, report="{}")
    outbox.takes.record(capture, takes[:1], report="{}")

    recorded = outbox.takes.of(capture)
    assert [take.start_s for take in recorded] == [1, 5]
    assert [take.number for take in recorded] == [1, 2]


def test_an_ended_attempt_stays_as_it_is(outbox: Outbox) -> None:
    claimed = outbox.entries.claim(ready_entry(outbox), now_s=NOW_S)
    assert claimed is not None

    outbox.attempts.end(claimed[1], AttemptEnd(outcome="uploaded", seconds=1.0))
    outbox.attempts.end(claimed[1], AttemptEnd(outcome="dead", seconds=2.0))

    assert [a.outcome for a in outbox.attempts.of_entry(claimed[0].id)] == ["uploaded"]


def test_after_a_clock_jump_nothing_waits_longer_than_the_longest_backoff(outbox: Outbox) -> None:
    ready_entry(outbox, due_at=NOW_S + 400 * 86400)

    outbox.entries.pull_in(latest_s=NOW_S + 3600, patient_s=NOW_S + 86_400)

    assert outbox.entries.next_due_at() == NOW_S + 3600


def test_commits_survive_a_power_cut_by_setting(tmp_path: Path) -> None:
    database = OutboxDatabase(tmp_path / "outbox.db")

    assert database.row("PRAGMA journal_mode") == {"journal_mode": "wal"}
    assert database.row("PRAGMA synchronous") == {"synchronous": 2}
    database.close()


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        (entries.NEXT_READY, {"now": 0}),
        (entries.NEXT_UNCERTAIN, {"now": 0}),
        (entries.NEXT_DUE, {"state": "ready"}),
        (entries.NEWEST_DELIVERED, {"before": 0}),
        (entries.ANY_DELIVERED, {"after": 0}),
        (entries.HELD_BECAUSE, {"reason": "key_cannot_send_for_others"}),
        (entries.UNKNOWN_DUE, {"now": 0, "most": 1}),
        (entries.NEXT_UNKNOWN, {}),
        (entries.NEXT_UNSETTLED, {}),
        (entries.SETTLED_FIRST, {}),
        (captures.CLAIM_NEXT, {"now": 0, "but_not": "[]"}),
    ],
)
def test_no_query_of_the_daily_round_scans_a_table(
    tmp_path: Path, query: str, parameters: dict[str, object]
) -> None:
    database = OutboxDatabase(tmp_path / "outbox.db")

    plan = [str(row["detail"]) for row in database.rows(f"EXPLAIN QUERY PLAN {query}", parameters)]

    tables = [step for step in plan if not step.startswith("SCAN json_each")]  # a list of ours
    assert plan and not [step for step in tables if step.startswith("SCAN")], plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan
    database.close()


def test_threads_that_ended_leave_no_handle_behind(tmp_path: Path) -> None:
    database = OutboxDatabase(tmp_path / "outbox.db")

    def handles_after_a_look() -> int:
        thread = threading.Thread(target=database.version)
        thread.start()
        thread.join()
        return len(list(Path("/proc/self/fd").iterdir()))

    handles_after_a_look()
    after_the_second = handles_after_a_look()  # SQLite keeps one handle for use by the next

    assert [handles_after_a_look() for _ in range(5)] == [after_the_second] * 5
    database.close()


def test_a_database_of_a_newer_spotter_is_refused_untouched(tmp_path: Path) -> None:
    Outbox.open(tmp_path).close()
    path = tmp_path / "outbox.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('outbox', 'from_the_future', '2030-01-01')"
        )
    connection.close()
    before = path.read_bytes()

    with pytest.raises(OutboxError, match="newer Spotter"):
        Outbox.open(tmp_path)

    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"not a database at all" * 100)

    with pytest.raises(OutboxError, match="cannot be opened"):
        Outbox.open(tmp_path)


def test_a_first_writing_that_fails_halfway_is_begun_again(outbox: Outbox) -> None:
    """To watch a connection takes many statements; each can meet a lock or a full disk."""
    refused: list[str] = []

    def once(action: int, name: str | None, *_more: str | None) -> int:
        if action == sqlite3.SQLITE_CREATE_TEMP_TRIGGER and name == "told_5" and not refused:
            refused.append(name)
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    outbox.database.connection.set_authorizer(once)
    with pytest.raises(sqlite3.DatabaseError):
        admitted(outbox)

    assert admitted(outbox).id == 1
    told = list(outbox.database.journal.ledger.lines())
    assert [kind for line in told for kind, _ in line.rows] == ["capture"]
