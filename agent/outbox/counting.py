"""How many rows of a table are in each state, without a step for each row.

On an old station nearly all rows are in one state.  SQLite counts a whole table by its pages, but
the rows of a state one by one: so the state of a row in the middle of the table, most likely that
one, gets what the others leave.  Which one it is decides how long it takes, never what comes out.
"""

import json
from collections.abc import Collection
from enum import StrEnum

from agent.outbox.database import OutboxDatabase

_EACH = """
SELECT state, n FROM (SELECT value AS state,
                             (SELECT count(*) FROM {table} WHERE state = value) AS n
                        FROM json_each(?))
 WHERE n > 0
"""
_ALL = """
WITH usual AS MATERIALIZED (
         SELECT state FROM {table} WHERE rowid >= (SELECT max(rowid) / 2 FROM {table})
          ORDER BY rowid LIMIT 1),
     counted AS MATERIALIZED (
         SELECT value AS state, (SELECT count(*) FROM {table} WHERE state = value) AS n
           FROM json_each(?) WHERE value NOT IN (SELECT state FROM usual))
SELECT state, n FROM counted WHERE n > 0
 UNION ALL
SELECT state, (SELECT count(*) FROM {table}) - (SELECT coalesce(sum(n), 0) FROM counted) FROM usual
"""


def count_by_state(
    database: OutboxDatabase,
    table: str,
    kind: type[StrEnum],
    only: Collection[StrEnum] | None = None,
) -> dict[str, int]:
    """Return how many rows are in each state, in the order of the states, where there are any.

    Args:
        database: the outbox.
        table: one with an index that begins with `state`.
        kind: every state that there is.
        only: count these alone; None: all of them.
    """
    query = _ALL if only is None else _EACH
    states = json.dumps([str(state) for state in (kind if only is None else only)])
    rows = database.rows(query.format(table=table), (states,))
    found = {str(row["state"]): int(str(row["n"])) for row in rows}
    return {state.value: found[state] for state in kind if state in found}
