"""Tables of the command line: aligned, whole and harmless, in a terminal and piped."""

import pytest

from agent.cli.common import print_columns


def printed(capsys: pytest.CaptureFixture[str], *lines: tuple[str, ...]) -> list[str]:
    print_columns(lines)
    return capsys.readouterr().out.split("\n")[:-1]


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ("ID", "NAME", "STATE"), ("c12", "", "held"), ("e7", "a b", "")) == [
        "ID   NAME  STATE",
        "c12        held",
        "e7   a b",
    ]


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("\u5c71\u7530", 4),
        ("e\u0301", 1),
        ("\uff71", 1),
        ("\ud55c\uad6d\uc5b4", 6),
        ("\u05d0\u05d1", 2),
    ],
    ids=["Chinese", "an accent of its own", "half-width", "Korean", "Hebrew"],
)
def test_other_scripts_are_aligned(
    capsys: pytest.CaptureFixture[str], name: str, columns: int
) -> None:
    first, second = printed(capsys, (name, "x"), ("1234567", "x"))

    assert first == f"{name}{' ' * (7 - columns + 2)}x"
    assert second == "1234567  x"


def test_a_cell_is_whole_however_narrow_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    long = "a title of many words " * 40 + "end"

    assert printed(capsys, ("t1", long, "x")) == [f"t1  {long}  x"]


def test_neither_colour_nor_markup_goes_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert printed(capsys, ("[bold]A[/bold]", ":warning:", "https://x.example 1.5")) == [
        "[bold]A[/bold]  :warning:  https://x.example 1.5"
    ]


def test_a_hostile_name_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ("\x1b[2Jx\u202ey\nz\x9b", "\u5c71\u3000\u7530\u2028", "q")) == [
        "\ufffd[2Jx\ufffdy z\ufffd  \u5c71 \u7530   q"
    ]


def test_nothing_is_printed_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys) == []
