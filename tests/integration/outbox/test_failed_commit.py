"""A commit that fails after the ledger was told: it never was, and what follows it happens once."""

from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.outbox.consistency import audit
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.states import EntryState
from tests.factories import NOW_S
from tests.lived import send


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A state folder with one clip that waits."""
    folder = StateFolder(tmp_path)
    folder.prepare()
    with open_as_owner(tmp_path, now_s=NOW_S) as outbox:
        send(outbox, folder, 1, "ready")
    return tmp_path


def fail_one_commit(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a commit fail after the ledger was told."""

    def fail(_name: str) -> None:
        raise OSError(5, "I/O error")

    with monkeypatch.context() as patched:
        patched.setattr("agent.outbox.database.crash_point", fail)
        with pytest.raises(OSError, match="I/O"):
            move(outbox, EntryState.HELD)


def move(outbox: Outbox, to: EntryState) -> None:
    entry = outbox.entries.by_id(1)
    assert entry is not None
    assert outbox.entries.move(entry, to, now_s=NOW_S) is not None


def check(root: Path, state: EntryState, *, happened: int | None = None) -> None:
    with open_as_owner(root, now_s=NOW_S) as outbox:
        entry = outbox.entries.by_id(1)
        assert entry is not None and entry.state is state
        assert happened in {None, outbox.happenings.latest()}


def test_it_is_void(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_as_owner(root, now_s=NOW_S) as outbox:
        fail_one_commit(outbox, monkeypatch)
        assert audit(root).behind == 0  # nothing is in the ledger alone

    check(root, EntryState.READY)  # the error was true
    (root / DATABASE_NAME).unlink()
    check(root, EntryState.READY)


def test_what_is_committed_after_it_happens_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_as_owner(root, now_s=NOW_S) as outbox:
        fail_one_commit(outbox, monkeypatch)
        fail_one_commit(outbox, monkeypatch)
        with Outbox.open(root) as command:  # another process, which saw nothing fail
            move(command, EntryState.HELD)
        move(outbox, EntryState.READY)
        move(outbox, EntryState.HELD)
        happened = outbox.happenings.latest()
        assert audit(root).behind == 0

    check(root, EntryState.HELD, happened=happened)
