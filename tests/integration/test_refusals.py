"""What commands refuse, and how they say it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from tests.disks import mounted
from tests.factories import admitted
from tests.station import Station, delivered, give, until


def test_each_of_several_that_cannot_be_changed_is_named(station: Station) -> None:
    station.put_clip()

    told = station.spotter("outbox", "retry", "e1", "e7", "c1", code=1)

    assert "no recording or clip 'e7'" in told and "c1 is analysed" in told
    assert "spotter reanalyse c1" in told


def test_a_mass_of_nothing_is_refused_when_a_clip_is_released(station: Station) -> None:
    station.put_clip()
    station.spotter("outbox", "hold", "e1")
    for words in (["--barbell-mass", "0"], ["--user-id", ""]):
        station.spotter("outbox", "release", "e1", *words, code=1)
    assert station.states() == ["held"]


def test_nobody_is_warned_of_in_what_is_refused(station: Station) -> None:
    station.put_clip()
    with Outbox.open(station.state) as outbox:
        outbox.roster.add_guest("Ann", "ann", now_s=1.0)

    told = station.spotter("outbox", "release", "e1", "--user-id", "x", code=1)

    assert told == "spotter: e1 is ready, not held\n"


@pytest.mark.parametrize(
    "words",
    [
        ["sessions", "--athlete", "caf\udce9"],
        ["export", "--athlete", "caf\udce9"],
        ["session", "caf\udce9"],
    ],
)
def test_what_is_no_text_is_one_clear_line(station: Station, words: list[str]) -> None:
    assert station.spotter(*words, code=2) == ("spotter: 'caf\\udce9' is not valid UTF-8\n")


@pytest.mark.parametrize("at_once", [pytest.param("", marks=pytest.mark.soak), "1"])
def test_output_that_cannot_be_written_is_one_clear_line(station: Station, at_once: str) -> None:
    for words in (["status"], ["export"], ["config", "--sample"]):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "agent", *words, "--config", str(station.config)],
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": at_once},
            )
        told = "spotter: cannot write the output: No space left on device\n"
        assert (done.returncode, done.stderr) == (1, told)


def test_a_file_that_a_full_disk_does_not_take_is_named(tmp_path: Path) -> None:
    with mounted(tmp_path / "full", "size=200k") as full:
        done = subprocess.run(
            [sys.executable, "-m", "agent", "demo"],
            capture_output=True,
            check=False,
            text=True,
            env={**os.environ, "TMPDIR": str(full)},
        )

    told = done.stderr.strip().splitlines()[-2:]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert told[0].startswith(f"spotter: {full}/spotter-demo-"), told
    assert told[0].endswith(".mp4: No space left on device") and "TMPDIR=" in told[1]


def test_scripts_read_a_state_where_people_read_what_to_do(
    station: Station, sandbox: Sandbox
) -> None:
    station.put_clip()
    with station.running():
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])
    words = ("outbox", "resend", "e1", "--user-id", "athlete-0002")

    (told,) = json.loads(station.spotter(*words, "--json"))
    assert (told["id"], told["state"], "told" in told) == ("e1", "asked", False)
    assert "to athlete-0002: will be resent" in station.spotter("why", "e1")
    station.spotter("undo")
    assert "resent" not in station.spotter("why", "e1")
    assert "being resent for athlete-0002 (spotter undo" in station.spotter(*words)


def test_a_clip_that_is_given_away_goes_on_showing_what_it_shows(station: Station) -> None:
    station.settings["station"] = {"activity": "weightlifting", "exercise": "snatch"}
    station.__post_init__()
    station.put_clip()
    lift = ("--activity", "weightlifting", "--exercise", "clean")
    station.spotter("outbox", "give", "e1", "--user-id", "ann", *lift, "--barbell-mass", "60")

    station.spotter("outbox", "give", "e1", "--user-id", "ben", "--barbell-mass", "70")

    (entry,) = station.entries()
    assert [entry[name] for name in ("user_id", "exercise", "barbell_mass")] == ["ben", "clean", 70]


def test_where_an_option_goes_is_told_where_it_was_misplaced_alone(station: Station) -> None:
    hint = "Options go after the command"

    assert hint in give(["--json", "status"]).stderr
    assert hint in give(["outbox", "--json", "list"]).stderr
    assert hint not in station.spotter("export", "--json", code=2)


def test_a_check_of_the_settings_is_a_document_for_scripts(station: Station) -> None:
    told = json.loads(station.spotter("config", "--check", "--json"))

    assert told == {"file": str(station.config), "usable": True}
    assert "cannot be combined with --json" in station.spotter(
        "config", "--sample", "--json", code=2
    )


def test_a_devices_name_commands_no_terminal(station: Station) -> None:
    station.settings["web"] = {"listen": "127.0.0.1:8377"}
    station.__post_init__()

    named = station.spotter("pair", "--name", "\x1b[31mrack\n2\u202e\udce9", "--json")

    assert json.loads(named)["name"] == "[31mrack 2"


def test_columns_stand_under_their_heads_whatever_is_written_in_them(station: Station) -> None:
    station.put_clip()
    with Outbox.open(station.state) as outbox:
        admitted(outbox, 2, file_name="李小龍.mp4")
        admitted(outbox, 3, file_name="Jo\u0308rg.mp4")

    listed = station.spotter("outbox", "list", "--all").splitlines()

    captures = [line for line in listed if line.startswith("c") and line.endswith("  -")]
    assert len(captures) == 3 and len({cell_len(line) for line in captures}) == 1


def test_a_fault_of_certificates_is_not_waited_for_in_vain() -> None:
    done = give(["sandbox", "--port", "0", "--fault", "tls-expired"])

    assert done.returncode == 2 and "'tls-expired' happens with --tls alone" in done.stderr


def test_what_the_api_said_of_somebody_else_is_not_said_of_a_guest(station: Station) -> None:
    station.put_clip()
    with Outbox.open(station.state) as outbox:
        outbox.database.change(
            "UPDATE entry SET state = 'held', reason = 'refused_for_athlete', detail = 'HTTP 404'"
            " WHERE id = 1"
        )
        outbox.roster.add_guest("Ann", "ann", now_s=1.0)

    assert "(HTTP 404)" in station.spotter("why", "e1")
    station.spotter("outbox", "give", "e1", "--user-id", "guest:1")
    assert "HTTP 404" not in station.spotter("why", "e1")


def test_a_discarded_clip_is_listed_with_why_it_was_discarded(station: Station) -> None:
    station.put_clip()
    with Outbox.open(station.state) as outbox:
        outbox.database.change("UPDATE entry SET detail = 'HTTP 503' WHERE id = 1")
    station.spotter("outbox", "discard", "e1")

    listed = station.spotter("outbox", "list", "--state", "discarded")
    assert "discarded_by_person" in listed and "HTTP 503" not in listed
