from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
