"""Parameter types and options that several commands share."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from typing import NamedTuple

import click

from agent.clock import read_clock
from agent.exercises import ACTIVITIES
from agent.outbox.models import ClipTarget, Entry
from agent.outbox.states import Recipient

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
        "--activity", type=click.Choice(ACTIVITIES), help="Default: the station's activity."
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
        known = entry.barbell_mass_kg
        return replace(
            movement,
            exercise=movement.exercise or entry.exercise,
            barbell_mass_kg=known if movement.barbell_mass_kg is None else movement.barbell_mass_kg,
            incline_deg=entry.incline_deg if movement.incline_deg is None else movement.incline_deg,
        )


def movement_options(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command the options that say what somebody does, as its one parameter `options`."""

    @wraps(command)
    def with_options(**given: object) -> object:
        options = MovementOptions(*(given.pop(name) for name in MovementOptions._fields))  # type: ignore[arg-type]  # click has converted them
        return command(options=options, **given)

    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return with_options
