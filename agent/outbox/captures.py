"""Captures in the outbox: taken in once by their hash, analysed once, kept until delivered."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from agent.clock import Instant
from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.states import CAPTURE_MOVES, CaptureState, FileState


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What tells whether a file is still the same file."""

    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What intake saw of a file, from which its recording time is concluded."""

    grew_until: Instant | None  # its last growth under our eyes, on the station's clock
    appeared: Instant  # when its name appeared in the folder
    mtime_s: float  # last modification, as the file system says

    def to_json(self) -> str:
        """Return the evidence as it is stored."""
        return json.dumps(
            {
                "grew_until": self.grew_until and _instant_json(self.grew_until),
                "appeared": _instant_json(self.appeared),
                "mtime_s": self.mtime_s,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Evidence":
        """Read what `to_json` wrote."""
        stored = json.loads(text)
        grew = stored["grew_until"]
        return cls(
            grew_until=Instant(**grew) if grew else None,
            appeared=Instant(**stored["appeared"]),
            mtime_s=stored["mtime_s"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One athlete's continuous effort in a capture, in seconds of presentation time."""

    number: int  # 1 for the first
    start_s: float  # bounds of the clip
    end_s: float
    active_start_s: float  # bounds of the movement inside it
    active_end_s: float
    reps: int | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One file as the camera wrote it, as its row stood when it was read."""

    id: int
    sha256: str
    file_name: str  # as the camera program named it
    stored_name: str  # in the folder `captures`
    facts: FileFacts  # as they were when it was taken in
    state: CaptureState
    reason: str | None
    detail: str | None  # the reason in a sentence
    fence: int  # raised by every transition
    file_state: FileState
    evidence: Evidence
    recorded_by: str | None  # which evidence of the recording time served
    recorded_end_at: float | None  # Unix time
    duration_s: float | None
    admitted_at: float
    changed_at: float

    @property
    def name(self) -> str:
        """The ID people use: c12."""
        return f"c{self.id}"

    @classmethod
    def from_row(cls, row: Row) -> "Capture":
        """Build a capture from a row of its table."""
        plain = {
            name: row[name]
            for name in cls.__slots__
            if name not in {"facts", "state", "file_state", "evidence"}
        }
        return cls(
            facts=FileFacts(
                size_bytes=_integer(row, "bytes"),
                mtime_ns=_integer(row, "mtime_ns"),
                inode=_integer(row, "inode"),
            ),
            state=CaptureState(str(row["state"])),
            file_state=FileState(str(row["file_state"])),
            evidence=Evidence.from_json(str(row["evidence"])),
            **plain,  # type: ignore[arg-type]  # SQLite's STRICT tables keep the types
        )


class Captures:
    """The table of captures and of the takes found in them."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def admit(
        self,
        *,
        sha256: str,
        file_name: str,
        stored_name: str,
        facts: FileFacts,
        evidence: Evidence,
        now_s: float,
    ) -> Capture:
        """Record a capture whose file lies durably in the work folder.

        Content that is known already gives the row it has; nothing new is made.
        """
        self._db.change(
            """
            INSERT INTO capture (sha256, file_name, stored_name, bytes, mtime_ns, inode,
                                 state, evidence, admitted_at, changed_at)
            VALUES (?, ?, ?, ?, ?, ?, 'captured', ?, ?, ?)
            ON CONFLICT (sha256) DO NOTHING
            """,
            (
                sha256,
                file_name,
                stored_name,
                facts.size_bytes,
                facts.mtime_ns,
                facts.inode,
                evidence.to_json(),
                now_s,
                now_s,
            ),
        )
        capture = self.by_sha256(sha256)
        assert capture is not None  # noqa: S101  # inserted, or there before
        return capture

    def by_id(self, capture_id: int) -> Capture | None:
        """Return one capture."""
        return _one(self._db.row("SELECT * FROM capture WHERE id = ?", (capture_id,)))

    def by_sha256(self, sha256: str) -> Capture | None:
        """Return the capture with this content."""
        return _one(self._db.row("SELECT * FROM capture WHERE sha256 = ?", (sha256,)))

    def stored_names(self) -> set[str]:
        """Return the names of every file a row stands for, cleared ones included."""
        return {str(row["stored_name"]) for row in self._db.rows("SELECT stored_name FROM capture")}

    def in_state(self, *states: CaptureState) -> list[Capture]:
        """Return the captures in any of `states`, oldest first."""
        marks = ", ".join("?" * len(states))
        query = f"SELECT * FROM capture WHERE state IN ({marks}) ORDER BY id"  # noqa: S608  # marks only
        return [Capture.from_row(row) for row in self._db.rows(query, [str(s) for s in states])]

    def claim_next(self, now_s: float) -> Capture | None:
        """captured -> analysing, for the oldest one; None where nothing waits."""
        return _one(self._db.row(CLAIM_NEXT, {"now": now_s}))

    def move(
        self,
        capture: Capture,
        to: CaptureState,
        *,
        now_s: float,
        reason: str | None = None,
        detail: str | None = None,
    ) -> Capture | None:
        """Make one transition; None where somebody else moved the capture first."""
        if to not in CAPTURE_MOVES[capture.state]:
            raise ValueError(f"no way from {capture.state} to {to}")
        return _one(
            self._db.row(
                """
                UPDATE capture SET state = ?, reason = ?, detail = ?, fence = fence + 1,
                                   changed_at = ?
                 WHERE id = ? AND state = ? AND fence = ? RETURNING *
                """,
                (to, reason, detail, now_s, capture.id, capture.state, capture.fence),
            )
        )

    def record_takes(self, capture: Capture, takes: Sequence[Take], *, report: str) -> None:
        """Commit what the analysis found, all of it at once and before anything is cut."""
        with self._db.transaction():
            if self.takes(capture):
                return
            self._db.change(
                "UPDATE capture SET report = ? WHERE id = ?",
                (report, capture.id),
            )
            for take in takes:
                self._db.insert(
                    "take",
                    {
                        "capture_id": capture.id,
                        **{name: getattr(take, name) for name in Take.__slots__},
                    },
                )

    def takes(self, capture: Capture) -> list[Take]:
        """Return the takes on record for a capture, in order."""
        rows = self._db.rows(
            "SELECT * FROM take WHERE capture_id = ? ORDER BY number", (capture.id,)
        )
        return [
            Take(**{name: row[name] for name in Take.__slots__})  # type: ignore[arg-type]  # as above
            for row in rows
        ]

    def record_recording_time(
        self, capture: Capture, *, by: str, end_at: float | None, duration_s: float
    ) -> None:
        """Store when the capture was filmed and which evidence said so."""
        self._db.change(
            "UPDATE capture SET recorded_by = ?, recorded_end_at = ?, duration_s = ? WHERE id = ?",
            (by, end_at, duration_s, capture.id),
        )

    def set_file_state(self, capture_id: int, to: FileState, *, now_s: float) -> None:
        """Record that a capture's file is going, gone, or back."""
        self._db.change(
            "UPDATE capture SET file_state = ?, changed_at = ? WHERE id = ?",
            (to, now_s, capture_id),
        )

    def restore_file(self, capture: Capture, facts: FileFacts, *, now_s: float) -> None:
        """Record that the same content lies in the work folder again, as another file."""
        self._db.change(
            """
            UPDATE capture SET file_state = 'present', bytes = ?, mtime_ns = ?, inode = ?,
                               changed_at = ? WHERE id = ?
            """,
            (facts.size_bytes, facts.mtime_ns, facts.inode, now_s, capture.id),
        )

    def report(self, capture: Capture) -> str | None:
        """Return the analysis report as it was stored, or None."""
        row = self._db.row("SELECT report FROM capture WHERE id = ?", (capture.id,))
        return None if row is None or row["report"] is None else str(row["report"])

    def count_by_state(self) -> dict[str, int]:
        """Return how many captures are in each state."""
        rows = self._db.rows("SELECT state, count(*) AS n FROM capture GROUP BY state")
        return {str(row["state"]): _integer(row, "n") for row in rows}


# captured -> analysing.  One process owns the outbox, so a claim never expires.
CLAIM_NEXT = """
UPDATE capture SET state = 'analysing', fence = fence + 1, changed_at = :now
 WHERE id = (SELECT id FROM capture WHERE state = 'captured' ORDER BY id LIMIT 1)
RETURNING *
"""  # index: capture_by_state


def _one(row: Row | None) -> Capture | None:
    return None if row is None else Capture.from_row(row)


def _integer(row: Row, name: str) -> int:
    value = row[name]
    assert isinstance(value, int)  # noqa: S101  # SQLite's STRICT tables keep the types
    return value


def _instant_json(instant: Instant) -> dict[str, object]:
    return {name: getattr(instant, name) for name in Instant.__slots__}
