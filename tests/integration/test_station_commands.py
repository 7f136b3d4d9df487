"""What a coach says on the command line."""

import json

from agent.sandbox.server import Sandbox
from tests.station import Station, delivered, give, run_spotter, until
from tests.videos import film_run


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


def test_a_group_is_imported_and_takes_turns(station: Station) -> None:
    station.spotter("athletes", "--sync")
    table = station.capture.parent / "groups.csv"
    table.write_text("group,athlete\nU18,athlete-0003\nU18,Jörg Müller\nU18,nobody\n")
    assert "line 4: no athlete 'nobody'" in station.spotter("groups", "import", str(table), code=1)
    table.write_text(table.read_text().replace("nobody", "athlete-0004"))
    station.spotter("groups", "import", str(table))
    station.spotter("groups", "remove", "u18", "athlete-0004")

    (group,) = json.loads(station.spotter("groups", "--json"))
    assert [one["key"] for one in group["members"]] == ["athlete-0003", "athlete-0002"]
    after = told(station, "queue", "group", "U18")
    assert [place["athlete"] for place in after["queue"]] == ["athlete-0003", "athlete-0002"]  # type: ignore[attr-defined]  # JSON
    assert after["rotate"] is True
    assert station.spotter("groups", "remove", "U18") == "removed: U18\n"
    assert "no groups" in station.spotter("groups")


def test_a_card_is_linked_and_tapped(station: Station) -> None:
    station.spotter("athletes", "--sync")
    assert "not linked to an athlete" in station.spotter("tap", "0004512345", code=1)
    linked = told(station, "cards", "link", "0004512345", "Jörg Müller")
    assert linked["athlete"] == "athlete-0002"

    tapped = told(station, "tap", "0004512345")

    assert (tapped["result"], tapped["athlete"]) == ("assigned", "athlete-0002")
    assert told(station, "tap", " 0004512345")["result"] == "kept"
    assert "Jörg Müller" in station.spotter("cards", "list")
    station.spotter("cards", "unlink", str(linked["card"]))
    assert "no linked cards" in station.spotter("cards", "list")


def test_turns_are_told_of_while_nobody_waits(station: Station) -> None:
    assert "rotation on" not in station.spotter("queue")
    assert "rotation on: the finished athlete moves to the end" in station.spotter(
        "queue", "rotate", "on"
    )
    assert "rotation on" not in station.spotter("queue", "rotate", "off")


def test_an_athlete_is_kept_and_done(station: Station) -> None:
    station.spotter("assign", "athlete-0002")
    assert told(station, "keep")["user_id"] == "athlete-0002"
    assert "expires in 45 min" in station.spotter("status")
    assert told(station, "done")["kind"] == "nobody"
    assert "no athlete is assigned" in station.spotter("keep", code=1)


def test_a_guest_is_on_the_station_by_a_number_not_a_name(station: Station) -> None:
    assert told(station, "assign", "--guest", "Zoë Guest")["guest"] == "guest:1"
    assert "Zoë" not in station.spotter("status")


def test_the_roster_is_fetched_kept_and_searched(station: Station, sandbox: Sandbox) -> None:
    found = json.loads(station.spotter("athletes", "--sync", "--json"))
    assert {"李小龍", "Jörg Müller", "ياسمين"} <= {athlete["name"] for athlete in found}
    for words in (["assign", "athlete-002"], ["queue", "add", "athlete-002"]):
        assert "check the spelling" in give([*words, "--config", str(station.config)]).stderr
    # what destroys goes by the user id alone
    by_name = run_spotter(["forget", "jörg müller", "--yes", "--config", str(station.config)])
    assert "the user id is athlete-0002" in by_name.stderr
    assert "athlete-0002" in station.spotter("athletes", "--search", "MULLER")

    sandbox.stop()
    assert "cannot be reached" in station.spotter("athletes", "--sync", code=69)
    assert "athlete-0002" in station.spotter("athletes", "--search", "MULLER")


def test_an_athlete_is_assigned_queued_and_given_a_clip_by_full_name(
    station: Station, sandbox: Sandbox
) -> None:
    station.spotter("athletes", "--sync")
    assert told(station, "assign", "jorg muller")["user_id"] == "athlete-0002"
    assert "1. athlete-0002" in station.spotter("queue", "add", "Jörg Müller")
    unknown = ["assign", "Jörg", "--config", str(station.config), "--json"]
    answer = give(unknown)  # half a name is no name: it is taken for a user id, and said to be none
    assert json.loads(answer.stdout)["user_id"] == "Jörg"
    assert "check the spelling" in answer.stderr

    station.spotter("assign", "--nobody")
    film_run(station.capture / "one.mp4")
    with station.running():
        until(lambda: station.states() == ["held"])
        station.spotter("outbox", "release", "e1", "--user-id", "Jörg Müller")
        until(lambda: station.states() in (["uploaded"], ["completed"]))
    assert [session.user_id for session in sandbox.book.sessions] == ["athlete-0002"]


def test_a_key_that_may_not_list_athletes_says_so(station: Station) -> None:
    station.key_file.write_text("wrong-key")

    told = station.spotter("athletes", "--sync", code=1)
    assert "refuses the key" in told and f"right key into {station.key_file}" in told


def test_the_daemon_brings_the_roster_up_to_date_by_itself(station: Station) -> None:
    with station.running():
        until(lambda: "Jörg" in station.spotter("athletes"))
    assert "Jörg" not in station.log.read_text()


def test_what_was_ended_is_taken_back(station: Station) -> None:
    station.spotter("queue", "add", "athlete-0002")
    station.spotter("queue", "clear")
    assert told(station, "undo")["undone"] == "clear_queue"
    assert "1. athlete-0002" in station.spotter("queue")
    assert "nothing to undo" in station.spotter("undo", code=1)


def test_clips_are_given_held_and_brought_back(station: Station, sandbox: Sandbox) -> None:
    station.spotter("assign", "--nobody")
    film_run(station.capture / "one.mp4")
    with station.running():
        until(lambda: station.states() == ["held"])
        station.spotter("outbox", "discard", "e1")
        assert "undone: discard e1" in station.spotter("undo")
        station.spotter("outbox", "discard", "e1")
        station.spotter("undo")
        assert station.states() == ["held"]
        station.spotter("outbox", "give", "e1", "--user-id", "athlete-0003")
        until(lambda: station.states() in (["uploaded"], ["completed"]))
    assert [session.user_id for session in sandbox.book.sessions] == ["athlete-0003"]
    (state,) = station.states()
    assert f"e1 is {state}" in station.spotter("outbox", "hold", "e1", code=1)
    assert "was not resent" in station.spotter("outbox", "delete-wrong", "e1", code=1)


def test_an_athlete_is_forgotten(station: Station, sandbox: Sandbox) -> None:
    film_run(station.capture / "one.mp4")
    with station.running():
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])

    (session,) = sandbox.book.sessions
    assert "--yes" in station.spotter("forget", session.user_id, "--json", code=2)
    forgotten = told(station, "forget", session.user_id, "--yes")

    assert forgotten["sessions"] == [session.session_id]
    assert (forgotten["done"], forgotten["named_in_settings"]) == (True, True)
    for place in ("clips", "captures", "pictures"):
        assert list((station.state / place).iterdir()) == []
    assert sandbox.book.sessions == [session]
    assert "0 clips" in station.spotter("forget", session.user_id, "--yes")
