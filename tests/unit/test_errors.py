"""Foreign errors in words."""

import re
import ssl
from pathlib import Path

import httpx
import pytest

from agent.errors import plain_words
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(111, "Connection refused"), "Connection refused"),
        (OSError("[Errno -2] Name or service not known"), "Name or service not known"),
        (TimeoutError(), "no answer in time"),
        (OSError(111, "Connect call failed ('127.0.0.1', 4222)"), "Connection refused"),
        (MemoryError(), "out of memory"),
        (httpx.ReadTimeout(""), "no answer in time"),
        (httpx.RemoteProtocolError(""), "connection lost"),
        (
            ssl.SSLError(116, "[X509: KEY_VALUES_MISMATCH] key values mismatch"),
            "key values mismatch",
        ),
        (httpx.TooManyRedirects(""), "too many redirects"),
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"),
            "wrong version number",
        ),
        (
            httpx.ConnectTimeout("_ssl.c:975: The handshake operation timed out"),
            "The handshake operation timed out",
        ),
    ],
)
def test_an_error_is_told_without_its_number(error: Exception, told: str) -> None:
    assert plain_words(error) == told


# Where a kind of error is named for a program, for the log, or for whoever develops Spotter.
NAMED = {
    "agent/api/contract.py",
    "agent/delivery/upload.py",
    "agent/errors.py",
    "agent/recorder/source.py",
    "analysis/worker.py",
}


def test_no_text_for_people_names_a_class_of_errors() -> None:
    """Only what says more than the class may be printed: `plain_words` does."""
    names_class = re.compile(r"type\((?:error|fault|exc|value|failure)\)\.__name__|\{error!r\}")
    sources = [*REPOSITORY.glob("agent/**/*.py"), *REPOSITORY.glob("analysis/**/*.py")]
    found = {path for path in sources if names_class.search(Path(path).read_text())}

    assert {str(path.relative_to(REPOSITORY)) for path in found} == NAMED
