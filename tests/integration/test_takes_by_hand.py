"""A person sees what the analysis missed: the real daemon and the real commands."""

import json

from agent.sandbox.server import Sandbox
from tests.station import Station, delivered, until
from tests.videos import film_nobody, film_run


def test_a_take_made_by_hand_is_delivered_and_never_a_second_time(
    station: Station, sandbox: Sandbox
) -> None:
    film_nobody(station.capture / "missed.mp4")

    with station.running():
        until(lambda: [row["state"] for row in station.rows()] == ["skipped"])
        told = json.loads(station.spotter("takes", "add", "missed.mp4", "0.2", "0:00.8", "--json"))
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])
        refused = station.spotter("takes", "add", "c1", "0.1", "0.5", code=1)
        sent = station.spotter("reanalyse", "missed.mp4", code=1)

    assert told == {"capture": "c1", "take": 1, "start_s": 0.2, "end_s": 0.8}
    assert "already has a clip" in refused and "all clips of c1 are uploaded" in sent
    (row,) = station.entries()
    assert row["clip_seconds"] == 0.6
    assert "not a position" in station.spotter("takes", "add", "c1", "soon", "2", code=2)


def test_a_capture_is_looked_at_again_with_the_settings_of_now(
    station: Station, sandbox: Sandbox
) -> None:
    station.spotter("assign", "--nobody")
    film_run(station.capture / "run.mp4", seconds=3)
    with station.running():
        until(lambda: station.states() == ["held"])
    text = station.config.read_text()
    station.config.write_text(f'{text}\n[cut]\nmethod = "encode"\n')

    station.spotter("reanalyse", "run.mp4")
    with station.running():
        until(lambda: station.states() == ["discarded", "held"])

    first, second = station.entries()
    assert first["clip_code"] != second["clip_code"]
    shown = json.loads(station.spotter("outbox", "show", str(second["id"]), "--json"))
    assert (shown["cut_method"], shown["cut_why"]) == ("encode", "the settings say so")
    assert sandbox.book.sessions == []
