"""A clip that the API refuses as too large: made smaller where the station allows it."""

from pathlib import Path

from agent.sandbox.server import Sandbox
from analysis.video import probe
from tests.station import PATIENCE_S, Station, delivered
from tests.videos import film_run


def test_a_smaller_rendition_is_sent_once_however_it_is_cut_off(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    station = Station(tmp_path, sandbox.base_url, {"delivery": {"smaller_if_too_large": True}})
    sandbox.add_fault("413:early")
    film_run(station.capture / "one.mp4")

    # The clip of the take is kept first; its smaller rendition takes its place second.
    assert station.start({"SPOTTER_CRASH_AT": "clip-kept:2"}).wait(PATIENCE_S) == -9
    (held,) = station.entries()
    assert (held["state"], held["reason"]) == ("held", "too_large")
    with station.running():
        assert delivered(sandbox, 1)

    (entry,) = station.entries()
    (session,) = sandbox.book.sessions
    assert session.video_sha256 == entry["clip_sha256"] != held["clip_sha256"]
    assert int(str(entry["clip_bytes"])) < 0.75 * int(str(held["clip_bytes"]))
    assert session.video_path is not None
    whole = round(15 * float(str(held["clip_seconds"])))
    assert probe(session.video_path).packets == whole  # not one picture is missing
