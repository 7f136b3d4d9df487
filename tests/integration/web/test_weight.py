"""The weight on the bar, stepped on several devices."""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx

from agent.clock import read_clock
from agent.outbox.roster import AccountAthlete
from agent.station.assignments import assignment_status
from tests.served_page import ServedPage


def lifting(page: ServedPage, mass: int) -> None:
    """Let an athlete lift so much."""
    names = {"ada": "Ada", "ben": "Ben"}
    known = [
        AccountAthlete(user_id=key, name=it, folded=key, lacks=()) for key, it in names.items()
    ]
    page.outbox.roster.replace(known, complete=True, now_s=read_clock().utc_s)
    with page.client(page.session()) as coach:
        on = assign(coach, "ada", mass)
        assert on.status_code == 200, on.text


def assign(coach: httpx.Client, key: str, mass: int) -> httpx.Response:
    wanted = {"key": key, "activity": "weightlifting", "exercise": "snatch", "mass": str(mass)}
    return coach.post("/assign", data=wanted)


def shown(coach: httpx.Client) -> str:
    """What the buttons of the page say they were drawn for."""
    found = re.search(r'name="seen" value="(\d+)"', coach.get("/").text)
    assert found is not None
    return found[1]


def on_bar(page: ServedPage) -> float | None:
    present = assignment_status(page.outbox, now=read_clock()).assignment
    assert present is not None
    return present.barbell_mass_kg


def test_the_same_step_on_two_tablets_at_once_is_done_once(page: ServedPage) -> None:
    lifting(page, 100)
    with page.client(page.session()) as one, page.client(page.session()) as other:
        pressed = [(tablet, {"by": "5", "seen": shown(tablet)}) for tablet in (one, other)]

        with ThreadPoolExecutor(2) as hands:
            answers = list(hands.map(lambda it: it[0].post("/mass", data=it[1]), pressed))

        assert sorted(answer.status_code for answer in answers) == [200, 409]
        refused = next(answer for answer in answers if answer.status_code == 409)
        assert refused.json()["say"] == (
            "Already changed on another device. Check the weight, then try again."
        )
        assert on_bar(page) == 105
        assert one.post("/mass", data={"by": "-1", "seen": shown(one)}).status_code == 200
    assert on_bar(page) == 104


def test_steps_in_a_row_on_one_tablet_all_count(page: ServedPage) -> None:
    lifting(page, 60)
    with page.client(page.session()) as tablet:
        seen = shown(tablet)
        for _ in range(3):
            answer = tablet.post("/mass", data={"by": "5", "seen": seen})
            assert answer.status_code == 200, answer.text
            seen = answer.json()["seen"]
    assert on_bar(page) == 75


def test_a_step_meant_for_one_athlete_is_not_the_next_ones(page: ServedPage) -> None:
    lifting(page, 60)
    with page.client(page.session()) as one, page.client(page.session()) as other:
        seen = shown(one)
        assert assign(other, "ben", 60).status_code == 200

        assert one.post("/mass", data={"by": "5", "seen": seen}).status_code == 409
    assert on_bar(page) == 60


def test_what_is_entered_for_one_athlete_is_not_the_next_ones(page: ServedPage) -> None:
    lifting(page, 60)
    with page.client(page.session()) as one, page.client(page.session()) as other:
        drawn = one.get("/").text
        assert 'data-pad-who="ada"' in drawn and drawn.count('name="who" value="ada"') >= 1
        assert assign(other, "ben", 60).status_code == 200

        for path, fields in (("/mass", {"to": "150"}), ("/done", {}), ("/keep", {})):
            answer = one.post(path, data={**fields, "who": "ada"})
            assert answer.status_code == 409, (path, answer.text)
            assert "was changed on another device" in answer.json()["say"]
        assert on_bar(page) == 60

        assert one.post("/mass", data={"to": "150", "who": "ben"}).status_code == 200
        assert on_bar(page) == 150
        assert one.post("/done", data={"who": "ben"}).status_code == 200
        assert assignment_status(page.outbox, now=read_clock()).assignment is None
