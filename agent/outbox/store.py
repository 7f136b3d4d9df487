"""The outbox as one thing: its tables, its folder, and what a start sets right."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from agent.errors import OutboxError
from agent.outbox.attempts import Attempts
from agent.outbox.captures import Captures
from agent.outbox.channels import Channels
from agent.outbox.clearing.originals import Clearing
from agent.outbox.clearing.results import ResultClearing
from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.dates import Dates
from agent.outbox.deletions import SessionDeletions
from agent.outbox.disk.history import Rooms
from agent.outbox.entries import Entries
from agent.outbox.events import Events
from agent.outbox.files import Files
from agent.outbox.health import DATABASE_NAME, holds_history
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

    def __init__(self, database: OutboxDatabase) -> None:
        self.database = database
        self.captures = Captures(database)
        self.takes = Takes(database)
        self.attempts = Attempts(database)
        self.entries = Entries(database, self.attempts)
        self.outcomes = Outcomes(database, self.attempts)
        self.assignments = Assignments(database)
        self.lanes = Lanes(database)
        self.dates = Dates(database)
        self.limits = Limits(database)
        self.events = Events(database)
        self.joins = Joins(database, self.captures, self.takes, self.entries)
        self.files = Files(database)
        self.listing = Listing(database)
        self.clearing = Clearing(database)
        self.pauses = Pauses(database)
        self.rooms = Rooms(database)
        self.roster = Roster(database)
        self.queue = Queue(database)
        self.switches = Switches(database)
        self.undoables = Undoables(database)
        self.resends = Resends(database)
        self.deletions = SessionDeletions(database)
        self.forgettings = Forgettings(database)
        self.traffic = Traffic(database)
        self.devices = Devices(database)
        self.gallery = Gallery(database)
        self.follow_ups = FollowUps(database)
        self.results = Results(database)
        self.result_clearing = ResultClearing(database)
        self.sessions = SessionList(database, self.follow_ups, self.results)
        self.happenings = Happenings(database)
        self.channels = Channels(database)
        self.videos = Videos(database)

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
