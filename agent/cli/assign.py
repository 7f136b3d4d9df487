"""spotter assign, done, keep."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import (
    config_option,
    json_option,
    opened_outbox,
    print_json,
    settings_of,
    wake_daemon,
)
from agent.cli.duration import Duration
from agent.cli.movement import movement_options, told_movement

if TYPE_CHECKING:
    from agent.clock import Instant
    from agent.outbox.assignments import Assignment
    from agent.outbox.store import Outbox
    from agent.station.assigning import StationRules

    Say = Callable[[Outbox, StationRules, Instant], Assignment]

SET_BY = "command line"


@click.command()
@click.argument("user_id", required=False)
@movement_options
@click.option("--for", "lasts_s", type=Duration(), metavar="30m", help="After that, nobody.")
@click.option("--guest", metavar="NAME", help="Somebody who is not in the account.")
@click.option("--again", is_flag=True, help="With what this athlete did last.")
@click.option(
    "--step", "step_kg", type=float, metavar="KG", help="More (or -2.5: less) on the bar."
)
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
    guest: str | None,
    again: bool,
    step_kg: float | None,
    clear: bool,
    nobody: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Say who is on the station from now on.

    What was filmed before keeps the athlete of its time.  What you leave out is the athlete's own
    last barbell mass, or comes from the station's settings, and only for the same activity.
    Without --for it holds until 45 minutes pass without a take (station.runs_out_after_min).
    """
    if sum((user_id is not None, guest is not None, step_kg is not None, clear, nobody)) != 1:
        raise click.UsageError("name one: a USER_ID, --guest, --step, --clear or --nobody")
    details = (activity, exercise, barbell_mass, incline)
    if user_id is None and guest is None and any(d is not None for d in (*details, lasts_s)):
        raise click.UsageError("the other options go with a USER_ID or a --guest")
    if again and (user_id is None or any(detail is not None for detail in details)):
        raise click.UsageError("--again goes with a USER_ID alone")

    def say(outbox: "Outbox", rules: "StationRules", now: "Instant") -> "Assignment":
        from agent.station import assigning

        if step_kg is not None:
            return assigning.step_mass(outbox, step_kg, rules=rules, now=now, set_by=SET_BY)
        if clear or nobody:
            speak = assigning.clear_assignment if clear else assigning.assign_nobody
            return speak(outbox, now=now, set_by=SET_BY)
        return _assign(outbox, rules, now, user_id, guest, details, again=again, lasts_s=lasts_s)

    _speak(say, config=config, as_json=as_json)


def _assign(
    outbox: "Outbox",
    rules: "StationRules",
    now: "Instant",
    user_id: str | None,
    guest: str | None,
    details: tuple[str | None, str | None, float | None, float | None],
    *,
    again: bool,
    lasts_s: float | None,
) -> "Assignment":
    """Put an athlete or a guest on the station."""
    from dataclasses import replace

    from agent.station import assigning
    from agent.station.roster import note_guest

    wanted = told_movement(rules.default, *details)
    if wanted is None and not again:
        wanted = replace(rules.default, barbell_mass_kg=None, incline_deg=None)
    with outbox.transaction():
        key = user_id or note_guest(outbox, guest or "", now_s=now.utc_s).key
        return assigning.assign_person(
            outbox, key, wanted, rules=rules, now=now, set_by=SET_BY, lasts_s=lasts_s
        )


@click.command()
@config_option
@json_option
def done(config: Path | None, as_json: bool) -> None:
    """Say that the athlete is done: nobody is on the station."""
    from agent.station import assigning

    _speak(
        lambda outbox, _rules, now: assigning.assign_nobody(outbox, now=now, set_by=SET_BY),
        config=config,
        as_json=as_json,
    )


@click.command()
@config_option
@json_option
def keep(config: Path | None, as_json: bool) -> None:
    """Say that it is still the same athlete: the time until nobody begins anew."""
    from agent.station import assigning

    _speak(
        lambda outbox, _rules, now: assigning.keep(outbox, now=now, set_by=SET_BY),
        config=config,
        as_json=as_json,
    )


def _speak(say: "Say", *, config: Path | None, as_json: bool) -> None:
    """Record what is said, wake the daemon, and tell what holds now."""
    from agent.cli.words import assignment_document, assignment_words
    from agent.clock import read_clock
    from agent.station.assigning import record_default
    from agent.station.of_settings import station_rules

    settings = settings_of(config)
    rules, now = station_rules(settings), read_clock()
    with opened_outbox(settings) as outbox:
        record_default(outbox, rules.default, now=now)
        said = say(outbox, rules, now)
    wake_daemon(settings)
    if as_json:
        print_json(assignment_document(said))
    else:
        click.echo(assignment_words(said))
