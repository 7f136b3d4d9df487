"""The outbox against a plain model: whatever happens in whatever order."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from agent.errors import AgentError
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.states import ENTRY_MOVES, EntryState
from agent.station import clip_actions
from tests.factories import NOW_S, admitted, new_entry

OUTCOMES = st.sampled_from(["made", "not_made", "unknown", "dead", "lane"])


class OutboxMachine(RuleBasedStateMachine):
    """Enqueue, send, crash, steer; the model is a dict of states."""

    entries: Bundle[int] = Bundle("entries")
    sending: Bundle[tuple[Entry, int]] = Bundle("sending")

    @initialize()
    def open(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._outbox = Outbox.open(Path(self._folder.name))
        self._now_s = NOW_S
        self._count = 0
        self._model: dict[int, str] = {}
        self._sessions: dict[int, str] = {}
        self._marked: set[int] = set()  # attempts whose body may have gone out

    def teardown(self) -> None:
        self._outbox.close()
        self._folder.cleanup()

    @rule(target=entries, held=st.booleans())
    def enqueue(self, held: bool) -> int:
        self._count += 1
        capture = admitted(self._outbox, self._count)
        state = EntryState.HELD if held else EntryState.READY
        entry = self._outbox.entries.create(
            new_entry(capture, state=state, due_at=self._now_s), now_s=self._now_s
        )
        again = self._outbox.entries.create(new_entry(capture), now_s=self._now_s)
        assert again.id == entry.id
        self._model[entry.id] = state
        return entry.id

    @rule(seconds=st.floats(0, 10_000))
    def let_time_pass(self, seconds: float) -> None:
        self._now_s += seconds

    @rule(target=sending)
    def claim(self) -> tuple[Entry, int] | MultipleResults[tuple[Entry, int]]:
        waiting = self._outbox.entries.next_ready(self._now_s)
        if waiting is None:
            ready = self._outbox.entries.in_states({EntryState.READY})
            assert all(entry.due_at > self._now_s for entry in ready)
            return multiple()
        claimed = self._outbox.entries.claim(waiting, now_s=self._now_s)
        assert claimed is not None and claimed[0].attempts == waiting.attempts + 1
        self._model[waiting.id] = EntryState.UPLOADING
        return claimed

    @rule(claimed=sending)
    def hand_out_the_last_part(self, claimed: tuple[Entry, int]) -> None:
        self._outbox.attempts.mark_body_complete(claimed[1], now_s=self._now_s)
        self._marked.add(claimed[1])

    @rule(claimed=consumes(sending), outcome=OUTCOMES)
    def answer(self, claimed: tuple[Entry, int], outcome: str) -> None:
        entry, attempt_id = claimed
        if outcome == "made":
            session_id = f"s{attempt_id}"
            adopted = self._outbox.entries.adopt_session(
                entry.id, session_id=session_id, server_title=None, now_s=self._now_s
            )
            assert (adopted is None) == (entry.id in self._sessions)
            if adopted is not None:
                self._model[entry.id] = EntryState.UPLOADED
                self._sessions[entry.id] = session_id
            return
        to = {
            "not_made": EntryState.READY,
            "unknown": EntryState.UNCERTAIN,
            "dead": EntryState.DEAD,
            "lane": EntryState.READY,
        }[outcome]
        moved = self._outbox.entries.move(entry, to, now_s=self._now_s)
        if moved is not None:
            assert self._model[entry.id] == EntryState.UPLOADING
            self._model[entry.id] = to

    @rule()
    def crash_and_start_again(self) -> None:
        self._outbox.close()
        self._outbox = Outbox.open(Path(self._folder.name))
        self._outbox.resume_interrupted(now_s=self._now_s)
        for entry_id, state in self._model.items():
            if state == EntryState.UPLOADING:
                attempt = self._outbox.attempts.last_upload(entry_id)
                assert attempt is not None
                whole = attempt.id in self._marked
                self._model[entry_id] = EntryState.UNCERTAIN if whole else EntryState.READY

    @rule(entry_id=entries, verb=st.sampled_from(["retry", "discard"]))
    def steer(self, entry_id: int, verb: str) -> None:
        entry = self._outbox.entries.by_id(entry_id)
        assert entry is not None
        try:
            moved = getattr(clip_actions, verb)(self._outbox, entry, now_s=self._now_s)
        except AgentError:
            return
        state = self._model[entry_id]
        assert moved.state == state or moved.state in ENTRY_MOVES[EntryState(state)]
        assert state != EntryState.UPLOADING  # out of a person's hands
        if state == EntryState.UPLOADED:  # its analysis alone is looked for again
            assert (verb, moved.state) == ("retry", EntryState.UPLOADED)
        self._model[entry_id] = moved.state

    @invariant()
    def the_file_says_what_the_model_says(self) -> None:
        if not hasattr(self, "_outbox"):
            return
        found = self._outbox.entries.in_states(set(EntryState))
        assert {entry.id: str(entry.state) for entry in found} == self._model
        assert {e.id: e.session_id for e in found if e.session_id} == self._sessions
        assert len({entry.clip_code for entry in found}) == len(found)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
