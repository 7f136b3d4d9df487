"""Cards: whom they put on the station, and that nobody is guessed."""

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.disk.state_folder import LEDGER_NAME, StateFolder
from agent.errors import RequestError
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.station.assignments import (
    assign_nobody,
    assign_person,
    assignment_status,
    record_default,
)
from agent.station.check_in import CheckIn, Tap, TapOutcome
from agent.station.recording_pause import filming, stop_filming
from agent.station.roster import NamedAthlete, note_guest, resolve_guest, take_over
from tests.factories import NOW_S, instant
from tests.integration.station.conftest import LIFTING, RULES, doing

CARD, OTHER = "04:A2:2B:61:9C:11:80", "0004512345"


@pytest.fixture
def desk(outbox: Outbox) -> CheckIn:
    """The cards of a station whose roster is known."""
    roster(outbox)
    return CheckIn(outbox, StateFolder(outbox.database.path.parent))


def roster(outbox: Outbox, *known: str) -> None:
    named = [NamedAthlete(key, key.title()) for key in known or ("ada", "ben", "owner")]
    take_over(outbox, named, complete=True, now_s=NOW_S)


def tap(desk: CheckIn, card: str = CARD, at: float = 0.0) -> Tap:
    return desk.tap(card, rules=RULES, now=instant(at), set_by="card")


def on_station(outbox: Outbox, at: float = 0.0) -> str | None:
    present = assignment_status(outbox, now=instant(at)).assignment
    return None if present is None else present.user_id


def test_a_card_puts_its_athlete_on_the_station_with_what_they_did_last(
    outbox: Outbox, desk: CheckIn
) -> None:
    assign_person(outbox, "ada", doing("clean", 80), rules=RULES, now=instant(), set_by="test")
    assign_nobody(outbox, now=instant(1), set_by="test")
    desk.link(CARD, "ada", now_s=NOW_S)
    desk.link(OTHER, "ben", now_s=NOW_S)

    first = tap(desk, at=10)

    assert first.outcome is TapOutcome.ASSIGNED and first.assignment is not None
    assert (first.assignment.exercise, first.assignment.barbell_mass_kg) == ("clean", 80)
    assert tap(desk, OTHER, at=20).outcome is TapOutcome.ASSIGNED
    assert on_station(outbox, 20) == "ben"


def test_who_is_on_already_stays_and_the_time_begins_again(outbox: Outbox, desk: CheckIn) -> None:
    desk.link(CARD, "ada", now_s=NOW_S)
    tap(desk)
    before = len(outbox.assignments.all())

    assert tap(desk, at=2000).outcome is TapOutcome.KEPT

    assert len(outbox.assignments.all()) == before and on_station(outbox, 2000 + 2600) == "ada"
    assert tap(desk, at=10_000).outcome is TapOutcome.ASSIGNED, "it has run out since"


def test_the_default_athlete_who_taps_stays_the_default(outbox: Outbox, desk: CheckIn) -> None:
    record_default(outbox, LIFTING, now=instant())
    desk.link(CARD, "owner", now_s=NOW_S)

    assert tap(desk, at=5).outcome is TapOutcome.KEPT
    assert len(outbox.assignments.all()) == 1


def test_a_card_is_the_same_for_every_reader_and_another_text_another_card(desk: CheckIn) -> None:
    desk.link(CARD, "ada", now_s=NOW_S)
    for same in ("04a22b619c1180", " 04 A2 2B 61 9C 11 80\n", "04-a2-2b-61-9c-11-80"):
        assert tap(desk, same).athlete is not None, same
    for other in ("04a2:2b:61:9c:11:80", "04A22B619C1181", "04a22b619c118", "x04a22b619c1180"):
        assert tap(desk, other).outcome is TapOutcome.UNKNOWN, other
    desk.link("Code-a", "ben", now_s=NOW_S)
    assert tap(desk, "code-a").outcome is TapOutcome.UNKNOWN
    for none in ("", "abc", "x" * 129, "a\x00bcd", "ab\ncd"):
        with pytest.raises(RequestError, match="printable") as refusal:
            tap(desk, none)
        assert not none or none not in str(refusal.value)


def test_an_unknown_card_changes_nothing_and_waits_to_be_linked(
    outbox: Outbox, desk: CheckIn
) -> None:
    assign_person(outbox, "ben", doing(), rules=RULES, now=instant(), set_by="test")
    assert tap(desk, OTHER).outcome is TapOutcome.UNKNOWN
    earlier = desk.waiting(now_s=NOW_S)
    assert tap(desk, at=1).outcome is TapOutcome.UNKNOWN
    waits = desk.waiting(now_s=NOW_S + 599)

    assert earlier is not None and waits is not None and not waits.is_refused
    assert on_station(outbox, 1) == "ben"
    assert desk.waiting(now_s=NOW_S + 700) is None and desk.waiting(now_s=NOW_S - 1) is None
    with pytest.raises(RequestError, match="no longer waits"):
        desk.link_waiting(earlier.digest, "ada", now_s=NOW_S + 2)
    with pytest.raises(RequestError, match="not in the roster"):
        desk.link_waiting(waits.digest, "eve", now_s=NOW_S + 2)
    desk.link_waiting(waits.digest, "ada", now_s=NOW_S + 2)
    assert desk.waiting(now_s=NOW_S + 2) is None
    assert tap(desk, at=3).outcome is TapOutcome.ASSIGNED


