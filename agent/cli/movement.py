"""What somebody does, as options that several commands share."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, NamedTuple

import click

from agent.activities import ACTIVITIES
from agent.cli.number import Number

if TYPE_CHECKING:
    from agent.outbox.entry import Entry, Whose

_OPTIONS = (
    click.option(
        "--activity", type=click.Choice(ACTIVITIES), help="Default: the station's activity."
    ),
    click.option("--exercise", help='Examples: snatch, clean_and_jerk, "Drop Jump".'),
    click.option(
        "--barbell-mass", type=Number(), metavar="KG", help="Weight on the bar, bar included."
    ),
    click.option("--incline", type=Number(), metavar="DEG", help="Incline of the treadmill."),
)


class Told(NamedTuple):
    """What the options say; None where they say nothing."""

    activity: str | None
    exercise: str | None
    barbell_mass: float | None
    incline: float | None

    @property
    def is_something(self) -> bool:
        """Tell whether any of them was given."""
        return any(said is not None for said in self)

    def over(self, default: "Whose | Entry") -> "Whose | None":
        """Return what somebody does by these words, or None where they say nothing."""
        from agent.outbox.entry import Whose
        from agent.outbox.states import Recipient

        if not self.is_something:
            return None
        return Whose(
            recipient=Recipient.UNKNOWN,
            user_id=None,
            activity=self.activity or default.activity,
            exercise=self.exercise,
            barbell_mass_kg=self.barbell_mass,
            incline_deg=self.incline,
        )

    def of_clip(self, entry: "Entry") -> "Whose | None":
        """Return what a clip shows by these words; what they leave open is as it was known."""
        told = self.over(entry)
        if told is None or told.activity != entry.activity:
            return told
        known = entry.barbell_mass_kg
        return replace(
            told,
            exercise=told.exercise or entry.exercise,
            barbell_mass_kg=known if told.barbell_mass_kg is None else told.barbell_mass_kg,
            incline_deg=entry.incline_deg if told.incline_deg is None else told.incline_deg,
        )


def movement_options(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command the options that say what somebody does, as its one parameter `told`."""

    @wraps(command)
    def with_told(**given: object) -> object:
        told = Told(*(given.pop(name) for name in Told._fields))  # type: ignore[arg-type]  # click has converted them
        return command(told=told, **given)

    for option in reversed(_OPTIONS):
        with_told = option(with_told)
    return with_told
