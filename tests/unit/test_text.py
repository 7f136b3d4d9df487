"""Words for numbers, and foreign JSON."""

import pytest

from agent.text import counted, read_json


def test_one_is_told_as_one_and_others_as_many() -> None:
    assert [counted(number, "clip") for number in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]
    assert [counted(number, "is there", "are there") for number in (1, 5)] == [
        "1 is there",
        "5 are there",
    ]


@pytest.mark.parametrize("content", ["[" * 100_000, b'{"a":' * 100_000, "9" * 5000, b"\xff", ""])
def test_what_python_does_not_read_as_json_is_one_kind_of_error(content: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(content)
