"""One is told as one."""

from agent.text import counted


def test_one_is_told_as_one_and_others_as_many() -> None:
    assert [counted(number, "clip") for number in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]
    assert [counted(number, "is there", "are there") for number in (1, 5)] == [
        "1 is there",
        "5 are there",
    ]
