"""Who was on the station: any order of commands, jumps of the clock, boots, late recordings.

The model is a list of intervals on a clock that no box has: true time.  A take gets exactly the
athlete whose interval holds it, or nobody.
"""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.clock import Instant
from agent.errors import RequestError
from agent.outbox.models import Take
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, Reason
from agent.station import assignments
from agent.station.assignments import assignment_status, record_run_out, record_run_out_now, renew
from agent.station.attribution import decide_attribution
from agent.station.recording_time import RecordedBy, RecordingTime
from tests.factories import NOW_S, admitted
from tests.integration.station.conftest import LIFTING, RULES, doing

IDLE_S = 2700.0
PEOPLE = st.sampled_from(["ann", "ben", "cleo"])
SECONDS = st.sampled_from([8, 900, 2699, 2700, 2709, 5400])
NEAR_EDGE_S = st.sampled_from([-500, -9, -8, -7, -1, 0, 1, 7, 500])
_TAKE_S = 8.0


class StationMachine(RuleBasedStateMachine):
    """A coach, a camera and a clock."""

    @initialize()
    def open(self) -> None:
        memory = Path("/dev/shm")  # a real file, but without a disk to wait for
        self._folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self._outbox = Outbox.open(Path(self._folder.name))
        self._true_s = 0.0  # what no box knows
        self._utc_off_s = 0.0  # how wrong the box's clock is
        self._boots = [0.0]  # true times
        self._said: list[tuple[float, str | None, float | None]] = [(0.0, "owner", None)]
        self._signs: list[float] = []  # true times of what keeps the present one there
        self._sign_off_s = 0.0  # how wrong the clock was at the last of them
        self._queue: list[str] = []
        self._captures = 0
        self._waits = False  # whether a capture waits to be analysed
        self._ever_waited = False
        assignments.record_default(self._outbox, LIFTING, now=self._now())

    def teardown(self) -> None:
        self._outbox.close()
        self._folder.cleanup()

    def _instant(self, true_s: float) -> Instant:
        """A moment as the box saw it in the boot of that time."""
        number = max(n for n, began_s in enumerate(self._boots) if began_s <= true_s)
        return Instant(
            utc_s=NOW_S + true_s + self._utc_off_s,
            boot_id=f"boot-{number}",
            boot_s=true_s - self._boots[number],
        )

    def _now(self) -> Instant:
        return self._instant(self._true_s)

    def _say(self, who: str | None, idle_s: float | None) -> None:
        self._let_run_out(self._true_s)
        self._said.append((self._true_s, who, idle_s))
        self._signs, self._sign_off_s = [self._true_s], self._utc_off_s

    def _sign(self) -> None:
        self._signs.append(self._true_s)
        self._sign_off_s = self._utc_off_s

    def _let_run_out(self, by_s: float) -> None:
        """Model: whoever was without a sign for too long has gone at that moment."""
        _, _, idle_s = self._said[-1]
        if idle_s is not None and by_s - max(self._signs) >= idle_s:
            self._said.append((max(self._signs) + idle_s, None, None))

    def _present(self) -> str | None:
        """Who is there now."""
        _, _, idle_s = self._said[-1]
        is_overdue = idle_s is not None and self._true_s - max(self._signs) >= idle_s
        return None if is_overdue else self._holder(self._true_s)

    def _holder(self, true_s: float) -> str | None:
        return next(who for at, who, _ in reversed(self._said) if at <= true_s)

    @rule(seconds=SECONDS)
    def let_time_pass(self, seconds: int) -> None:
        self._true_s += seconds

    let_more_time_pass = let_time_pass  # so that it is drawn more often

    @rule(off_s=st.sampled_from([-3 * 86400.0, 0.0, 400 * 86400.0]))
    def set_the_clock(self, off_s: float) -> None:
        """UTC jumps; what was seen in this boot is compared by the time since it."""
        if self._boots[-1] == self._boots[0]:
            self._utc_off_s = off_s

    @precondition(lambda self: self._utc_off_s == self._sign_off_s == 0.0)
    @rule(seconds=SECONDS)
    def restart_the_box(self, seconds: int) -> None:
        """After it only UTC tells how long ago somebody was there: it was right, then and now."""
        self._true_s += seconds
        self._boots.append(self._true_s)
        self._outbox.close()
        self._outbox = Outbox.open(Path(self._folder.name))
        self._outbox.assignments.note_boot(self._now().boot_id)

    @rule(who=PEOPLE)
    def assign(self, who: str) -> None:
        self._say(who, IDLE_S)
        assignments.assign_person(
            self._outbox, who, doing("snatch", 50), rules=RULES, now=self._now(), set_by="test"
        )

    @rule()
    def let_a_capture_wait_or_be_looked_into(self) -> None:
        """While one waits nobody can say that there was no take, so nothing runs out yet."""
        if self._waits:
            claimed = self._outbox.captures.claim_next(NOW_S)
            assert claimed is not None
            self._outbox.captures.move(claimed, CaptureState.SKIPPED, now_s=NOW_S)
        else:
            self._captures += 1
            admitted(self._outbox, self._captures)
            self._ever_waited = True
        self._waits = not self._waits

    @rule()
    def be_done(self) -> None:
        self._say(None, None)
        assignments.assign_nobody(self._outbox, now=self._now(), set_by="test")

    @rule()
    def go_back_to_the_default(self) -> None:
        self._say("owner", None)
        assignments.clear_assignment(self._outbox, now=self._now(), set_by="test")

    @precondition(lambda self: not self._waits)
    @rule(by_kg=st.sampled_from([2.5, -2.5]))
    def step(self, by_kg: float) -> None:
        who = self._present()
        try:
            assignments.step_mass(self._outbox, by_kg, rules=RULES, now=self._now(), set_by="test")
        except RequestError:
            assert who is None
            return
        self._say(who, IDLE_S)

    @precondition(lambda self: not self._waits)
    @rule()
    def keep(self) -> None:
        """Refused, it changes nothing: a take that is found later may still have kept them."""
        try:
            assignments.keep(self._outbox, now=self._now(), set_by="test")
        except RequestError:
            assert self._present() is None or self._said[-1][2] is None  # nobody, or the default
            return
        self._sign()

    @rule(who=PEOPLE)
    def enqueue(self, who: str) -> None:
        assignments.enqueue(self._outbox, who, rules=RULES)
        self._queue.append(who)

    @rule()
    def let_the_next_one_on(self) -> None:
        try:
            assignments.next_in_queue(self._outbox, rules=RULES, now=self._now())
        except RequestError:
            assert self._queue == []
            return
        self._say(self._queue.pop(0), IDLE_S)

    @rule()
    def let_the_daemon_look(self) -> None:
        if not self._waits:
            self._let_run_out(self._true_s)
        record_run_out_now(self._outbox, now=self._now())

    @rule()
    def film_a_take_now(self) -> None:
        """A take that ends now, analysed at once: it keeps alive whoever is there."""
        start_s = self._true_s - _TAKE_S
        if start_s < max(self._boots[-1], 0.0):
            return
        self._let_run_out(start_s)
        self._check(start_s, renews=True)
        if self._said[-1][0] <= self._true_s and self._said[-1][2] is not None:
            self._sign()

    @rule(edge=st.integers(1, 6), off_s=NEAR_EDGE_S)
    def find_a_take_late(self, edge: int, off_s: int) -> None:
        """A take of long ago: it goes to whoever was there by all that is on record."""
        self.let_the_daemon_look()
        start_s = self._said[-min(edge, len(self._said))][0] + off_s
        end_s = start_s + _TAKE_S
        if start_s < 0 or end_s > self._true_s:
            return
        if any(start_s < began_s <= end_s for began_s in self._boots[1:]):
            return
        self._let_run_out(start_s)
        self._check(start_s, renews=False)

    find_another_take_late = find_a_take_late

    def _check(self, start_s: float, *, renews: bool) -> None:
        start = self._instant(start_s)
        recorded = RecordingTime(by=RecordedBy.GROWTH, start=start, end=start.shifted(_TAKE_S))
        take = Take(number=1, start_s=0, end_s=_TAKE_S, active_start_s=0, active_end_s=_TAKE_S)
        record_run_out(
            self._outbox, assignments.timeline_of(self._outbox, now=self._now()), by=start
        )
        timeline = assignments.timeline_of(self._outbox, now=self._now())
        if renews:
            renew(self._outbox, timeline, recorded.end)
        decision = decide_attribution(take, recorded, timeline, station=LIFTING, unassigned="hold")
        edges = [at for at, _, _ in self._said if start_s < at < start_s + _TAKE_S]
        holders = {self._holder(at) for at in (start_s, *edges)}
        if len(holders) > 1 and None in holders and self._ever_waited:
            return  # it ran out in mid-take: on record only if that was recorded in time
        if len(holders) > 1:
            assert decision.reason is Reason.TWO_ATHLETES
        else:
            assert {decision.target.user_id} == holders
            assert (decision.reason is Reason.UNASSIGNED) == (holders == {None})

    @invariant()
    def the_station_tells_who_is_there_now(self) -> None:
        if not hasattr(self, "_outbox") or self._waits:
            return
        said = assignment_status(self._outbox, now=self._now()).assignment
        assert (None if said is None else said.user_id) == self._present()


TestStation = StationMachine.TestCase
TestStation.settings = settings(max_examples=80, stateful_step_count=20, deadline=None)
