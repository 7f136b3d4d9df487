"""Lengths of time as options."""

import re

import click

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
            self.fail(f"{value!r} is not a duration (examples: 90s, 30m, 2h)", param, ctx)
        return float(parts[1]) * _UNITS_S[parts[2]]
