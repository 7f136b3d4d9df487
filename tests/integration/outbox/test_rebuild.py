"""A database that is damaged or gone is rebuilt: nothing lost, nothing sent twice."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import BEGINNING
from agent.disk.state_folder import LEDGER_NAME, StateFolder
from agent.errors import OutboxError
from agent.outbox.assignments import Assignment, AssignmentKind, AssignmentLayer
from agent.outbox.database_file import DATABASE_NAME, check_integrity, mark_corrupt
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner, rewritten_log
from agent.outbox.states import EntryState
from tests.factories import NOW_S, admitted, instant, new_entry
from tests.lived import AS_IT_WAS, WAYS, send, states


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose outbox has seen one clip go each way, all files in their places."""
    folder = StateFolder(tmp_path_factory.mktemp("state"))
    folder.prepare()
    with open_as_owner(folder.root, now_s=NOW_S) as outbox:
        for number, way in enumerate(WAYS, start=1):
            send(outbox, folder, number, way)
        said = Assignment(
            layer=AssignmentLayer.COACH, kind=AssignmentKind.ATHLETE, starts=instant(5)
        )
        outbox.assignments.append(
            Assignment(layer=AssignmentLayer.STATION, kind=AssignmentKind.NOBODY, starts=BEGINNING)
        )
        outbox.assignments.append(said)
        outbox.lanes.update("api", {"titles_altered": 1})
    return folder.root


@pytest.fixture
def root(state: Path, tmp_path: Path) -> Path:
    """A copy of that state folder."""
    return shutil.copytree(state, tmp_path / "state")


