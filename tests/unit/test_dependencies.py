"""What is installed: one version of everything, whichever Python a box has."""

import re
import subprocess
from collections import Counter

import pytest

from agent.doctor.box import LIBRARIES
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-dev.lock", "requirements-docs.lock"]
)
def test_every_python_gets_the_versions_that_the_tests_run_on(name: str) -> None:
    lines = (REPOSITORY / name).read_text().splitlines()
    packages = Counter(line.partition("==")[0] for line in lines if line[:1].isalnum())

    assert len(packages) > 20
    assert [package for package, times in packages.items() if times > 1] == []


def test_what_builds_the_wheel_is_the_setuptools_of_the_other_lock() -> None:
    lines = (REPOSITORY / "requirements-build.lock").read_text().splitlines()
    development = (REPOSITORY / "requirements-dev.lock").read_text()

    assert lines[1].startswith("setuptools==") and "--hash=sha256:" in lines[2]
    assert all(line in development for line in lines[1:])


def test_every_package_of_the_system_is_listed_once() -> None:
    listed = subprocess.run(
        ["/bin/sh", REPOSITORY / "systemd" / "packages.sh", "--list", "station", "test"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert set(LIBRARIES.values()) <= set(listed)
    for name in ("Makefile", ".ci/run", "systemd/install.sh"):
        text = (REPOSITORY / name).read_text()
        assert "systemd/packages.sh" in text
        assert not re.search(r"\b(libegl1|bubblewrap|mosquitto|chromium)\b", text), name
