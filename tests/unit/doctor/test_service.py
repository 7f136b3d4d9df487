"""Faults of service, camera and records, each found, named, and told how to mend."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.clock import LocalTime
from agent.doctor import service
from agent.doctor import service as doctor_service
from agent.doctor.check import CheckResult, Severity, StationUnderTest
from agent.doctor.network import check_api, judge_certificate, judge_clock
from agent.doctor.recordings import (
    PendingFile,
    judge_audit,
    judge_lane,
    judge_last,
    judge_left,
    judge_pending,
    judge_rebuilt,
    judge_titles,
    judge_waiting,
)
from agent.doctor.service import (
    check_recorders,
    check_service,
    check_settings,
    judge_others,
    judge_recorder,
    judge_unit,
    waiting_for_daemon,
    waiting_words,
)
from agent.intake.left_behind import UnrecognisedFiles
from agent.outbox.consistency import Audit
from agent.outbox.outbox import RecoveryInfo
from agent.outbox.pauses import LaneState
from agent.settings import read_api_key
from agent.settings.load import DEFAULT_PATH, how_to_edit
from agent.station.camera import Camera, CameraState
from tests.factories import NOW_S, instant
from tests.served_page import page_settings
from tests.unit.doctor.test_box import STRANGER, told

DAY_S = 86400.0
HERE = LocalTime(NOW_S)
LOADED = {"LoadState": "loaded", "ActiveState": "active", "NRestarts": "0", "Result": "success"}


def patient(tmp_path: Path, **tables: dict[str, object]) -> StationUnderTest:
    return StationUnderTest(
        settings=page_settings(tmp_path, **tables),
        config=tmp_path / "station.toml",
        now=instant(),
        environ={},
    )


def test_a_unit_that_failed_is_off_or_does_not_stay_up() -> None:
    failed = {**LOADED, "ActiveState": "failed", "Result": "exit-code"}
    judged = judge_unit("spotter.service", failed, runs=False)
    told(judged, Severity.BROKEN, "exit-code", "sudo journalctl -u spotter.service")
    off = {**LOADED, "ActiveState": "inactive"}
    enabled, disabled = (
        {**off, "UnitFileState": f"{word}abled", "Result": "success"} for word in ("en", "dis")
    )
    told(judge_unit("x.service", enabled, runs=False), Severity.BROKEN, "enable --now x.service")
    told(judge_unit("x.service", disabled, runs=False), Severity.WARNING, "enable --now x.service")
    some = "1 clip waits"
    told(judge_unit("x.service", disabled, runs=False, waiting=some), Severity.BROKEN, some)
    told(
        judge_unit("x.service", {}, runs=False, waiting=some), Severity.BROKEN, some, "spotter run"
    )
    restless = {**LOADED, "NRestarts": "9"}
    steady = judge_unit("x.service", restless, runs=True, boot_s=9000.0)
    told(steady, Severity.WARNING, "9 times")
    told(judge_unit("x.service", {}, runs=False), Severity.WARNING, "spotter run")
    told(judge_unit("x.service", LOADED, runs=True), Severity.FINE)
    assert judge_unit("x.service", {}, runs=True, waiting=some).state is Severity.FINE


@pytest.mark.parametrize(
    ("said", "state", "words"),
    [
        (
            {
                **{"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "7"},
                **{"Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": "217"},
            },
            Severity.BROKEN,
            ("restarts", "217", "its user does not exist"),
        ),
        (
            {"ActiveState": "activating", "SubState": "auto-restart-queued", "Result": "timeout"},
            Severity.BROKEN,
            ("restarts", "timeout"),
        ),
        # Between two ends it is being started, and the result is of the start that goes on.
        (
            {"ActiveState": "activating", "SubState": "start", "NRestarts": "3"},
            Severity.BROKEN,
            ("3 times", "not running"),
        ),
        (
            {"ActiveState": "activating", "SubState": "start", "StatusText": "waits for a disk"},
            Severity.WARNING,
            ("waits for a disk",),
        ),
        (
            {
                **{"SubState": "running", "NRestarts": "12"},
                "ActiveEnterTimestampMonotonic": "996000000",
            },
            Severity.BROKEN,
            ("keeps restarting", "12 times", "4 s ago"),
        ),
        (
            {
                **{"SubState": "running", "NRestarts": "12"},
                "ActiveEnterTimestampMonotonic": "100000000",
            },
            Severity.WARNING,
            ("12 times",),
        ),
        (
            {
                **{"ActiveState": "failed", "SubState": "failed", "Result": "signal"},
                **{"ExecMainCode": "2", "ExecMainStatus": "9"},
            },
            Severity.BROKEN,
            ("signal 9",),
        ),
        ({"SubState": "exited"}, Severity.BROKEN, ("not running",)),
        ({"LoadState": "masked"}, Severity.BROKEN, ("masked",)),
        ({"LoadState": "bad-setting"}, Severity.BROKEN, ("bad-setting",)),
        ({"ActiveState": "reloading", "SubState": "reload-notify"}, Severity.FINE, ()),
    ],
)
def test_a_unit_is_judged_by_how_it_runs_and_how_it_ended(
    said: dict[str, str], state: Severity, words: tuple[str, ...]
) -> None:
    told(judge_unit("x.service", {**LOADED, **said}, runs=False, boot_s=1000.0), state, *words)


def test_what_waits_for_a_daemon_that_does_not_run(tmp_path: Path) -> None:
    one = patient(tmp_path)
    one.settings.paths.capture.mkdir(parents=True, exist_ok=True)
    assert waiting_for_daemon(one) is None
    for name in ("a.mp4", "b.MP4", "notes.txt", "c.mp4.part"):
        (one.settings.paths.capture / name).touch()
    assert waiting_for_daemon(one) == "2 files in the capture folder wait"

    counts = {"captures": {"captured": 1, "skipped": 9}, "entries": {"ready": 1, "held": 9}}
    assert waiting_words(0, counts) == "1 capture, 1 clip wait"
    assert waiting_words(1, {}) == "1 file in the capture folder waits"


def test_a_second_station_on_the_same_folder_or_port(tmp_path: Path) -> None:
    mine = patient(tmp_path)
    other = {
        "paths": {"state": str(tmp_path / "state"), "capture": "/elsewhere"},
        "web": {"listen": mine.settings.web.listen.replace("127.0.0.1", "192.0.2.7")},
    }

    (found,) = judge_others(mine, {tmp_path / "rack-2.toml": other})
    told(found, Severity.BROKEN, "rack-2.toml", "paths.state, web.listen")
    (found,) = judge_others(mine, {tmp_path / "rack-2.toml": {"station": {}}})
    told(found, Severity.FINE)


@pytest.mark.parametrize(
    "text",
    [
        "station = 'a word'",
        "[station]\nid = 'x'\nactivity = 'curling'",
        "[station]\nid = 'x'\n[paths]\nstate = 3",
        "[tool]\nname = 'another program'",
        "[station",
    ],
)
def test_another_file_of_toml_is_no_station(tmp_path: Path, text: str) -> None:
    mine = patient(tmp_path)
    (tmp_path / "other.toml").write_text(text)

    told(check_service(mine)[-1], Severity.FINE, "0 on this box")


def test_a_copy_of_the_settings_is_a_station_only_where_a_unit_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = patient(tmp_path)
    copy = f'[station]\nid = "x"\nactivity = "running"\n[paths]\nstate = "{tmp_path}/state"\n'
    (tmp_path / "station-old.toml").write_text(copy)
    said = {**LOADED, "ActiveState": "inactive", "UnitFileState": "disabled"}
    monkeypatch.setattr(service, "ask_systemd", lambda _unit: said)
    told(check_service(mine)[-1], Severity.FINE, "0 on this box")
    said["UnitFileState"] = "enabled"
    told(check_service(mine)[-1], Severity.BROKEN, "station-old.toml", "paths.state")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"abc def", "spaces"),
        (b"key-one\nkey-two\n", "2 lines"),
        (b"\xff\xfe\x00k", "not text"),
        ("k\u00fcy".encode(), "characters"),
        (b"API-KEY\tabc", "spaces"),
        (b"  \n", "is empty or missing"),
    ],
)
def test_a_malformed_key_is_told_apart_from_a_missing_one(
    tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "api-key"
    file.write_bytes(content)
    mine = patient(tmp_path, api={"key_file": str(file), "base_url": "http://127.0.0.1:9"})
    assert read_api_key(mine.settings.api, {}) is None
    found = check_api(mine)[0]
    told(found, Severity.BROKEN, words, how_to_edit(file))
    assert content.decode("utf-8", "replace").strip() not in found.finding or not content.strip()


def test_a_file_that_does_not_settle_and_a_name_that_is_no_videos() -> None:
    held = PendingFile(name="set.mp4", quiet_s=600, is_written=True)
    alone = replace(held, is_written=False)
    closed = PendingFile(name="own.mp4", quiet_s=1, is_written=False, may_be_taken=False)
    text = UnrecognisedFiles(count=1, names=("notes.txt",))
    fresh = replace(held, quiet_s=5)

    told(
        judge_pending([held, alone], settle_s=90),
        Severity.WARNING,
        "open for writing",
        "show",
    )
    told(judge_pending([held, closed], settle_s=90), Severity.BROKEN, "own.mp4", "show")
    told(judge_pending([alone], settle_s=90), Severity.WARNING, "not ingested")
    told(judge_left(text, suffixes=(".mp4",)), Severity.WARNING, ".txt", ".mp4")
    told(judge_pending([fresh], settle_s=90), Severity.FINE, "1 in progress")


def test_a_camera_that_is_silent() -> None:
    told(judge_last(None, now_s=NOW_S), Severity.WARNING, "camera program")
    told(judge_last(NOW_S - 9 * DAY_S, now_s=NOW_S), Severity.WARNING, "9 days ago")
    told(judge_last(NOW_S - 60, now_s=NOW_S), Severity.FINE, "1 min ago")
    silent = Camera(state=CameraState.SILENT, last_at=NOW_S - 720)
    said = judge_last(NOW_S - 720, silent, now_s=NOW_S)
    told(said, Severity.BROKEN, "silent: last recording 12 min ago")


def test_settings_that_root_can_read_and_the_service_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = patient(tmp_path)
    monkeypatch.setattr(doctor_service, "service_user_of", lambda _folder: STRANGER)
    station.config.write_text("")
    tmp_path.chmod(0o755)
    station.config.chmod(0o640)
    told(check_settings(station)[0], Severity.BROKEN, "cannot read", "sudo chgrp", "sudo chmod g+r")
    station.config.chmod(0o644)
    assert all(found.state is not Severity.BROKEN for found in check_settings(station))


def test_a_recorder_that_does_not_film() -> None:
    unit, up_s = "spotter-recorder@main.service", 1000.0
    on = {**LOADED, "SubState": "running", "ActiveEnterTimestampMonotonic": "500000000"}

    def judged(**changed: str) -> CheckResult:
        found = judge_recorder(unit, {**on, **changed}, now_s=up_s)
        assert found is not None
        return found

    told(judged(), Severity.FINE)
    again = {"ActiveState": "activating", "SubState": "auto-restart"}
    told(judged(**again), Severity.BROKEN, "keeps restarting", f"sudo journalctl -u {unit}")
    told(judged(ActiveState="failed"), Severity.BROKEN, "nothing is recorded")
    off = {"ActiveState": "inactive", "UnitFileState": "enabled"}
    told(judged(**off), Severity.BROKEN, f"sudo systemctl start {unit}")
    told(judged(NRestarts="4"), Severity.FINE)  # it has been up for minutes since
    again = {"NRestarts": "4", "ActiveEnterTimestampMonotonic": "992000000"}
    told(judged(**again), Severity.WARNING, "4 times, the last time 8 s ago")
    turned_off = {**on, "ActiveState": "inactive", "UnitFileState": "disabled"}
    assert judge_recorder(unit, turned_off, now_s=up_s) is None
    assert judge_recorder(unit, {}, now_s=up_s) is None


def test_every_camera_with_settings_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = patient(tmp_path)
    (tmp_path / "recorder-side.toml").write_text("")
    (tmp_path / "camera-old.env").write_text("SOURCE=/dev/video2\n")
    asked = {"spotter-recorder@side.service": {**LOADED, "ActiveState": "failed"}}
    monkeypatch.setattr(doctor_service, "ask_systemd", asked.__getitem__)

    found, left = check_recorders(station)

    told(found, Severity.BROKEN, "spotter-recorder@side.service")
    told(left, Severity.BROKEN, "camera-old.env", "recorder-old.toml")


def test_a_clock_that_nothing_set_or_that_is_off() -> None:
    told(judge_clock(instant(trusted=False), None), Severity.WARNING, "set-ntp true")
    told(judge_clock(instant(3600), "Wed, 18 Nov 2026 10:00:00 GMT"), Severity.BROKEN, "ahead of")
    told(judge_clock(instant(), None), Severity.FINE)
    # Debian 12 has no daemon that could set it, unless it was chosen: set-ntp then fails.
    told(
        judge_clock(instant(trusted=False), None), Severity.WARNING, "apt install systemd-timesyncd"
    )


def test_a_certificate_that_ends_soon() -> None:
    ends_at = NOW_S + 5 * DAY_S
    told(judge_certificate("api.example", ends_at, now_s=NOW_S), Severity.WARNING, "in 5 days")
    told(judge_certificate("api.example", ends_at + 90 * DAY_S, now_s=NOW_S), Severity.FINE)


def test_an_outbox_that_disagrees_with_itself(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"

    def judged(audit: Audit, state: Severity, *words: str) -> None:
        findings = judge_audit(audit, path, restart="restart it")
        worst = sorted(findings, key=lambda f: list(Severity).index(f.state))[-1]
        told(worst, state, *words)

    judged(Audit(newer=["holograms"]), Severity.BROKEN, "newer Spotter", "holograms")
    judged(Audit(contradicts="entry 7 is not"), Severity.BROKEN, "entry 7", "restart")
    judged(Audit(ledger_damaged=2), Severity.WARNING, "2 lines")
    judged(Audit(behind=3), Severity.WARNING, "3 commits")
    judged(Audit(missing_files=["e7"] * 9), Severity.BROKEN, "and 4 more", "retry e7")
    judged(Audit(other_size=["c3"]), Severity.BROKEN, "c3")
    judged(Audit(broken_rules={"without a session": ["e1"]}), Severity.BROKEN, "without a session")
    judged(Audit(busy=True), Severity.WARNING, "in use")
    judged(Audit(pending=["next"]), Severity.FINE, "after a backup")
    judged(Audit(), Severity.FINE)


def test_a_database_that_was_made_anew_and_titles_that_were_altered() -> None:
    rebuilt = RecoveryInfo(at=NOW_S, why="malformed", set_aside="damaged-1", history_lost=True)
    told(
        judge_rebuilt(rebuilt, HERE)[0],
        Severity.WARNING,
        "malformed",
        "damaged-1",
        "looked up first",
    )
    assert judge_rebuilt(None, HERE) == []
    told(
        judge_titles(LaneState(host="api", titles_altered=1)),
        Severity.WARNING,
        "changes the titles",
    )
    told(judge_lane(LaneState(host="a", paused_reason="key", paused_detail="no")), Severity.WARNING)


def test_what_waits_for_a_person() -> None:
    counts = {"captures": {"quarantined": 1}, "entries": {"held": 3}}
    told(judge_waiting(counts), Severity.WARNING, "3 clips", "list --state quarantined")


def test_settings_that_somebody_may_not_have_meant(tmp_path: Path) -> None:
    strange = patient(
        tmp_path,
        station={"unassigned": "discard"},
        disk={"reserve_mb": 0},
        web={"pin": None, "pin_file": str(tmp_path / "no-pin")},
    )

    text = " ".join(found.finding for found in check_settings(strange))
    change = f"{how_to_edit(strange.config)}: disk.reserve_mb = 32; then start the daemon again"
    assert any(found.remedy == change for found in check_settings(strange))
    installed = replace(strange, config=DEFAULT_PATH)
    assert installed.setting("x").endswith("x; then sudo systemctl reload spotter")
    assert "are discarded" in text and "no-pin" in text and "is reserved" in text
    mine = patient(tmp_path)  # its PIN stands in the settings
    mine.config.write_text("")
    mine.config.chmod(0o644)
    told(check_settings(mine)[0], Severity.WARNING, "sudo chmod o=")
