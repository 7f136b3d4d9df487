"""Numbers of an analysis as people read them: their names are the API's, and nobody fixed them.

Pure.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.outbox.results.record import Number
from agent.web.i18n import METRICS, Texts

_MOST_NAME = 48
_MOST_VALUE = 48
_DIGITS = 3  # that count
_SMALLEST, _LARGEST = 1e-4, 1e9  # beyond these, powers of ten are easier to read
# peakVelocity -> peak Velocity; barVMax stays readable, and so does RSI
_UNITS = {  # as names end in them: as they follow a value
    "mps": " m/s",
    "mps2": " m/s²",
    "m": " m",
    "cm": " cm",
    "mm": " mm",
    "s": " s",
    "ms": " ms",
    "deg": "°",
    "n": " N",
    "w": " W",
    "j": " J",
    "kg": " kg",
    "hz": " Hz",
    "percent": " %",
    "pct": " %",
}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z](?:[a-z]|$))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number with its name, ready to be shown."""

    name: str
    value: str


def figures_of(numbers: Mapping[str, Number], texts: Texts) -> list[Figure]:
    """Return everything that was measured, what tells most first."""
    return [
        Figure(name=name_shown(path, texts), value=value_shown(numbers[path], texts, path=path))
        for path in by_weight(numbers)
    ]


def by_weight(numbers: Mapping[str, Number]) -> list[str]:
    """Return the paths of numbers, those of the whole take before those of its parts.

    Numbers come before texts; the API's own order decides the rest.
    """
    return sorted(numbers, key=lambda path: (not is_measured(numbers[path]), path.count(".")))


def plottable(all_numbers: Iterable[Mapping[str, Number]], *, most: int) -> list[str]:
    """Return the paths under which any take has a number, in the order of their weight."""
    found: dict[str, None] = {}
    for numbers in all_numbers:
        for path in by_weight(numbers):
            if is_measured(numbers[path]):
                found.setdefault(path)
    return sorted(found, key=lambda path: path.count("."))[:most]


def is_measured(value: object) -> bool:
    """Tell whether a value is a number, not a text or a yes or no."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def name_shown(path: str, texts: Texts) -> str:
    """Return a metric's name in the page's language: peak_velocity_mps is Peak velocity."""
    *above, last = (_words(part) for part in path.split("."))
    parts = [" ".join(words) for words in (*above, _split_unit(last)[0]) if words]
    named = (texts.gettext(METRICS[part]) if part in METRICS else part for part in parts)
    name = shortened(" · ".join(named), _MOST_NAME)
    return f"{name[:1].upper()}{name[1:]}" or "?"


def value_shown(value: Number, texts: Texts, *, path: str = "") -> str:
    """Return a value as people write it, rounded, with the unit that its path names."""
    if isinstance(value, bool):
        return texts.gettext("yes") if value else texts.gettext("no")
    if isinstance(value, str):
        return shortened(value, _MOST_VALUE)
    unit = _split_unit(_words(path.rpartition(".")[2]))[1]
    return f"{_number_shown(value, texts)}{unit}"


def _number_shown(value: float, texts: Texts) -> str:
    size = abs(value)
    if size and not _SMALLEST <= size < _LARGEST:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return f"{texts.number(float(mantissa), digits=2)} · 10^{int(exponent)}"
    before = math.floor(math.log10(size)) + 1 if size else 1
    return texts.number(value, digits=min(6, max(0, _DIGITS - before)), grouped=True)


def _words(name: str) -> list[str]:
    spaced = _HUMP.sub(" ", name).replace("_", " ").replace("-", " ")
    return [word if word.isupper() and len(word) > 1 else word.lower() for word in spaced.split()]


def _split_unit(words: list[str]) -> tuple[list[str], str]:
    """Return a name without its unit, and the unit as it follows a value."""
    if len(words) > 1 and words[-1] in _UNITS:
        return words[:-1], _UNITS[words[-1]]
    return words, ""


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many signs, with a sign that some are missing."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
