"""The installer, run as root on a system whose changes vanish: in, up to date, back, and away."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.needs import need
from tests.scratch_root import ScratchRoot, release, scratch_root

_SETTINGS = "/etc/spotter/station.toml"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release that is installed first."""
    return release(tmp_path_factory.mktemp("first") / "spotter", version="0.1.0")


def version_in(box: ScratchRoot) -> str:
    return box.run("/usr/local/bin/spotter", "--version").strip()


def test_shell_scripts_are_clean() -> None:
    shellcheck = need(Path("/usr/bin/shellcheck"), "shellcheck")
    scripts = [
        path
        for path in (REPOSITORY / "systemd").iterdir()
        if path.read_text(errors="replace").startswith("#!")
    ]
    assert len(scripts) >= 3
    done = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_installs_all_that_a_station_needs_and_takes_it_away_again(
    first: Path, tmp_path: Path
) -> None:
    with scratch_root(tmp_path / "box") as box:
        told = box.run(str(first / "systemd/install.sh"))
        assert "sudo nano /etc/spotter/station.toml" in told
        assert "spotter doctor:" in told
        assert version_in(box).endswith("0.1.0")
        places = {
            "/etc/spotter": "750 root spotter",
            _SETTINGS: "640 root spotter",
            "/etc/spotter/api-key": "640 root spotter",
            "/var/lib/spotter": "2770 spotter spotter",
            "/var/lib/spotter/capture": "2770 spotter spotter",
        }
        for place, wanted in places.items():
            assert box.run("stat", "--format", "%a %U %G", place).strip() == wanted
        assert "spotter" in box.run("id", "--name", "--groups", "spotter-camera").split()
        for unit in ("spotter.service", "spotter@two.service", "spotter-camera@main.service"):
            assert box.run("systemd-analyze", "verify", unit) == ""
        told = box.run(*as_spotter("config"))
        assert "weightlifting" in told

        box.run(str(first / "systemd/install.sh"), "--uninstall")
        box.run("test", "!", "-e", "/opt/spotter")
        box.run("test", "!", "-e", "/etc/systemd/system/spotter.service")
        box.run("test", "-e", _SETTINGS)
        box.run(str(first / "systemd/install.sh"), "--uninstall", "--purge")
        box.run("test", "!", "-e", "/var/lib/spotter")
        assert "spotter" not in box.run("getent", "passwd")


@pytest.mark.soak
def test_an_update_keeps_what_a_person_wrote_and_can_be_taken_back(
    first: Path, tmp_path: Path
) -> None:
    second = release(tmp_path / "second", version="0.2.0")
    with scratch_root(tmp_path / "box") as box:
        box.run(str(first / "systemd/install.sh"))
        box.run("sed", "-i", "s/^exercise = .*/exercise = 'clean'/", _SETTINGS)

        told = box.run(
            str(second / "systemd/install.sh"), "--page", "--camera", "rtsp://u:secret@10.0.0.9/1"
        )

        assert version_in(box).endswith("0.2.0")
        settings = box.run("cat", _SETTINGS)
        assert "exercise = 'clean'" in settings
        assert settings.count('\nlisten = "0.0.0.0:8377"') == 1
        assert settings.count('\npin_file = "/etc/spotter/pin"') == 1
        pin = box.run("cat", "/etc/spotter/pin").strip()
        assert len(pin) == 8 and pin.isdigit() and pin in told
        camera = "/etc/spotter/camera-main.env"
        assert box.run("stat", "--format", "%a %U", camera).strip() == "600 root"
        assert "SOURCE=rtsp://u:secret@10.0.0.9/1\n" in box.run("cat", camera)
        box.run("test", "-x", "/opt/spotter/current/share/spotter-camera")

        box.run(str(first / "systemd/install.sh"), "--rollback")
        assert version_in(box).endswith("0.1.0")
        box.run(str(first / "systemd/install.sh"), "--rollback")
        assert version_in(box).endswith("0.2.0")
        pretend_newer(box)
        refused = box.run(str(first / "systemd/install.sh"), "--rollback", code=1)
        assert "nothing was changed" in refused and "newer Spotter" in refused
        assert version_in(box).endswith("0.2.0")


def pretend_newer(box: ScratchRoot) -> None:
    """Mark the outbox as a version of the future would."""
    program = (
        "import sqlite3, pathlib; (p,) = pathlib.Path('/var/lib/spotter').glob('outbox.db');"
        "d = sqlite3.connect(p); c = d.execute('SELECT * FROM _sqlite_migrations LIMIT 1');"
        "names = [n[0] for n in c.description]; row = dict(zip(names, c.fetchone()));"
        "row.update(name='9999_future'); row.pop('id', None);"
        'd.execute(f\'INSERT INTO _sqlite_migrations ({", ".join(row)}) VALUES'
        ' ({", ".join("?" * len(row))})\', list(row.values())); d.commit()'
    )
    box.run("runuser", "-u", "spotter", "--", "/opt/spotter/current/bin/python", "-c", program)


def as_spotter(*words: str) -> tuple[str, ...]:
    return ("runuser", "-u", "spotter", "--", "/usr/local/bin/spotter", *words)
