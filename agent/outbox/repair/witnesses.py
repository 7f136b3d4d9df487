"""What is known of an outbox beside its database, and what of it is newer than the database.

Everything is read before anything is changed, and compared row by row: a row's sidecar may be newer
than its last line in the ledger, and that newer than its row.  What a missing line may have said
is doubted for every row on which no later word is left.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agent.outbox.disk.folders import LEDGER_NAME
from agent.outbox.entry import LookFirst
from agent.outbox.journal.images import apply_image
from agent.outbox.journal.ledger import Ledger, Survey
from agent.outbox.journal.sidecars import Sidecar, Sidecars
from agent.stage import StageName

NATURAL_KEYS = {"capture": "sha256", "entry": "clip_code"}
_ENDED = frozenset({"uploaded", "completed", "discarded"})
NOTHING = -1  # the number that a database has reached of which nothing is left

RowKey = tuple[str, object]  # kind and natural key

log = structlog.get_logger(stage=StageName.START)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Ledger, sidecars, and the number that the state folder itself keeps."""

    ledger: Ledger
    survey: Survey
    sidecars: Mapping[RowKey, Sidecar]  # those that are as they were written
    noted_seq: int  # of the last commit, as noted outside of every file's content

    @classmethod
    def read(cls, root: Path) -> "Witnesses":
        """Read all that a state folder holds."""
        ledger = Ledger(root / LEDGER_NAME)
        survey = ledger.survey()
        sidecars: dict[RowKey, Sidecar] = {}
        for sidecar in Sidecars(root).all():
            key = sidecar.kind, sidecar.image.get(NATURAL_KEYS[sidecar.kind])
            known = sidecars.get(key)
            if sidecar.seq not in survey.voided and (known is None or known.seq < sidecar.seq):
                sidecars[key] = sidecar
        return cls(
            ledger=ledger, survey=survey, sidecars=sidecars, noted_seq=ledger.read_noted_seq()
        )

    @property
    def last_seq(self) -> int:
        """The highest number of a commit of which there is any trace."""
        told = (self.survey.last_seq, self.survey.last_missing, self.noted_seq)
        return max([*told, *(sidecar.seq for sidecar in self.sidecars.values())])

    @property
    def missing_to(self) -> int:
        """The highest number whose line in the ledger is missing; NOTHING where none is."""
        tail_is_lost = self.last_seq > self.survey.last_seq
        return self.last_seq if tail_is_lost else self.survey.last_missing

    def lack_after(self, reached: int) -> bool:
        """Tell whether the ledger lacks anything that was committed after a number."""
        if self.survey.first_seq is None and reached == NOTHING:
            return True
        return self.missing_to > reached

    @property
    def tell_all(self) -> bool:
        """Whether the ledger tells everything, up to the last commit."""
        return self.survey.is_whole and self.last_seq == self.survey.last_seq

    def agree_with(self, reached: int) -> bool:
        """Tell whether the ledger surely ends with the last commit: a second witness says so."""
        return self.tell_all and self.survey.last_seq in {reached, self.noted_seq}


@dataclass(slots=True, kw_only=True)
class Known:
    """What was applied to a database, and how sure the last word on each row is."""

    witnesses: Witnesses
    reached: int  # by the database before
    latest: dict[RowKey, int] = field(default_factory=dict)  # numbers of the ledger's lines
    applied: int = 0  # rows

    def is_sure(self, key: RowKey) -> bool:
        """Tell whether no missing line can have said anything newer of a row.

        A sidecar is written with every line about its row, so it is the last word, unless a later
        line shows that it was not: then an older one was put into its place.
        """
        line_seq = self.latest.get(key, NOTHING)
        if line_seq > self.witnesses.missing_to:
            return True
        sidecar = self.witnesses.sidecars.get(key)
        is_from_rewriting = line_seq == self.witnesses.survey.first_seq
        if sidecar is None or sidecar.is_stale:
            return False
        return sidecar.seq >= line_seq or is_from_rewriting


