"""What somebody does, as options that several commands share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from agent.activities import ACTIVITIES

if TYPE_CHECKING:
    from agent.outbox.entry import Whose

Command = TypeVar("Command", bound=Callable[..., object])

_OPTIONS = (
    click.option("--activity", type=click.Choice(ACTIVITIES), help="Default: the station's."),
    click.option("--exercise", help='Such as snatch, clean_and_jerk, "Drop Jump".'),
    click.option("--barbell-mass", type=float, metavar="KG", help="Mass of the loaded bar."),
    click.option("--incline", type=float, metavar="DEG", help="Of the treadmill."),
)


def movement_options(command: Command) -> Command:
    """Give a command the options that say what somebody does."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def told_movement(
    default: "Whose",
    activity: str | None,
    exercise: str | None,
    barbell_mass: float | None,
    incline: float | None,
) -> "Whose | None":
    """Return what the options say, or None where they say nothing."""
    from agent.outbox.entry import Whose
    from agent.outbox.states import Recipient

    if all(told is None for told in (activity, exercise, barbell_mass, incline)):
        return None
    return Whose(
        recipient=Recipient.UNKNOWN,
        user_id=None,
        activity=activity or default.activity,
        exercise=exercise,
        barbell_mass_kg=barbell_mass,
        incline_deg=incline,
    )
