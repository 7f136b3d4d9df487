"""The outbox as one thing: its tables, its folder, and what a start sets right."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import OutboxError
from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.health import DATABASE_NAME, holds_history
from agent.outbox.part import Part

if TYPE_CHECKING:
    from agent.outbox.attempts import Attempts
    from agent.outbox.captures import Captures
    from agent.outbox.channels import Channels
    from agent.outbox.clearing.originals import Clearing
    from agent.outbox.clearing.results import ResultClearing
    from agent.outbox.dates import Dates
    from agent.outbox.deletions import SessionDeletions
    from agent.outbox.disk.history import Rooms
    from agent.outbox.entries import Entries
    from agent.outbox.events import Events
    from agent.outbox.files import Files
    from agent.outbox.joins import Joins
    from agent.outbox.lanes import Lanes, Limits
    from agent.outbox.outcomes import Outcomes
    from agent.outbox.pauses import Pauses
    from agent.outbox.people.assignments import Assignments
    from agent.outbox.people.devices import Devices
    from agent.outbox.people.forgettings import Forgettings
    from agent.outbox.people.queue import Queue
    from agent.outbox.people.roster import Roster
    from agent.outbox.people.switches import Switches
    from agent.outbox.people.undoables import Undoables
    from agent.outbox.resends import Resends
    from agent.outbox.results.follow_ups import FollowUps
    from agent.outbox.results.record import Results
    from agent.outbox.results.videos import Videos
    from agent.outbox.takes import Takes
    from agent.outbox.traffic import Traffic
    from agent.outbox.views.gallery import Gallery
    from agent.outbox.views.happenings import Happenings
    from agent.outbox.views.listing import Listing
    from agent.outbox.views.sessions import SessionList


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """That an outbox was damaged or missing, and was made anew."""

    at: float  # Unix time
    why: str
    set_aside: str | None  # the damaged one's name now, in the state folder; None: it was gone
    history_lost: bool  # the ledger was damaged too: what it lost is looked up first

    @classmethod
    def from_row(cls, row: Row) -> "Rebuilt":
        """Build it from the ledger's mark."""
        return cls(
            at=float(str(row["rebuilt_at"])),
            why=str(row["rebuilt_why"]),
            set_aside=None if row["set_aside"] is None else str(row["set_aside"]),
            history_lost=bool(row["history_lost"]),
        )


class Outbox(AbstractContextManager["Outbox"]):
    """Everything on record about captures and clips; usable from any thread.

    Invariants, whatever happened before:

    - a row's file was durable on the disk before the row was;
    - every change of state is guarded by the state it leaves and by the fence;
    - rows are never deleted, so a hash or a clip code is known for ever;
    - an upload whose body may have gone out whole is looked up before it is sent again.
    """

    captures: "Part[Captures]" = Part("captures", "Captures")
    takes: "Part[Takes]" = Part("takes", "Takes")
    attempts: "Part[Attempts]" = Part("attempts", "Attempts")
    entries: "Part[Entries]" = Part("entries", "Entries", "attempts")
    outcomes: "Part[Outcomes]" = Part("outcomes", "Outcomes", "attempts")
    assignments: "Part[Assignments]" = Part("people.assignments", "Assignments")
    lanes: "Part[Lanes]" = Part("lanes", "Lanes")
    dates: "Part[Dates]" = Part("dates", "Dates")
    limits: "Part[Limits]" = Part("lanes", "Limits")
    events: "Part[Events]" = Part("events", "Events")
    joins: "Part[Joins]" = Part("joins", "Joins", "captures", "takes", "entries")
    files: "Part[Files]" = Part("files", "Files")
    listing: "Part[Listing]" = Part("views.listing", "Listing")
    clearing: "Part[Clearing]" = Part("clearing.originals", "Clearing")
    pauses: "Part[Pauses]" = Part("pauses", "Pauses")
    rooms: "Part[Rooms]" = Part("disk.history", "Rooms")
    roster: "Part[Roster]" = Part("people.roster", "Roster")
    queue: "Part[Queue]" = Part("people.queue", "Queue")
    switches: "Part[Switches]" = Part("people.switches", "Switches")
    undoables: "Part[Undoables]" = Part("people.undoables", "Undoables")
    resends: "Part[Resends]" = Part("resends", "Resends")
    deletions: "Part[SessionDeletions]" = Part("deletions", "SessionDeletions")
    forgettings: "Part[Forgettings]" = Part("people.forgettings", "Forgettings")
    traffic: "Part[Traffic]" = Part("traffic", "Traffic")
    devices: "Part[Devices]" = Part("people.devices", "Devices")
    gallery: "Part[Gallery]" = Part("views.gallery", "Gallery")
    follow_ups: "Part[FollowUps]" = Part("results.follow_ups", "FollowUps")
    results: "Part[Results]" = Part("results.record", "Results")
    result_clearing: "Part[ResultClearing]" = Part("clearing.results", "ResultClearing")
    sessions: "Part[SessionList]" = Part("views.sessions", "SessionList", "follow_ups", "results")
    happenings: "Part[Happenings]" = Part("views.happenings", "Happenings")
    channels: "Part[Channels]" = Part("channels", "Channels")
    videos: "Part[Videos]" = Part("results.videos", "Videos")

    def __init__(self, database: OutboxDatabase) -> None:
        self.database = database

    @classmethod
    def open(cls, state_folder: Path) -> "Outbox":
        """Open the outbox of a state folder, making or migrating its tables first.

        Raises:
            OutboxError: it cannot be opened, a newer Spotter wrote it, or it is missing although
                the folder has a history; only a start of the daemon makes it anew.
        """
        path = state_folder / DATABASE_NAME
        if not path.exists() and holds_history(state_folder):
            raise OutboxError(
                f"the outbox {path} is missing",
                hint="restart the daemon: it makes the outbox anew from its files and its ledger",
            )
        return cls(OutboxDatabase(path))

    def load(self) -> None:
        """Load every part now: who runs for long must not find another version's code later."""
        for name, part in vars(type(self)).items():
            if isinstance(part, Part):
                getattr(self, name)

    def transaction(self) -> AbstractContextManager[None]:
        """Make everything inside one commit, or nothing of it."""
        return self.database.transaction()

    def rebuilt(self) -> Rebuilt | None:
        """Return when and why this outbox was made anew, or None."""
        row = self.database.row("SELECT * FROM ledger_mark WHERE id = 1")
        return None if row is None or row["rebuilt_at"] is None else Rebuilt.from_row(row)

    def history_lost_at(self) -> float | None:
        """Return the Unix time before which not everything that was sent is on record, or None."""
        row = self.database.row("SELECT lost_at FROM ledger_mark WHERE id = 1")
        return None if row is None or row["lost_at"] is None else float(str(row["lost_at"]))

    def version(self) -> int:
        """Return a number that changes whenever anybody but this thread has written."""
        return self.database.version()

    def resume_interrupted(self, *, now_s: float) -> int:
        """Put back what the last run held in its hands; return how much that was."""
        with self.database.transaction():
            resumed = len(self.entries.resume_interrupted(now_s=now_s))
            resumed += self.captures.resume_interrupted(now_s=now_s)
        return resumed

    def close(self) -> None:
        """Close the connections of all threads."""
        self.database.close()

    def __exit__(self, *_ended: object) -> None:
        self.close()
