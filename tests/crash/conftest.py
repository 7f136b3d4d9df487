"""A sandbox and a station, as for the integration tests, and a last word after hours of work."""

from collections.abc import Callable

import pytest

from tests.integration.conftest import sandbox, station

__all__ = ["sandbox", "station"]

_LINES = pytest.StashKey[list[str]]()


@pytest.fixture
def summary(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a line at the end of the run, whatever the tests came to."""
    return request.config.stash.setdefault(_LINES, []).append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what the long tests measured."""
    for line in config.stash.get(_LINES, []):
        terminalreporter.write_line(line)
