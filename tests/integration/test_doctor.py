"""Doctor on a real station: faults prepared in its files, its API and its database."""

import errno
import json
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from agent.clock import read_clock
from agent.disk.state_folder import StateFolder, StateFolderLock
from agent.doctor import recordings
from agent.doctor.check import CheckResult, Severity, StationUnderTest
from agent.doctor.folders import check_mounts
from agent.doctor.network import check_api
from agent.doctor.page import check_page
from agent.doctor.recordings import check_camera, check_life, check_outbox
from agent.doctor.runner import rounds
from agent.doctor.service import check_service
from agent.outbox.recovery import open_as_owner
from agent.sandbox.server import CERTIFICATES, Sandbox
from agent.settings import load_settings
from agent.settings.load import how_to_edit
from tests.factories import NOW_S, instant
from tests.lived import send
from tests.served_page import free_port, page_settings, served_page
from tests.station import KEY, Station, run_spotter, until

_PAGE_BYTES = 4096


def patient_of(station: Station) -> StationUnderTest:
    return StationUnderTest(
        settings=load_settings(station.config), config=station.config, now=read_clock(), environ={}
    )


def examined(
    station: Station, check: Callable[[StationUnderTest], list[CheckResult]]
) -> CheckResult:
    """The worst that a check finds."""
    order = list(Severity)
    return max(check(patient_of(station)), key=lambda found: order.index(found.state))


def lived_in(station: Station) -> StateFolder:
    folder = StateFolder(station.state)
    folder.prepare()
    with open_as_owner(folder.root, now_s=NOW_S) as outbox:
        for number, way in enumerate(("ready", "uploaded", "held"), start=1):
            send(outbox, folder, number, way)
    for original in folder.captures.glob("*.mp4"):
        original.write_bytes(b"x" * 1000)  # as its row says
    return folder


def test_a_station_that_works_is_fine_and_nothing_of_it_changes(station: Station) -> None:
    folder = lived_in(station)
    before = {path: path.stat().st_mtime_ns for path in folder.root.rglob("*.mp4")}

    running = StateFolderLock(folder)
    running.take()

    done = run_spotter(["doctor", "--config", str(station.config), "--json"])

    running.release()
    stopped = examined(station, check_service)
    assert stopped.state is Severity.BROKEN and "1 clip waits" in stopped.finding
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["worst"] == "warning", told
    states = {check["name"]: check["state"] for check in told["checks"]}
    assert (
        states["analysis self-test"]
        == states["codecs"]
        == states["API"]
        == states["outbox"]
        == "fine"
    )
    assert states["outbox files"] == "fine" and states["action required"] == "warning"
    assert before == {path: path.stat().st_mtime_ns for path in folder.root.rglob("*.mp4")}


