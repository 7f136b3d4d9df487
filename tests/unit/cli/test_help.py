"""`spotter --help` lists every command with its own help, and loads none of them for that."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from agent.cli import spotter
from tests.conftest import REPOSITORY

COMMANDS = spotter.list_commands(click.Context(spotter))


@pytest.fixture(scope="module")
def listed() -> str:
    """The help as it is printed on a wide terminal."""
    return CliRunner().invoke(spotter, ["--help"], terminal_width=200).output


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_repeats_the_commands_own_help(name: str, listed: str) -> None:
    command = spotter.get_command(click.Context(spotter), name)

    assert command is not None
    line = next(line for line in listed.splitlines() if line.split()[:1] == [name])
    assert line.split(maxsplit=1)[1] == command.get_short_help_str(200)


def test_the_list_loads_no_command() -> None:
    probe = (
        "import sys\nfrom click.testing import CliRunner\nfrom agent.cli import spotter\n"
        "assert CliRunner().invoke(spotter, ['--help']).exit_code == 0\n"
        "print(*(name for name in sys.modules if name.startswith('agent.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )

    assert set(done.stdout.split()) == {"agent.cli", "agent.errors"}
