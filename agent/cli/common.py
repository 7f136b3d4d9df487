"""Shared by all commands: options and their types, settings, the outbox, printing of results."""

import io
import json
import math
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from shutil import copyfileobj
from typing import NamedTuple, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.clock import LocalTime, read_clock
from agent.disk.mounts import Mounts
from agent.disk.state_folder import (
    acting_as_caller,
    acting_as_owner,
    is_acting,
    open_plain,
    rewriting,
)
from agent.errors import BusyError, OutboxError, RequestError
from agent.exercises import ACTIVITIES
from agent.outbox.models import Capture, ClipTarget, Entry
from agent.outbox.outbox import Outbox, open_with
from agent.outbox.roster import GUEST_PREFIX, ROSTER_SYNCED_AT
from agent.outbox.states import Recipient
from agent.settings import Loaded, Settings, loaded_settings
from agent.settings.model import read_secrets
from agent.station.assignments import reserve_of, state_folder
from agent.station.clip_actions import find
from agent.station.roster import find_athlete
from agent.wakeup import wake

_NO_MARGIN = 1_000_000  # columns: a cell is never cut or wrapped

Command = TypeVar("Command", bound=Callable[..., object])


def _named_file(_ctx: click.Context, _param: click.Parameter, value: Path | None) -> Path | None:
    if value == Path():  # --config "$FILE", where nothing has set FILE
        raise click.BadParameter("a file name is expected")
    return value


config_option = click.option(
    "--config",
    "config",
    callback=_named_file,
    type=click.Path(path_type=Path, dir_okay=False, readable=False),  # reading it says more
    metavar="FILE",
    help="Settings file.  [default: $SPOTTER_CONFIG, then /etc/spotter/station.toml, "
    "then ~/.config/spotter/station.toml]",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document to standard output."
)


def standard_options(command: Command) -> Command:
    """Give a command `--config` and `--json`."""
    return config_option(json_option(command))


def loaded_of(config: Path | None) -> Loaded:
    """Load the settings that a command works with, and say how they came about."""
    loaded = loaded_settings(config)
    if os.geteuid() == 0:
        read_secrets(loaded.settings, os.environ)  # only root may, perhaps
    return loaded


def settings_of(config: Path | None) -> Settings:
    """Load the settings that a command works with."""
    return loaded_of(config).settings


@contextmanager
def opened_outbox(settings: Settings) -> Iterator[Outbox]:
    """Open the outbox that the settings name; SQLite is the interface, daemon or not.

    Root has the rights of the state folder's owner alone meanwhile.
    """

    with acting_as_owner(settings.paths.state), _opened_outbox(settings) as outbox:
        yield outbox


@contextmanager
def _opened_outbox(settings: Settings) -> Iterator[Outbox]:
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
def refusals_of(path: Path | str, *, hint: str | None = None) -> Iterator[None]:
    """Work on a file or folder that a person named.

    Raises:
        RequestError: the system refuses it.
    """
    try:
        yield
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}", hint=hint) from error


@contextmanager
def file_for_person(settings: Settings, target: Path) -> Iterator[Path]:
    """Yield where to write a person's file while the outbox is open.

    Root's is written beside the station's unfinished files, and then copied with root's rights to
    where root wants it.
    """

    if not is_acting():
        yield target
        return

    written = state_folder(settings).tmp / f"for-root-{target.name}"
    yield written
    with open_plain(written) as content, acting_as_caller(), rewriting(target, 0o640) as file:
        copyfileobj(content, file)
    written.unlink()


@contextmanager
def steered_outbox(config: Path | None) -> Iterator[tuple[Settings, Outbox]]:
    """Open the outbox for a change, and wake the daemon once that is on record."""
    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        yield settings, outbox
    wake_daemon(settings)


def wake_daemon(settings: Settings) -> None:
    """Wake a running daemon, so that it checks for work now."""

    with acting_as_owner(settings.paths.state):
        wake(state_folder(settings).wake_socket)


def print_json(document: object) -> None:
    """Print the one JSON document of a command."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def print_answer(document: object, words: str, *, as_json: bool) -> None:
    """Print a command's answer: for scripts the one JSON document, else the words."""
    if as_json:
        print_json(document)
    else:
        click.echo(words)


def print_columns(lines: Sequence[Sequence[str]]) -> None:
    """Print lines of cells, each column as wide as its widest cell, in full wherever it goes to.

    Signs that would command a terminal are replaced: names and titles are other people's.
    """

    if not lines:
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in lines[0]:
        table.add_column(no_wrap=True, overflow="ignore")
    for line in lines:
        table.add_row(*(Text(_harmless(cell)) for cell in line))
    drawn = io.StringIO()
    Console(file=drawn, width=_NO_MARGIN, color_system=None).print(table)
    for line in drawn.getvalue().split("\n")[:-1]:
        click.echo(line.rstrip())


def _harmless(cell: str) -> str:
    """Return a cell without what is not printable; a space of any kind becomes a plain one."""
    if cell.isprintable():
        return cell
    return "".join(
        sign if sign.isprintable() else " " if sign.isspace() else "\ufffd" for sign in cell
    )


def local_time() -> LocalTime:
    """Return the box's wall clock at this moment, by which people read times."""

    return LocalTime(read_clock().utc_s)