def apply_newer(connection: sqlite3.Connection, witnesses: Witnesses, *, reached: int) -> Known:
    """Apply what the witnesses know of each row beyond what the database has reached."""
    known = Known(witnesses=witnesses, reached=reached)
    for line in witnesses.ledger.lines(after=reached):
        if line.seq in witnesses.survey.voided:
            continue
        for kind, image in line.rows:
            known.applied += _apply(connection, kind, image)
            if kind in NATURAL_KEYS:
                known.latest[kind, image.get(NATURAL_KEYS[kind])] = line.seq
    for key, sidecar in sorted(witnesses.sidecars.items(), key=lambda s: (s[0][0], s[1].seq)):
        is_newer = sidecar.seq > known.latest.get(key, reached)
        if is_newer or (not witnesses.survey.is_whole and _ends(connection, sidecar)):
            known.applied += _apply(connection, sidecar.kind, sidecar.image)
    return known


def doubt(connection: sqlite3.Connection, known: Known, *, now_s: float) -> list[int]:
    """Let nothing go out unseen whose last word may be lost; return the ids of these clips.

    What was ready may have been sent, or held or discarded by a person: it is looked up, and held
    if it is not there.  Where the witnesses merely disagree, a look is enough.
    """
    rows = connection.execute(
        "SELECT id, clip_code, state FROM entry WHERE state IN"
        " ('ready', 'uploading', 'uncertain', 'held', 'dead')"
    ).fetchall()
    unsure = [(row[0], row[2]) for row in rows if not known.is_sure(("entry", row[1]))]
    is_lost = known.witnesses.lack_after(known.reached)
    for entry_id, state in unsure:
        if is_lost and state in {"ready", "uploading", "uncertain"}:
            connection.execute(
                "UPDATE entry SET state = 'uncertain', look_first = ?, due_at = ? WHERE id = ?",
                (LookFirst.THEN_HOLD, now_s, entry_id),
            )
        else:
            connection.execute(
                "UPDATE entry SET look_first = ? WHERE id = ? AND look_first = 0",
                (LookFirst.PROVE, entry_id),
            )
    return [entry_id for entry_id, _ in unsure]


def note_lost_history(
    connection: sqlite3.Connection, *, now_s: float, doubt_all: bool = False
) -> float:
    """Remember that what happened before this moment is not all known, and return the moment.

    A clock that is behind must not make the moment an earlier one than what is on record.

    Args:
        connection: of the database.
        now_s: Unix time.
        doubt_all: whether the outbox itself is an older one, though whole: then every unsent clip
            of before is looked up before it is sent.
    """
    connection.execute(
        """
        UPDATE ledger_mark SET history_lost = max(history_lost, :lost), lost_at = max(:now,
            coalesce(lost_at, 0), coalesce((SELECT max(admitted_at) FROM capture), 0),
            coalesce((SELECT max(changed_at) FROM entry), 0))
        """,
        {"now": now_s, "lost": int(not doubt_all)},
    )
    (lost_at,) = connection.execute("SELECT lost_at FROM ledger_mark WHERE id = 1").fetchone()
    if doubt_all:
        connection.execute(
            "UPDATE entry SET look_first = ? WHERE session_id IS NULL AND state != 'discarded'"
            " AND look_first = 0 AND coalesce(filmed_at, 0) < ?",
            (LookFirst.PROVE, lost_at),
        )
    return float(lost_at)


def _ends(connection: sqlite3.Connection, sidecar: Sidecar) -> bool:
    """Tell whether a sidecar says that a clip has ended, of which the row knows nothing.

    Only a damaged row can be like that: no clip leaves such a state.
    """
    if sidecar.kind != "entry" or sidecar.image.get("state") not in _ENDED:
        return False
    query = "SELECT state FROM entry WHERE clip_code = ?"
    row = connection.execute(query, (sidecar.image["clip_code"],)).fetchone()
    return row is not None and row[0] not in _ENDED


def _apply(connection: sqlite3.Connection, kind: str, image: Mapping[str, object]) -> bool:
    """Apply one image; one that does not fit costs no more than itself."""
    try:
        apply_image(connection, kind, image)
    except (sqlite3.IntegrityError, KeyError, TypeError, ValueError) as error:
        log.error("record rejected", kind=kind, error=str(error))
        return False
    return True
