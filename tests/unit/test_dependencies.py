"""What is installed: one version of everything, whichever Python a box has."""

from collections import Counter

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_python_gets_the_versions_that_the_tests_run_on(name: str) -> None:
    lines = (REPOSITORY / name).read_text().splitlines()
    packages = Counter(line.partition("==")[0] for line in lines if line[:1].isalnum())

    assert len(packages) > 30
    assert [package for package, times in packages.items() if times > 1] == []
