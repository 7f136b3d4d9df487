"""The cursor: where a channel begins, and that it never passes what was not acknowledged."""

import json
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.disk.state_folder import StateFolder
from agent.notifications.stage import Feed
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.notification_cursors import Channels
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.states import EntryState
from agent.settings.model import EVENTS
from tests.factories import NOW_S, admitted, new_entry, ready_entry


def feed(outbox: Outbox, name: str = "webhook") -> Feed:
    return Feed(outbox, name, station="p3", wanted=EVENTS)


def test_a_channel_begins_with_now_and_again_after_it_was_off(outbox: Outbox) -> None:
    ready_entry(outbox, 1)
    outbox.channels.keep(["webhook"])
    assert feed(outbox).next() is None

    ready_entry(outbox, 2)
    assert feed(outbox).next() is not None
    outbox.channels.keep(["webhook"])  # the next start: still on
    assert feed(outbox).next() is not None
    outbox.channels.keep([])
    outbox.channels.keep(["webhook"])
    assert feed(outbox).next() is None


def test_a_database_that_is_made_anew_tells_nothing_of_before_and_everything_of_after(
    tmp_path: Path,
) -> None:
    StateFolder(tmp_path).prepare()
    with open_as_owner(tmp_path, now_s=NOW_S) as outbox:
        outbox.channels.keep(["webhook"])
        for number in range(1, 6):
            ready_entry(outbox, number)
    (tmp_path / DATABASE_NAME).unlink()

    with open_as_owner(tmp_path, now_s=NOW_S) as rebuilt:
        rebuilt.channels.keep(["webhook"])
        assert feed(rebuilt).next() is None
        ready_entry(rebuilt, 6)
        assert feed(rebuilt).next() is not None


def test_what_is_nobodys_news_is_passed_for_good(outbox: Outbox) -> None:
    outbox.channels.keep(["webhook"])
    entry = ready_entry(outbox)
    for _ in range(50):  # tried in vain, repeatedly
        begun = outbox.entries.claim(entry, now_s=NOW_S)
        assert begun is not None
        back = outbox.entries.move(begun[0], EntryState.READY, now_s=NOW_S)
        assert back is not None
        entry = back
    way = Feed(outbox, "webhook", station="p3", wanted={"take.delivered"})

    assert way.next() is None
    for _ in range(50):
        begun = outbox.entries.claim(entry, now_s=NOW_S)
        assert begun is not None
        back = outbox.entries.move(begun[0], EntryState.READY, now_s=NOW_S)
        assert back is not None
        entry = back
    assert way.next() is None
    state = outbox.channels.get("webhook")
    assert state is not None and state.cursor == outbox.happenings.latest()


def test_a_session_that_is_given_up_is_told(outbox: Outbox) -> None:
    outbox.channels.keep(["webhook"])
    entry = ready_entry(outbox)
    outbox.entries.adopt_session(entry.id, session_id="s1", server_title=None, now_s=NOW_S)
    way = Feed(outbox, "webhook", station="p3", wanted={"session.failed"})
    assert way.next() is None
    followed = outbox.follow_ups.of_entry(entry.id)
    assert followed is not None

    outbox.follow_ups.note(followed, {"state": "not_seen", "due_at": None}, now_s=NOW_S)

    found = way.next()
    assert found is not None and json.loads(found[1].body)["reason"] == "not_seen"


class CursorMachine(RuleBasedStateMachine):
    """Clips are made, notices are taken, refused or lost, and the box dies whenever it likes."""

    @initialize()
    def open(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._outbox = Outbox.open(Path(self._folder.name))
        self._outbox.channels.keep(["webhook"])
        self._feed = feed(self._outbox)
        self._made: list[str] = []
        self._settled: list[str] = []  # taken or given up, each once, in order
        self._count = 0

    def teardown(self) -> None:
        self._outbox.close()
        self._folder.cleanup()

    @rule()
    def make_a_clip(self) -> None:
        self._count += 1
        new = new_entry(admitted(self._outbox, self._count))
        self._outbox.entries.create(new, now_s=NOW_S + self._count)
        self._made.append(new.clip_code)

    @rule()
    def try_a_clip_in_vain(self) -> None:
        entry = self._outbox.entries.next_ready(NOW_S)
        if entry is not None:
            begun = self._outbox.entries.claim(entry, now_s=NOW_S)
            assert begun is not None
            self._outbox.entries.move(begun[0], EntryState.READY, now_s=NOW_S)

    @rule()
    def take_a_notice(self) -> None:
        found = self._feed.next()
        if found is not None:
            self._note(found[1].id)
            self._feed.acknowledge(found[0], now_s=NOW_S)

    @rule()
    def take_a_notice_and_die(self) -> None:
        found = self._feed.next()
        if found is not None:
            self._note(found[1].id)
        self._feed = feed(self._outbox)

    @rule()
    def refuse_a_notice(self) -> None:
        found = self._feed.next()
        if found is not None:
            self._note(found[1].id)
            self._feed.set_aside(*found, why="HTTP 400", now_s=NOW_S)

    @rule()
    def start_again(self) -> None:
        self._outbox.channels.keep(["webhook"])
        self._feed = feed(self._outbox)

    @invariant()
    def nothing_is_passed_over(self) -> None:
        if not hasattr(self, "_made"):
            return
        assert self._settled == self._made[: len(self._settled)]
        waits = self._feed.next()
        left = self._made[len(self._settled) :]
        if left:
            assert waits is not None
        if waits is not None:  # a double is allowed, of the last one alone
            assert waits[1].id.split("-")[1] in [*self._settled[-1:], *left[:1]]

    def _note(self, notice_id: str) -> None:
        code = notice_id.split("-")[1]
        if code not in self._settled[-1:]:
            self._settled.append(code)


CursorMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=25)
TestCursor = CursorMachine.TestCase


def test_channels_are_told_apart(outbox: Outbox) -> None:
    outbox.channels.keep(["mqtt", "webhook"])
    ready_entry(outbox)
    one, other = feed(outbox, "mqtt"), feed(outbox)
    found = one.next()
    assert found is not None
    one.acknowledge(found[0], now_s=NOW_S)

    assert one.next() is None and other.next() == found
    assert isinstance(outbox.channels, Channels)
    assert outbox.channels.advance("mqtt", found[0], now_s=NOW_S) is False
