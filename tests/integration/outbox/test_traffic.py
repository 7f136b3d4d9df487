"""What waits for the line, and what went over it, on a real SQLite file."""

from agent.outbox import entries
from agent.outbox.entries import AttemptEnd
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState
from tests.factories import NOW_S, ready_entry


def test_the_backlog_is_what_is_neither_delivered_nor_held(outbox: Outbox) -> None:
    assert outbox.traffic.backlog() == entries.Backlog(clips=0, size_bytes=0)
    three = [ready_entry(outbox, number) for number in (1, 2, 3)]
    outbox.entries.move(three[0], EntryState.HELD, now_s=NOW_S)
    outbox.entries.adopt_session(three[1].id, session_id="a", server_title=None, now_s=NOW_S)

    assert outbox.traffic.backlog() == entries.Backlog(clips=1, size_bytes=500)


def test_what_is_due_comes_longest_due_first(outbox: Outbox) -> None:
    for number, due_at in ((1, 30.0), (2, 10.0), (3, 20.0), (4, NOW_S + 9)):
        ready_entry(outbox, number, due_at=due_at)

    assert [one.id for one in outbox.traffic.due(NOW_S, account="", most=2)] == [2, 3]
    assert [one.id for one in outbox.traffic.due(NOW_S, account="", most=9)] == [2, 3, 1]


def test_only_bodies_that_say_something_of_the_line_count(outbox: Outbox) -> None:
    for number, (size_bytes, sending_s) in enumerate(
        ((500_000, 2.0), (500, 0.1), (0, None), (700_000, 3.0)), start=1
    ):
        claimed = outbox.entries.claim(ready_entry(outbox, number), now_s=NOW_S)
        assert claimed is not None
        end = AttemptEnd(
            outcome="uploaded",
            seconds=9.0,
            size_bytes=size_bytes,
            sending_s=sending_s,
            throttled_s=0.5,
        )
        outbox.attempts.end(claimed[1], end)

    newest, oldest = outbox.traffic.sendings(most=9)

    assert (newest.size_bytes, newest.sending_s, newest.throttled_s) == (700_000, 3.0, 0.5)
    assert oldest.is_delivered and oldest.seconds == 9.0


def test_the_backlog_is_read_from_an_index_alone(outbox: Outbox) -> None:
    plan = outbox.database.rows(f"EXPLAIN QUERY PLAN {entries.BACKLOG}")

    assert plan and all("COVERING INDEX entry_on_disk" in str(row["detail"]) for row in plan)
