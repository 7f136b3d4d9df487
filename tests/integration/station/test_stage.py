"""The stage that records what ends by time."""

from agent.clock import Instant
from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.station.assignments import assign_person
from agent.station.stage import StationStage
from tests.factories import admitted, instant
from tests.integration.station.conftest import RULES, doing

IDLE_S = 2700.0


class Keeping:
    """A timekeeper, with a clock and a capture folder that tests set."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.moment = instant()
        self.comes = False
        folder = StateFolder(outbox.database.path.parent)
        self.stage = StationStage(outbox, folder, still_comes=lambda: self.comes, now=self._now)

    def _now(self) -> Instant:
        return self.moment

    def step(self, at: float) -> float:
        self.moment = instant(at)
        return self.stage.step()

    @property
    def ended_at(self) -> Instant | None:
        last = self.outbox.assignments.all()[-1]
        return last.starts if last.set_by == "run out" else None


def keeping(outbox: Outbox) -> Keeping:
    assign_person(outbox, "ann", doing("snatch", 50), rules=RULES, now=instant(), set_by="test")
    return Keeping(outbox)


def test_it_wakes_when_the_time_has_come(outbox: Outbox) -> None:
    station = keeping(outbox)

    assert station.step(60) == 30
    assert station.step(IDLE_S - 4) == 4
    assert station.ended_at is None
    station.step(IDLE_S)
    assert station.ended_at == instant(IDLE_S)
    assert station.step(IDLE_S + 60) == 30  # nobody is there: nothing to end


def test_a_recording_that_is_yet_to_be_taken_in_is_waited_for_within_reason(
    outbox: Outbox,
) -> None:
    station = keeping(outbox)
    station.comes = True

    station.step(IDLE_S + 60)
    assert station.ended_at is None
    station.step(IDLE_S + 1200)
    assert station.ended_at == instant(IDLE_S)


def test_a_capture_that_waits_to_be_looked_into_is_waited_for_however_long(outbox: Outbox) -> None:
    station = keeping(outbox)
    admitted(outbox)

    station.step(IDLE_S + 10**6)

    assert station.ended_at is None
