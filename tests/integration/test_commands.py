"""The commands that need no daemon."""

import json
import subprocess
from pathlib import Path

import pytest

from agent.clock import read_clock
from agent.disk.rights import ServiceUser
from agent.doctor.check import StationUnderTest
from agent.doctor.folders import check_folder, check_rights
from agent.settings import effective, load_settings
from tests.disks import mounted
from tests.station import Station, give, run_spotter
from tests.videos import film_run


def test_analyse_needs_no_settings_and_cuts_where_asked(tmp_path: Path) -> None:
    video = film_run(tmp_path / "run.mp4", seconds=3)

    done = run_spotter(["analyse", str(video), "--out", str(tmp_path / "out"), "--json"])

    report = json.loads(done.stdout)
    assert set(report) == {"video", "takes", "quality", "verdict", "cost"}
    assert set(report["video"]) == {
        *("duration_s", "width", "height", "fps", "codec", "rotation_deg"),
        *("is_mirrored", "shown_width", "shown_height"),
    }
    (take,) = report["takes"]
    assert take["clip"] == str(tmp_path / "out" / "take-1.mp4")
    assert take["clip_frames"] == 45
    assert (tmp_path / "out" / "take-1.jpg").exists()
    assert report["cost"]["pose_frames"] > 0


def test_analyse_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello")

    for words in (["text.mp4"], ["missing.mp4"], ["text.mp4", "--out", "text.mp4/x"]):
        paths = [word if word == "--out" else str(tmp_path / word) for word in words]
        done = give(["analyse", *paths])
        assert done.returncode == 1
        assert done.stderr.startswith("spotter: ") and "Traceback" not in done.stderr
        if words == ["text.mp4"]:
            assert "not a video that can be read: " in done.stderr
            assert "does a video player play it?" in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["show", "nothing"], 1),
        (["why", "nothing"], 1),
        (["session", "nothing"], 1),
        (["assign", "athlete-0002", "--barbell-mass", "-3"], 1),
        (["queue", "remove", "7"], 1),
        (["groups", "show", "nothing"], 1),
        (["undo"], 1),
        (["assign"], 2),
        (["queue", "remove", "seven"], 2),
        (["status", "--bogus"], 2),
        (["tap"], 2),
        (["nonsense"], 2),
    ],
    ids=lambda it: "-".join(it) if isinstance(it, list) else str(it),
)
def test_a_refused_command_gives_scripts_its_error_as_json(
    station: Station, words: list[str], code: int
) -> None:
    done = give([*words, "--json", "--config", str(station.config)])

    told = json.loads(done.stdout)
    assert done.returncode == code and set(told) == {"error", "hint"}
    assert told["error"] in done.stderr and (told["hint"] or "") in done.stderr.replace("'", "")
    assert give([*words, "--config", str(station.config)]).stdout == ""


def test_scripts_get_one_document_where_settings_are_wrong_or_several_ids_are_given(
    station: Station, tmp_path: Path
) -> None:
    station.spotter("assign", "athlete-0002")  # makes the outbox
    several = give(["outbox", "retry", "e98", "e99", "--json", "--config", str(station.config)])
    rows = json.loads(several.stdout)
    assert [(row["id"], row["hint"]) for row in rows] == [
        ("e98", "list them: spotter outbox list --all"),
        ("e99", "list them: spotter outbox list --all"),
    ]

    (tmp_path / "wrong.toml").write_text("[station]\nid = 7\n")
    for wrong, word in (("wrong.toml", "station.id"), ("missing.toml", "missing.toml")):
        done = give(["status", "--json", "--config", str(tmp_path / wrong)])
        assert done.returncode == 78 and word in json.loads(done.stdout)["error"]


def test_a_state_folder_that_is_none_is_named_with_what_to_do(station: Station) -> None:
    station.state.write_text("")
    told = station.spotter("status", code=78)
    assert f"{station.state} is a file: move it away" in told and "sudo" not in told
    found = check_rights(
        StationUnderTest(
            settings=load_settings(station.config),
            config=station.config,
            now=read_clock(),
            environ={},
        )
    )
    assert found == []  # root may; the check of folders tells the rest

    station.state.unlink()
    station.state.symlink_to("/nowhere/at/all")
    told = station.spotter("status", code=78)
    assert f"{station.state} is a link to nothing: move it away" in told


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["assign", ""], 2, "USER_ID is empty"),
        (["support", "--out", "/nowhere/x.tar.gz"], 1, "choose another file: --out FILE"),
        (["restore", "{config}"], 1, "choose a file that spotter backup wrote"),
        (["certificate", "init", "/proc/none"], 1, "choose another folder"),
        (["sandbox", "--port", "0", "--keep", "/dev/null/x"], 1, "choose another folder: --keep"),
    ],
)
def test_a_wrong_word_is_answered_with_what_to_do(
    station: Station, words: list[str], code: int, told: str
) -> None:
    given = [word.format(config=station.config) for word in words]
    own = [] if words[0] == "certificate" else ["--config", str(station.config)]

    done = give([*given, *own])

    assert done.returncode == code and told in done.stderr and "Traceback" not in done.stderr


