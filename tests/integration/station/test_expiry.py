"""An assignment without a take ends: at the right moment, whatever the box went through."""

from agent.clock import Instant
from agent.outbox.assignments import AssignmentKind
from agent.outbox.outbox import Outbox
from agent.station.assignments import (
    assign_person,
    assignment_status,
    keep,
    record_default,
    record_run_out,
    record_run_out_now,
    renew,
    step_mass,
    timeline_of,
)
from tests.factories import admitted, instant
from tests.integration.station.conftest import LIFTING, RULES, doing

IDLE_S = 2700.0
NEXT_BOOT = "7d6f7a3e-0000-4000-8000-000000000002"


def put(outbox: Outbox, key: str = "ann", *, at: float = 0.0, lasts_s: float | None = None) -> None:
    assign_person(
        outbox,
        key,
        doing("snatch", 50.0),
        rules=RULES,
        now=instant(at),
        set_by="test",
        lasts_s=lasts_s,
    )


def who(outbox: Outbox, at: Instant) -> str | None:
    return timeline_of(outbox, now=at).at(at).user_id


def filmed(outbox: Outbox, at: float) -> None:
    renew(outbox, timeline_of(outbox, now=instant(at)), instant(at))


def test_without_a_take_nobody_is_there_from_the_very_moment_on(outbox: Outbox) -> None:
    record_default(outbox, LIFTING, now=instant())
    put(outbox)
    record_run_out_now(outbox, now=instant(IDLE_S - 1))
    assert who(outbox, instant(IDLE_S - 1)) == "ann"

    record_run_out_now(outbox, now=instant(9000))
    record_run_out_now(outbox, now=instant(9500))

    said = outbox.assignments.all()
    assert [(s.kind, s.set_by) for s in said[2:]] == [(AssignmentKind.NOBODY, "run out")]
    assert (who(outbox, instant(IDLE_S - 1)), who(outbox, instant(IDLE_S))) == ("ann", None)


def test_a_take_keeps_it_alive_and_so_does_a_word(outbox: Outbox) -> None:
    put(outbox)
    filmed(outbox, 2000)
    assert assignment_status(outbox, now=instant(2000)).left_s == IDLE_S
    record_run_out_now(outbox, now=instant(2000 + IDLE_S - 1))
    assert who(outbox, instant(4000)) == "ann"

    keep(outbox, now=instant(4000), set_by="page")
    record_run_out_now(outbox, now=instant(4000 + IDLE_S))

    assert outbox.assignments.all()[-1].starts == instant(4000 + IDLE_S)


def test_the_page_asks_in_time(outbox: Outbox) -> None:
    put(outbox)

    early, late = (
        assignment_status(outbox, now=instant(60)),
        assignment_status(outbox, now=instant(IDLE_S - 200)),
    )

    assert (early.since_s, early.left_s, early.asks) == (60, IDLE_S - 60, False)
    assert (late.left_s, late.asks) == (200, True)
    over = assignment_status(outbox, now=instant(IDLE_S + 1))
    assert (over.assignment, over.asks) == (None, False)


def test_while_captures_wait_to_be_looked_into_nothing_runs_out(outbox: Outbox) -> None:
    put(outbox)
    admitted(outbox)

    record_run_out_now(outbox, now=instant(9000))

    assert len(outbox.assignments.all()) == 1
    assert assignment_status(outbox, now=instant(9000)).left_s == 0.0


def test_an_assignment_that_had_run_out_before_the_next_one_did_so_all_the_same(
    outbox: Outbox,
) -> None:
    put(outbox, "ann")
    admitted(outbox)  # so the daemon could not yet say that it has run out
    put(outbox, "ben", at=9000)

    of_a_take = instant(5000)
    record_run_out(outbox, timeline_of(outbox, now=of_a_take), by=of_a_take)

    people = [who(outbox, instant(at)) for at in (100, IDLE_S - 1, IDLE_S, 5000, 9000, 9100)]
    assert people == ["ann", "ann", None, None, "ben", "ben"]


def test_more_on_the_bar_is_a_new_interval_of_the_same_athlete(outbox: Outbox) -> None:
    put(outbox)

    more = step_mass(outbox, 2.5, rules=RULES, now=instant(2000), set_by="page")

    assert (more.user_id, more.barbell_mass_kg, more.idle_s) == ("ann", 52.5, IDLE_S)
    assert who(outbox, instant(2000 + IDLE_S - 1)) == "ann"


def test_an_assignment_of_fixed_length_ends_with_it_whatever_is_filmed(outbox: Outbox) -> None:
    put(outbox, lasts_s=1800)
    filmed(outbox, 1700)
    assert assignment_status(outbox, now=instant(1700)).left_s == 100
    more = step_mass(outbox, 2.5, rules=RULES, now=instant(1700), set_by="page")
    assert more.lasts_s == 100

    assert (who(outbox, instant(1799)), who(outbox, instant(1800))) == ("ann", None)
    put(outbox, at=2000, lasts_s=600)
    keep(outbox, now=instant(2500), set_by="page")
    assert who(outbox, instant(3099)) == "ann"


def next_boot(utc_s: float, boot_s: float, *, trusted: bool = True) -> Instant:
    return Instant(utc_s=instant(utc_s).utc_s, boot_id=NEXT_BOOT, boot_s=boot_s, trusted=trusted)


def test_it_runs_out_across_a_restart_of_the_box(outbox: Outbox) -> None:
    put(outbox)
    record_run_out_now(outbox, now=next_boot(IDLE_S - 10, 60))
    assert len(outbox.assignments.all()) == 1

    record_run_out_now(outbox, now=next_boot(IDLE_S + 20, 90))

    assert who(outbox, next_boot(IDLE_S - 1, 69)) == "ann"
    assert who(outbox, next_boot(IDLE_S, 70)) is None


def test_it_runs_out_while_the_box_is_off(outbox: Outbox) -> None:
    put(outbox)
    record_run_out_now(outbox, now=next_boot(90_000, 5))

    assert who(outbox, next_boot(90_000, 0.1)) is None
    assert who(outbox, instant(100)) == "ann"


def test_it_runs_out_in_a_boot_between(outbox: Outbox) -> None:
    """A recording of that boot, found later, is the athlete's until the moment itself."""
    put(outbox)
    outbox.assignments.note_boot(NEXT_BOOT)
    after = Instant(utc_s=instant(IDLE_S + 60).utc_s, boot_id="third", boot_s=5.0)
    outbox.assignments.note_boot("third")
    record_run_out_now(outbox, now=after)

    assert who(outbox, after) is None
    assert who(outbox, next_boot(IDLE_S - 1, 69)) == "ann"
    assert who(outbox, next_boot(IDLE_S + 1, 71)) is None
    assert who(outbox, instant(0)) == "ann"


def test_a_clock_that_is_not_trusted_ends_nothing_before_its_time(outbox: Outbox) -> None:
    put(outbox)

    record_run_out_now(outbox, now=next_boot(10**6, 60, trusted=False))
    assert len(outbox.assignments.all()) == 1
    record_run_out_now(outbox, now=next_boot(10**6, IDLE_S + 5, trusted=False))
    assert outbox.assignments.all()[-1].set_by == "run out"


def test_a_jump_of_the_clock_ends_nothing(outbox: Outbox) -> None:
    put(outbox)
    year_on = Instant(utc_s=instant(3e7).utc_s, boot_id=instant().boot_id, boot_s=1000.0 + 60)

    record_run_out_now(outbox, now=year_on)

    assert len(outbox.assignments.all()) == 1
