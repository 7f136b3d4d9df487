"""When a file is complete."""

from pathlib import Path

from agent.intake.stability import NOTHING, FileEvent, StabilityTracker, WriterState
from agent.outbox.models import FileFacts
from tests.factories import NOW_S, instant

FILE = Path("set.mp4")


def facts(size_bytes: int = 100, *, inode: int = 1, written: float = 0.0) -> FileFacts:
    return FileFacts(size_bytes=size_bytes, mtime_ns=int((NOW_S + written) * 1e9), inode=inode)


class Watched:
    """One file, watched; time passes as told."""

    def __init__(self) -> None:
        self.tracker = StabilityTracker(settle_s=2.0, settle_unseen_s=90.0, rescan_s=30.0)

    def observe(self, at: float, size_bytes: int = 100, hint: FileEvent = NOTHING) -> None:
        self.tracker.observe(
            FILE, facts(size_bytes, written=at), hint, now=instant(at), monotonic_s=at
        )

    def is_settled(self, at: float, writer: WriterState = WriterState.UNKNOWN) -> bool:
        if FILE not in self.tracker.due(at):
            return False
        return self.tracker.is_settled(FILE, writer, monotonic_s=at)


def test_closed_and_quiet_is_settled() -> None:
    watched = Watched()
    watched.observe(0, hint=FileEvent(closed=True))

    assert not watched.is_settled(1.9)
    assert watched.is_settled(2.0)


def test_what_its_recorder_calls_whole_need_not_be_quiet_once_it_is_closed() -> None:
    watched = Watched()
    watched.observe(0)
    watched.tracker.vouch(FILE, monotonic_s=0)

    assert not watched.is_settled(0, WriterState.OPEN)
    watched.tracker.vouch(FILE, monotonic_s=1)
    assert not watched.is_settled(2.1)  # the file system does not say: it must be quiet as ever
    assert watched.is_settled(4.2, WriterState.CLOSED)
    watched.observe(5, size_bytes=200)
    assert not watched.is_settled(5, WriterState.CLOSED)


def test_quiet_alone_takes_the_long_wait() -> None:
    watched = Watched()
    watched.observe(0)

    assert not watched.is_settled(89)
    assert watched.is_settled(91)


def test_a_file_that_the_kernel_calls_closed_needs_no_event() -> None:
    watched = Watched()
    watched.observe(0)

    assert watched.is_settled(2.0, WriterState.CLOSED)


def test_an_open_file_is_never_settled_however_quiet() -> None:
    watched = Watched()
    watched.observe(0, hint=FileEvent(closed=True))

    assert not watched.is_settled(5000, WriterState.OPEN)


def test_growth_after_a_close_starts_the_wait_anew() -> None:
    watched = Watched()
    watched.observe(0, hint=FileEvent(closed=True))
    watched.observe(60, size_bytes=200, hint=FileEvent(changed=instant(60)))

    assert not watched.is_settled(62.5)
    watched.observe(70, size_bytes=200, hint=FileEvent(closed=True))
    watched.observe(70, size_bytes=200)
    assert watched.is_settled(72.5)


def test_another_file_of_the_same_name_is_another_file() -> None:
    watched = Watched()
    watched.observe(0, hint=FileEvent(closed=True))
    watched.tracker.observe(FILE, facts(inode=2), NOTHING, now=instant(1.5), monotonic_s=1.5)

    assert not watched.is_settled(2.1)


def test_the_last_growth_is_the_end_of_the_recording() -> None:
    watched = Watched()
    watched.observe(0, size_bytes=0, hint=FileEvent(appeared=instant(0), born=True))
    watched.observe(10, size_bytes=50, hint=FileEvent(changed=instant(9.5)))
    watched.observe(12, size_bytes=50, hint=FileEvent(closed=True))

    assert watched.tracker.evidence(FILE).grew_until == instant(9.5)


def test_a_file_moved_in_was_not_seen_growing() -> None:
    watched = Watched()
    watched.observe(0, hint=FileEvent(appeared=instant(0), closed=True))

    assert watched.tracker.evidence(FILE).grew_until is None


def test_an_empty_file_is_given_the_long_wait() -> None:
    watched = Watched()
    watched.observe(0, size_bytes=0, hint=FileEvent(closed=True))

    assert not watched.is_settled(30)
    assert watched.is_settled(91)


def test_hints_of_one_file_add_up_and_a_change_undoes_a_close() -> None:
    born = FileEvent(appeared=instant(0), born=True)
    closed, changed = FileEvent(closed=True), FileEvent(changed=instant(5))

    assert born.then(changed).then(closed).closed
    assert not born.then(closed).then(changed).closed
    assert born.then(closed).then(changed).appeared == instant(0)
