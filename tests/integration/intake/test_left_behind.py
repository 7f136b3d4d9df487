"""Footage that stays in the capture folder is named by status and page, in the same words."""

import html
import json
import os
import time
from pathlib import Path

import pytest

from agent.clock import read_clock
from agent.disk.state_folder import StateFolder
from agent.doctor.check import StationUnderTest
from agent.doctor.recordings import check_camera
from agent.intake.left_behind import (
    REMEDIES,
    WORDS,
    LeftFootage,
    LeftReason,
    left_behind,
)
from agent.settings import Settings
from agent.web.i18n import Texts
from agent.web.views.dashboard import left_words
from tests.served_page import page_settings, served_page
from tests.station import Station

NOBODY = 65534


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A station whose daemon runs as a user whom nothing here belongs to."""
    made = page_settings(tmp_path)
    StateFolder(made.paths.state).prepare()
    _let_in(tmp_path)
    os.chown(made.paths.state, NOBODY, NOBODY)
    made.paths.capture.chmod(0o777)
    return made


def _let_in(folder: Path) -> None:
    """Let the daemon's user enter the folders above."""
    for above in (folder, *folder.parents[:3]):
        if above.stat().st_uid == os.geteuid() and len(above.parts) > 2:
            above.chmod(above.stat().st_mode | 0o011)


def put(path: Path, *, mode: int = 0o666, age_s: float = 60.0) -> Path:
    path.write_bytes(b"film")
    path.chmod(mode)
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


def _examined(settings: Settings) -> StationUnderTest:
    config = settings.paths.state.parent / "station.toml"
    return StationUnderTest(settings=settings, config=config, now=read_clock(), environ={})


def left(settings: Settings) -> list[tuple[str, int, str]]:
    found = left_behind(settings, now_s=time.time()).footage
    return [(str(one.reason), one.count, one.name) for one in found]


root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@root
def test_a_video_that_the_daemon_may_not_read_is_said_with_what_to_do(settings: Settings) -> None:
    capture = settings.paths.capture
    put(capture / "open.mp4")
    assert left(settings) == []

    put(capture / "b set.mp4", mode=0o600)
    put(capture / "c.mp4", mode=0o600)
    (one,) = left_behind(settings, now_s=time.time()).footage

    assert one.words() == ("2 recordings cannot be read and moved by Spotter, such as b set.mp4.")
    assert one.remedy == "spotter show 'b set.mp4'"


@root
def test_one_that_is_still_being_written_may_get_its_rights_yet(settings: Settings) -> None:
    put(settings.paths.capture / "young.mp4", mode=0o600, age_s=1)
    assert left(settings) == []


@root
def test_a_folder_that_the_daemon_may_not_enter_hides_nothing(settings: Settings) -> None:
    closed = settings.paths.capture / "day 1"
    closed.mkdir()
    put(closed / "set.mp4")
    closed.chmod(0o700)
    (settings.paths.capture / "lost+found").mkdir(mode=0o700)

    (one,) = left_behind(settings, now_s=time.time()).footage
    told = [found.finding for found in check_camera(_examined(settings))]

    assert one.words().rstrip(".") in told
    assert one.words() == "1 folder in the capture folder is closed to Spotter: day 1."
    assert "chmod g+rwxs" in one.remedy and f"'{closed}'" in one.remedy
    closed.chmod(0o755)  # it may be listed, but nothing taken out of it
    assert left(settings) == [("file_closed", 1, "set.mp4")]
    closed.chmod(0o1777)  # as /tmp is: only a file's owner takes it out
    assert left(settings) == [("file_closed", 1, "set.mp4")]
    closed.chmod(0o777)
    assert left(settings) == []


