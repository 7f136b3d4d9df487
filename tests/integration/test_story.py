"""What became of a take, told by the real commands."""

import json
import time

from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from agent.text import printable_file_name
from tests.factories import admitted
from tests.station import ATHLETE, Station, delivered, until, until_filmed
from tests.videos import film_nobody, film_run


def said(station: Station, wanted: str) -> str:
    return station.spotter("why", wanted)


def test_a_clips_life_is_on_record_line_by_line(station: Station, sandbox: Sandbox) -> None:
    sandbox.add_fault("503:early")
    with station.running():
        film_run(station.capture / "set 1.mp4")
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])

    shown = json.loads(station.spotter("outbox", "show", "e1", "--json"))
    life = [line["what"] for line in shown["story"]]
    begins = [
        "set 1.mp4 detected in the capture folder",
        "file complete",
        "ingested as c1",
        "analysis started",
        "cut as ",
        "ready to upload",
        "analysed: its takes are cut",
        "upload attempt 1: HTTP 503",
        "upload attempt 2: uploaded",
        "uploaded as session",
    ]
    place = -1
    for begin in begins:
        place = next((n for n, told in enumerate(life) if n > place and told.startswith(begin)), -1)
        assert place >= 0, f"{begin} is missing or too early in {life}"
    assert "upload attempt 2" in station.spotter("outbox", "show", "e1")


def test_when_a_recording_grew_last_is_on_record(station: Station) -> None:
    """Of one that a program writes at once, nobody may see it: so its row is made here."""
    station.spotter("status")  # makes the outbox
    with Outbox.open(station.state) as outbox:
        admitted(outbox, 1)

    shown = json.loads(station.spotter("outbox", "show", "c1", "--json"))

    begins = [line["what"].partition(" in the ")[0] for line in shown["story"]][:2]
    assert begins[1] == "last growth seen" and begins[0].endswith("detected")


def test_why_finds_a_take_by_whatever_is_at_hand(station: Station, sandbox: Sandbox) -> None:
    with station.running():
        film_run(station.capture / "set-1.mp4")
        film_nobody(station.capture / "empty.mp4")
        assert delivered(sandbox, 1)
        until(lambda: {row["state"] for row in station.rows()} >= {"uploaded", "skipped"})
        (entry,) = station.entries()
        (session,) = sandbox.book.sessions
        safe = f"as session {session.session_id}"

        for name in ("set-1.mp4", "c1", "e1", str(entry["clip_code"]), session.session_id, ATHLETE):
            assert safe in said(station, name), name
        assert "no take found" in said(station, "empty.mp4")

    assert "no recording, clip, session or athlete named" in station.spotter(
        "why", "nothing.mp4", code=1
    )
    (station.capture / "new [1].mp4").write_bytes(b"half")
    lying = said(station, "new [1].mp4")
    assert "not ingested yet" in lying and "daemon is not running" in lying
    (told,) = json.loads(station.spotter("why", "e1", "--json"))
    assert (told["id"], told["state"]) == ("e1", "uploaded")


def test_why_says_that_nothing_moves_without_a_daemon(station: Station) -> None:
    film_run(station.capture / "set-1.mp4")
    text = station.config.read_text()
    station.config.write_text(text.replace("send_delay_s = 0", "send_delay_s = 600"))
    with station.running():
        until(lambda: station.states() == ["ready"])
        until(lambda: "it can be corrected" in said(station, "e1"))  # no next recording comes

    assert "daemon is not running" in said(station, "e1")


def test_a_person_naming_the_athlete_is_on_record(station: Station) -> None:
    station.spotter("assign", "--nobody")
    until_filmed(1.6, since_s=time.time())  # after that word
    with station.running():
        film_run(station.capture / "set-1.mp4")
        until(lambda: station.states() == ["held"])
    station.spotter("outbox", "release", "e1", "--user-id", "ann")

    with Outbox.open(station.state) as outbox:
        told = [(str(event.what), event.word) for event in outbox.events.of_entry(1)]
    assert told == [("state", "held"), ("athlete", "ann"), ("state", "ready")]


def test_why_finds_a_file_by_its_name_whatever_bytes_it_is_made_of(station: Station) -> None:
    family = "lift \N{ZERO WIDTH JOINER}.mp4"
    names = (family, "\x1b[31mred\nline.mp4", "caf\udce9.mp4", "a" * 300)
    station.spotter("status")  # makes the outbox
    with Outbox.open(station.state) as outbox:
        for number, name in enumerate(names[:2], start=1):
            admitted(outbox, number, file_name=printable_file_name(name))
    (station.capture / names[2]).write_bytes(b"half")

    assert said(station, family).startswith("c1 (lift \\u200d.mp4) was ingested")
    assert "c2 (\\x1b[31mred\\nline.mp4) was ingested" in said(station, names[1])
    for name in (names[2], "caf\\udce9.mp4"):
        assert said(station, name).startswith("caf\\udce9.mp4 is in the capture folder")
    for words in (["why", names[3]], ["logs", names[3]], ["logs", names[2]]):
        assert "no recording, clip, session or athlete named" in station.spotter(*words, code=1)
    for name in names[2:]:
        assert "no recording or clip" in station.spotter("takes", "add", name, "1", "2", code=1)


def test_why_says_what_is_left_alone(station: Station) -> None:
    (station.capture / ".hidden.mp4").write_bytes(b"half")
    (station.capture / "link.mp4").symlink_to(station.capture / ".hidden.mp4")
    (station.capture / "notes.txt").write_text("half")

    assert "is hidden" in said(station, ".hidden.mp4")
    assert "is a link" in said(station, "link.mp4")
    assert "not a video extension" in said(station, "notes.txt")


def test_why_names_the_upload_hours_that_are_waited_for(station: Station) -> None:
    day = time.strftime("%a", time.localtime(time.time() + 3 * 86400))
    station.settings["delivery"] = {"schedule": f"{day} 06:00-07:00 = 2Mbit/s, else off"}
    station.__post_init__()
    station.put_clip()

    assert "no uploads before" in said(station, "e1")
    assert "06:00 (delivery.schedule)" in said(station, "e1")


def test_why_names_what_keeps_a_file_from_being_taken_in(station: Station) -> None:
    station.settings["disk"] = {"min_free_mb": 10**9}
    station.__post_init__()
    (station.capture / "set-1.mp4").write_bytes(b"half")
    with station.running():
        until(lambda: "intake is paused" in said(station, "set-1.mp4"))
        assert "free disk space on the disk" in said(station, "set-1.mp4")

    station.spotter("filming", "stop")
    lying = said(station, "set-1.mp4")
    assert "is deleted, not analysed" in lying and "daemon is not running" in lying
