"""spotter assign."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.activities import ACTIVITIES
from agent.cli.common import (
    config_option,
    json_option,
    opened_outbox,
    print_json,
    settings_of,
    wake_daemon,
)

if TYPE_CHECKING:
    from agent.outbox.assignments import Assignment
    from agent.settings import Settings

_UNITS_S = {"s": 1, "m": 60, "h": 3600}


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
            self.fail(f"{value!r} is no duration: write 90s, 30m or 2h", param, ctx)
        return float(parts[1]) * _UNITS_S[parts[2]]


@click.command()
@click.argument("user_id", required=False)
@click.option("--activity", type=click.Choice(ACTIVITIES), help="Default: the station's.")
@click.option("--exercise", help='Such as snatch, clean_and_jerk, "Drop Jump".')
@click.option("--barbell-mass", type=float, metavar="KG", help="Mass of the loaded bar.")
@click.option("--incline", type=float, metavar="DEG", help="Of the treadmill.")
@click.option("--for", "lasts_s", type=Duration(), metavar="30m", help="After that, nobody.")
@click.option("--clear", is_flag=True, help="Back to the station's default.")
@click.option("--nobody", is_flag=True, help="Nobody is on the station, until further notice.")
@config_option
@json_option
def assign(
    user_id: str | None,
    activity: str | None,
    exercise: str | None,
    barbell_mass: float | None,
    incline: float | None,
    lasts_s: float | None,
    clear: bool,
    nobody: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Say who is on the station from now on.

    What was filmed before keeps the athlete of its time.  What you leave out comes from the
    station's settings, and only for the same activity.
    """
    if sum((user_id is not None, clear, nobody)) != 1:
        raise click.UsageError("name one: a USER_ID, --clear or --nobody")
    details = (activity, exercise, barbell_mass, incline, lasts_s)
    if user_id is None and any(detail is not None for detail in details):
        raise click.UsageError("the other options go with a USER_ID")
    settings = settings_of(config)
    said = _say(settings, user_id, *details, clear=clear)
    wake_daemon(settings)
    _tell(said, as_json=as_json)


def _say(
    settings: "Settings",
    user_id: str | None,
    activity: str | None,
    exercise: str | None,
    barbell_mass: float | None,
    incline: float | None,
    lasts_s: float | None,
    *,
    clear: bool,
) -> "Assignment":
    """Record what was said."""
    from agent.assembly import station_default
    from agent.clock import read_clock
    from agent.outbox.entry import Whose
    from agent.outbox.states import Recipient
    from agent.station import assigning

    station, now = station_default(settings), read_clock()
    with opened_outbox(settings) as outbox:
        assigning.record_default(outbox, station, now=now)
        if user_id is None:
            say = assigning.clear_assignment if clear else assigning.assign_nobody
            return say(outbox, now=now, set_by="command line")
        wanted = Whose(
            recipient=Recipient.ATHLETE,
            user_id=user_id,
            activity=activity or station.activity,
            exercise=exercise,
            barbell_mass_kg=barbell_mass,
            incline_deg=incline,
        )
        return assigning.assign(
            outbox, wanted, station=station, lasts_s=lasts_s, now=now, set_by="command line"
        )


def _tell(said: "Assignment", *, as_json: bool) -> None:
    from agent.cli.words import assignment_document, assignment_words

    if as_json:
        print_json(assignment_document(said))
    else:
        click.echo(assignment_words(said))
