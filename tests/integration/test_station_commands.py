"""What a coach says on the command line."""

import json

from tests.station import Station


def told(station: Station, *words: str) -> dict[str, object]:
    document = json.loads(station.spotter(*words, "--json"))
    assert isinstance(document, dict)
    return document


def test_two_athletes_take_turns(station: Station) -> None:
    station.spotter("assign", "athlete-0002", "--incline", "2")
    station.spotter("queue", "add", "athlete-0003", "--incline", "4")
    station.spotter("queue", "rotate", "on")

    after = told(station, "queue", "next")

    assert after["assignment"]["user_id"] == "athlete-0003"  # type: ignore[index]  # JSON
    assert after["assignment"]["set_by"] == "queue"  # type: ignore[index]  # JSON
    assert (after["rotate"], [place["athlete"] for place in after["queue"]]) == (  # type: ignore[attr-defined]  # JSON
        True,
        ["athlete-0002"],
    )
    assert "1. athlete-0002" in station.spotter("queue")
    station.spotter("queue", "remove", "1")
    assert "the queue is empty" in station.spotter("queue", "next", code=1)


def test_an_athlete_is_kept_and_done(station: Station) -> None:
    station.spotter("assign", "athlete-0002")
    assert told(station, "keep")["user_id"] == "athlete-0002"
    assert "runs out in 45 min" in station.spotter("status")
    assert told(station, "done")["kind"] == "nobody"
    assert "nobody is on the station" in station.spotter("keep", code=1)


def test_a_guest_is_on_the_station_by_a_number_not_a_name(station: Station) -> None:
    assert told(station, "assign", "--guest", "Zoë Guest")["guest"] == "guest:1"
    assert "Zoë" not in station.spotter("status")
