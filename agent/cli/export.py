"""The command `export`: takes as a table that is safe to open in any spreadsheet."""

import csv
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import click

from agent.cli.common import config_option, opened_outbox, settings_of
from agent.cli.options import Since
from agent.clock import iso_utc
from agent.errors import RequestError
from agent.outbox.outbox import Outbox
from agent.outbox.queries import Followed
from agent.outbox.results import Number
from agent.text import counted

_STANDARD_OUTPUT = "-"


@click.command()
@click.option("--since", type=Since(), metavar="2d|DATE", help="Only takes recorded since then.")
@click.option("--athlete", metavar="USER_ID", help="Only takes of this athlete.")
@click.option(
    "--csv",
    "target",
    is_flag=False,
    flag_value=_STANDARD_OUTPUT,
    default=_STANDARD_OUTPUT,
    metavar="[FILE]",
    help="Write to a file.  [default: standard output]",
)
@click.option("--names", is_flag=True, help="Include the athletes' names.")
@config_option
def export(
    since: float | None, athlete: str | None, target: str, names: bool, config: Path | None
) -> None:
    """Export takes and their metrics as CSV.

    One row per take, one column per metric; UTF-8, times in UTC.
    """
    pass

    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        found = outbox.sessions.latest(since=since or 0.0, user_id=athlete)
        known = _names(outbox, found) if names else None
    if target == _STANDARD_OUTPUT:
        write_csv(sys.stdout, found, names=known)
        return
    try:
        with Path(target).open("w", encoding="utf-8", newline="") as file:
            write_csv(file, found, names=known)
    except OSError as error:
        raise RequestError(f"{target}: {error.strerror}", hint="choose another file") from error
    click.echo(f"{counted(len(found), 'take')} written to {target}", err=True)


def _names(outbox: Outbox, found: Sequence[Followed]) -> Mapping[str, str]:
    """Return the athletes' names by their user_id, as far as the roster knows them."""

    def known() -> Iterator[tuple[str, str]]:
        for user_id in {followed.entry.user_id for followed in found} - {None}:
            athlete = outbox.roster.by_user_id(str(user_id))
            if athlete is not None:
                yield str(user_id), athlete.name

    return dict(known())


Cell = Number | None

_COLUMNS = (
    *("filmed_at", "athlete", "name", "activity", "exercise", "barbell_mass_kg", "incline_deg"),
    *("clip_code", "clip_seconds", "delivered_at", "session_id", "state", "analysed_at"),
)
_MOST_COLUMNS = 500  # of numbers: the rest is in the documents
# What a spreadsheet would take for a formula (OWASP, "CSV Injection"): at a cell's begin, or behind
# a sign at which a spreadsheet of another country or another setting would begin a new cell.
_BLANKS = r"[\s\x00-\x1f\ufeff\u200b\"]*"
_SIGNS = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
_AT_BEGIN = re.compile(rf"{_BLANKS}{_SIGNS}|[\t\r\n]")
_BEHIND = re.compile(rf"([;,|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029])(?={_BLANKS}{_SIGNS})")


def write_csv(
    target: TextIO, found: Sequence[Followed], *, names: Mapping[str, str] | None
) -> None:
    """Write one line a take, the latest first, with every number as a column of its own.

    Args:
        target: where to.
        found: the takes.
        names: the athletes' names by user_id, or None where nobody asked for them.
    """
    own = [name for name in _COLUMNS if name != "name" or names is not None]
    columns = _number_columns(found)
    writer = csv.writer(target, lineterminator="\r\n")  # RFC 4180
    writer.writerow([harmless(name) for name in [*own, *columns]])
    for followed in found:
        row = _row(followed, names or {})
        numbers = {} if followed.result is None else followed.result.numbers
        cells = [*(row[name] for name in own), *(numbers.get(name) for name in columns)]
        writer.writerow([harmless(cell) for cell in cells])


def harmless(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet carries out: texts that look like formulas are quoted."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if not isinstance(cell, str):
        return cell
    text = cell.lstrip()
    blanks = cell[: len(cell) - len(text)]
    quote = "'" if _AT_BEGIN.match(cell) else ""
    return f"{quote}{blanks}" + _BEHIND.sub(r"\1'", text)


def _number_columns(found: Sequence[Followed]) -> list[str]:
    """Return the names of all numbers, in the order in which they first appear."""
    columns: dict[str, None] = {}
    for followed in found:
        if followed.result is not None and len(columns) < _MOST_COLUMNS:
            columns.update(dict.fromkeys(followed.result.numbers))
    return list(columns)[:_MOST_COLUMNS]


def _row(followed: Followed, names: Mapping[str, str]) -> dict[str, Cell]:
    entry, follow_up, result = followed.entry, followed.follow_up, followed.result
    return {
        "filmed_at": iso_utc(entry.filmed_at),
        "athlete": entry.user_id,
        "name": names.get(entry.user_id or ""),
        "activity": entry.activity,
        "exercise": entry.exercise,
        "barbell_mass_kg": entry.barbell_mass_kg,
        "incline_deg": entry.incline_deg,
        "clip_code": entry.clip_code,
        "clip_seconds": round(entry.clip_seconds, 3),
        "delivered_at": iso_utc(entry.sent_at),
        "session_id": follow_up.session_id,
        "state": follow_up.state,
        "analysed_at": None if result is None else iso_utc(result.got_at),
    }
