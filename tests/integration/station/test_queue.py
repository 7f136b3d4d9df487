"""The queue: its order, and whoever makes way."""

import pytest

from agent.errors import RequestError
from agent.outbox.assignments import Assignment
from agent.outbox.outbox import Outbox
from agent.station.assignments import (
    assign_nobody,
    assign_person,
    assignment_status,
    enqueue,
    move_in_queue,
    next_in_queue,
    set_rotate,
    step_mass,
)
from agent.station.clip_actions import undo, unqueue
from tests.factories import instant
from tests.integration.station.conftest import RULES, doing


def waiting(outbox: Outbox) -> list[str | None]:
    return [queued.target.user_id for queued in outbox.queue.all()]


def following(outbox: Outbox, at: float) -> Assignment:
    return next_in_queue(outbox, rules=RULES, now=instant(at))


def test_the_queue_can_be_put_into_any_order(outbox: Outbox) -> None:
    places = [enqueue(outbox, key, rules=RULES) for key in ("ann", "ben", "cleo")]

    move_in_queue(outbox, places[2].id, to=1)
    assert waiting(outbox) == ["cleo", "ann", "ben"]
    move_in_queue(outbox, places[2].id, to=99)
    unqueue(outbox, places[1].id, now=instant())

    assert waiting(outbox) == ["ann", "cleo"]
    with pytest.raises(RequestError, match="no entry"):
        unqueue(outbox, places[1].id, now=instant())
    with pytest.raises(RequestError, match="no entry"):
        move_in_queue(outbox, 99, to=1)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_who_was_taken_out_comes_back_to_the_same_place(outbox: Outbox, place: int) -> None:
    everybody = ["ann", "ben", "cleo"]
    places = [enqueue(outbox, key, rules=RULES) for key in everybody]

    left = unqueue(outbox, places[place].id, now=instant())
    assert waiting(outbox) == [key for key in everybody if key != everybody[place]]
    undo(outbox, left.id, now=instant(5))

    assert waiting(outbox) == everybody


def test_next_puts_the_first_one_on_the_station_with_their_own_mass(outbox: Outbox) -> None:
    assign_person(outbox, "ann", doing("clean", 80), rules=RULES, now=instant(), set_by="test")
    enqueue(outbox, "ben", doing("snatch", 40), rules=RULES)
    enqueue(outbox, "ann", rules=RULES)

    ben, ann = following(outbox, 10), following(outbox, 20)

    assert (ben.user_id, ben.barbell_mass_kg, ben.set_by) == ("ben", 40, "queue")
    assert (ann.user_id, ann.exercise, ann.barbell_mass_kg) == ("ann", "clean", 80)
    with pytest.raises(RequestError, match="queue is empty"):
        following(outbox, 30)


def test_rotating_lets_two_take_turns_each_with_their_own_mass(outbox: Outbox) -> None:
    assign_person(outbox, "ann", doing("snatch", 50), rules=RULES, now=instant(), set_by="test")
    enqueue(outbox, "ben", doing("snatch", 90), rules=RULES)
    set_rotate(outbox, on=True)

    turns = []
    for number in range(1, 5):
        said = following(outbox, 100.0 * number)
        turns.append((said.user_id, said.barbell_mass_kg))
        step_mass(outbox, 2.5, rules=RULES, now=instant(100.0 * number + 50), set_by="page")

    assert turns == [("ben", 90), ("ann", 50), ("ben", 92.5), ("ann", 52.5)]
    assert waiting(outbox) == ["ben"]


def test_nobody_and_the_default_do_not_go_round(outbox: Outbox) -> None:
    enqueue(outbox, "ann", rules=RULES)
    enqueue(outbox, "ben", rules=RULES)
    set_rotate(outbox, on=True)

    following(outbox, 10)
    assign_nobody(outbox, now=instant(20), set_by="test")
    following(outbox, 30)

    assert waiting(outbox) == []


def test_who_was_there_too_long_does_not_go_round(outbox: Outbox) -> None:
    assign_person(outbox, "ann", doing("snatch", 50), rules=RULES, now=instant(), set_by="test")
    enqueue(outbox, "ben", rules=RULES)
    set_rotate(outbox, on=True)

    following(outbox, 9000)

    assert waiting(outbox) == []
    assert [said.set_by for said in outbox.assignments.all()] == ["test", "run out", "queue"]


def test_the_queue_holds_only_what_the_api_would_take(outbox: Outbox) -> None:
    with pytest.raises(RequestError, match="unknown exercise"):
        enqueue(outbox, "ann", doing("squat"), rules=RULES)
    assert waiting(outbox) == []


def test_a_place_that_is_gone_is_never_anothers(outbox: Outbox) -> None:
    stale = enqueue(outbox, "ann", rules=RULES)  # as another tablet still shows it
    unqueue(outbox, stale.id, now=instant())
    enqueue(outbox, "ben", rules=RULES)

    with pytest.raises(RequestError, match="no entry"):
        unqueue(outbox, stale.id, now=instant(1))
    with pytest.raises(RequestError, match="no entry"):
        move_in_queue(outbox, stale.id, to=1)

    assert waiting(outbox) == ["ben"]


def test_next_on_two_tablets_at_once_lets_one_athlete_on(outbox: Outbox) -> None:
    shown = enqueue(outbox, "ann", rules=RULES)
    enqueue(outbox, "ben", rules=RULES)

    def press(at: float) -> Assignment:
        return next_in_queue(outbox, rules=RULES, now=instant(at), expected=shown.id)

    assert press(0).user_id == "ann"
    with pytest.raises(RequestError, match="has changed"):
        press(0.3)

    assert waiting(outbox) == ["ben"]
    present = assignment_status(outbox, now=instant(1)).assignment
    assert present is not None and present.user_id == "ann"