def headed(words: Sequence[str], here: LocalTime) -> tuple[str, ...]:
    """Return the head of a table, with the zone of its times where that is left open."""
    return tuple(word.format(zone=here.zone) for word in words)


def console() -> Console:
    """Return where people read results: colours in a terminal, plain when piped."""

    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def find_clip(outbox: Outbox, wanted: str) -> Entry:
    """Return the clip that an ID stands for.

    Raises:
        RequestError: there is no such thing, or it is a capture.
    """

    entry = find(outbox, wanted)
    if isinstance(entry, Capture):
        raise RequestError(
            f"{entry.name} is a recording, not a clip", hint=f"its clips: spotter show {entry.name}"
        )
    return entry


def warn_unknown_athlete(outbox: Outbox, user_id: str | None) -> None:
    """Say on standard error that the roster does not hold somebody; nothing where there is none.

    It is only a word: who joined the account a minute ago may lift before the roster knows it.
    """
    if user_id is None or user_id.startswith(GUEST_PREFIX):
        return
    athlete, known = outbox.roster.by_user_id(user_id), outbox.roster.count()
    if not known or (athlete is not None and athlete.gone_at is None):
        return
    synced_at = outbox.switches.moment(ROSTER_SYNCED_AT)
    as_of = "" if synced_at is None else f" (as of {local_time().moment(synced_at)})"
    advice = "check the spelling (spotter athletes --sync reloads the roster)"
    with suppress(RequestError):  # it is nobody's name either
        advice = f"that is a name: the user id is {find_athlete(outbox, user_id).key}"
    click.echo(f"  {user_id} is not in the account's roster{as_of}; {advice}", err=True)


_DURATION_UNITS_S = {"s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    """A length of time as people write it: 90s, 30m, 1.5h."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, float):
            return value
        parts = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smh])", str(value).strip())
        if parts is None or float(parts[1]) <= 0:
            self.fail(f"{value!r} is not a duration (examples: 90s, 30m, 2h)", param, ctx)
        return float(parts[1]) * _DURATION_UNITS_S[parts[2]]


class Number(click.ParamType[float]):
    """A number as people write it: 62.5, or 62,5."""

    name = "number"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return it, if it is a finite one."""
        if isinstance(value, float):
            return value
        try:
            number = float(str(value).strip().replace(",", "."))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number (example: 62.5)", param, ctx)
        return number


class WholeNumber(click.IntRange):
    """A whole number within bounds; click would call it an integer range."""

    name = "whole number"


class BoundedNumber(click.FloatRange):
    """A number within bounds; click would call it a float range."""

    name = "number"


_DAYS_BACK = {"today": 0, "yesterday": 1}
_UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class Since(click.ParamType[float]):
    """Some time ago (90m, 12h, 2d, 4w), `today`, `yesterday`, or a day or moment of this box."""

    name = "since"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return Unix time."""
        if isinstance(value, float):
            return value
        text, now_s = str(value).strip(), read_clock().utc_s
        ago = re.fullmatch(r"(\d{1,5})([mhdw])", text)
        if ago is not None:
            return now_s - int(ago[1]) * _UNITS_S[ago[2]]
        if text in _DAYS_BACK:
            day = datetime.fromtimestamp(now_s).astimezone() - timedelta(days=_DAYS_BACK[text])
            text = f"{day:%Y-%m-%d}"
        try:
            return datetime.fromisoformat(text).astimezone().timestamp()
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time (examples: 2d, today, 2026-11-25)", param, ctx)


_OPTIONS = (
    click.option(
        "--activity",
        type=click.Choice(ACTIVITIES),
        help="Default: the clip's own, or the station's.",
    ),
    click.option("--exercise", help='Examples: snatch, clean_and_jerk, "Drop Jump".'),
    click.option(
        "--barbell-mass", type=Number(), metavar="KG", help="Weight on the bar, bar included."
    ),
    click.option("--incline", type=Number(), metavar="DEG", help="Incline of the treadmill."),
)


class MovementOptions(NamedTuple):
    """What the options say; None where they say nothing."""

    activity: str | None
    exercise: str | None
    barbell_mass: float | None
    incline: float | None

    @property
    def is_something(self) -> bool:
        """Tell whether any of them was given."""
        return any(said is not None for said in self)

    def over(self, default: ClipTarget | Entry) -> ClipTarget | None:
        """Return what somebody does by these words, or None where they say nothing."""

        if not self.is_something:
            return None
        return ClipTarget(
            recipient=Recipient.UNKNOWN,
            user_id=None,
            activity=self.activity or default.activity,
            exercise=self.exercise,
            barbell_mass_kg=self.barbell_mass,
            incline_deg=self.incline,
        )

    def of_clip(self, entry: Entry) -> ClipTarget | None:
        """Return what a clip shows by these words; what they leave open is as it was known."""
        movement = self.over(entry)
        if movement is None or movement.activity != entry.activity:
            return movement
        return movement.filled(entry.target)


def movement_options(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command the options that say what somebody does, as its one parameter `options`."""

    @wraps(command)
    def with_options(**given: object) -> object:
        options = MovementOptions(*(given.pop(name) for name in MovementOptions._fields))  # type: ignore[arg-type]  # click has converted them
        return command(options=options, **given)

    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return with_options
