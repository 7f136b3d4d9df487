"""The history: any take by athlete, day, movement and state, on pages and as a table."""

import csv
import io
from dataclasses import replace
from datetime import datetime

import pytest

from agent.outbox.roster import AccountAthlete
from agent.outbox.states import EntryState, Reason
from tests.came_back import HOSTILE, delivered
from tests.factories import NOW_S, admitted, new_entry
from tests.served_page import ServedPage

DAYS = [datetime(2026, 3, day, 18, 0).timestamp() for day in (1, 2, 3)]  # noqa: DTZ001  # the gym's own time


def get(page: ServedPage, path: str) -> tuple[int, str]:
    with page.client(page.session()) as client:
        answer = client.get(path)
    return answer.status_code, answer.text


@pytest.fixture(scope="module")
def codes(page: ServedPage) -> dict[str, str]:
    """Takes of two athletes on three days, and one of nobody."""
    people = [
        AccountAthlete(user_id="zoe", name="Zoë Filter", folded="zoe filter"),
        AccountAthlete(user_id="max", name=f"Max {HOSTILE}", folded="max"),
    ]
    page.outbox.roster.replace(people, complete=False, now_s=0.0)
    found = {
        f"{user_id}{day}": delivered(
            page.outbox, 700 + 10 * number + day, user_id=user_id, filmed_at=DAYS[day]
        ).clip_code
        for number, user_id in enumerate(("zoe", "max"))
        for day in range(3)
    }
    nobodys = new_entry(admitted(page.outbox, 790), user_id=None)
    held = replace(nobodys, state=EntryState.HELD, reason=Reason.UNASSIGNED)
    return {**found, "nobody": page.outbox.entries.create(held, now_s=NOW_S).clip_code}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=zo%C3%AB", {"zoe0", "zoe1", "zoe2"}),
        ("name=filter&since=2026-03-02", {"zoe1", "zoe2"}),
        ("since=2026-03-02&until=2026-03-02", {"zoe1", "max1"}),
        ("until=2026-03-01&state=uploaded&name=max", {"max0"}),
        ("name=nobody+of+this+name", set()),
        ("state=review", {"nobody"}),
        ("movement=jumping&name=zoe", set()),
    ],
)
def test_takes_are_found_by_athlete_day_movement_and_state(
    page: ServedPage, codes: dict[str, str], query: str, expected: set[str]
) -> None:
    status, text = get(page, f"/history?{query}")

    assert status == 200 and "<script>" not in text
    assert {name for name, code in codes.items() if f"take-{code}" in text} == expected

    _, table = get(page, f"/history.csv?{query}")
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    known = {code: name for name, code in codes.items()}
    assert {known[row["clip_code"]] for row in rows if row["clip_code"] in known} == expected


def test_more_takes_than_a_page_shows_are_on_the_next_one(page: ServedPage) -> None:
    made = [
        delivered(page.outbox, 800 + n, user_id="many", filmed_at=DAYS[0]).clip_code
        for n in range(45)
    ]
    page.outbox.roster.replace(
        [AccountAthlete(user_id="many", name="Many", folded="many")], complete=False, now_s=0.0
    )

    _, first = get(page, "/history?name=many")
    address = first.partition('id="history-more" href="')[2].partition('"')[0]
    _, second = get(page, f"/history{address.replace('&amp;', '&')}")

    shown = [{code for code in made if f"take-{code}" in text} for text in (first, second)]
    assert [len(codes) for codes in shown] == [40, 5] and not shown[0] & shown[1]
    assert "history-more" not in second


@pytest.mark.parametrize(
    "query", ["since=yesterday", "state=lost", "before=-1", f"name={'x' * 101}"]
)
def test_a_filter_that_cannot_be_understood_is_said(page: ServedPage, query: str) -> None:
    status, text = get(page, f"/history?{query}")

    assert status == 422 and query.partition("=")[0] in text
