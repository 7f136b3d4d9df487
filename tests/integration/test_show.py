"""`spotter show` tells the whole story of anything that a person can name."""

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.clock import Instant
from agent.outbox.models import Capture, CaptureEvidence, Entry, FileFacts
from agent.outbox.outbox import Outbox
from agent.outbox.roster import AccountAthlete
from agent.outbox.states import CaptureState, EntryState, FileState, Reason
from agent.sandbox.server import Sandbox
from tests.factories import admitted, new_entry
from tests.station import ATHLETE, Station, delivered, until
from tests.videos import film_nobody, film_run


def shown(station: Station, wanted: str) -> dict[str, Any]:
    """Return what scripts see of something."""
    document = json.loads(station.spotter("show", wanted, "--json"))
    assert isinstance(document, dict)
    return document


def test_a_delivered_clip_is_shown_by_whatever_names_it(station: Station, sandbox: Sandbox) -> None:
    with station.running():
        film_run(station.capture / "set-1.mp4")
        film_nobody(station.capture / "empty.mp4")
        assert delivered(sandbox, 1)
        until(lambda: {row["state"] for row in station.rows()} >= {"uploaded", "skipped"})
        until(lambda: "Ada Example" in station.spotter("athletes"))  # the roster is synced
    (session,) = sandbox.book.sessions
    (entry,) = station.entries()
    code = str(entry["clip_code"])

    for wanted in ("e1", code, code.upper(), code[:6], f"{code}.mp4", session.session_id):
        assert shown(station, wanted)["id"] == "e1", wanted
    told = shown(station, "e1")
    assert told["kind"] == "clip" and told["athlete"] == {
        "user_id": ATHLETE,
        "guest": None,
        "name": "Ada Example",
    }
    assert told["session"]["session_id"] == session.session_id
    clip = Path(told["files"]["clip"])
    assert clip.read_bytes() and "spotter session e1 --look" in str(told["next"])
    (recording,) = told["recordings"]
    found = shown(station, str(recording["sha256"])[:8])
    assert found["kind"] == "recording" and found["clips"][0]["id"] == "e1"
    assert shown(station, "set-1.mp4")["id"] == recording["id"]
    words = station.spotter("show", f"{recording['id']}/1")
    assert words.splitlines()[0] == station.spotter("why", "e1").strip()
    assert "history (times in" in words and "uploaded as session" in words
    nobody = station.spotter("show", "empty.mp4")
    assert "no take found" in nobody and "spotter takes add" in nobody
    person = shown(station, ATHLETE)
    assert person["kind"] == "athlete" and "is assigned to the station now" in str(person["told"])


def held(station: Station, number: int, reason: Reason, *, clock_is_set: bool = True) -> Entry:
    """Let a clip be held whose recording came while the clock was set, or not."""
    at = Instant(utc_s=time.time(), boot_id="b", boot_s=1.0, trusted=clock_is_set)
    with Outbox.open(station.state) as outbox:
        capture = outbox.captures.admit(
            sha256=hashlib.sha256(str(number).encode()).hexdigest(),
            file_name=f"held-{number}.mp4",
            stored_name=f"held-{number}.mp4",
            facts=FileFacts(size_bytes=1000, mtime_ns=1, inode=number),
            evidence=CaptureEvidence(grew_until=at, appeared=at, mtime_s=at.utc_s),
            now_s=at.utc_s,
        )
        assert isinstance(capture, Capture)
        new = new_entry(capture, state=EntryState.HELD, user_id=None)
        clip = replace(
            new.clip,
            cut_method="encode",
            cut_why="the picture size changes in the recording (640x480, 1280x720): "
            "encoded to one size, 1280x720",
        )
        return outbox.entries.create(replace(new, reason=reason, clip=clip), now_s=at.utc_s)


@pytest.fixture
def made(station: Station) -> Station:
    """A station whose outbox is there."""
    station.spotter("status")
    return station


def test_a_held_clip_says_why_and_what_to_do(made: Station) -> None:
    held(made, 1, Reason.UNASSIGNED)
    held(made, 2, Reason.RECORDING_TIME_UNKNOWN, clock_is_set=False)
    held(made, 3, Reason.RECORDING_TIME_UNKNOWN)

    words = made.spotter("show", "e1")
    assert "is held for review" in words and "spotter outbox release e1 --user-id USER_ID" in words
    (clip,) = shown(made, "c1")["clips"]
    assert clip["next"] == "spotter outbox release e1 --user-id USER_ID"
    assert f"    next: {clip['next']}\n" in made.spotter("show", "held-1.mp4")
    assert clip["next"] in made.spotter("outbox", "retry", "e1", code=1)
    assert "re-encoded (the picture size changes" in words and "to one size, 1280x720" in words
    assert "clock was not synchronised (NTP)" in str(shown(made, "e2")["cause"])
    assert "timedatectl" in made.spotter("show", "e2")
    assert shown(made, "e3")["cause"] is None


def test_of_a_file_that_is_gone_no_upload_is_told(made: Station) -> None:
    with Outbox.open(made.state) as outbox:
        capture = admitted(outbox, 1)
        assert outbox.captures.move(capture, CaptureState.DISCARDED, now_s=1.0) is not None
        outbox.captures.set_file_state(capture.id, FileState.CLEARED, now_s=1.0)

    words = made.spotter("show", "c1")
    assert "no longer on this box" in words and "upload" not in words


def test_what_was_not_ingested_yet_and_the_station_itself_are_shown(made: Station) -> None:
    (made.capture / "new.mp4").write_bytes(b"half")

    assert "is in the capture folder, not ingested yet" in made.spotter("show", "new.mp4")
    made.spotter("assign", "--guest", "Bo Visitor")
    assert "guest:1 (Bo Visitor) is assigned to the station now" in made.spotter("show", "visitor")
    station_id = json.loads(made.spotter("config", "--json"))["station"]["id"]
    assert "spotter status" in made.spotter("show", station_id)


def test_an_ambiguous_name_lists_its_candidates(made: Station) -> None:
    with Outbox.open(made.state) as outbox:
        for number in (1, 2):
            capture = admitted(outbox, number, file_name="lift.mp4")
            assert outbox.captures.move(capture, CaptureState.DISCARDED, now_s=1.0) is not None
        known = [
            AccountAthlete(user_id=user_id, name=name, folded=name.lower())
            for user_id, name in (("u1", "Ann Berg"), ("u2", "Ann Dahl"), ("u3", "Ann Dahl Lund"))
        ]
        outbox.roster.replace(known, complete=True, now_s=1.0)

    for wanted in ("lift.mp4", "0000000000", "ann"):
        assert "is ambiguous" in made.spotter("show", wanted, code=1), wanted
    assert shown(made, "ann dahl")["id"] == "u2"  # the whole name of one
    assert shown(made, "lund")["id"] == "u3"
    nothing = made.spotter("show", "zz", code=1)
    assert nothing.startswith("spotter: no recording, clip, session or athlete named 'zz'")


def test_warnings_of_a_clip_are_shown_in_words(made: Station) -> None:
    remarks = ("may_be:ada", "barbell_mass_not_given")
    with Outbox.open(made.state) as outbox:
        new = new_entry(admitted(outbox, 1))
        outbox.entries.create(replace(new, remarks=remarks), now_s=1.0)

    assert shown(made, "e1")["warnings"] == list(remarks)
    words = made.spotter("show", "e1")
    assert "the athlete may be ada" in words and "the API assumes 100 kg" in words
    assert "may_be" not in words
