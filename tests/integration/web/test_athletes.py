"""An athlete's page: their takes, and a number of theirs over time."""

import re

from agent.clock import read_clock
from agent.outbox.results import Number
from agent.outbox.roster import AccountAthlete
from agent.station.status import midnight
from tests.came_back import HOSTILE, analysed, delivered
from tests.served_page import ServedPage

DAY_S = 86_400.0


def known(page: ServedPage, user_id: str, name: str, lacks: tuple[str, ...] = ()) -> None:
    """Let an athlete be in the roster."""
    athlete = AccountAthlete(user_id=user_id, name=name, folded=name.casefold(), lacks=lacks)
    page.outbox.roster.replace([athlete], complete=False, now_s=0.0)


def get(page: ServedPage, path: str) -> str:
    with page.client(page.session()) as client:
        answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_todays_takes_are_drawn_and_earlier_days_come_on_demand(page: ServedPage) -> None:
    today_s = midnight(read_clock().utc_s)
    known(page, "ada", f"Ada {HOSTILE}")
    for number, (at_s, speed) in enumerate(((-2 * DAY_S, 1.5), (60.0, 1.75), (120.0, 1.9))):
        entry = delivered(page.outbox, 301 + number, user_id="ada", filmed_at=today_s + at_s)
        numbers: dict[str, Number] = {"peak_velocity_mps": speed, "height": 10 + number}
        analysed(page.outbox, entry, {**numbers, HOSTILE: 1.0, "a.b.c.deep": 2})

    today, week = get(page, "/athlete/ada"), get(page, "/athlete/ada?days=7&number=height")

    assert today.count('<li class="card take"') == 2 and week.count('<li class="card take"') == 3
    assert "Peak velocity: latest 1.9 m/s, lowest 1.75 m/s, highest 1.9 m/s, in 2 takes." in today
    assert '<option value="height" selected>' in week and "in 3 takes" in week
    assert 'href="?days=30&amp;number=height"' in week
    assert '<a href="/athlete/ada"' in get(page, "/")
    for text in (today, week):
        assert "<script>" not in text and " style=" not in text and text.count("<svg") == 1
        assert "&lt;script&gt;" in text


def test_a_number_that_no_take_has_is_said_to_be_missing(page: ServedPage) -> None:
    known(page, "eve", "Eve")
    entry = delivered(page.outbox, 311, user_id="eve", filmed_at=read_clock().utc_s)
    analysed(page.outbox, entry, {"peak": 1.0, "form": "good"})

    asked = get(page, f"/athlete/eve?number={'x' * 80}")
    ignored = get(page, f"/athlete/eve?number={'x' * 81}&days=12")

    assert "No take in this period has this metric." in asked and "<svg" not in asked
    assert '<option value="peak" selected>' in ignored and "form" not in re.findall(
        "<option[^>]*>([^<]*)", ignored
    )


def test_who_was_never_filmed_has_a_page_and_who_is_unknown_has_none(page: ServedPage) -> None:
    known(page, "a/b c", "Slash")

    assert "No takes in this period." in get(page, "/athlete/a%2Fb%20c")
    with page.client(page.session()) as client:
        for key in ("nobody-here", "guest:77", "guest:x", "%00", "y" * 200, ""):
            assert client.get(f"/athlete/{key}").status_code == 404


def test_a_take_shows_all_that_was_measured(page: ServedPage) -> None:
    entry = delivered(page.outbox, 321, user_id="ida", filmed_at=read_clock().utc_s)
    analysed(page.outbox, entry, {f"metric_{n}": n / 7 for n in range(200)})

    text = get(page, f"/take/{entry.clip_code}")

    assert text.count("<dt>Metric ") == 200 and "more metrics" not in text
    assert 'href="/athlete/ida"' in text


def test_a_full_page_stays_small(page: ServedPage) -> None:
    today_s = midnight(read_clock().utc_s)
    for number in range(40):
        entry = delivered(page.outbox, 331 + number, user_id="max", filmed_at=today_s + number)
        analysed(
            page.outbox, entry, {f"some_metric_of_a_usual_length_{n}": n / 7 for n in range(80)}
        )

    text = get(page, "/athlete/max")

    assert text.count('<li class="card take"') == 30 and "10 earlier takes" in text
    assert len(text.encode()) < 100_000
    assert len(re.findall("<option", text)) == 60


def test_missing_body_measures_are_said_on_the_athletes_page(page: ServedPage) -> None:
    known(page, "ada", "Ada", ("weight", "leg_length"))
    assert "Missing in the account: body weight, leg length." in get(page, "/athlete/ada")
    known(page, "ada", "Ada")
    assert "body weight" not in get(page, "/athlete/ada")