def test_a_stranger_is_told_how_to_come_in_and_nothing_inside_is_judged(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    StateFolder(station.state).prepare()
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    found = dict(rounds(station.config, explicit=station.config, now=read_clock()))

    (closed,) = found["permissions"]()
    assert closed.state is Severity.BROKEN and "are not checked" in closed.finding
    assert str(closed.remedy).startswith("sudo spotter doctor")
    assert not {"outbox", "history", "camera", "service"} & set(found)


def test_a_broken_settings_file_is_one_of_the_findings(station: Station) -> None:
    station.config.write_text('[station]\nactivity = "curling"\n')

    names = []
    for name, look in rounds(station.config, explicit=station.config, now=read_clock()):
        names.append(name)
        if name == "settings":
            (found,) = look()

    assert found.state is Severity.BROKEN and "curling" in found.finding
    assert names == ["software", "analysis self-test (a few seconds)", "settings"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [("401:error=nope@status*9", "refuses the key"), ("html@status", "captive portal")],
)
def test_an_api_that_refuses(tmp_path: Path, fault: str, words: str) -> None:
    with Sandbox(key=KEY, faults=[fault]) as sandbox:
        found = examined(Station(tmp_path, sandbox.base_url), check_api)
    assert found.state is Severity.BROKEN and words in found.finding and found.remedy


def test_an_api_that_is_not_there_a_missing_key_and_a_users_key(tmp_path: Path) -> None:
    with Sandbox(key=KEY) as sandbox:
        sandbox.add_key(KEY, role="user")
        station = Station(tmp_path, sandbox.base_url)
        station.key_file.chmod(0o600)
        found = examined(station, check_api)
        assert "cannot act for others" in found.finding or "not synchronised" in found.finding
        sandbox.go_away()
        found = examined(station, check_api)
        assert found.state is Severity.BROKEN and "cannot be reached" in found.finding
        station.key_file.write_text("")
        found = examined(station, check_api)
        assert found.state is Severity.BROKEN and how_to_edit(station.key_file) in str(found.remedy)
        sandbox.come_back()


@pytest.mark.parametrize("fault", ["expired", "not-yet", "unknown-ca", "wrong-host"])
def test_a_certificate_that_does_not_hold(tmp_path: Path, fault: str) -> None:
    with Sandbox(key=KEY, tls=True, faults=[f"tls-{fault}"]) as sandbox:
        station = Station(
            tmp_path, sandbox.base_url, {"api": {"ca_file": str(CERTIFICATES / "ca.pem")}}
        )
        found = examined(station, check_api)
    assert found.state is Severity.BROKEN and "TLS" in found.finding


@pytest.mark.parametrize("key", [KEY, ""])
def test_the_clock_is_looked_at_where_the_api_tells_nothing(tmp_path: Path, key: str) -> None:
    """A clock that is years off is why TLS fails; a station without a key has a clock too."""
    station = Station(tmp_path, "http://127.0.0.1:9")
    station.key_file.write_text(key)
    patient = replace(patient_of(station), now=instant(trusted=False))

    found = {finding.name: finding for finding in check_api(patient)}

    assert "not synchronised" in found["clock"].finding
    assert "certificate" not in found


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_a_refused_key_of_roots_alone_comes_to_the_service_by_a_restart(tmp_path: Path) -> None:
    with Sandbox(key=KEY) as sandbox:
        station = Station(tmp_path, sandbox.base_url)
        station.key_file.write_text("another")
        for mode, owner, then in (
            (0o640, 0, "without a restart"),
            (0o600, 0, "sudo systemctl restart spotter"),
            (0o600, 4242, "without a restart"),  # a station of somebody's own
        ):
            station.key_file.chmod(mode)
            os.chown(station.key_file, owner, owner)
            found = examined(station, check_api)
            assert how_to_edit(station.key_file) in str(found.remedy)
            assert then in str(found.remedy)


def test_an_analysis_that_the_system_does_not_start_is_a_finding(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    looks = dict(rounds(station.config, explicit=station.config, now=read_clock()))

    (found,) = looks["analysis self-test (a few seconds)"]()

    assert (found.name, found.state) == ("analysis self-test", Severity.BROKEN)
    assert found.finding == "cannot be examined: No such file or directory: /nowhere/python"
    assert "install Spotter again" in str(found.remedy)


def test_a_good_certificate_is_told_with_its_end(tmp_path: Path) -> None:
    with Sandbox(key=KEY, tls=True) as sandbox:
        station = Station(
            tmp_path, sandbox.base_url, {"api": {"ca_file": str(CERTIFICATES / "ca.pem")}}
        )
        (found,) = (
            found for found in check_api(patient_of(station)) if found.name == "certificate"
        )
    assert found.state is Severity.FINE and "valid until" in found.finding


def test_a_damaged_a_missing_and_an_unreadable_database(station: Station) -> None:
    folder = lived_in(station)
    path = folder.root / "outbox.db"
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'entry'"
        (page,) = connection.execute(query).fetchone()

    with path.open("r+b") as file:
        file.seek((page - 1) * _PAGE_BYTES)
        file.write(b"\xff" * _PAGE_BYTES)
    found = examined(station, check_outbox)
    assert found.state is Severity.BROKEN and "restart" in str(found.remedy)
    path.unlink()
    found = examined(station, check_outbox)
    assert found.state is Severity.BROKEN and "missing" in found.finding
    path.mkdir()
    assert examined(station, check_outbox).state is Severity.BROKEN


def test_of_several_stations_the_one_that_is_examined_is_started_again(station: Station) -> None:
    folder = lived_in(station)
    (folder.root / "outbox.db").write_bytes(b"no database" * 100)
    second = replace(patient_of(station), config=station.root / "rack-2.toml")

    (found,) = check_outbox(second)

    assert found.remedy is not None
    assert found.remedy.startswith("sudo systemctl restart spotter@rack-2.service;")


def test_a_row_that_was_changed_behind_the_ledgers_back(station: Station) -> None:
    folder = lived_in(station)
    connection = sqlite3.connect(folder.root / "outbox.db")
    connection.execute("UPDATE entry SET user_id = 'somebody-else' WHERE id = 1")
    connection.commit()
    connection.close()

    found = examined(station, check_outbox)

    assert found.state is Severity.BROKEN and "entry 1 is not what the ledger says" in found.finding


def test_a_file_that_is_missing_and_one_that_was_cut(station: Station) -> None:
    folder = lived_in(station)
    clip = next(path for path in folder.clips.glob("*.mp4"))
    content = clip.read_bytes()
    for path in folder.clips.glob("*.mp4"):
        path.write_bytes(content[:-1])
    found = examined(station, check_outbox)
    assert found.state is Severity.BROKEN and "changed on disk" in found.finding
    for path in folder.clips.glob("*.mp4"):
        path.unlink()
    found = examined(station, check_outbox)
    assert found.state is Severity.BROKEN and "missing: e1" in found.finding


def test_a_database_of_a_newer_spotter_is_left_alone(station: Station) -> None:
    folder = lived_in(station)
    connection = sqlite3.connect(folder.root / "outbox.db")
    connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES ('outbox', 'holograms', 'tomorrow')"
    )
    connection.commit()
    connection.close()

    found = examined(station, check_outbox)

    assert found.state is Severity.BROKEN and "holograms" in found.finding
    assert check_life(patient_of(station)) == []


def test_a_mount_that_is_missing(station: Station, tmp_path: Path) -> None:
    fstab = tmp_path / "fstab"
    fstab.write_text(f"/dev/sdz1 {station.capture} ext4 defaults 0 0\n")

    found = examined(station, lambda patient: [check_mounts(patient, fstab=fstab)])

    assert found.state is Severity.BROKEN and "sudo mount" in str(found.remedy)


def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    with served_page(page_settings(tmp_path / "other")) as page:
        listen = page.settings.web.listen
        station = Station(tmp_path / "mine", "http://127.0.0.1:9", {"web": {"listen": listen}})
        found = examined(station, check_page)
    assert found.state is Severity.BROKEN and "another program" in found.finding


def test_a_token_of_card_readers_that_is_missing_or_too_short(tmp_path: Path) -> None:
    token = tmp_path / "token"
    web: dict[str, object] = {"tap_token_file": str(token), "listen": f"127.0.0.1:{free_port()}"}
    station = Station(tmp_path, "http://127.0.0.1:9", {"web": web})
    for content, state in (("", Severity.WARNING), ("short", Severity.WARNING), ("x" * 16, None)):
        token.write_text(content)
        found = examined(station, check_page)
        assert ("card readers are rejected" in found.finding) is (found.state is state)


@pytest.mark.parametrize(
    ("setting", "words"),
    [("pin_file", "only paired devices"), ("metrics_token_file", "/metrics is closed")],
)
def test_a_pin_and_a_token_that_are_in_no_file_that_names_them(
    tmp_path: Path, setting: str, words: str
) -> None:
    file = tmp_path / "secret"
    web: dict[str, object] = {setting: str(file), "listen": f"127.0.0.1:{free_port()}"}
    station = Station(tmp_path, "http://127.0.0.1:9", {"web": web})
    for content, is_fine in (("", False), ("4829\n131\n", False), ("482913\r\n", True)):
        file.write_text(content)
        found = examined(station, check_page)
        assert (words in found.finding) is not is_fine
        assert ("2 lines in" in found.finding) is content.startswith("4829\n")


def test_a_daemon_that_makes_no_progress(tmp_path: Path) -> None:
    with served_page(page_settings(tmp_path, web={"pin": None})) as page:
        patient = StationUnderTest(
            settings=page.settings, config=tmp_path / "station.toml", now=read_clock(), environ={}
        )
        lock = StateFolderLock(page.folder)
        lock.take()
        (whole,) = check_page(patient)
        page.stuck.append("delivery")
        (stuck,) = check_page(patient)
        lock.release()
    assert whole.state is Severity.FINE, whole
    assert stuck.state is Severity.BROKEN and "stalled: delivery" in stuck.finding


def test_a_port_that_another_program_has_while_the_daemon_runs(tmp_path: Path) -> None:
    """Somebody answers there, but it is not the station."""
    with served_page(page_settings(tmp_path / "other")) as page:
        listen = page.settings.web.listen
        station = Station(tmp_path / "mine", "http://127.0.0.1:9", {"web": {"listen": listen}})
        with station.running():
            until(lambda: "not open" in examined(station, check_page).finding)
            found = examined(station, check_page)
    assert found.state is Severity.BROKEN and f"not open: {listen}" in found.finding
    assert str(found.remedy).startswith("sudo ss -ltnp")


def test_a_name_that_would_write_on_the_terminal_is_shown_as_it_is(station: Station) -> None:
    strange = station.capture / "a.\x1b[2Jtxt"
    strange.write_text("")
    os.utime(strange, (NOW_S - 3600, NOW_S - 3600))  # at rest: a young one may be renamed yet
    folder = StateFolder(station.state)
    folder.prepare()
    running = StateFolderLock(folder)
    running.take()
    _, found = check_camera(patient_of(station))  # and nothing that says "none"
    running.release()
    assert "\\x1b[2Jtxt" in found.finding and found.finding.isprintable()


def test_a_video_that_the_service_may_not_read_is_a_finding_for_the_service_itself_too(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root, as whom tests may run, may read everything: so the refusals are made here."""

    def refuse(path: Path) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(recordings, "may_take", lambda _path, _who: False)
    monkeypatch.setattr(recordings, "writer_state", refuse)
    (station.capture / "closed.mp4").write_bytes(b"of another user")
    folder = StateFolder(station.state)
    folder.prepare()
    running = StateFolderLock(folder)
    running.take()
    found = examined(station, check_camera)
    running.release()

    assert found.state is Severity.BROKEN
    assert found.finding == "1 cannot be read and moved by the service, such as closed.mp4"


def test_a_camera_that_never_wrote(station: Station) -> None:
    assert "none yet" in examined(station, check_camera).finding


def test_athletes_without_the_measures_that_forces_need_are_named(station: Station) -> None:
    shown = station.spotter("athletes", "--sync")
    assert "centre" not in shown and "ycom" in shown

    told = [
        finding for finding in check_life(patient_of(station)) if finding.name == "body measures"
    ]

    assert [finding.state for finding in told] == [Severity.WARNING]
    assert "athlete-0005: ycom" in told[0].finding and "ياسمين" not in told[0].finding
