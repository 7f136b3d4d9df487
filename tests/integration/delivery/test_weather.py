"""Many faults in an order drawn by chance, with people, kills and rebuilds in between.

The sandbox's own book is the judge: no clip has two sessions, and every session is on record.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from agent.errors import AgentError
from agent.outbox.corrections import UndoableAction
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.models import ClipTarget, Entry
from agent.outbox.recovery import open_as_owner, rewritten_log
from agent.outbox.states import EntryState, Reason, Recipient
from agent.sandbox.server import Sandbox
from agent.station import clip_actions
from agent.station.assignments import StationRules
from tests.integration.delivery.conftest import World

STATION = ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
ATHLETES = ("someUserId123", "athlete-0002")
FAULTS = (
    *("cut:at=0", "cut:at=50", "cut:at=99", "reset:at=50", "503:retry-after=30,early"),
    *("429:retry-after=5", "html", "redirect", "400", "403", "401", "503@status"),
)
UNKNOWN = ("lost-answer", "502:made", "504:made", "truncated-json", "cut:at=100", "500", "408")
LISTS = (
    *("html@list", "500@list*2", "limit-list:n=1*3", "limit-list:n=2*5", "hide-list*2"),
    *("hide-list*4", "strip-titles*3", "short-titles:n=8*3", "late-list:s=90*3"),
    *("long-list:n=50*4", "limit-list:n=0"),
)
_STEPS = 60
_DAY_S = 86_400.0


class Weather:
    """One lane, and everything that happens to it."""

    def __init__(self, world: World, sandbox: Sandbox, seed: int) -> None:
        self._world = world
        self._sandbox = sandbox
        self._chance = random.Random(seed)
        self._clips = 1
        self._undoable: UndoableAction | None = None
        sandbox.clock = lambda: world.clock_s
        world.outbox.close()
        self._open()
        world.add()
        world.run(100)  # an account that shows nothing at all proves more: not here

    def change(self) -> None:
        """Let one thing happen."""
        happenings: list[tuple[int, Callable[[], object]]] = [
            (2, self._film),
            (5, self._lose_an_answer),
            (4, lambda: self._world.run(self._chance.choice([1, 10, 130, 1000, 5000]))),
            (3, self._world.lane.step),
            (1, lambda: self._sandbox.add_fault(self._chance.choice(FAULTS))),
            (2, self._clear_faults),
            (1, lambda: self._sandbox.replace_key(f"key-{self._chance.random()}")),
            (2, self._renew_key),
            (1, self._world.start),
            (1, self._lose_database),
            (1, self._write_ledger_anew),
            (5, self._steer),
        ]
        weights, ways = zip(*happenings, strict=True)
        with suppress(AgentError):  # a person is told why not
            self._chance.choices(ways, weights)[0]()

    def clear_up(self) -> None:
        """Let all faults end, and time pass."""
        self._sandbox.clear_faults()
        self._renew_key()
        self._world.run(4 * _DAY_S)

    def _film(self) -> None:
        self._clips += 1
        self._world.add(self._clips, size_bytes=self._chance.choice([1000, 200_000]))

    def _lose_an_answer(self) -> None:
        self._clear_faults()
        self._film()
        self._sandbox.add_fault(self._chance.choice(UNKNOWN))
        self._sandbox.add_fault(self._chance.choice(LISTS))
        for _ in range(self._chance.randint(1, 4)):
            self._world.lane.step()

    def _clear_faults(self) -> None:
        self._renew_key()
        self._sandbox.clear_faults()

    def _renew_key(self) -> None:
        self._world.key = self._sandbox.tokens[0]

    def _open(self) -> None:
        self._world.outbox = open_as_owner(self._world.folder.root, now_s=self._world.clock_s)
        self._world.start()

    def _lose_database(self) -> None:
        self._world.outbox.close()
        (self._world.folder.root / DATABASE_NAME).unlink()
        self._open()

    def _write_ledger_anew(self) -> None:
        with rewritten_log(self._world.outbox):
            pass

    def _steer(self) -> None:
        box, now = self._world.outbox, self._world.now()
        entry = self._world.entry(self._chance.randint(1, self._clips))
        verb = self._chance.choice(["give", "hold", "release", "discard", "undo", "retry"])
        if verb in {"give", "release"} and not self._may_be_sent_again(entry):
            return
        if verb == "give":
            whom, rules = self._chance.choice(ATHLETES), StationRules(default=STATION)
            clip_actions.give(box, entry, whom, rules=rules, now_s=now.utc_s)
        elif verb == "hold":
            clip_actions.hold(box, entry, now_s=now.utc_s)
        elif verb == "release":
            clip_actions.release(
                box, entry, said=None, rules=StationRules(default=STATION), now_s=now.utc_s
            )
        elif verb == "discard":
            self._undoable = clip_actions.discard_undoably(box, entry, now=now)
        elif verb == "undo" and self._undoable is not None:
            clip_actions.undo(box, self._undoable.id, now=now)
        elif verb == "retry":
            clip_actions.retry(box, entry, now_s=now.utc_s)

    def _may_be_sent_again(self, entry: Entry) -> bool:
        """Play the person who looks at the API before having an unknown outcome sent again."""
        is_there = any(entry.clip_code in session.title for session in self._sandbox.book.sessions)
        return not (is_there and entry.reason == Reason.OUTCOME_UNKNOWN)


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.soak) for n in range(4, 100))]
)
def test_nothing_is_sent_twice_and_every_session_is_on_record(
    world: World, sandbox: Sandbox, seed: int
) -> None:
    weather = Weather(world, sandbox, seed)
    for _ in range(_STEPS):
        weather.change()
    weather.clear_up()

    sent = Counter(session.video_name for session in sandbox.book.sessions)
    assert set(sent.values()) == {1}, sent
    assert sorted(faults_of_record(world, sandbox)) == []


def faults_of_record(world: World, sandbox: Sandbox) -> Iterator[str]:
    """Yield what the outbox says otherwise than the book of the API."""
    made = {session.video_name: session for session in sandbox.book.sessions}
    for entry in world.outbox.entries.in_states(set(EntryState)):
        session = made.get(f"{entry.clip_code}.mp4")
        if entry.state is not EntryState.UPLOADED:
            is_known = entry.state in {EntryState.HELD, EntryState.DISCARDED, EntryState.DEAD}
            if not is_known or (session and entry.reason == Reason.OUTCOME_UNKNOWN):
                yield f"{entry.name} is {entry.state}: {entry.reason}"
        elif session is None or session.session_id != entry.session_id:
            yield f"{entry.name} has not its session"
        elif (session.video_sha256, session.user_id) != (entry.clip_sha256, entry.user_id):
            yield f"{entry.name} is another clip, or another athlete's"
