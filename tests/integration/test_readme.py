"""The README keeps its word: its commands run as written, and every command stands in it."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from agent.cli import spotter
from tests.conftest import REPOSITORY
from tests.station import give

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
# Each block by itself: what one line makes, the next may use.
COMMANDS = [
    lines
    for block in BLOCKS
    if (
        lines := [
            line
            for line in block.splitlines()
            if not line.startswith("sudo ") and line != "make test"
        ]
    )
]


def commands_of(group: click.Group, *before: str) -> dict[str, click.Command]:
    """Every command by its words, as in "outbox show"."""
    found: dict[str, click.Command] = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[" ".join((*before, name))] = command
        if isinstance(command, click.Group):
            found |= commands_of(command, *before, name)
    return found


def test_the_readme_has_commands() -> None:
    assert sum(map(len, COMMANDS)) >= 5 and ["make demo"] in COMMANDS


@pytest.mark.parametrize("lines", COMMANDS, ids=lambda lines: lines[0])
def test_commands_of_the_readme_run_as_written(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (REPOSITORY / ".venv").exists():
        pytest.skip("the README's commands want .venv, which make setup makes")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # a demo removes what earlier ones have left
    for line in lines:
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        if line == "make demo":
            check_demo(done.stdout)


def check_demo(shown: str) -> None:
    """The demo shows the analysed session, what was saved, and files that are there."""
    names = "session|title|saved|metrics|poster|analysis|video"
    facts = dict(re.findall(rf"^({names}) +(.+?) *$", shown, flags=re.MULTILINE))
    assert re.fullmatch(r"[0-9a-f]{16}", facts["session"])
    assert re.match(r"\[[0-9a-z]{10}\] snatch 60kg ", facts["title"])
    saved_s = re.match(r"([0-9.]+) s of", facts["saved"])
    assert saved_s is not None and float(saved_s[1]) > 10
    poster = Path(facts["poster"])
    assert poster.read_bytes()[:3] == b"\xff\xd8\xff"
    assert re.search(r"peak_velocity \d\.\d+", facts["metrics"])
    assert Path(facts["analysis"]).read_bytes().startswith(b'{"spotter"')
    assert Path(facts["video"]).read_bytes()[4:8] == b"ftyp"


OF_NO_STATION = {"certificate init", "certificate issue"}


@pytest.mark.parametrize(("words", "command"), commands_of(spotter).items())
def test_every_command_has_help_and_stands_in_the_readme(
    words: str, command: click.Command
) -> None:
    assert command.help
    is_of_a_station = not isinstance(command, click.Group) and words not in OF_NO_STATION
    assert not is_of_a_station or "--config" in [o for p in command.params for o in p.opts]
    assert not command.get_short_help_str(60).endswith("..."), "the list of commands cuts it"
    assert words in commands_shown(), "it stands in no line of the README"


def commands_shown() -> set[str]:
    """Every command that the README names, written out, groups included.

    In a line with `spotter outbox list`, `show ID`, the second one is "outbox show".
    """
    shown = set()
    for line in README.splitlines():
        for found in re.finditer(r"\bspotter((?: [a-z-]+\b)+)", line):
            words = found[1].split()
            shown |= {" ".join(words[:count]) for count in range(1, len(words) + 1)}
        group = re.match(r"\| `spotter ([a-z-]+)", line)
        if group is not None:
            named = re.findall(r"`([a-z-]+)\b[^`]*`", line.split(" | ")[0])
            shown |= {f"{group[1]} {word}" for word in named if word != "spotter"}
    return shown


def test_paths_named_in_the_readme_exist() -> None:
    for path in re.findall(r"`((?:agent|analysis|config|systemd)/[\w./-]*)`", README):
        assert (REPOSITORY / path).exists(), path


def test_help_is_a_word_too() -> None:
    assert "Daily use:" in give(["help"]).stdout
    assert "Usage: spotter outbox list" in give(["help", "outbox", "list"]).stdout


def test_wrong_usage_ends_with_2_and_no_traceback() -> None:
    for words, told in (
        (["nonsense"], "No such command 'nonsense'"),
        (["statu"], "Did you mean"),
        (["--config", "x", "status"], "Options go after the command: spotter status --config FILE"),
        (["--json", "status"], "Options go after the command: spotter status --json\n"),
        (["filming", "pause"], "No such command 'pause'.\nCommands: start, stop\n"),
        (["outbox", "--json", "list"], "Options go after the command"),
        (["assign", "--for", "soon", "x"], "'soon' is not a duration (examples: 90s, 30m, 2h)"),
        (["outbox", "list", "--state", "x"], "'x' is not one of"),
    ):
        done = give(words)
        assert done.returncode == 2, words
        assert told in done.stderr and "Traceback" not in done.stderr