def test_what_a_person_names_may_lie_where_nobody_may_look(station: Station) -> None:
    """A name that is too long stands for it: root, as whom tests may run, may look everywhere."""
    station.spotter("assign", "athlete-0002")  # makes the outbox
    out_of_reach = "x" * 300 + ".mp4"
    for words in (["why"], ["logs"], ["reanalyse"], ["takes", "add"], ["analyse"]):
        moments = ["0:01", "0:05"] if words[0] == "takes" else []
        told = station.spotter(*words, out_of_reach, *moments, code=1)
        assert told.startswith("spotter: ") and "Traceback" not in told
    for words in (["backup"], ["camera", "check"], ["support", "--out"]):
        told = station.spotter(*words, out_of_reach, code=1)
        assert told.startswith(f"spotter: {out_of_reach}: File name too long"), told
    done = give(["certificate", "init", out_of_reach, "--json"])
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "File name too long" in json.loads(done.stdout)["error"]


def test_an_assignment_can_be_made_asked_for_and_taken_back(station: Station) -> None:
    told = json.loads(
        station.spotter("assign", "athlete-0002", "--incline", "3", "--for", "30m", "--json")
    )
    assert (told["user_id"], told["activity"], told["incline_degree"]) == (
        "athlete-0002",
        "running",
        3.0,
    )
    assert told["until"] is not None
    status = json.loads(station.spotter("status", "--json"))
    assert status["assignment"]["user_id"] == "athlete-0002"
    assert status["running"] is False

    station.spotter("assign", "--nobody")
    assert json.loads(station.spotter("status", "--json"))["assignment"]["user_id"] is None
    station.spotter("assign", "--clear")
    assert "someUserId123" in station.spotter("status")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["assign"], 2, "give exactly one of"),
        (["assign", "x", "--clear"], 2, "give exactly one of"),
        (["export", "--csv", "/nowhere/at/all.csv"], 1, "/nowhere/at/all.csv: No such file"),
        (["assign", "--clear", "--for", "30m"], 2, "need a USER_ID"),
        (["assign", "x", "--exercise", "snatch"], 1, "it has no exercises"),
        (["assign", "x", "--activity", "jumping"], 1, "exercise is required for jumping"),
        (["assign", "x", "--barbell-mass", "heavy"], 2, "'heavy' is not a number (example: 62.5)"),
        (["assign", "x", "--barbell-mass", "nan"], 2, "is not a number"),
        (["analyse", "/"], 1, "/: not a file"),
        (["forget", "x"], 1, "the question was not answered"),
        (["queue", "move", "somebody", "1"], 2, "'somebody' is not a valid whole number"),
        (["session", "x"], 1, "no session or clip 'x'"),
        (["camera", "snapshot", "x.jpg"], 75, "spotter status says how to start it"),
    ],
)
def test_what_makes_no_sense_is_refused(
    station: Station, words: list[str], code: int, told: str
) -> None:
    assert told in station.spotter(*words, code=code)


def test_a_mass_may_be_written_with_a_comma(station: Station) -> None:
    words = ("assign", "x", "--activity", "weightlifting", "--exercise", "snatch")

    assert "62.5 kg" in station.spotter(*words, "--barbell-mass", "62,5")


def test_a_terminal_that_cannot_show_a_sign_gets_a_question_mark(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")

    done = run_spotter(["assign", "--guest", "小龍", "--config", str(station.config)])
    listed = run_spotter(["athletes", "--config", str(station.config)])

    assert (done.returncode, listed.returncode) == (0, 0)
    assert "guest:1  ??" in listed.stdout


def test_an_empty_station_says_so(station: Station) -> None:
    assert station.spotter("outbox", "list").strip() == "no clips or recordings"
    assert json.loads(station.spotter("outbox", "list", "--json")) == []
    assert "NOT running" in station.spotter("status")


def test_the_effective_settings_hide_secrets(station: Station) -> None:
    shown = json.loads(station.spotter("config", "--json"))

    assert shown["api"]["base_url"] == station.base_url
    assert shown["station"]["user_id"] == "someUserId123"


def test_the_effective_settings_are_a_file_that_says_the_same(
    station: Station, tmp_path: Path
) -> None:
    shown = station.spotter("config")
    again = tmp_path / "again.toml"
    again.write_text(shown)

    assert 'activity = "running"' in shown and f"  # {station.config}\n" in shown
    assert "# barbell_mass is not set" in shown and "poster = false" in shown
    assert effective(load_settings(again)) == effective(load_settings(station.config))


def test_a_state_folder_without_rights_is_one_clear_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    config = tmp_path / "station.toml"
    config.write_text(
        '[station]\nactivity = "running"\n'
        f'[paths]\ncapture = "{tmp_path}/c"\nstate = "{blocked}/s"\n'
    )

    done = run_spotter(["status", "--config", str(config)])

    assert done.returncode == 78
    assert "paths.state" in done.stderr and "Traceback" not in done.stderr


def test_a_disk_that_can_only_be_read_says_so(tmp_path: Path) -> None:
    station = Station(tmp_path, "http://127.0.0.1:9")
    with mounted(station.state, "size=8m"):
        station.spotter("status")
        subprocess.run(["/bin/mount", "-o", "remount,ro", str(station.state)], check=True)

        assert "is read-only" in station.spotter("status", code=75)
        assert "is read-only" in station.spotter("run", code=75)
        who = ServiceUser(name="root", uid=0, groups=frozenset())
        found = check_folder("state folder", station.state, who)
        assert "is read-only" in found.finding and "remount,rw" in str(found.remedy)