def change_bytes(root: Path, seed: int, *, name: str = DATABASE_NAME, check: bool = True) -> None:
    """Change some bytes of the database, and see that a start notices, or need not."""
    chance = random.Random(seed)
    content = bytearray((root / name).read_bytes())
    for _ in range(chance.choice([1, 4, 64])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    (root / name).write_bytes(content)
    if not check:
        return

    with open_as_owner(root, now_s=NOW_S) as outbox:
        assert states(outbox) == AS_IT_WAS


def lose(root: Path) -> None:
    (root / DATABASE_NAME).unlink()


def empty(root: Path) -> None:
    (root / DATABASE_NAME).write_bytes(b"")


def tear(root: Path) -> None:
    os.truncate(root / DATABASE_NAME, (root / DATABASE_NAME).stat().st_size // 2)


def break_header(root: Path) -> None:
    with (root / DATABASE_NAME).open("r+b") as file:
        file.write(b"\xff" * 40)


def break_pages(root: Path) -> None:
    with (root / DATABASE_NAME).open("r+b") as file:
        for page in range(2, 40, 3):
            file.seek(page * 4096)
            file.write(os.urandom(64))


def meet_damage_while_running(root: Path) -> None:
    mark_corrupt(root, "database disk image is malformed")


def redefine(root: Path, old: str, new: str) -> None:
    """Change the text of what writes the history of clips, as a bit on a disk may."""
    with closing(sqlite3.connect(root / DATABASE_NAME)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        changed = connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = 'entry_moved'",
            (old, new),
        )
        assert changed.rowcount == 1


def break_a_trigger(root: Path) -> None:
    redefine(root, "detail)", "tetail)")


def alter_a_trigger(root: Path) -> None:
    redefine(root, "'state'", "'stade'")


def spoil_a_text(root: Path, spoilt: bytes) -> None:
    """Change what is stored of the recordings, so that SQLite sees nothing."""
    path = root / DATABASE_NAME
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    assert b'"appeared": {"ut' in content
    path.write_bytes(content.replace(b'"appeared": {"ut', spoilt))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def clear_a_part_of_a_text(root: Path) -> None:
    """Put zeros into it, as a bad sector does."""
    spoil_a_text(root, bytes(16))


def flip_a_bit_of_a_text(root: Path) -> None:
    """Let it be no text any more, though SQLite takes it for JSON."""
    spoil_a_text(root, b'"\xe1ppeared": {"ut')


@pytest.mark.parametrize(
    "damage",
    [
        *(lose, empty, tear, break_header, break_pages, meet_damage_while_running),
        *(break_a_trigger, alter_a_trigger, clear_a_part_of_a_text, flip_a_bit_of_a_text),
    ],
)
def test_every_clip_is_where_it_was_and_what_may_have_been_made_is_looked_up(
    root: Path, damage: Callable[[Path], None]
) -> None:
    damage(root)

    with open_as_owner(root, now_s=NOW_S + 60) as outbox:
        assert states(outbox) == AS_IT_WAS
        again = outbox.entries.by_id(8)
        assert again is not None and again.user_id == "tom"
        delivered = outbox.entries.by_id(2)
        assert delivered is not None and delivered.session_id == "s2"
        assert admitted(outbox, 3).id == 3  # the same content makes nothing new
        assert [said.layer for said in outbox.assignments.all()] == ["station", "coach"]
        assert outbox.assignments.all()[1].starts == instant(5)
        assert outbox.lanes.get("api").titles_altered == 1
        capture = outbox.captures.by_id(1)
        assert capture is not None and len(outbox.takes.kept(capture)) == 1
        marked = outbox.attempts.last_upload(5)
        assert marked is not None and marked.began_at == NOW_S + 5  # how far a look must reach
        assert outbox.rebuilt() is not None
    aside = [path.name for path in root.glob(f"{DATABASE_NAME}.damaged-*")]
    assert (len(aside) > 0) == (damage is not lose)


def test_without_a_ledger_the_sidecars_tell_the_same_but_for_what_was_said(root: Path) -> None:
    lose(root)
    (root / LEDGER_NAME).unlink()

    with open_as_owner(root, now_s=NOW_S) as outbox:
        found = {e.clip_code: str(e.state) for e in outbox.entries.in_states(set(EntryState))}
        outbox.resume_interrupted(now_s=NOW_S)
        codes = [new_entry(admitted(outbox, number)).clip_code for number in range(1, 9)]
        after = [outbox.entries.by_code(code) for code in codes]

    assert len(found) == len(WAYS)
    assert [str(entry.state) for entry in after if entry] == list(AS_IT_WAS.values())


def test_a_ledger_cut_short_does_not_make_what_was_sent_unsent(root: Path) -> None:
    lose(root)
    lines = (root / LEDGER_NAME).read_bytes().split(b"\n\n")
    first = next(n for n, line in enumerate(lines) if b'"entry"' in line)
    (root / LEDGER_NAME).write_bytes(b"\n\n".join(lines[: first + 1]) + b"\n")

    with open_as_owner(root, now_s=NOW_S) as outbox:
        found = {e.clip_code: str(e.state) for e in outbox.entries.in_states(set(EntryState))}
        codes = [new_entry(admitted(outbox, number)).clip_code for number in range(1, 9)]
        outbox.resume_interrupted(now_s=NOW_S)
        after = [outbox.entries.by_code(code) for code in codes]

    assert len(found) == len(WAYS)
    assert [str(entry.state) for entry in after if entry] == list(AS_IT_WAS.values())


def break_a_name(root: Path) -> None:
    """Let the definition of a table be no text: SQLite quotes it in what it says."""
    content = (root / DATABASE_NAME).read_bytes()
    assert b"CREATE TABLE entry (" in content
    (root / DATABASE_NAME).write_bytes(
        content.replace(b"CREATE TABLE entry (", b"CREATE TABLE en\xf4ry (")
    )


@pytest.mark.parametrize("damage", [flip_a_bit_of_a_text, break_a_name])
def test_a_text_that_cannot_be_read_is_found_where_the_ledger_is_damaged_too(
    root: Path, damage: Callable[[Path], None]
) -> None:
    damage(root)
    lines = (root / LEDGER_NAME).read_bytes().split(b"\n\n")
    (root / LEDGER_NAME).write_bytes(b"\n\n".join([*lines[:-1], lines[-1][:-9], b""]))

    with open_as_owner(root, now_s=NOW_S) as outbox:
        assert states(outbox) == AS_IT_WAS
        assert outbox.rebuilt() is not None


def test_a_ledger_whose_lines_are_in_another_order_is_doubted_and_written_again(root: Path) -> None:
    with open_as_owner(root, now_s=NOW_S) as outbox, rewritten_log(outbox):
        pass
    lose(root)
    for sidecar in root.glob("c*s/*.json"):
        sidecar.unlink()
    lines = (root / LEDGER_NAME).read_bytes().split(b"\n\n")
    first = next(n for n, line in enumerate(lines) if b'[["capture"' in line)
    last = max(n for n, line in enumerate(lines) if b'[["entry"' in line)
    lines[first], lines[last] = lines[last], lines[first]
    (root / LEDGER_NAME).write_bytes(b"\n\n".join(lines))

    with open_as_owner(root, now_s=NOW_S) as outbox:
        assert states(outbox) == AS_IT_WAS
    with open_as_owner(root, now_s=NOW_S) as outbox:
        assert states(outbox) == AS_IT_WAS


def test_what_only_a_damaged_ledger_knows_is_looked_up_before_it_is_sent(root: Path) -> None:
    lose(root)
    for sidecar in (root / "clips").glob("*.json"):
        sidecar.unlink()
    lines = (root / LEDGER_NAME).read_bytes().split(b"\n\n")
    spoilt = next(n for n, line in enumerate(lines) if b'"lane"' in line)
    lines[spoilt] = lines[spoilt].replace(b"api", b"apo")
    (root / LEDGER_NAME).write_bytes(b"\n\n".join(lines))

    with open_as_owner(root, now_s=NOW_S) as outbox:
        assert states(outbox) == {**AS_IT_WAS, "ready": "uncertain", "released": "uncertain"}
        held = outbox.entries.by_id(3)
        assert held is not None
        # A person's word does not send it blindly.
        assert outbox.outcomes.may_have_been_made(held, now_s=NOW_S)
        assert outbox.entries.has_delivered()
    assert list(root.glob(f"{LEDGER_NAME}.damaged-*"))
    lose(root)
    with open_as_owner(root, now_s=NOW_S + 1) as outbox:  # the new ledger is whole again
        assert states(outbox)["ready"] == "uncertain"


def test_commits_that_a_damaged_log_loses_are_made_good(tmp_path: Path) -> None:
    StateFolder(tmp_path).prepare()
    kept = tmp_path / "kept"
    outbox = open_as_owner(tmp_path, now_s=NOW_S)
    entry = outbox.entries.create(new_entry(admitted(outbox)), now_s=NOW_S)
    outbox.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox.entries.adopt_session(entry.id, session_id="s1", server_title=None, now_s=NOW_S)
    kept.write_bytes((tmp_path / DATABASE_NAME).read_bytes())  # as it is without its log
    outbox.close()
    kept.replace(tmp_path / DATABASE_NAME)

    with open_as_owner(tmp_path, now_s=NOW_S) as again:
        found = again.entries.by_id(entry.id)
        assert found is not None and found.session_id == "s1"
        assert again.rebuilt() is None


@pytest.mark.parametrize("seed", range(4))
def test_a_log_whose_bytes_change_loses_nothing(root: Path, tmp_path: Path, seed: int) -> None:
    with open_as_owner(root, now_s=NOW_S) as outbox:
        send(outbox, StateFolder(root), len(WAYS) + 1, "uploaded")
        crashed = shutil.copytree(root, tmp_path / "crashed")  # with its log, as after a kill
    change_bytes(crashed, seed, name=f"{DATABASE_NAME}-wal", check=False)

    with open_as_owner(crashed, now_s=NOW_S) as outbox:
        assert states(outbox) == AS_IT_WAS
        last = outbox.entries.by_id(len(WAYS) + 1)
        assert last is not None and last.state is EntryState.UPLOADED


def test_a_row_that_says_another_athlete_than_the_ledger_is_not_believed(root: Path) -> None:
    with sqlite3.connect(root / DATABASE_NAME) as connection:
        connection.execute("UPDATE entry SET filmed_at = filmed_at - 9, user_id = 'eve'")
    connection.close()

    with open_as_owner(root, now_s=NOW_S) as outbox:
        rebuilt = outbox.rebuilt()
        assert rebuilt is not None and "is not what the ledger says" in rebuilt.why
        assert {e.user_id for e in outbox.entries.in_states(set(EntryState))} == {
            "athlete-1",
            "tom",
        }


def test_an_assignment_that_is_not_what_was_said_is_not_believed(root: Path) -> None:
    with sqlite3.connect(root / DATABASE_NAME) as connection:
        connection.execute("UPDATE assignment SET starts_at = starts_at + 1 WHERE id = 2")
    connection.close()

    with open_as_owner(root, now_s=NOW_S) as outbox:
        assert outbox.assignments.all()[1].starts == instant(5)
        assert outbox.rebuilt() is not None


def test_a_healthy_outbox_is_left_as_it_is_and_its_ledger_stays_short(root: Path) -> None:
    before = (root / LEDGER_NAME).read_bytes()

    with open_as_owner(root, now_s=NOW_S) as outbox:
        assert outbox.rebuilt() is None
        assert states(outbox) == AS_IT_WAS

    assert (root / LEDGER_NAME).read_bytes().startswith(before)


def test_a_check_while_the_outbox_is_open_leaves_its_locks(root: Path) -> None:
    """Without them a command that ends takes the log for nobody's, and deletes it."""
    log = root / f"{DATABASE_NAME}-wal"
    with open_as_owner(root, now_s=NOW_S) as outbox:
        outbox.lanes.update("api", {"titles_altered": 2})
        redefine(root, "'state'", "'stade'")
        inode = log.stat().st_ino
        assert check_integrity(root) == "its schema was changed"

        command = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT 1 FROM entry')"
        subprocess.run([sys.executable, "-c", command, str(root / DATABASE_NAME)], check=True)

        assert log.stat().st_ino == inode


def test_pages_that_were_being_set_aside_are_no_damage(root: Path) -> None:
    with closing(sqlite3.connect(root / DATABASE_NAME)) as connection, connection:
        connection.execute("CREATE TABLE aside (zeros BLOB)")

    with open_as_owner(root, now_s=NOW_S) as outbox:
        assert outbox.rebuilt() is None


def test_commands_neither_make_an_empty_outbox_nor_write_into_a_lost_one(root: Path) -> None:
    with open_as_owner(root, now_s=NOW_S) as outbox:
        lose(root)
        with pytest.raises(OutboxError, match="was removed"):
            outbox.entries.forget_failures()
    with pytest.raises(OutboxError, match="is missing"):
        Outbox.open(root)


def test_a_stage_whose_first_look_comes_after_the_loss_makes_no_outbox_either(root: Path) -> None:
    with open_as_owner(root, now_s=NOW_S) as outbox, ThreadPoolExecutor(1) as stage:
        lose(root)
        with pytest.raises(OutboxError, match="was removed"):
            stage.submit(outbox.listing.counts).result()
    assert not (root / DATABASE_NAME).exists()


def test_a_ledger_of_a_newer_spotter_is_refused_untouched(root: Path) -> None:
    ledger = root / LEDGER_NAME
    with open_as_owner(root, now_s=NOW_S) as outbox, outbox.database.transaction(record=False):
        outbox.database.journal.start_new_log(
            outbox.database.connection, seq=99, written_by=["from_the_future"]
        )
    lose(root)
    before = ledger.read_bytes()

    with pytest.raises(OutboxError, match="newer Spotter"):
        open_as_owner(root, now_s=NOW_S)

    assert ledger.read_bytes() == before and not (root / DATABASE_NAME).exists()


@pytest.mark.parametrize("seed", [19, *range(5)])
def test_a_few_bytes_that_change_lose_nothing(root: Path, seed: int) -> None:
    change_bytes(root, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(200))
def test_whatever_bytes_change_nothing_is_sent_twice_or_lost(root: Path, seed: int) -> None:
    change_bytes(root, seed)
