"""Whether one recording goes on in another: a recorder that splits its recordings.  Pure.

Their names tell, if both carry date and time; else when both were filmed.  Names that only count
on tell nothing of a gap, so they are believed where the times do not speak against it.
"""

import re
from datetime import UTC, datetime

from agent.outbox.capture import Capture

ADJOINING_S = 1.0
_WHOLE_SECONDS_S = 0.5  # names tell the time without fractions
_COUNTED_ON_S = 5.0  # a recorder writes late what it holds back
_DATE_AND_TIME = re.compile(
    r"(?<!\d)(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[-_.T ]*(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)(?!\d)"
)
_NUMBER = re.compile(r"(?<=^G[HX])\d\d|\d+")  # GoPro: GX, the part's number, the recording's


def adjoin(first: Capture, second: Capture) -> bool:
    """Tell whether the second recording begins where the first one ends.

    Args:
        first: a capture that was looked into.
        second: another one, looked into, with its recording time.
    """
    if first.duration_s is None or second.duration_s is None:
        return False
    named = _named_at(first.file_name), _named_at(second.file_name)
    if named[0] is not None and named[1] is not None:
        gap_s = named[1] - named[0] - first.duration_s
        return abs(gap_s) <= ADJOINING_S + _WHOLE_SECONDS_S
    if first.recorded_end_at is None or second.recorded_end_at is None:
        return False
    gap_s = second.recorded_end_at - second.duration_s - first.recorded_end_at
    if _counts_on(first.file_name, second.file_name):
        return abs(gap_s) <= _COUNTED_ON_S
    return abs(gap_s) <= ADJOINING_S


def _named_at(name: str) -> float | None:
    """Return the date and time in a name as seconds, in whatever zone it is; None without one."""
    found = _DATE_AND_TIME.search(name)
    if found is None:
        return None
    try:
        return datetime(*map(int, found.groups()), tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]  # six numbers
    except ValueError:
        return None


def _counts_on(first: str, second: str) -> bool:
    """Tell whether two names differ in one number, by one."""
    if _NUMBER.sub("#", first) != _NUMBER.sub("#", second):
        return False
    pairs = zip(_NUMBER.findall(first), _NUMBER.findall(second), strict=True)
    steps = [int(later) - int(earlier) for earlier, later in pairs]
    return sorted(steps)[-1:] == [1] and sum(step != 0 for step in steps) == 1
