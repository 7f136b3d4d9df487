"""Foreign errors in words."""

import pytest

from agent.errors import plain_words


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(111, "Connection refused"), "Connection refused"),
        (OSError("[Errno -2] Name or service not known"), "Name or service not known"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_is_told_without_its_number(error: Exception, told: str) -> None:
    assert plain_words(error) == told
