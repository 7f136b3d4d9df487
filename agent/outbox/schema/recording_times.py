"""What a recording time rests on, what of a capture nobody may see, and stops that were undone."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS

_CHANGES = (
    "ALTER TABLE capture ADD COLUMN recorded_start_at REAL",
    "ALTER TABLE capture ADD COLUMN recorded_detail TEXT",  # why, and what contradicts it
    "ALTER TABLE capture ADD COLUMN hidden TEXT",  # JSON: [[from_s, to_s], ...] filmed in a stop
    "ALTER TABLE assignment ADD COLUMN taken_back_at REAL",  # not NULL: as if never said
    "CREATE INDEX entry_in_question ON entry (instr(remarks, 'may_be:') > 0)",
)


@MIGRATIONS()
def recording_times(db: Database) -> None:
    """Keep what a recording time rests on, and whether a stop of filming was undone."""
    for statement in _CHANGES:
        db.execute(statement)
