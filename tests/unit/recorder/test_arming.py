"""When the recorder may store: by orders, by time, and by what a person stopped."""

import time

from agent.bandwidth_schedule import parse_timetable
from agent.camera_link import FilmingOrder, LineReader, OrderReason, as_line
from agent.clock import Instant
from agent.recorder.cutting import Arming, ArmingPolicy

_MONDAY_NOON_S = 1_795_435_200.0 + 12 * 3600


def at(boot_s: float) -> Instant:
    return Instant(utc_s=_MONDAY_NOON_S + boot_s, boot_id="b", boot_s=boot_s)


def order(reason: OrderReason, said_s: float, until_s: float | None = None) -> FilmingOrder:
    until = None if until_s is None else at(until_s)
    return FilmingOrder(reason=reason, said=at(said_s), until=until)


def test_without_an_order_an_assigned_recorder_stores_nothing() -> None:
    assert Arming(ArmingPolicy()).look(at(100)).armed_by is None


def test_it_films_while_an_athlete_is_assigned_and_for_the_tail() -> None:
    arming = Arming(ArmingPolicy(tail_s=10))
    arming.hear(order(OrderReason.ASSIGNED, 100, 700))
    assert arming.look(at(100.2)).since_s == 100.2
    arming.hear(order(OrderReason.UNASSIGNED, 150))
    assert arming.look(at(151)).armed_by == "tail"
    arming.hear(order(OrderReason.UNASSIGNED, 155))  # the next second's order prolongs nothing
    assert arming.look(at(159.9)).armed_by == "tail"
    assert arming.look(at(160)).armed_by is None
    assert arming.look(at(161)).since_s == 160


def test_the_next_athlete_during_the_tail_makes_no_break() -> None:
    arming = Arming(ArmingPolicy(tail_s=10))
    arming.hear(order(OrderReason.ASSIGNED, 100, 700))
    begun = arming.look(at(101))
    arming.hear(order(OrderReason.UNASSIGNED, 150))
    arming.look(at(151))
    arming.hear(order(OrderReason.ASSIGNED, 155, 755))
    assert arming.look(at(156)).since_s == begun.since_s
    assert arming.look(at(170)).armed_by == "assigned"


def test_with_the_daemon_away_the_last_order_holds_until_its_end_and_no_longer() -> None:
    arming = Arming(ArmingPolicy(tail_s=10))
    arming.hear(order(OrderReason.ASSIGNED, 100, 700))
    assert arming.look(at(699.9)).armed_by == "assigned"
    assert arming.look(at(700)).armed_by is None


def test_stop_filming_disarms_at_once_in_every_mode_and_without_a_tail() -> None:
    for policy in (ArmingPolicy(tail_s=60), ArmingPolicy(assigned=False, tail_s=60)):
        arming = Arming(policy)
        arming.hear(order(OrderReason.ASSIGNED, 100, 700))
        assert arming.look(at(101)).armed_by is not None
        arming.hear(order(OrderReason.STOPPED, 102))
        assert arming.look(at(102)).armed_by is None
        assert arming.look(at(10_000)).armed_by is None  # until somebody says otherwise
        arming.hear(order(OrderReason.UNASSIGNED, 10_001))
        assert arming.look(at(10_002)).armed_by == (None if policy.assigned else "always")


def test_a_stop_with_an_end_is_over_then_also_with_the_daemon_away() -> None:
    arming = Arming(ArmingPolicy(assigned=False))
    arming.hear(order(OrderReason.STOPPED, 100, 400))
    assert arming.look(at(399)).armed_by is None
    assert arming.look(at(400)).armed_by == "always"


def test_a_timetable_films_in_its_hours() -> None:
    hours = parse_timetable("Mon 12:00-12:10 = unlimited, else off")
    arming = Arming(ArmingPolicy(assigned=False, hours=hours))
    noon_s = time.mktime((2026, 11, 23, 12, 5, 0, 0, 0, -1))  # a Monday, where the box stands
    inside = Instant(utc_s=noon_s, boot_id="b", boot_s=1.0)
    outside = Instant(utc_s=noon_s + 600, boot_id="b", boot_s=601.0)
    assert arming.look(inside).armed_by == "timetable"
    assert arming.look(outside).armed_by is None


def test_orders_survive_the_socket_and_nonsense_is_none() -> None:
    sent = order(OrderReason.ASSIGNED, 5, 15)
    lines = LineReader()
    whole = as_line({"order": sent.message()})
    assert list(lines.take(whole[:20])) == []
    (message,) = lines.take(whole[20:] + b"no json\n[1]\n")
    assert FilmingOrder.of_message(message["order"]) == sent
    for nonsense in ({}, {"reason": "x"}, {"reason": "stopped", "said": 5, "until": None}):
        assert FilmingOrder.of_message(nonsense) is None
