"""What came of the takes, on the command line: lists, one session, a coach's table."""

import csv
import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.results import NewResult, Number
from agent.outbox.roster import AccountAthlete
from agent.outbox.states import EntryState
from agent.results.csv_export import harmless
from agent.sandbox.server import Sandbox
from tests.conftest import InZone
from tests.sessions import made_session
from tests.station import Station

DAY_S = 86_400.0
SECRET = "X-Signature=abc"
NUMBERS: dict[str, Number] = {"peak_velocity": -1.5, "grade": "=2+3", "-odd": True}


@pytest.fixture
def outbox(station: Station, sandbox: Sandbox) -> Iterator[Outbox]:
    """Three sessions: one awaited, one analysed, and one analysed a week ago."""
    station.state.mkdir()
    StateFolder(station.state).prepare()
    now_s = time.time()
    with open_as_owner(station.state, now_s=now_s) as opened:
        for number, made_s in ((1, now_s), (2, now_s - 60), (3, now_s - 7 * DAY_S)):
            entry = made_session(opened, sandbox, number, now_s=made_s)
            opened.database.change(
                "UPDATE entry SET filmed_at = ? WHERE id = ?", (made_s - 20, entry.id)
            )
            if number > 1:
                new = NewResult(
                    numbers=NUMBERS,
                    analysed_video_url=f"https://storage.example/a.mp4?{SECRET}",
                    document_bytes=0,
                )
                assert opened.results.record(entry.id, new, now_s=made_s)
                opened.entries.move(entry, EntryState.COMPLETED, now_s=made_s)
        opened.roster.replace(
            [AccountAthlete(user_id="athlete-1", name="Jörg @Müller", folded="jorg muller")],
            complete=True,
            now_s=now_s,
        )
        yield opened


def test_sessions_are_listed_by_athlete_time_and_state(station: Station, outbox: Outbox) -> None:
    def listed(*words: str) -> list[str]:
        found = json.loads(station.spotter("sessions", *words, "--json"))
        return [str(session["session_id"]) for session in found]

    assert listed() == ["session001", "session002", "session003"]
    assert listed("--since", "2d") == ["session001", "session002"]
    assert listed("--since", "2020-01-01", "--state", "waiting") == ["session001"]
    assert listed("--athlete", "athlete-1", "--state", "completed") == ["session002", "session003"]
    assert listed("--athlete", "nobody") == []
    shown = station.spotter("sessions")
    assert "peak_velocity -1.5" in shown and SECRET not in shown
    assert "examples: 2d, today" in station.spotter("sessions", "--since", "soon", code=2)
    assert station.spotter("sessions", "--athlete", "nobody") == "no sessions\n"
    assert outbox.follow_ups.counts() == {"completed": 2, "waiting": 1}


