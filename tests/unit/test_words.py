"""Lengths and sizes as people say them."""

import pytest

from agent.cli.formatting import duration_words, size_words


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.4, "0 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (2699, "45 min"),
        (5400, "1 h 30 min"),
        (7199, "2 h"),
        (86_399, "24 h"),
        (100_000, "1 d 4 h"),
        (50_000_000, "579 d"),
    ],
)
def test_a_length_of_time(seconds: float, told: str) -> None:
    assert duration_words(seconds) == told


def test_a_size() -> None:
    assert [size_words(size) for size in (812, 1_700_000, 3e12)] == ["812 B", "1.7 MB", "3.0 TB"]
