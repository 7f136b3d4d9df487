"""Groups of athletes: made, imported, narrowing the list, taking turns, and surviving."""

from pathlib import Path

import pytest

from agent.disk.state_folder import LEDGER_NAME
from agent.errors import RequestError
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.station.assignments import assign_person, enqueue, rotates
from agent.station.check_in import (
    change_members,
    find_group,
    import_groups,
    new_group,
    queue_group,
    remove_group,
    set_group,
)
from agent.station.roster import (
    NamedAthlete,
    note_guest,
    resolve_guest,
    search_athletes,
    take_over,
)
from tests.factories import NOW_S, instant
from tests.integration.station.conftest import RULES, doing

PEOPLE = {
    "ada": "Ada Bel",
    "ben": "Ben Müller",
    "cleo": "Cleo",
    "dan": "Dan Twin",
    "d2": "Dan Twin",
}


def roster(outbox: Outbox, *, without: str = "") -> None:
    """Let the account's athletes be known, perhaps but for one who left."""
    known = [NamedAthlete(key, name) for key, name in PEOPLE.items() if key != without]
    take_over(outbox, known, complete=True, now_s=NOW_S)


@pytest.fixture(autouse=True)
def _roster(outbox: Outbox) -> None:
    roster(outbox)


def members(outbox: Outbox, name: str) -> tuple[str, ...]:
    group = find_group(outbox, name)
    assert group is not None
    return group.members


def test_a_file_is_imported_whole_and_replaces_the_groups_that_it_names(outbox: Outbox) -> None:
    set_group(outbox, "Évening", ["cleo"], now_s=NOW_S)
    set_group(outbox, "U18", ["cleo"], now_s=NOW_S)
    table = "Athlete;note;GROUP\r\nBEN MULLER;x;u18\r\nada;;U18\r\n\r\nada;;Juniors\r\n"

    import_groups(outbox, table.encode("utf-8-sig"), now_s=NOW_S)

    assert [group.name for group in outbox.groups.all()] == ["Évening", "U18", "Juniors"]
    assert members(outbox, "u18") == ("ben", "ada") and members(outbox, "juniors") == ("ada",)
    assert members(outbox, "evening") == ("cleo",)
    import_groups(outbox, "group,athlete\nU18,Ben Müller\n".encode("cp1252"), now_s=NOW_S)
    assert members(outbox, "U18") == ("ben",)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (b"U18,ada\n", "does not name the columns"),
        (b"", "does not name the columns"),
        (
            b"group,athlete\nU18,ada\nU18,Dan Twin\nU18,\nU18,Eve\n",
            "line 3: several.*line 4.*line 5",
        ),
        (b"group,athlete\n,ada\n", "needs a name"),
        (b'group,athlete\nU18,"ada' + b"x" * 200_000, "line|athlete"),
        (b"\xff\xfe\x00group", "does not name the columns"),
        (b"group,athlete\n" + b"x" * 61 + b",ada\n", "line 2: .* at most 60"),
        (b"group,athlete\n" + b"U18,nobody\n" * 1000, r"line 21: .*; and 980 more lines$"),
    ],
)
def test_a_file_with_a_fault_changes_nothing(outbox: Outbox, table: bytes, fault: str) -> None:
    with pytest.raises(RequestError, match=fault):
        import_groups(outbox, table, now_s=NOW_S)
    assert outbox.groups.all() == []


def test_a_file_of_many_lines_with_names_over_two_lines_is_imported(outbox: Outbox) -> None:
    lines = 'U18;"Ben\nMüller"\nU18;"Ada  Bel"\nU21;cleo\n' * 3000

    import_groups(outbox, f"group;athlete\n{lines}".encode("utf-8-sig"), now_s=NOW_S)

    assert (members(outbox, "U18"), members(outbox, "U21")) == (("ben", "ada"), ("cleo",))


@pytest.mark.parametrize("name", ["U18", " u18 ", "U18\u200b", "\u202eU18", "U\x0018\n", "Ú18"])
def test_a_name_that_is_shown_like_another_groups_is_that_groups(outbox: Outbox, name: str) -> None:
    shown = "U 18" if "\x00" in name else "U18"
    set_group(outbox, shown, ["ada"], now_s=NOW_S)

    with pytest.raises(RequestError, match="already"):
        new_group(outbox, name, now_s=NOW_S)

    assert members(outbox, name) == ("ada",)


