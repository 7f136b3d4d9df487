"""Moments as options: since when."""

import re
from datetime import datetime, timedelta

import click

_DAYS_BACK = {"today": 0, "yesterday": 1}
_UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class Since(click.ParamType[float]):
    """Some time ago (90m, 12h, 2d, 4w), `today`, `yesterday`, or a day or moment of this box."""

    name = "since"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return Unix time."""
        from agent.clock import read_clock

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
