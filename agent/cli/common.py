"""What all commands share: options, settings, the outbox, and how results are printed."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from agent.errors import AgentError, OutboxError

if TYPE_CHECKING:
    from rich.console import Console

    from agent.local_time import LocalTime
    from agent.outbox.store import Outbox
    from agent.settings import Settings

Command = TypeVar("Command", bound=Callable[..., object])

_config = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),  # reading it says more
    metavar="FILE",
    help="Settings file.  [default: $SPOTTER_CONFIG, then /etc/spotter/station.toml, "
    "then ~/.config/spotter/station.toml]",
)
_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document to standard output."
)


def config_option(command: Command) -> Command:
    """Give a command `--config`."""
    return _config(command)


def json_option(command: Command) -> Command:
    """Give a command `--json`."""
    return _json(command)


def settings_of(config: Path | None) -> "Settings":
    """Load the settings that a command works with."""
    from agent.settings import load_settings

    settings = load_settings(config)
    if os.geteuid() == 0:
        from agent.settings.notifying import read_secrets

        read_secrets(settings, os.environ)  # only root may, perhaps
    return settings


@contextmanager
def opened_outbox(settings: "Settings") -> Iterator["Outbox"]:
    """Open the outbox that the settings name; SQLite is the interface, daemon or not.

    Root has the rights of the state folder's owner alone meanwhile.
    """
    from agent.outbox.disk.folders import acting_as_owner

    with acting_as_owner(settings.paths.state), _opened_outbox(settings) as outbox:
        yield outbox


@contextmanager
def _opened_outbox(settings: "Settings") -> Iterator["Outbox"]:
    import sqlite3

    from agent.errors import BusyError
    from agent.outbox.disk.mounts import Mounts
    from agent.outbox.opening import open_with
    from agent.outbox.store import Outbox
    from agent.station.of_settings import reserve_of, state_folder

    folder = state_folder(settings)
    missing = Mounts(settings.disk.mounts).missing_above(folder.root)
    if missing is not None:
        raise BusyError(
            f"{missing} is not mounted", hint=f"mount it: paths.state, {folder.root}, is on it"
        )
    folder.prepare()
    reserve = reserve_of(settings)
    held = reserve.is_held()
    try:
        with open_with(reserve, lambda: Outbox.open(folder.root)) as outbox:
            yield outbox
    except sqlite3.DatabaseError as error:
        raise OutboxError(
            f"the outbox in {folder.root} cannot be used: {error}",
            hint="try again; if that fails, restart the daemon, which checks and repairs it",
        ) from error
    if held:
        reserve.hold()


@contextmanager
def file_for_person(settings: "Settings", target: Path) -> Iterator[Path]:
    """Yield where to write a person's file while the outbox is open.

    Root's is written beside the station's unfinished files, and then copied with root's rights to
    where root wants it.
    """
    from agent.outbox.disk.folders import acting_as_caller, is_acting, open_plain, rewriting
    from agent.station.of_settings import state_folder

    if not is_acting():
        yield target
        return
    from shutil import copyfileobj

    written = state_folder(settings).tmp / f"for-root-{target.name}"
    yield written
    with open_plain(written) as content, acting_as_caller(), rewriting(target, 0o640) as file:
        copyfileobj(content, file)
    written.unlink()


@contextmanager
def steered_outbox(config: Path | None) -> Iterator[tuple["Settings", "Outbox"]]:
    """Open the outbox for a change, and wake the daemon once that is on record."""
    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        yield settings, outbox
    wake_daemon(settings)


def wake_daemon(settings: "Settings") -> None:
    """Tell a running daemon to look now."""
    from agent.outbox.disk.folders import acting_as_owner
    from agent.station.of_settings import state_folder
    from agent.wake import wake

    with acting_as_owner(settings.paths.state):
        wake(state_folder(settings).wake_socket)


def complain(error: AgentError) -> None:
    """Say on standard error what went wrong, and what helps."""
    click.echo(f"spotter: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)


def print_json(document: object) -> None:
    """Print the one JSON document of a command."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def print_columns(lines: Sequence[Sequence[str]]) -> None:
    """Print lines of cells, each column as wide as its widest cell."""
    widths = [max(map(_columns, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        rest = (width - _columns(cell) for cell, width in zip(line, widths, strict=True))
        padded = (cell + " " * spaces for cell, spaces in zip(line, rest, strict=True))
        click.echo("  ".join(padded).rstrip())


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: a sign of Chinese two, an accent none."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(sign) in {"Mn", "Me", "Cf"} else 2 if east_asian_width(sign) in "WF" else 1
        for sign in text
    )


def local_time() -> "LocalTime":
    """Return the box's wall clock at this moment, by which people read times."""
    from agent.clock import read_clock
    from agent.local_time import LocalTime

    return LocalTime(read_clock().utc_s)


def headed(words: Sequence[str], here: "LocalTime") -> tuple[str, ...]:
    """Return the head of a table, with the zone of its times where that is left open."""
    return tuple(word.format(zone=here.zone) for word in words)


def console() -> "Console":
    """Return where people read results: colours in a terminal, plain when piped."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, soft_wrap=True)
