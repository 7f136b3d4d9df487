"""Database, ledger and sidecars, damaged in every way: the newest word on each row is believed."""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.disk.state_folder import LEDGER_NAME, StateFolder
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.entries import AttemptEnd
from agent.outbox.models import Entry, LookFirst
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.states import EntryState, FileState
from tests.factories import NOW_S, admitted, new_entry
from tests.lived import send

ENDS = ("delivered", "discarded", "held", "delivered+gone", "discarded+gone", "ready", "marked")


@dataclass(frozen=True)
class Lived:
    """A state folder, and the records as they were before anything was decided."""

    root: Path
    old_database: bytes
    old_ledger: bytes

    def clips(self, outbox: Outbox) -> dict[str, Entry]:
        """What is known of each clip, but for those of which nothing at all is left."""
        outbox.resume_interrupted(now_s=NOW_S)
        found = {}
        for number, end in enumerate(ENDS, start=1):
            entry = outbox.entries.by_code(new_entry(admitted(outbox, number)).clip_code)
            if entry is not None:
                found[end] = entry
        return found


def decide(outbox: Outbox, folder: StateFolder, number: int, end: str) -> None:
    """Let something become of a clip that was ready."""
    entry = outbox.entries.by_id(number)
    assert entry is not None
    if end.startswith("discarded"):
        outbox.entries.move(entry, EntryState.DISCARDED, now_s=NOW_S + 9, reason="by_person")
    if end == "held":
        outbox.entries.move(entry, EntryState.HELD, now_s=NOW_S + 9, reason="held_by_person")
    begun = None
    if end.startswith("delivered") or end == "marked":
        begun = outbox.entries.claim(entry, now_s=NOW_S + 9)
        assert begun is not None
        outbox.attempts.mark_body_complete(begun[1], now_s=NOW_S + 9)
    if end.startswith("delivered"):
        assert begun is not None
        outbox.attempts.end(begun[1], AttemptEnd(outcome="uploaded", seconds=1.0))
        outbox.entries.adopt_session(
            entry.id, session_id=f"s{number}", server_title=None, now_s=NOW_S + 9
        )
    if end.endswith("gone"):
        (folder.clips / entry.stored_name).unlink()
        outbox.database.change(
            "UPDATE entry SET file_state = ? WHERE id = ?", (FileState.CLEARED, number)
        )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """What all of these tests begin with, in a folder that none of them changes."""
    folder = StateFolder(tmp_path_factory.mktemp("state"))
    folder.prepare()
    with open_as_owner(folder.root, now_s=NOW_S) as outbox:
        for number in range(1, len(ENDS) + 1):
            send(outbox, folder, number, "ready")
        outbox.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        old_database = (folder.root / DATABASE_NAME).read_bytes()
        old_ledger = (folder.root / LEDGER_NAME).read_bytes()
        for number, end in enumerate(ENDS, start=1):
            decide(outbox, folder, number, end)
    return Lived(folder.root, old_database, old_ledger)


@pytest.fixture
def lived(kept: Lived, tmp_path: Path) -> Lived:
    """A state folder of this test's own, which is no copy to itself."""
    root = shutil.copytree(kept.root, tmp_path / "state")
    make_own(root)
    return Lived(root, kept.old_database, kept.old_ledger)


def make_own(root: Path) -> None:
    """Let a database not know of which file it is a copy."""
    with closing(sqlite3.connect(root / DATABASE_NAME)) as connection, connection:
        connection.execute("UPDATE ledger_mark SET inode = NULL, born_ns = NULL")


def lose_log(lived: Lived) -> None:
    """The write-ahead log is lost: the database is as it was before."""
    (lived.root / DATABASE_NAME).write_bytes(lived.old_database)
    make_own(lived.root)


def lose_database(lived: Lived) -> None:
    (lived.root / DATABASE_NAME).unlink()


def keep_database(_lived: Lived) -> None:
    pass


def lose_tail(lived: Lived) -> None:
    """The ledger ends earlier, with a whole line."""
    (lived.root / LEDGER_NAME).write_bytes(lived.old_ledger)


def flip_two_lines(lived: Lived) -> None:
    """Of every second line of what was decided, one byte is another."""
    path = lived.root / LEDGER_NAME
    content = bytearray(path.read_bytes())
    tail = content[len(lived.old_ledger) :]
    place = len(lived.old_ledger)
    for number, line in enumerate(tail.split(b"\n\n")):
        if number % 2 == 0 and len(line) > 30:
            content[place + 30] ^= 1
        place += len(line) + 2
    path.write_bytes(content)


def flip_all_decided(lived: Lived) -> None:
    """No line of what was decided can be read."""
    path = lived.root / LEDGER_NAME
    content = bytearray(path.read_bytes())
    for place in range(len(lived.old_ledger) + 5, len(content), 40):
        content[place] ^= 4
    path.write_bytes(content)


def lose_ledger(lived: Lived) -> None:
    (lived.root / LEDGER_NAME).unlink()


def sidecars(lived: Lived) -> list[Path]:
    return sorted((lived.root / "clips").glob("*.json"))


def keep_sidecars(_lived: Lived) -> None:
    pass


def spoil_sidecars(lived: Lived) -> None:
    for path in sidecars(lived):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def lose_sidecars(lived: Lived) -> None:
    for path in sidecars(lived):
        path.unlink()


def forget_number(lived: Lived) -> None:
    """Nor does the folder know any more how far it was: some file systems cannot keep that."""
    os.removexattr(lived.root, "user.spotter.seq")


