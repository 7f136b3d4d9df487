"""spotter export."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import config_option, opened_outbox, settings_of
from agent.cli.since import Since
from agent.errors import RequestError

if TYPE_CHECKING:
    from agent.outbox.store import Outbox
    from agent.outbox.views.sessions import Followed

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
    from agent.on_request.tabulating import write_csv
    from agent.plurals import counted

    settings = settings_of(config)
    with opened_outbox(settings) as box:
        found = box.sessions.latest(since=since or 0.0, user_id=athlete)
        known = _names(box, found) if names else None
    if target == _STANDARD_OUTPUT:
        write_csv(sys.stdout, found, names=known)
        return
    try:
        with Path(target).open("w", encoding="utf-8", newline="") as file:
            write_csv(file, found, names=known)
    except OSError as error:
        raise RequestError(f"{target}: {error.strerror}", hint="choose another file") from error
    click.echo(f"{counted(len(found), 'take')} written to {target}", err=True)


def _names(box: "Outbox", found: Sequence["Followed"]) -> Mapping[str, str]:
    """Return the athletes' names by their user_id, as far as the roster knows them."""

    def known() -> Iterator[tuple[str, str]]:
        for user_id in {followed.entry.user_id for followed in found} - {None}:
            athlete = box.roster.by_user_id(str(user_id))
            if athlete is not None:
                yield str(user_id), athlete.name

    return dict(known())
