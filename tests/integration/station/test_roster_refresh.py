"""The roster keeps itself up to date, and is kept when it cannot."""

from agent.clock import Instant
from agent.errors import ApiUnavailableError
from agent.outbox.outbox import Outbox
from agent.station.roster import NamedAthlete, RosterStage, request_roster, search_athletes
from tests.factories import NOW_S, instant


class Refreshing:
    """A stage with an account, a lane and a clock that tests set."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.account: list[NamedAthlete] | ApiUnavailableError = [
            NamedAthlete("a", "Ann"),
            NamedAthlete("b", "Ben"),
        ]
        self.is_open = True
        self.asked = 0
        self.clock_s = 0.0
        self.stage = RosterStage(
            outbox, fetch=self._fetch, is_open=lambda: self.is_open, now=self._now
        )

    def _now(self) -> Instant:
        return instant(self.clock_s)

    def _fetch(self) -> tuple[list[NamedAthlete], bool]:
        self.asked += 1
        if isinstance(self.account, ApiUnavailableError):
            raise self.account
        return self.account, True

    def step(self, at: float) -> float:
        self.clock_s = at
        return self.stage.step()

    @property
    def names(self) -> list[str]:
        return [athlete.name for athlete in search_athletes(self.outbox)]


def test_it_is_fetched_at_the_start_and_every_few_hours(outbox: Outbox) -> None:
    refreshing = Refreshing(outbox)

    assert refreshing.step(0) == 4 * 3600
    refreshing.account = [NamedAthlete("b", "Ben"), NamedAthlete("c", "Cleo")]
    assert refreshing.step(3600) == 3 * 3600
    assert refreshing.names == ["Ann", "Ben"]
    refreshing.step(4 * 3600)
    assert refreshing.names == ["Ben", "Cleo"]


def test_nothing_is_asked_while_the_lane_is_closed(outbox: Outbox) -> None:
    refreshing = Refreshing(outbox)
    refreshing.is_open = False

    assert refreshing.step(0) == 5
    assert refreshing.asked == 0
    refreshing.is_open = True
    refreshing.step(5)
    assert refreshing.asked == 1


def test_a_failure_keeps_what_is_there_and_is_tried_again_later(outbox: Outbox) -> None:
    refreshing = Refreshing(outbox)
    refreshing.step(0)
    refreshing.account = ApiUnavailableError("gone", reason="network")

    assert refreshing.step(4 * 3600) == 600
    assert refreshing.step(4 * 3600 + 60) == 540
    assert (refreshing.asked, refreshing.names) == (2, ["Ann", "Ben"])
    refreshing.step(4 * 3600 + 600)
    assert refreshing.asked == 3


def test_a_person_who_asks_is_answered_at_once_and_once(outbox: Outbox) -> None:
    refreshing = Refreshing(outbox)
    refreshing.step(0)

    request_roster(outbox, now_s=NOW_S + 60)
    refreshing.step(61)
    refreshing.step(62)

    assert refreshing.asked == 2


def test_an_empty_account_is_not_believed(outbox: Outbox) -> None:
    refreshing = Refreshing(outbox)
    refreshing.step(0)
    refreshing.account = []

    refreshing.step(5 * 3600)

    assert refreshing.names == ["Ann", "Ben"]


def test_hostile_names_and_ids_are_tamed(outbox: Outbox) -> None:
    refreshing = Refreshing(outbox)
    refreshing.account = [
        NamedAthlete("a", "A\x00\u202ename\n" + "x" * 10_000),
        NamedAthlete("b", "\u200f"),
        NamedAthlete("two\nlines", "Eve"),
        NamedAthlete("guest:1", "Mallory"),
        NamedAthlete("x" * 500, "Long"),
    ]

    refreshing.step(0)

    assert [len(name) for name in refreshing.names] == [120, 1]
    assert refreshing.names[1] == "b"


def test_missing_body_measures_are_known_until_the_account_has_them(outbox: Outbox) -> None:
    refreshing = Refreshing(outbox)
    refreshing.account = [NamedAthlete("a", "Ann", ("weight", "ycom")), NamedAthlete("b", "Ben")]
    refreshing.step(0)

    assert [(one.user_id, one.lacks) for one in outbox.roster.lacking()] == [
        ("a", ("weight", "ycom"))
    ]
    refreshing.account = [NamedAthlete("a", "Ann"), NamedAthlete("b", "Ben")]
    refreshing.step(4 * 3600)
    assert not outbox.roster.lacking()
