from collections import Counter
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.outbox import captures as captures_module
from agent.outbox.database import count_by_state
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState

STATES = st.lists(st.sampled_from(EntryState), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(states=STATES, gone=st.sets(st.integers(1, 40)), only=st.sets(st.sampled_from(EntryState)))
def test_whatever_row_is_in_the_middle_each_state_has_its_number(
    outbox: Outbox, states: list[EntryState], gone: set[int], only: set[EntryState]
) -> None:
    connection = outbox.database.connection
    connection.execute("DROP TABLE IF EXISTS thing")
    connection.execute(
        "CREATE TEMP TABLE thing (id INTEGER PRIMARY KEY, state TEXT, one TEXT, two TEXT)"
    )
    connection.execute("CREATE INDEX temp.thing_by_state ON thing (state)")
    rows = [(number, state) for number, state in enumerate(states, 1) if number not in gone]
    connection.executemany("INSERT INTO thing (id, state) VALUES (?, ?)", rows)
    true = Counter(state for _, state in rows)

    assert count_by_state(outbox.database, "thing", EntryState) == true
    assert count_by_state(outbox.database, "thing", EntryState, only) == {
        state: number for state, number in true.items() if state in only
    }


_APART_S = 30.0
_CAPTURES = st.lists(
    st.tuples(
        st.integers(600, 1200),  # when it was admitted, Unix time
        st.none() | st.integers(600, 1200),  # when its recording ended, where that is known
        st.none() | st.integers(0, 90),  # its length
        st.booleans(),  # whether it is broken
    ),
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(captures=_CAPTURES, since_s=st.integers(600, 1200), most=st.sampled_from([1, 3, 5000]))
def test_recorded_time_is_that_of_every_usable_capture_since_then(
    outbox: Outbox,
    captures: list[tuple[int, int | None, int | None, bool]],
    since_s: int,
    most: int,
) -> None:
    connection = outbox.database.connection
    connection.execute("DROP TABLE IF EXISTS temp.capture")
    connection.execute(
        "CREATE TEMP TABLE capture (id INTEGER PRIMARY KEY, admitted_at REAL,"
        " recorded_end_at REAL, duration_s REAL, state TEXT, reason TEXT)"
    )
    captures = sorted(captures, key=lambda one: one[0])  # as they are admitted
    connection.executemany(
        "INSERT INTO temp.capture (admitted_at, recorded_end_at, duration_s, state, reason)"
        " VALUES (?, ?, ?, ?, ?)",
        [
            (*times, "quarantined" if broken else "analysed", "unreadable" if broken else None)
            for *times, broken in captures
        ],
    )

    with patch.object(captures_module, "_AT_ONCE", most):
        found = outbox.captures.recorded_since(since_s, apart_s=_APART_S)

    ended = [
        (end if end is not None else at, length or 0)
        for at, end, length, broken in captures
        if at >= since_s and not broken
    ]
    recorded = [(float(end - length), float(end)) for end, length in ended]
    for begin, end in recorded:
        assert any(first <= begin and end <= last for first, last in found)
    assert {time for span in found for time in span} <= {t for span in recorded for t in span}
    if len({begin // _APART_S for begin, _ in recorded}) == len(recorded):  # each on its own
        assert sorted(found) == sorted(recorded)
