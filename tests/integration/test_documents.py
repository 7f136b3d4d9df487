"""The pages under docs/ name commands and settings that exist."""

import re
from pathlib import Path

import click
import pytest

from agent.cli import spotter
from agent.notifications.message import STATION_STATE, TEST, UPDATE_REVERTED
from agent.settings import Settings
from tests.conftest import REPOSITORY

PAGES = sorted((REPOSITORY / "docs").glob("**/*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_a_page_exist(page: Path) -> None:
    for words in re.findall(r"\bspotter ([a-z][a-z ]*)", page.read_text()):
        command: click.Command = spotter
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            found = command.get_command(click.Context(command), word)
            if found is None:
                assert command is not spotter or not is_command(page, words), words
                break
            command = found


def is_command(page: Path, words: str) -> bool:
    """Tell a command from a sentence about spotter: it stands in code."""
    return f"`spotter {words}" in page.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_on_a_page_exist(page: Path) -> None:
    tables = "|".join(Settings.model_fields)
    for table, key in re.findall(rf"`({tables})\.([a-z_]+)`", page.read_text()):
        if f"{table}.{key}" in (STATION_STATE, TEST, UPDATE_REVERTED):
            continue  # what a notice is called
        model = Settings.model_fields[table].annotation
        assert key in model.model_fields, f"{table}.{key}"  # type: ignore[union-attr]  # every table is a model
