"""What is installed is what was tested: the wheel, in an environment of its own, does every job."""

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import httpx
import pytest

from agent.sandbox.server import Sandbox
from agent.web.app import ROUTES
from tests.conftest import REPOSITORY
from tests.installed import SHIPPED, Installed
from tests.served_page import free_port
from tests.station import Station, delivered, until
from tests.videos import film_run

_LEFT_OUT = {"__pycache__"}
_VALUES = {"code": "abcdefghij", "key": "someUserId123", "place": "1", "recording": "1"}
_STREAMS = ("/live", "/wall/live")  # never end; the browser below watches them


@pytest.fixture
def with_page(tmp_path: Path, sandbox: Sandbox) -> Station:
    """A station with its page open on this box."""
    listen = f"127.0.0.1:{free_port()}"
    return Station(tmp_path, sandbox.base_url, {"web": {"listen": listen}})


def origin_of(station: Station) -> str:
    return f"http://{station.settings['web']['listen']}"


def doctor_on(station: Station, installed: Installed) -> dict[str, dict[str, object]]:
    """What the installed doctor says, by what it is about."""
    told = subprocess.run(
        [installed.spotter, "doctor", "--config", station.config, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    checks: list[dict[str, object]] = json.loads(told.stdout)["checks"]
    return {str(check["name"]): check for check in checks}


def test_the_wheel_has_every_file_of_the_tree_and_no_other(installed: Installed) -> None:
    tree = {
        str(path.relative_to(REPOSITORY))
        for name in SHIPPED
        for path in (REPOSITORY / name).rglob("*")
        if path.is_file() and _LEFT_OUT.isdisjoint(path.parts)
    }
    with zipfile.ZipFile(installed.wheel) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert packed == tree and len(tree) > 200


def test_it_runs_without_the_source_tree(installed: Installed) -> None:
    code = "import agent, analysis; print(agent.__file__, analysis.__file__)"
    told = subprocess.run(
        [installed.python, "-I", "-c", code], capture_output=True, text=True, check=True, cwd="/"
    ).stdout.split()

    assert [Path(file).parents[1] for file in told] == [installed.packages] * 2
    assert str(REPOSITORY) not in installed.run("--help")


def test_the_installed_daemon_delivers_a_capture_and_serves_every_place_of_its_page(
    installed: Installed, with_page: Station, sandbox: Sandbox
) -> None:
    with with_page.running(python=installed.python):
        film_run(with_page.capture / "one.mp4")
        assert delivered(sandbox, 1), with_page.log.read_text()[-3000:]
        until(lambda: with_page.states() == ["uploaded"])
        values = {**_VALUES, "code": str(with_page.entries()[0]["clip_code"])}
        with httpx.Client(base_url=origin_of(with_page), follow_redirects=True) as visitor:
            for place in ROUTES:
                if place.method != "GET" or place.path in _STREAMS:
                    continue
                path = re.sub(r"{(\w+)(:\w+)?}", lambda found: values[found[1]], place.path)
                answer = visitor.get(path, headers={"accept": "text/html"})
                # None was made, and no recorder runs.
                gone = place.path.startswith(("/strip", "/picture", "/analysed", "/camera/"))
                assert answer.status_code in ({200, 404} if gone else {200}), (path, answer.text)
        found = doctor_on(with_page, installed)
        assert (found["page"]["state"], found["program files"]["state"]) == ("fine", "fine")


@pytest.mark.soak  # the README's own demo is run with every change, from the source tree
def test_the_installed_demo_does_the_whole_job(installed: Installed, tmp_path: Path) -> None:
    told = installed.run("demo", scratch=tmp_path)

    assert "session analysed" in told and "peak_velocity" in told


def damaged_copy(installed: Installed, folder: Path, missing: str) -> Installed:
    """Copy an installation, but for one file of its page."""
    damaged = Installed(folder, installed.wheel)
    shutil.copytree(installed.root, damaged.root, symlinks=True)
    started_by = damaged.spotter.read_text().replace(str(installed.root), str(damaged.root))
    damaged.spotter.write_text(started_by)
    (damaged.packages / "agent" / "web" / missing).unlink()
    return damaged


@pytest.mark.parametrize(
    "missing",
    [
        "templates/parts/wallboard.html",
        pytest.param("templates/parts/state.html", marks=pytest.mark.soak),
        pytest.param("static/page.js", marks=pytest.mark.soak),
    ],
)
def test_doctor_finds_a_page_that_lacks_a_file(
    installed: Installed, with_page: Station, tmp_path: Path, missing: str
) -> None:
    damaged = damaged_copy(installed, tmp_path / "damaged", missing)
    with with_page.running(python=damaged.python):
        found = doctor_on(with_page, damaged)

    assert found["page"]["state"] == "broken", found["page"]
    assert missing in str(found["program files"]["finding"])


def test_doctor_finds_what_only_a_paired_device_would_miss(
    installed: Installed, tmp_path: Path, sandbox: Sandbox
) -> None:
    listen = f"0.0.0.0:{free_port()}"
    web: dict[str, object] = {"listen": listen, "pin": "482913", "tls": "own"}
    station = Station(tmp_path, sandbox.base_url, {"web": web})
    damaged = damaged_copy(installed, tmp_path / "damaged", "templates/parts/state.html")
    with station.running(python=damaged.python):
        broken = doctor_on(station, damaged)["page"]
        whole = doctor_on(station, installed)["page"]

    assert broken["state"] == "broken" and "parts/state.html" in str(broken["finding"])
    assert whole["state"] == "fine", whole
