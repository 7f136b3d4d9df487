"""The outbox: its tables, its folder, and opening it."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from agent.disk.space import is_disk_full, is_nearly_full
from agent.errors import AgentError, OutboxError
from agent.outbox.assignments import Assignments
from agent.outbox.captures import Captures, JoinCandidates, Takes
from agent.outbox.corrections import Resends, UndoableActions
from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.database_file import DATABASE_NAME, holds_history
from agent.outbox.devices import Devices
from agent.outbox.disk import DiskHistory, Reserve
from agent.outbox.entries import Attempts, DeliveryQueries, Entries, Events, TransferStats
from agent.outbox.erasures import Erasures, SessionDeletions
from agent.outbox.files import CleanupQueries, Files, ResultCleanup
from agent.outbox.notification_cursors import Channels
from agent.outbox.pauses import Lanes, Limits, Pauses
from agent.outbox.queries import ClipQueries, EventFeed, Listing, SessionList
from agent.outbox.results import Dates, FollowUps, Results, Videos
from agent.outbox.roster import Cards, Groups, Queue, Roster, StationFlags


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryInfo:
    """That an outbox was damaged or missing, and was rebuilt."""

    at: float  # Unix time
    why: str
    set_aside: str | None  # the damaged one's name now, in the state folder; None: it was gone
    history_lost: bool  # the ledger was damaged too: what it lost is looked up first

    @classmethod
    def from_row(cls, row: Row) -> "RecoveryInfo":
        """Build it from the ledger's mark."""
        return cls(
            at=float(row["rebuilt_at"]),
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
        self.outcomes = DeliveryQueries(database, self.attempts)
        self.assignments = Assignments(database)
        self.lanes = Lanes(database)
        self.dates = Dates(database)
        self.limits = Limits(database)
        self.events = Events(database)
        self.joins = JoinCandidates(database, self.takes, self.entries)
        self.files = Files(database)
        self.listing = Listing(database)
        self.clearing = CleanupQueries(database)
        self.pauses = Pauses(database)
        self.rooms = DiskHistory(database)
        self.roster = Roster(database)
        self.queue = Queue(database)
        self.groups = Groups(database)
        self.cards = Cards(database)
        self.switches = StationFlags(database)
        self.undoables = UndoableActions(database)
        self.resends = Resends(database)
        self.deletions = SessionDeletions(database)
        self.forgettings = Erasures(database)
        self.traffic = TransferStats(database)
        self.devices = Devices(database)
        self.gallery = ClipQueries(database)
        self.follow_ups = FollowUps(database)
        self.results = Results(database)
        self.result_clearing = ResultCleanup(database)
        self.sessions = SessionList(database, self.follow_ups, self.results)
        self.happenings = EventFeed(database)
        self.channels = Channels(database)
        self.videos = Videos(database)

    @classmethod
    def open(cls, state_folder: Path) -> "Outbox":
        """Open the outbox of a state folder, making or migrating its tables first.

        Raises:
            OutboxError: it cannot be opened, a newer Spotter wrote it, or it is missing although
                the folder has a history; only a start of the daemon makes it again.
        """
        path = state_folder / DATABASE_NAME
        if not path.exists() and holds_history(state_folder):
            raise OutboxError(
                f"the outbox {path} is missing",
                hint="restart the daemon: it rebuilds the database from its files and its ledger",
            )
        return cls(OutboxDatabase(path))

    def transaction(self) -> AbstractContextManager[None]:
        """Make everything inside one commit, or nothing of it."""
        return self.database.transaction()

    def rebuilt(self) -> RecoveryInfo | None:
        """Return when and why this outbox was rebuilt, or None."""
        row = self.database.row("SELECT * FROM ledger_mark WHERE id = 1")
        return None if row is None or row["rebuilt_at"] is None else RecoveryInfo.from_row(row)

    def history_lost_at(self) -> float | None:
        """Return the Unix time before which not everything that was sent is on record, or None."""
        return self.database.value(float, "SELECT lost_at FROM ledger_mark WHERE id = 1")

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


def open_with(reserve: Reserve, opener: Callable[[], Outbox]) -> Outbox:
    """Open the outbox, on a full disk with what the reserve holds.

    Raises:
        whatever the opener raises, if that was not enough.
    """
    try:
        return opener()
    except (AgentError, OSError, sqlite3.OperationalError) as error:
        if not is_about_full_disk(error, reserve.root):
            raise
        reserve.release()
    try:
        return opener()
    except (AgentError, OSError, sqlite3.OperationalError):
        reserve.hold()
        raise


def is_about_full_disk(error: BaseException, root: Path) -> bool:
    """Tell whether an error, or what it was raised from, is what a full disk does.

    SQLite calls it anything from "disk I/O error" to "unable to open", which on a disk with room
    would be a matter of rights or of a dying disk: there waiting helps nobody.
    """
    causes = (error, error.__cause__)
    if any(is_disk_full(cause) for cause in causes):
        return True
    return any(isinstance(c, sqlite3.OperationalError) for c in causes) and is_nearly_full(root)


def is_locked(error: BaseException | None) -> bool:
    """Tell whether an error says that somebody else has held the outbox for long."""
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF == sqlite3.SQLITE_BUSY
