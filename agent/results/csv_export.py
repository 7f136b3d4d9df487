"""Takes as CSV that is safe to open in any spreadsheet."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from agent.clock import iso_utc
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.queries import Followed
from agent.outbox.results import Number, Result
from agent.outbox.states import SENT

Cell = Number | None

_COLUMNS = (
    *("filmed_at", "athlete", "name", "activity", "exercise", "barbell_mass_kg", "incline_deg"),
    *("clip_code", "clip_seconds", "delivered_at", "session_id", "state", "analysed_at"),
)
_MOST_COLUMNS = 500  # of numbers: the rest is in the documents
# What a spreadsheet would take for a formula (OWASP, "CSV Injection"): at a cell's begin, or behind
# a sign at which a spreadsheet of another country or another setting would begin a new cell.
_BLANKS = r"[\s\x00-\x1f\ufeff\u200b\"]*"
_SIGNS = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
_AT_BEGIN = re.compile(rf"{_BLANKS}{_SIGNS}|[\t\r\n]")
_BEHIND = re.compile(rf"([;,|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029])(?={_BLANKS}{_SIGNS})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedTake:
    """One row: a take, and its outcome."""

    entry: Entry
    session_id: str | None  # None: not delivered
    state: str  # of the session, or of the clip until there is one
    result: Result | None

    @classmethod
    def of_session(cls, followed: Followed) -> "ExportedTake":
        """Return the row of a delivered take."""
        follow_up = followed.follow_up
        return cls(
            entry=followed.entry,
            session_id=follow_up.session_id,
            state=follow_up.state,
            result=followed.result,
        )


def exported(outbox: Outbox, entries: Sequence[Entry]) -> list[ExportedTake]:
    """Return the rows of any takes, delivered or not."""
    ids = [entry.id for entry in entries]
    follow_ups, results = outbox.follow_ups.of_entries(ids), outbox.results.of_entries(ids)

    def row(entry: Entry) -> ExportedTake:
        follow_up, result = follow_ups.get(entry.id), results.get(entry.id)
        if follow_up is not None and entry.state in SENT:
            return ExportedTake.of_session(
                Followed(entry=entry, follow_up=follow_up, result=result)
            )
        return ExportedTake(entry=entry, session_id=None, state=entry.state, result=None)

    return [row(entry) for entry in entries]


def names_of(outbox: Outbox, found: Sequence[ExportedTake]) -> Mapping[str, str]:
    """Return the athletes' names by their user_id, as far as the roster knows them."""

    def known() -> Iterator[tuple[str, str]]:
        for user_id in {row.entry.user_id for row in found} - {None}:
            athlete = outbox.roster.by_user_id(str(user_id))
            if athlete is not None:
                yield str(user_id), athlete.name

    return dict(known())


def write_csv(
    target: TextIO, found: Sequence[ExportedTake], *, names: Mapping[str, str] | None
) -> None:
    """Write one line a take, in the given order, with every number as a column of its own.

    Args:
        target: where to.
        found: the takes.
        names: the athletes' names by user_id, or None where nobody asked for them.
    """
    own = [name for name in _COLUMNS if name != "name" or names is not None]
    columns = _number_columns(found)
    writer = csv.writer(target, lineterminator="\r\n")  # RFC 4180
    writer.writerow([harmless(name) for name in [*own, *columns]])
    for take in found:
        row = _row(take, names or {})
        numbers = {} if take.result is None else take.result.numbers
        cells = [*(row[name] for name in own), *(numbers.get(name) for name in columns)]
        writer.writerow([harmless(cell) for cell in cells])


def harmless(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet carries out: texts that look like formulas are quoted."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if not isinstance(cell, str):
        return cell
    text = cell.lstrip()
    blanks = cell[: len(cell) - len(text)]
    quote = "'" if _AT_BEGIN.match(cell) else ""
    return f"{quote}{blanks}" + _BEHIND.sub(r"\1'", text)


def _number_columns(found: Sequence[ExportedTake]) -> list[str]:
    """Return the names of all numbers, in the order in which they first appear."""
    columns: dict[str, None] = {}
    for take in found:
        if take.result is not None and len(columns) < _MOST_COLUMNS:
            columns.update(dict.fromkeys(take.result.numbers))
    return list(columns)[:_MOST_COLUMNS]


def _row(take: ExportedTake, names: Mapping[str, str]) -> dict[str, Cell]:
    entry, result = take.entry, take.result
    return {
        "filmed_at": iso_utc(entry.filmed_at),
        "athlete": entry.user_id,
        "name": names.get(entry.user_id or ""),
        "activity": entry.activity,
        "exercise": entry.exercise,
        "barbell_mass_kg": entry.barbell_mass_kg,
        "incline_deg": entry.incline_deg,
        "clip_code": entry.clip_code,
        "clip_seconds": round(entry.clip_seconds, 3),
        "delivered_at": iso_utc(entry.sent_at),
        "session_id": take.session_id,
        "state": take.state,
        "analysed_at": None if result is None else iso_utc(result.got_at),
    }