def test_a_name_too_long_is_not_cut_to_another_groups(outbox: Outbox) -> None:
    set_group(outbox, "x" * 60, ["ada"], now_s=NOW_S)

    with pytest.raises(RequestError, match="at most 60"):
        new_group(outbox, "x" * 61, now_s=NOW_S)
    with pytest.raises(RequestError, match="at most 60"):
        set_group(outbox, "x" * 10_000, [], now_s=NOW_S)

    assert members(outbox, "x" * 60) == ("ada",)


def test_members_come_and_go_and_only_who_is_offered_can_join(outbox: Outbox) -> None:
    group = set_group(outbox, "U18", ["ada", "ada", "cleo"], now_s=NOW_S)
    change_members(outbox, group.id, add=["ben"], leave=["ada"], now_s=NOW_S)
    assert members(outbox, "U18") == ("cleo", "ben")

    roster(outbox, without="cleo")
    for key in ("cleo", "eve", "guest:9"):
        with pytest.raises(RequestError, match="not in the roster"):
            change_members(outbox, "U18", add=[key], now_s=NOW_S)
    with pytest.raises(RequestError, match="not in the group"):
        change_members(outbox, "U18", leave=["ada"], now_s=NOW_S)
    change_members(outbox, "U18", leave=["cleo"], now_s=NOW_S)

    remove_group(outbox, "u18", now_s=NOW_S)
    with pytest.raises(RequestError, match="no group"):
        remove_group(outbox, group.id, now_s=NOW_S)


def test_a_group_narrows_the_list_and_comes_by_name(outbox: Outbox) -> None:
    group = set_group(outbox, "U18", ["cleo", "ada"], now_s=NOW_S)
    assign_person(outbox, "cleo", doing(), rules=RULES, now=instant(), set_by="test")

    def found(text: str = "") -> list[str]:
        return [one.key for one in search_athletes(outbox, text, group_id=group.id)]

    assert found() == ["ada", "cleo"] and found("ben") == [] and found("CL") == ["cleo"]
    roster(outbox, without="ada")
    assert found() == ["cleo"]


def test_a_group_takes_turns_without_those_who_are_there_or_wait_already(outbox: Outbox) -> None:
    set_group(outbox, "U18", ["cleo", "ben", "ada", "dan"], now_s=NOW_S)
    assign_person(outbox, "ben", doing(), rules=RULES, now=instant(), set_by="test")
    enqueue(outbox, "ada", rules=RULES)
    roster(outbox, without="dan")

    _, queued = queue_group(outbox, "U18", rules=RULES, now=instant(1))

    assert queued == 1 and rotates(outbox)
    assert [place.target.user_id for place in outbox.queue.all()] == ["ada", "cleo"]
    set_group(outbox, "Nobody", [], now_s=NOW_S)
    with pytest.raises(RequestError, match="has no athletes"):
        queue_group(outbox, "Nobody", rules=RULES, now=instant(1))


def test_a_guest_who_is_resolved_stays_in_the_group(outbox: Outbox) -> None:
    guest = note_guest(outbox, "Zoë", now_s=NOW_S)
    set_group(outbox, "U18", [guest.key, "ada"], now_s=NOW_S)

    resolve_guest(outbox, guest.key, "ben", now_s=NOW_S)

    assert members(outbox, "U18") == ("ben", "ada")
    assert set_group(outbox, "U18", [guest.key], now_s=NOW_S).members == ("ben",)


def test_groups_survive_the_loss_of_the_database(tmp_path: Path) -> None:
    root = tmp_path / "state"
    (root / "tmp").mkdir(parents=True)
    with open_as_owner(root, now_s=NOW_S) as outbox:
        roster(outbox)
        set_group(outbox, "U18", ["ada"], now_s=NOW_S)
        change_members(outbox, "U18", add=["ben"], now_s=NOW_S)
        set_group(outbox, "Old", ["ada"], now_s=NOW_S)
        remove_group(outbox, "Old", now_s=NOW_S)
    assert "Old" in (root / LEDGER_NAME).read_text()
    (root / DATABASE_NAME).unlink()

    with open_as_owner(root, now_s=NOW_S) as outbox:
        assert [(one.name, one.members) for one in outbox.groups.all()] == [("U18", ("ada", "ben"))]
