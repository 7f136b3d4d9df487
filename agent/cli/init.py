"""spotter init."""

import os
import sys
from pathlib import Path

import click

from agent.activities import ACTIVITIES, EXERCISES
from agent.cli.common import config_option, json_option, print_json

_REFUSED = 1


@click.command()
@click.option("--system", is_flag=True, help="For the installed service: /etc and /var/lib.")
@click.option("--activity", type=click.Choice(ACTIVITIES), help="The activity at this station.")
@click.option("--exercise", metavar="E", help="The exercise: snatch, clean, clean_and_jerk, ...")
@click.option("--user-id", metavar="U", help="Default athlete while nobody is assigned.")
@click.option(
    "--key-file", type=click.Path(path_type=Path), metavar="F", help="File with the API key."
)
@click.option("--name", metavar="TEXT", help="Display name of the station.")
@click.option("--station-id", metavar="ID", help="For logs and metrics.  [default: host name]")
@click.option("--base-url", metavar="URL", help="Address of the API, if not the default.")
@click.option("--force", is_flag=True, help="Replace existing settings; a copy is kept.")
@config_option
@json_option
def init(
    system: bool,
    activity: str | None,
    exercise: str | None,
    user_id: str | None,
    key_file: Path | None,
    name: str | None,
    station_id: str | None,
    base_url: str | None,
    force: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Write a station's settings and test its API key.

    In a terminal it asks for what the options leave out.  Without --system everything is stored
    in this user's home, where the other commands find it unless a system station exists.
    Exit code 1: the API rejects the key; the settings are written anyway.
    """
    # Loaded by this command alone: the settings model and the API client are slow to load.
    from agent.clock import read_clock
    from agent.setup import KeyAnswer, Places, Wanted, next_steps, write_station

    if system and config is not None:
        raise click.UsageError("--system cannot be combined with --config")
    places = Places.of_system() if system else Places.of_user(os.environ, config)
    asks = sys.stdin.isatty() and not as_json
    activity = activity or _ask_activity(asks=asks)
    exercise = exercise or _ask_exercise(activity, asks=asks)
    key = None
    if asks and key_file is None and not places.key.exists():
        key = _ask_key()
    written = write_station(
        Wanted(
            activity=activity,
            exercise=exercise,
            user_id=user_id,
            name=name,
            station_id=station_id,
            base_url=base_url,
        ),
        places,
        key=key,
        key_file=key_file,
        replace=force,
        now=read_clock(),
    )
    steps = next_steps(written, places)
    if as_json:
        document = {
            "config": str(written.config),
            "kept": None if written.kept is None else str(written.kept),
            "capture": str(written.capture),
            "state": str(places.state),
            "key": str(written.key),
            "finding": written.finding,
            "next": steps,
        }
        print_json(document)
    else:
        _tell(str(written.config), written.finding, steps)
        if written.kept is not None:
            click.echo(f"Previous settings: {written.kept}")
    if written.key is KeyAnswer.REFUSED:
        sys.exit(_REFUSED)


def _tell(config: str, api: str, steps: list[str]) -> None:
    click.echo(f"Settings written: {config}")
    click.echo(f"API: {api}")
    click.echo("Next steps:")
    for number, step in enumerate(steps, start=1):
        click.echo(f"  {number}. {step}")


def _ask_activity(*, asks: bool) -> str:
    if not asks:
        raise click.UsageError(f"--activity is required: {', '.join(ACTIVITIES)}")
    choice = click.Choice(ACTIVITIES)
    return str(click.prompt("Activity at this station", type=choice, default="weightlifting"))


def _ask_exercise(activity: str, *, asks: bool) -> str | None:
    choices = EXERCISES[activity]
    if not choices:
        return None
    if not asks:
        raise click.UsageError(f"--exercise is required: {', '.join(choices)}")
    return str(click.prompt("Exercise", type=click.Choice(choices), default=choices[0]))


def _ask_key() -> str | None:
    """Return a key that a person types, hidden, or None where it is to follow later."""
    from agent.setup import can_be_key

    while True:
        typed = click.prompt(
            "API key (hidden; leave empty to add it later)",
            hide_input=True,
            default="",
            show_default=False,
        ).strip()
        if not typed:
            return None
        if can_be_key(typed):
            return str(typed)
        click.echo("Not an API key: expected one line, no spaces.", err=True)
