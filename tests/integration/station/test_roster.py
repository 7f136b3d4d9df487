"""The roster: who is offered, in which order, and what becomes of guests."""

import pytest

from agent.errors import RequestError
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.roster import AccountAthlete
from agent.outbox.states import EntryState, Reason
from agent.station.assignments import assign_person, last_combination
from agent.station.roster import (
    athlete_of,
    find_athlete,
    name_of,
    note_guest,
    person_key,
    resolve_guest,
    search_athletes,
    searchable,
)
from tests.factories import NOW_S, admitted, instant, new_entry
from tests.integration.station.conftest import RULES, doing


def know(outbox: Outbox, *names: str, complete: bool = True, now_s: float = NOW_S) -> None:
    """Let the account name these athletes; ids are their names in lower case."""
    known = [
        AccountAthlete(user_id=name.lower(), name=name, folded=searchable(name)) for name in names
    ]
    outbox.roster.replace(known, complete=complete, now_s=now_s)


def offered(outbox: Outbox, text: str = "") -> list[str]:
    return [athlete.name for athlete in search_athletes(outbox, text)]


def test_who_was_on_the_station_last_comes_first(outbox: Outbox) -> None:
    know(outbox, "Ann", "Ben", "Cleo", "Dan")
    for at, key in enumerate(("cleo", "ben", "cleo")):
        assign_person(outbox, key, doing("snatch"), rules=RULES, now=instant(at), set_by="test")

    assert offered(outbox) == ["Cleo", "Ben", "Ann", "Dan"]
    assert offered(outbox, "n") == ["Ben", "Ann", "Dan"]
    assert offered(outbox, "zz") == []


def test_a_full_name_stands_for_one_person_and_a_key_for_itself(outbox: Outbox) -> None:
    known = [("a1", "Ann Lee"), ("a2", "Bo"), ("a3", "bo"), ("bo-id", "Cleo"), ("Cleo", "Dan")]
    outbox.roster.replace(
        [AccountAthlete(user_id=key, name=name, folded=searchable(name)) for key, name in known],
        complete=True,
        now_s=NOW_S,
    )

    assert person_key(outbox, "ann  LEE") == "a1"
    assert person_key(outbox, "Cleo") == "Cleo"  # a user id comes before somebody's name
    assert [person_key(outbox, said) for said in ("Ann", "new")] == ["Ann", "new"]
    with pytest.raises(RequestError, match="several athletes are called 'Bo'"):
        person_key(outbox, "Bo")

    outbox.roster.replace([], complete=True, now_s=NOW_S)
    assert person_key(outbox, "Ann Lee") == "Ann Lee"  # who left the account is not offered


def test_everybodys_own_last_masses_are_known(outbox: Outbox) -> None:
    know(outbox, "Ann", "Ben")
    for key, exercise, mass_kg in (
        ("ann", "snatch", 50.0),
        ("ann", "clean", 70.0),
        ("ben", "snatch", 90.0),
        ("ann", "snatch", 52.5),
    ):
        wanted = doing(exercise, mass_kg)
        assign_person(outbox, key, wanted, rules=RULES, now=instant(), set_by="test")

    ann = athlete_of(outbox, "ann")
    assert ann is not None and ann.masses_kg == {"snatch": 52.5, "clean": 70.0}
    again = assign_person(outbox, "ann", doing("clean"), rules=RULES, now=instant(9), set_by="t")
    assert again.barbell_mass_kg == 70.0
    last = last_combination(outbox, "ben")
    assert last is not None and (last.exercise, last.barbell_mass_kg) == ("snatch", 90.0)


def test_who_left_the_account_stays_for_old_clips_and_is_not_offered(outbox: Outbox) -> None:
    know(outbox, "Ann", "Ben")
    know(outbox, "Ben")
    assert offered(outbox) == ["Ben"]
    assert name_of(outbox, "ann") == "Ann"

    know(outbox, "Ann", complete=False)
    assert offered(outbox) == ["Ann", "Ben"]
    know(outbox, "Cleo", complete=False)
    assert offered(outbox) == ["Ann", "Ben", "Cleo"]


def test_a_new_name_takes_the_place_of_the_old_one(outbox: Outbox) -> None:
    know(outbox, "Ann")
    outbox.roster.replace(
        [AccountAthlete(user_id="ann", name="Ännchen", folded=searchable("Ännchen"))],
        complete=True,
        now_s=NOW_S,
    )

    assert offered(outbox, "annchen") == ["Ännchen"]
    assert "Ännchen" not in repr(athlete_of(outbox, "ann"))  # names stay out of logs


def held_for(outbox: Outbox, number: int, guest_id: int | None, reason: Reason) -> Entry:
    new = new_entry(admitted(outbox, number), state=EntryState.HELD, user_id=None)
    entry = outbox.entries.create(new, now_s=NOW_S)
    outbox.entries._db.change(
        "UPDATE entry SET guest_id = ?, reason = ? WHERE id = ?", (guest_id, reason, entry.id)
    )
    return entry


def test_a_guest_who_is_found_in_the_account_gets_all_that_was_held(outbox: Outbox) -> None:
    guest = note_guest(outbox, " Zoë\n ", now_s=NOW_S)
    other = note_guest(outbox, "Somebody", now_s=NOW_S)
    assert (guest.key, guest.name, guest.is_guest) == ("guest:1", "Zoë", True)
    assign_person(outbox, guest.key, doing("snatch"), rules=RULES, now=instant(), set_by="test")
    for number, (guest_id, reason) in enumerate(
        [(1, Reason.GUEST), (1, Reason.GUEST), (other.id, Reason.GUEST), (1, Reason.CLIP_DAMAGED)],
        start=1,
    ):
        held_for(outbox, number, guest_id, reason)

    released = resolve_guest(outbox, guest.key, "zoe-1", now_s=NOW_S)

    assert [(e.id, e.user_id, e.guest_id) for e in released] == [
        (1, "zoe-1", None),
        (2, "zoe-1", None),
    ]
    assert outbox.assignments.all()[-1].user_id == "zoe-1"  # what is filmed late goes there too
    assert [person.name for person in search_athletes(outbox)] == ["Somebody"]
    last = last_combination(outbox, "zoe-1")
    assert last is not None and last.exercise == "snatch"
    again = assign_person(outbox, guest.key, rules=RULES, now=instant(5), set_by="test")
    assert again.who == ("zoe-1", None)
    with pytest.raises(RequestError, match="already linked to zoe-1"):
        resolve_guest(outbox, guest.key, "somebody-else", now_s=NOW_S)


@pytest.mark.parametrize("key", ["guest:9", "guest:x", "guest:", "", "two\nlines", "x" * 200])
def test_what_is_no_person_is_refused(outbox: Outbox, key: str) -> None:
    with pytest.raises(RequestError):
        assign_person(outbox, key, rules=RULES, now=instant(), set_by="test")
    assert outbox.assignments.all() == []


def test_a_guests_key_never_means_an_athlete_of_the_account(outbox: Outbox) -> None:
    know(outbox, "Ann")
    ann = outbox.roster.by_user_id("ann")
    assert ann is not None

    assert athlete_of(outbox, f"guest:{ann.id}") is None
    with pytest.raises(RequestError, match="in the roster"):
        find_athlete(outbox, f"guest:{ann.id}")


def test_a_guest_needs_a_name(outbox: Outbox) -> None:
    with pytest.raises(RequestError, match="needs a name"):
        note_guest(outbox, "\u200e \n", now_s=NOW_S)