def test_who_left_the_account_is_refused_and_comes_back(outbox: Outbox, desk: CheckIn) -> None:
    desk.link(CARD, "ada", now_s=NOW_S)
    roster(outbox, "ben")

    assert tap(desk).outcome is TapOutcome.REFUSED and on_station(outbox) is None
    waits = desk.waiting(now_s=NOW_S)
    assert waits is not None and waits.is_refused
    with pytest.raises(RequestError, match="no longer waits"):
        desk.link_waiting(waits.digest, "ben", now_s=NOW_S)
    roster(outbox)
    assert tap(desk).outcome is TapOutcome.ASSIGNED and desk.waiting(now_s=NOW_S) is None


def test_a_card_of_somebody_is_not_linked_to_another_before_it_is_unlinked(
    outbox: Outbox, desk: CheckIn
) -> None:
    linked = desk.link(CARD, "ada", now_s=NOW_S)
    assert desk.link(CARD, "ada", now_s=NOW_S) == linked
    with pytest.raises(RequestError, match="linked to ada"):
        desk.link(CARD, "ben", now_s=NOW_S)

    desk.unlink(linked.id, now_s=NOW_S)
    assert tap(desk).outcome is TapOutcome.UNKNOWN and outbox.cards.all() == []
    for nothing in (CARD, linked.id, linked.id[:7]):
        with pytest.raises(RequestError, match="no such card"):
            desk.unlink(nothing, now_s=NOW_S)
    desk.link(CARD, "ben", now_s=NOW_S)
    desk.unlink(CARD, now_s=NOW_S)
    assert outbox.cards.all() == []


def test_a_guests_card_becomes_the_athletes(outbox: Outbox, desk: CheckIn) -> None:
    guest = note_guest(outbox, "Zoë", now_s=NOW_S)
    desk.link(CARD, guest.key, now_s=NOW_S)
    first = tap(desk)
    assert first.assignment is not None and first.assignment.guest_id == guest.id

    resolve_guest(outbox, guest.key, "ben", now_s=NOW_S)

    assert tap(desk, at=5).outcome is TapOutcome.KEPT
    assert [card.athlete for card in outbox.cards.all()] == ["ben"]


def test_while_filming_is_stopped_a_card_assigns_as_the_page_does(
    outbox: Outbox, desk: CheckIn
) -> None:
    desk.link(CARD, "ada", now_s=NOW_S)
    stop_filming(outbox, now=instant(), set_by="test", lasts_s=None)

    assert tap(desk, at=1).outcome is TapOutcome.ASSIGNED

    assert on_station(outbox, 1) == "ada" and filming(outbox, now=instant(1)).stopped


def test_what_a_card_says_is_stored_nowhere(outbox: Outbox, desk: CheckIn) -> None:
    linked = desk.link(OTHER, "ada", now_s=NOW_S)
    tap(desk, "unknown-card-77")
    root = outbox.database.path.parent
    outbox.database.checkpoint()

    for file in (path for path in root.rglob("*") if path.is_file()):
        assert OTHER.encode() not in file.read_bytes() and b"card-77" not in file.read_bytes()
    assert linked.digest != hashlib.sha256(OTHER.encode()).hexdigest()
    (root / "card-secret").write_bytes(os.urandom(32))
    assert tap(desk, OTHER).outcome is TapOutcome.UNKNOWN, "a database alone knows no card"


def lived(root: Path) -> None:
    """Leave a state folder with a card that was Ada's and is Ben's, and one that is nobody's."""
    (root / "tmp").mkdir(parents=True)
    with open_as_owner(root, now_s=NOW_S) as outbox:
        roster(outbox)
        desk = CheckIn(outbox, StateFolder(root))
        desk.link(CARD, "ada", now_s=NOW_S)
        desk.unlink(CARD, now_s=NOW_S)
        desk.link(OTHER, "ada", now_s=NOW_S)
        desk.unlink(OTHER, now_s=NOW_S)
        desk.link(CARD, "ben", now_s=NOW_S)


def test_cards_survive_the_loss_of_the_database(tmp_path: Path) -> None:
    lived(tmp_path / "state")
    (tmp_path / "state" / DATABASE_NAME).unlink()

    with open_as_owner(tmp_path / "state", now_s=NOW_S) as outbox:
        assert [card.athlete for card in outbox.cards.all()] == ["ben"]
        roster(outbox)
        assert tap(CheckIn(outbox, StateFolder(tmp_path / "state"))).athlete is not None


def test_a_card_that_may_be_anothers_by_now_is_nobodys_after_a_loss(tmp_path: Path) -> None:
    root = tmp_path / "state"
    lived(root)
    (root / DATABASE_NAME).unlink()
    lines = (root / LEDGER_NAME).read_text().split("\n")
    last = max(number for number, line in enumerate(lines) if '"ben"' in line)
    (root / LEDGER_NAME).write_text("\n".join(lines[:last]) + "\n")

    with open_as_owner(root, now_s=NOW_S) as outbox:
        assert outbox.cards.all() == []
    with closing(sqlite3.connect(root / DATABASE_NAME)) as connection:
        assert connection.execute("SELECT count(*) FROM card").fetchone() == (2,)
