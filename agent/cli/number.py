"""Numbers as options."""

import math

import click


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
