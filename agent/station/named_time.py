"""The date and time in a file's name, in the many forms in which cameras write them.  Pure.

A name tells the hour on the wall where the camera stands, which is taken to be where the box
stands; few tell UTC.  Nearly all of them tell when the recording began.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

# In the order in which they are tried; a later form finds what an earlier one cannot.
_DATE = (
    re.compile(r"(?<!\d)(20\d\d)Y(\d\d)M(\d\d)D"),  # Yi: 2026Y11M28D19H/34M12S60.mp4
    re.compile(r"(?<!\d)(20\d\d)([-_. /]?)(0[1-9]|1[0-2])\2([0-2]\d|3[01])(?=\D|\d{4,6}(?!\d))"),
    re.compile(r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?([0-2]\d|3[01])(?=\D|\d{4,9}(?!\d)|$)"),
    re.compile(r"(?<!\d)()([0-2]\d|3[01])[-_.]([0-2]\d|3[01])[-_.](20\d\d)(?!\d)"),
)
_TIME = re.compile(
    r"(?<!\d)(?P<h>[01]\d|2[0-3])(?:[-_.:hH/ ]{0,2}(?P<m>[0-5]\d)"
    r"[-_.:mM ]{0,2}(?P<s>[0-5]\d)(?:\d{1,6})?(?!\d)"
    r"|[-_.:hH/](?P<m2>[0-5]\d)(?!\d))"  # four digits alone may be a counter
)
_IN_FOLDER = re.compile(r"(?<!\d)(?P<h>[01]\d|2[0-3])[-.:](?P<m>[0-5]\d)[-.:](?P<s>[0-5]\d)(?!\d)")
_HOUR_12 = re.compile(
    r"(?<!\d)(?P<h>\d{1,2})[.:](?P<m>[0-5]\d)(?:[.:](?P<s>[0-5]\d))?\s*(?P<half>[AaPp]\.?[Mm])"
)
_EPOCH = re.compile(r"(?<!\d)(1[4-9]\d{8}|2\d{9})(?:(\d{3})|[.-]\d{1,6})?(?!\d)")
_IN_UTC = re.compile(r"^PXL_|\dZ(?![A-Za-z])|UTC", re.IGNORECASE)
# What a messenger names, it names when the file is passed on.
_PASSED_ON = re.compile(r"WhatsApp|-WA\d{4}|telegram|signal-20|snapchat|FB_VID|received_", re.I)
_CHAPTER = re.compile(r"^G[HXPL](?P<part>\d\d)\d{4}\.", re.IGNORECASE)  # GoPro: part 2 and up
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTime:
    """When a name says that a recording began, the likeliest reading first."""

    readings: tuple[float, ...]  # Unix times
    precision_s: float = 1.0  # how much later it may have been


def named_time(name: str, *, folder: str = "") -> NamedTime | None:
    """Return when a file was recorded by its name; None where that says nothing.

    Args:
        name: of the file, without its folder.
        folder: below the capture folder; some cameras write the date there.
    """
    if was_passed_on(name):
        return None
    for text in (name, f"{folder}/{name}") if folder else (name,):
        found = _moments(text)
        if found is not None:
            return found
    epoch = _EPOCH.search(name)
    return None if epoch is None else NamedTime(readings=(float(epoch[1]),))


def was_passed_on(name: str) -> bool:
    """Tell whether a messenger named a file: such a name says when it was sent."""
    return _PASSED_ON.search(name) is not None


def is_later_chapter(name: str) -> bool:
    """Tell whether a file goes on a recording whose creation time it repeats."""
    found = _CHAPTER.match(name)
    return found is not None and int(found["part"]) > 1


def _moments(text: str) -> NamedTime | None:
    in_utc = _IN_UTC.search(text) is not None
    for year, month, day, end in _dates(text):
        told = _HOUR_12.search(text, end)
        if told is None and "/" in text[end:]:  # the date is a folder's
            told = _IN_FOLDER.search(text.rpartition("/")[2])
        told = told or _TIME.search(_opened(text, end))
        if told is None:
            continue
        time = told.groupdict()
        hour, minute, seconds = int(time["h"]), int(time["m"] or time["m2"]), time["s"]
        if half := time.get("half"):
            hour = hour % 12 + (12 if half[0] in "pP" else 0)
        try:
            moment = datetime(year, month, day, hour, minute, int(seconds or 0))  # noqa: DTZ001  # the zone comes next
        except ValueError:
            continue
        utc_s, here_s = moment.replace(tzinfo=UTC).timestamp(), moment.timestamp()
        readings = (utc_s, here_s) if in_utc else (here_s, utc_s)
        precision_s = _MINUTE_S if seconds is None else 1.0
        return NamedTime(readings=tuple(dict.fromkeys(readings)), precision_s=precision_s)
    return None


def _opened(text: str, end: int) -> str:
    """Return what follows a date, so that digits that touch it are a time of their own."""
    return text[end:].lstrip("T_- .@/")


def _dates(text: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield year, month, day, and where the date ends."""
    for form in _DATE:
        for found in form.finditer(text):
            parts = [int(part) for part in found.groups() if part.isdigit()]
            if len(parts) != 3:
                continue
            if parts[0] < 100:  # the day first; where that is none, the month
                day, month, year = parts
                if month > 12:
                    day, month = month, day
            else:
                year, month, day = parts
            yield year, month, day, found.end()
