"""The command `export`: takes as a table that is safe to open in any spreadsheet."""

import sys
from pathlib import Path

import click

from agent.cli.common import config_option, opened_outbox, settings_of
from agent.cli.options import Since
from agent.errors import RequestError
from agent.results.csv_export import ExportedTake, names_of, write_csv
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
    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        sessions = outbox.sessions.latest(since=since or 0.0, user_id=athlete)
        found = [ExportedTake.of_session(session) for session in sessions]
        known = names_of(outbox, found) if names else None
    if target == _STANDARD_OUTPUT:
        write_csv(sys.stdout, found, names=known)
        return
    try:
        with Path(target).open("w", encoding="utf-8", newline="") as file:
            write_csv(file, found, names=known)
    except OSError as error:
        raise RequestError(f"{target}: {error.strerror}", hint="choose another file") from error
    click.echo(f"{counted(len(found), 'take')} written to {target}", err=True)