@pytest.mark.parametrize(
    "words",
    [
        *("status", "outbox list", "outbox list --all", "outbox show e2", "outbox show c1"),
        *("logs", "logs e2", "why e1", "sessions", "session e2", "queue", "pair --list"),
    ],
)
def test_people_read_the_boxs_own_clock_and_scripts_utc(
    station: Station, outbox: Outbox, in_zone: InZone, words: str
) -> None:
    in_zone("NST3:30NDT,M3.2.0,M11.1.0")  # of America/St_Johns

    shown = station.spotter(*words.split())
    told = station.spotter(*words.split(), "--json")

    assert not re.search(r"\d{4}-\d\d-\d\dT", shown), shown
    assert set(re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([^\"]*)", told)) <= {"Z"}
    assert len(outbox.sessions.latest(since=0.0)) == 3


def test_one_session_is_told_by_any_of_its_names(station: Station, outbox: Outbox) -> None:
    entry = outbox.entries.by_id(2)
    assert entry is not None
    for name in ("session002", "e2", entry.clip_code):
        told = json.loads(station.spotter("session", name, "--json"))
        assert (told["state"], told["numbers"]) == ("completed", NUMBERS)
        assert told["analysed_video"]["has_link"] and SECRET not in json.dumps(told)
    shown = station.spotter("session", "e2")
    assert "peak_velocity" in shown and SECRET not in shown
    assert "no session or clip 'nothing'" in station.spotter("session", "nothing", code=1)


def test_a_look_asks_at_once_and_brings_everything(station: Station, outbox: Outbox) -> None:
    follow_up = outbox.follow_ups.of_entry(1)
    assert follow_up is not None
    outbox.follow_ups.note(follow_up, {"state": "not_seen", "due_at": None}, now_s=time.time())
    outbox.lanes.update("sandbox", {"key_header": "Authorization"})

    told = json.loads(station.spotter("session", "e1", "--look", "--json"))

    assert told["state"] == "completed" and 0.9 <= told["numbers"]["bar_height"] <= 1.3
    assert "its analysis is complete" in station.spotter("why", "e1")
    assert "analyses" in station.spotter("status") and "3 completed" in station.spotter("status")
    show = json.loads(station.spotter("outbox", "show", "e1", "--json"))
    assert show["analysis"].startswith("its analysis is complete; 1 check;")
    lines = [line["what"] for line in show["story"]]
    assert any("not completed in time" in line for line in lines)
    assert "its analysis is complete" in lines


def test_key_points_are_fetched_into_a_file_or_not_at_all(
    station: Station, outbox: Outbox, sandbox: Sandbox, tmp_path: Path
) -> None:
    target = tmp_path / "e1.json"
    target.write_text("older")

    told = json.loads(station.spotter("session", "e1", "--export", str(target), "--json"))
    assert told["session_id"] == "session001"
    assert set(json.loads(target.read_text())) >= {"keypoints", "angles", "all_timestamps"}

    refusals = {
        "html@session": "not JSON",
        "404:error=not analysed@session": "HTTP 404: not analysed",
        "empty@session": "HTTP 204",
    }
    before = sorted(tmp_path.iterdir())
    for fault, words in refusals.items():
        sandbox.add_fault(fault)
        assert words in station.spotter("session", "e1", "--export", str(target), code=1)
    nowhere = str(tmp_path / "none" / "e1.json")
    assert "No such file" in station.spotter("session", "e1", "--export", nowhere, code=1)
    assert sorted(tmp_path.iterdir()) == before and "angles" in target.read_text()
    assert outbox.follow_ups.counts()["waiting"] == 1


def test_a_look_without_a_way_or_a_key_says_so(
    station: Station, outbox: Outbox, sandbox: Sandbox
) -> None:
    sandbox.go_away()
    assert "cannot be reached" in station.spotter("session", "e1", "--look", code=69)
    sandbox.come_back()
    station.key_file.write_text("another")
    assert "put the right key into" in station.spotter("session", "e1", "--look", code=1)
    station.key_file.write_text("")
    assert "no API key" in station.spotter("session", "e1", "--look", code=1)
    assert "no API key" in station.spotter("session", "e1", "--open", code=1)
    assert outbox.follow_ups.counts()["waiting"] == 1


def test_the_browser_is_led_to_the_video_and_nobody_else_sees_the_link(
    station: Station, outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$@" > {seen}\ncat "${{1#file://}}" >> {seen}.page\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    outbox.results.note_link(2, f"https://storage.example/a.mp4?{SECRET}&b", now_s=time.time())

    shown = station.spotter("session", "e2", "--open")

    assert SECRET not in shown + seen.read_text()
    page = Path(f"{seen}.page").read_text()
    assert f"url=https://storage.example/a.mp4?{SECRET}&amp;b" in page
    assert not Path(seen.read_text().strip().removeprefix("file://")).exists()


def test_retry_looks_for_an_analysis_again(station: Station, outbox: Outbox) -> None:
    follow_up = outbox.follow_ups.of_entry(1)
    assert follow_up is not None
    outbox.follow_ups.note(follow_up, {"state": "failed", "due_at": None}, now_s=time.time())

    assert "e1 is now uploaded" in station.spotter("outbox", "retry", "e1")

    again = outbox.follow_ups.of_entry(1)
    assert again is not None and (again.state, again.due_at is None) == ("waiting", False)
    assert "is completed and cannot be retried" in station.spotter("outbox", "retry", "e2", code=1)


def test_the_coachs_table_is_harmless_and_names_nobody_unasked(
    station: Station, outbox: Outbox, tmp_path: Path
) -> None:
    def rows(text: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(text)))

    plain = station.spotter("export", "--since", "2d", "--csv")
    table = tmp_path / "table.csv"
    station.spotter("export", "--csv", str(table), "--names")

    awaited, analysed = rows(plain)
    assert (awaited["state"], awaited["peak_velocity"]) == ("waiting", "")
    assert (analysed["peak_velocity"], analysed["grade"]) == ("-1.5", "'=2+3")
    assert analysed["'-odd"] == "true"
    assert "Müller" not in plain and "name" not in analysed and SECRET not in plain
    assert [row["name"] for row in rows(table.read_text(encoding="utf-8"))] == ["Jörg @Müller"] * 3
    assert rows(station.spotter("export", "--athlete", "nobody")) == []
    assert outbox.follow_ups.counts()["completed"] == 2


@pytest.mark.parametrize(
    "text",
    [
        *("=1", "+1", "-1", "@a", "\t=1", "\r=1", "  =1", "\u00a0=1", "\ufeff=1", '"=1', "\uff1d1"),
        *("\t1", "\r1"),
    ],
)
def test_no_text_is_a_formula(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert [harmless(value) for value in (-1, -1.5, True, None, "a=1")] == [
        -1,
        -1.5,
        "true",
        None,
        "a=1",
    ]


@pytest.mark.parametrize("sign", [";", ",", "\t", "|", "\n", "\r\n", "\v"])
@pytest.mark.parametrize("formula", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", ' "=1'])
def test_no_text_is_a_formula_where_another_sign_separates(sign: str, formula: str) -> None:
    shown = harmless(f"Zoë{sign}{formula}")

    assert isinstance(shown, str)
    assert shown.startswith("Zoë") and shown.endswith(f"{sign[-1]}'{formula}")