def says_nothing_wrong(clips: dict[str, Entry]) -> None:
    """Nothing delivered goes out unseen, nothing held or discarded goes out at all."""
    for end, entry in clips.items():
        is_asked = entry.state is EntryState.HELD or entry.look_first is LookFirst.THEN_HOLD
        if end.startswith("delivered"):
            is_looked_up = entry.state is EntryState.UNCERTAIN or entry.look_first
            assert entry.state is EntryState.UPLOADED or is_looked_up or is_asked, end
        elif end.startswith("discarded"):
            assert entry.state is EntryState.DISCARDED or is_asked, end
        elif end == "held":
            assert is_asked, end
        elif end == "marked":
            assert entry.state is EntryState.UNCERTAIN or entry.look_first or is_asked
        else:
            assert entry.state in {EntryState.READY, EntryState.UNCERTAIN}, end


LEDGERS = (lose_tail, flip_two_lines, flip_all_decided, lose_ledger)
Damage = Callable[[Lived], None]


@pytest.mark.parametrize("sidecars", [keep_sidecars, spoil_sidecars, lose_sidecars])
@pytest.mark.parametrize("ledger", LEDGERS)
@pytest.mark.parametrize("database", [lose_log, lose_database])
def test_whatever_is_left_nothing_goes_out_that_was_sent_held_or_discarded(
    lived: Lived, database: Damage, ledger: Damage, sidecars: Damage
) -> None:
    for damage in (database, ledger, sidecars):
        damage(lived)

    for _ in range(2):  # the second start believes the first
        with open_as_owner(lived.root, now_s=NOW_S + 60) as outbox:
            says_nothing_wrong(lived.clips(outbox))


@pytest.mark.parametrize("ledger", LEDGERS)
@pytest.mark.parametrize("database", [lose_log, lose_database])
def test_sidecars_alone_say_what_became_of_every_clip_whose_file_is_there(
    lived: Lived, database: Damage, ledger: Damage
) -> None:
    for damage in (database, ledger, forget_number):
        damage(lived)

    with open_as_owner(lived.root, now_s=NOW_S + 60) as outbox:
        clips = lived.clips(outbox)
        says_nothing_wrong(clips)
        states = {end: clip.state for end, clip in clips.items() if "gone" not in end}
        assert states == {
            "delivered": EntryState.UPLOADED,
            "discarded": EntryState.DISCARDED,
            "held": EntryState.HELD,
            "ready": EntryState.READY,
            "marked": EntryState.UNCERTAIN,
        }


@pytest.mark.parametrize("sidecars", [keep_sidecars, spoil_sidecars, lose_sidecars])
@pytest.mark.parametrize(
    ("database", "ledger"),
    [
        *((keep_database, ledger) for ledger in LEDGERS),
        (lose_log, keep_database),
        (lose_database, keep_database),
    ],
)
def test_a_whole_database_or_a_whole_ledger_alone_tells_everything(
    lived: Lived, database: Damage, ledger: Damage, sidecars: Damage
) -> None:
    for damage in (database, ledger, sidecars):
        damage(lived)

    with open_as_owner(lived.root, now_s=NOW_S + 60) as outbox:
        assert {end: str(clip.state) for end, clip in lived.clips(outbox).items()} == {
            "delivered": "uploaded",
            "discarded": "discarded",
            "held": "held",
            "delivered+gone": "uploaded",
            "discarded+gone": "discarded",
            "ready": "ready",
            "marked": "uncertain",
        }


def test_a_row_that_an_old_page_brought_back_is_noticed(lived: Lived) -> None:
    """A page of the database is an older one, and no checksum tells."""
    with Outbox.open(lived.root) as outbox:
        outbox.database.connection.execute(
            "UPDATE entry SET state = 'ready', reason = NULL WHERE id = 2"
        )

    with open_as_owner(lived.root, now_s=NOW_S + 60) as outbox:
        assert lived.clips(outbox)["discarded"].state is EntryState.DISCARDED


def test_a_damaged_ledger_stays_for_a_person_and_newer_sidecars_stay_as_they_are(
    lived: Lived,
) -> None:
    lose_log(lived)
    flip_two_lines(lived)
    damaged = (lived.root / LEDGER_NAME).read_bytes()
    before = {path: path.read_bytes() for path in sidecars(lived)}

    with open_as_owner(lived.root, now_s=NOW_S + 60):
        pass

    (copy,) = lived.root.glob(f"{LEDGER_NAME}.damaged-*")
    assert copy.read_bytes() == damaged
    assert {path: path.read_bytes() for path in sidecars(lived)} == before


def test_sidecars_that_an_older_copy_replaced_are_no_last_word(lived: Lived) -> None:
    """Nothing else is left, but for what the clips' own files have seen."""
    lose_database(lived)
    lose_ledger(lived)
    for path in sidecars(lived):
        document = json.loads(path.read_text())
        row = {**document["row"], "state": "ready", "reason": None, "session_id": None}
        stored = {"kind": "entry", "seq": 2, "row": row}
        check = hashlib.blake2b(
            json.dumps(["entry", 2, row], sort_keys=True).encode(), digest_size=8
        )
        path.write_text(json.dumps({**stored, "check": check.hexdigest()}))

    with open_as_owner(lived.root, now_s=NOW_S + 60) as outbox:
        clips = lived.clips(outbox)
        assert len(clips) == 5
        says_nothing_wrong(clips)
