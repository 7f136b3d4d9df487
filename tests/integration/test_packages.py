"""What a box lacks is said at once, in clear lines: systemd/packages.sh on systems made for it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

_SCRIPT = REPOSITORY / "systemd" / "packages.sh"
_BASIC = ("cat", "sort", "tr", "sed", "grep", "awk", "basename", "id", "env")
_OLD = '#!/bin/sh\ncase "$*" in --version) echo "Python 3.10.12" ;; *) exit 1 ;; esac\n'
_NEW = "#!/bin/sh\nexit 0\n"
_NO_VENV = '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac\n'


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A system with the basic tools alone: no Python, no apt-get, no sudo."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in _BASIC:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def ask(system: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the script where nothing but that system's programs are found."""
    script = _SCRIPT.read_text().replace(':/usr/sbin:/sbin"', '"').replace("/usr/bin/python3", "-")
    copy = system.parent / "packages.sh"
    copy.write_text(script)
    return subprocess.run(
        ["/bin/sh", copy, *words],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(system)},
    )


def lines_of(done: "subprocess.CompletedProcess[str]") -> Sequence[str]:
    assert "not found" not in done.stderr, done.stderr
    return done.stderr.splitlines()


def test_a_system_without_python_hears_of_everything_at_once(system: Path) -> None:
    done = ask(system, "station", "test")

    assert done.returncode == 1
    python, packages = lines_of(done)
    assert python.startswith("Spotter needs Python 3.11 or later, found no python3:")
    for name in ("libegl1", "libgles2", "chromium", "mosquitto", "bubblewrap", "gcc"):
        assert name in packages


def test_a_python_that_is_too_old_is_told_from_one_without_venv(system: Path) -> None:
    program(system, "python3", _OLD)
    told = lines_of(ask(system, "station"))
    assert "Python 3.11 or later, found Python 3.10.12" in told[0]
    assert "python3.11-venv" in told[0] and "python3" not in told[1]

    program(system, "python3.12", _NEW)  # a later one beside it serves
    assert ask(system, "--python").stdout.strip() == "python3.12"
    assert "needs Python" not in ask(system, "station").stderr

    program(system, "python3", _NO_VENV)
    (system / "python3.12").unlink()
    assert "needs Python" not in ask(system, "station").stderr


def test_what_the_tests_alone_lack_is_named_and_done_without(system: Path) -> None:
    program(system, "python3", _NEW)
    program(system, "ldconfig", "#!/bin/sh\necho libEGL.so.1 libGLESv2.so.2\n")

    assert ask(system, "station").stderr == ""
    done = ask(system, "station", "test")

    assert done.returncode == 0
    packages, then = lines_of(done)
    assert packages.startswith("missing system packages: sudo apt install ")
    assert "chromium" in packages and "libegl1" not in packages and "skipped" in then


@pytest.mark.parametrize("way", ["root", "sudo"])
def test_what_is_missing_is_installed_and_what_cannot_be_had_is_named(
    system: Path, tmp_path: Path, way: str
) -> None:
    """apt-get here knows everything but one package, and refuses all where that is asked for."""
    program(system, "python3", _NEW)
    program(system, "ldconfig", "#!/bin/sh\necho libEGL.so.1 libGLESv2.so.2\n")
    shown = {"bubblewrap": "bwrap", "gcc": "cc", "systemd": "systemd-analyze"}
    names = [
        name
        for name in ask(system, "--list", "test").stdout.split()
        if name not in {"libc6-dev", "tzdata"}
    ]
    cases = "".join(
        f"{name}) printf '#!/bin/sh\\nexit 0\\n' >{system}/{shown.get(name, name)};"
        f" chmod 755 {system}/{shown.get(name, name)} ;; "
        for name in names
    )
    program(
        system,
        "apt-get",
        f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n[ "$1" = install ] || exit 0\n'
        'case "$*" in *" mosquitto "*" "*) exit 100 ;; esac\n'
        f'for one in "$@"; do case $one in mosquitto) exit 100 ;; {cases} esac; done\n',
    )
    chmod = shutil.which("chmod")
    assert chmod is not None
    (system / "chmod").symlink_to(chmod)
    (system / "id").unlink()
    program(system, "id", f"#!/bin/sh\necho {0 if way == 'root' else 1000}\n")
    if way == "sudo":
        program(system, "sudo", '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n')
        true = shutil.which("true")
        assert true is not None
        (system / "true").symlink_to(true)

    done = ask(system, "test")

    assert done.returncode == 0
    assert "mosquitto" in done.stderr.splitlines()[1]
    assert "chromium" not in done.stderr.splitlines()[1]
    assert os.access(system / "chromium", os.X_OK) and not (system / "mosquitto").exists()
    assert "DPkg::Lock::Timeout" in (tmp_path / "asked").read_text()
