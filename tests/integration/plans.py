"""No statement reads a whole table: each is explained before it runs, in every test.

What reads everything on purpose is named here with its reason.
"""

import re
from collections.abc import Callable

import pytest

from agent.outbox.database import OutboxDatabase, Params, Row

ON_PURPOSE = {
    "SELECT DISTINCT user_id FROM entry WHERE user_id IS NOT NULL": "whom an archive leaves out",
    "SELECT max(clip_bytes) AS size FROM entry WHERE session_id IS NOT NULL": "after a 413",
    "SELECT count(*) AS n FROM capture": "at a start: a database without rows may be a lost one",
    "SELECT count(*) AS n FROM entry": "the same",
    "SELECT stored_name FROM capture WHERE file_state != 'cleared'": "at a start, every file",
    "SELECT stored_name FROM entry": "at a start, every file",
    "UPDATE resend SET user_id = '', barbell_mass_kg = NULL WHERE user_id = :user": "an erasure",
    "UPDATE event SET word = NULL WHERE what = 'athlete' AND word = :user": "the same",
}
SMALL = {
    "json_each": "what a caller named",
    "CONSTANT": "no table",
    "(subquery": "a few rows of one athlete",
    "_sqlite_migrations": "a row a release",
    "athlete": "a gym's members",
    "assignment": "all that was said of who is on the station decides whose a take is",
    "boot": "a row a boot",
    "queue": "who is next",
    "athlete_group": "a row a class or team",
    "card": "a few rows an athlete",
    "forgetting": "a row an erased athlete",
    "session_limit": "a row an athlete whose sessions are used up",
    "pause": "a row a stage",
    "lane": "a row a host",
    "channel": "a row a receiver",
    "hub_confirmation": "one row",
    "room": "some days of samples, cut off",
    "device": "a row a tablet",
    "pairing": "a row a link, for minutes",
    "usual": "one row",
    "counted": "a row a state",
    "latest": "at most some thousand captures, cut off",
}
# SQLite counts a whole table by the pages of its smallest index, without a step for each row.
COUNTED_WHOLE = r"\(SELECT count\(\*\) FROM (\w+)\)"
_explained: set[str] = set()


def watch_plans(monkeypatch: pytest.MonkeyPatch, database: type[OutboxDatabase]) -> None:
    """Let a database refuse what would read a whole table or sort one."""
    rows, change = database.rows, database.change

    def explained_rows(self: OutboxDatabase, sql: str, params: Params = ()) -> list[Row]:
        _explain(self, sql, params, rows)
        return rows(self, sql, params)

    def explained_change(self: OutboxDatabase, sql: str, params: Params = ()) -> int:
        _explain(self, sql, params, rows)
        return change(self, sql, params)

    monkeypatch.setattr(database, "rows", explained_rows)
    monkeypatch.setattr(database, "change", explained_change)


def _explain(
    database: OutboxDatabase,
    sql: str,
    params: Params,
    rows: Callable[[OutboxDatabase, str, Params], list[Row]],
) -> None:
    if sql in _explained or not re.match(r"\s*(SELECT|UPDATE|DELETE|INSERT|WITH)\b", sql):
        return
    words = " ".join(sql.split())
    plan = [str(row["detail"]) for row in rows(database, f"EXPLAIN QUERY PLAN {sql}", params)]
    small = {f"SCAN {table}" for table in SMALL}
    by_pages = {f"SCAN {table} USING COVERING" for table in re.findall(COUNTED_WHOLE, words)}
    bad = [
        step
        for step in plan
        if step.startswith("SCAN ") and not step.startswith(tuple(by_pages | small))
    ]
    if bad and words not in ON_PURPOSE:
        pytest.fail(f"reads a whole table: {words}\n  " + "\n  ".join(plan))
    _explained.add(sql)