def test_links_are_said_that_lead_out_of_the_folder(tmp_path: Path) -> None:
    settings = page_settings(tmp_path)
    capture = settings.paths.capture
    put(capture / "set.mp4")
    (capture / "latest.mp4").symlink_to("set.mp4")
    (capture / "here").symlink_to(capture)
    (capture / "notes.txt").symlink_to("/etc/hostname")
    assert left(settings) == []

    (tmp_path / "elsewhere").mkdir()
    (capture / "nas").symlink_to(tmp_path / "elsewhere")
    (capture / "out.mp4").symlink_to("../elsewhere/out.mp4")

    assert left(settings) == [("link", 2, "out.mp4")]


def test_a_video_that_a_program_keeps_open_is_said(tmp_path: Path) -> None:
    settings = page_settings(tmp_path, capture={"settle_s": 1.0, "settle_unseen_s": 2.0})
    path = put(settings.paths.capture / "set.mp4", age_s=600)
    with path.open("ab"):
        assert left(settings) == [("held_open", 1, "set.mp4")]
    assert left(settings) == []


def test_a_video_that_never_stops_growing_is_said(tmp_path: Path) -> None:
    settings = page_settings(tmp_path)
    put(settings.paths.capture / "set.mp4", age_s=0)
    assert left(settings) == []
    in_three_hours_s = time.time() + 3 * 3600
    os.utime(settings.paths.capture / "set.mp4", (in_three_hours_s, in_three_hours_s))

    found = left_behind(settings, now_s=in_three_hours_s).footage

    assert [one.reason for one in found] in ([LeftReason.GROWING], [])  # where births are kept


@root
def test_status_and_page_say_the_same(settings: Settings) -> None:
    capture = settings.paths.capture
    put(capture / "cam1.mp4", mode=0o600)
    put(capture / "cam2.mp4", mode=0o600)
    told = "2 recordings cannot be read and moved by Spotter, such as cam1.mp4"
    with served_page(settings) as page, page.client(page.session()) as coach:
        shown = html.unescape(coach.get("/").text)
    assert f"{told}. What to do: spotter show cam1.mp4" in shown
    assert 'class="state state-needs"' in shown

    station = Station(capture.parent, "http://127.0.0.1:9")
    for path in (settings.paths.state, *settings.paths.state.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    document = json.loads(station.spotter("status", "--json"))
    lines = station.spotter("status")

    need = {"what": "not_ingested", "told": told, "do": "spotter show cam1.mp4"}
    assert need in document["needs_you"]
    left_over = [{"reason": "file_closed", "count": 2, "name": "cam1.mp4"}]
    assert document["capture_folder"]["not_ingested"] == left_over
    assert f"{told} (spotter show cam1.mp4)" in lines
    assert "permission to read and move it: sudo chgrp" in station.spotter("show", "cam1.mp4")


@pytest.mark.parametrize("reason", LeftReason)
@pytest.mark.parametrize("count", [1, 2])
def test_the_page_has_the_words_of_the_status(reason: LeftReason, count: int) -> None:
    one = LeftFootage(reason=reason, count=count, name="100% set.mp4", remedy="spotter doctor")
    english, german = (left_words(one, Texts(language)) for language in ("en", "de"))
    assert english.startswith(f"{one.words()} What to do: ")
    assert german.startswith(f"{count} ") and "100% set.mp4" in german and german != english
    assert set(WORDS) == set(LeftReason)
    assert one.has_command == (reason not in REMEDIES)


def test_it_is_read_with_the_station_clock(tmp_path: Path) -> None:
    """A clock that was set back leaves nothing out."""
    settings = page_settings(tmp_path)
    path = put(settings.paths.capture / "set.mp4", age_s=-3600)
    with path.open("ab"):
        found = left_behind(settings, now_s=read_clock().utc_s).footage
    assert [one.reason for one in found] == [LeftReason.HELD_OPEN]


def test_a_large_backlog_is_looked_through_in_little_time(tmp_path: Path) -> None:
    settings = page_settings(tmp_path)
    for number in range(5000):
        put(settings.paths.capture / f"set-{number:04}.mp4", age_s=3600)
    began_s = time.process_time()
    assert left(settings) == []
    assert time.process_time() - began_s < 2.0  # a twentieth of it, where nothing else runs
