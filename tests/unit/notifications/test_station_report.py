"""When the station's state is news, and to whom."""

from dataclasses import replace

import pytest

from agent.notifications.message import Interest, StationReport, is_news
from tests.unit.station.test_status import QUIET as NOTHING_TO_DO

GB = 1_000_000_000
QUIET = StationReport(
    facts=NOTHING_TO_DO,
    backlog_bytes=0,
    free_bytes=50 * GB,
    total_bytes=100 * GB,
    last_delivered_at=None,
)


def but(**changes: object) -> StationReport:
    return replace(QUIET, facts=replace(QUIET.facts, **changes))  # type: ignore[arg-type]  # named above


@pytest.mark.parametrize(
    ("now", "age_s", "to_changes", "to_numbers"),
    [
        (QUIET, 1e6, False, False),
        (but(is_filming=True), 0, True, True),
        (but(held=1), 0, True, True),
        (but(failing=1), 0, True, True),
        (but(lane_reason="network"), 0, True, True),
        (but(sent=1), 0, False, True),
        (replace(QUIET, free_bytes=40 * GB), 10, False, False),
        (replace(QUIET, free_bytes=40 * GB), 60, False, True),
        (replace(QUIET, free_bytes=50 * GB - 1), 1e6, False, False),
    ],
)
def test_what_is_news(now: StationReport, age_s: float, to_changes: bool, to_numbers: bool) -> None:
    assert is_news(QUIET, now, interest=Interest.CHANGES, age_s=age_s) is to_changes
    assert is_news(QUIET, now, interest=Interest.NUMBERS, age_s=age_s) is to_numbers
    assert is_news(None, now, interest=Interest.CHANGES, age_s=age_s)


def test_one_more_of_what_waits_for_a_person_is_news() -> None:
    before, now = but(held=1), but(held=1, failing=1)

    assert is_news(before, now, interest=Interest.CHANGES, age_s=0)
    assert now.document()["failing"] == 1


@pytest.mark.parametrize(
    ("standing", "needs"),
    [
        (QUIET, False),
        (but(held=1), True),
        (but(folder_is_missing=True), True),
        (but(paused=("intake",)), True),
        (but(lane_reason="key"), True),
        (but(lane_reason="network"), False),  # heals by itself
        (but(is_filming=True, refused=1), True),  # whatever the word is meanwhile
    ],
)
def test_what_only_a_person_can_mend_is_said(standing: StationReport, needs: bool) -> None:
    assert standing.document()["needs_person"] is needs
