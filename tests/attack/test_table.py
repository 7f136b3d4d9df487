"""docs/security.md says what each user can do: every line of that table has its tests."""

import re
from pathlib import Path

from tests.conftest import REPOSITORY

_ACCESS = "integration/web/test_access.py"
_OTHERS = "attack/test_others.py"

# The user that a line is about, and the tests that hold it.
PROOFS: dict[str, tuple[tuple[str, str], ...]] = {
    "`root`, by `sudo spotter ...`": (
        ("attack/test_sudo.py", "test_a_path_in_a_row_lets_forget_remove_nothing_outside"),
        ("attack/test_sudo.py", "test_a_path_as_a_clip_code_lets_forget_remove_nothing_outside"),
        ("attack/test_sudo.py", "test_a_path_in_a_row_lets_discard_overwrite_no_document"),
        (
            "attack/test_sudo.py",
            "test_a_link_that_is_laid_while_forget_asks_leads_root_nowhere",
        ),
        (
            "attack/test_sudo.py",
            "test_what_root_asks_for_is_written_at_roots_own_place_and_all_else_is_the_owners",
        ),
        (
            "attack/test_sudo.py",
            "test_what_root_fetches_comes_to_roots_place_by_way_of_the_owner",
        ),
        ("attack/test_sudo.py", "test_root_runs_no_station_in_the_folder_of_another_user"),
        (_OTHERS, "test_what_a_member_plants_runs_neither_as_root_nor_as_the_service"),
    ),
    "`spotter`": (
        ("integration/test_units.py", "test_the_service_is_exposed_little"),
        (
            "integration/test_units.py",
            "test_model_database_and_watcher_work_under_the_restrictions_of_the_unit",
        ),
    ),
    "`spotter-camera`": (
        (
            "attack/test_camera.py",
            "test_in_its_unit_the_camera_sees_nothing_of_what_is_kept_but_its_folder",
        ),
        (
            "attack/test_camera.py",
            "test_a_folder_that_is_swapped_for_a_link_takes_nothing_from_elsewhere",
        ),
        ("attack/test_camera.py", "test_a_link_to_what_is_stored_already_costs_no_recording"),
        (
            "attack/test_camera.py",
            "test_a_name_that_is_used_for_every_recording_stores_none_under_anothers_hash",
        ),
    ),
    "members of group `spotter`": (
        (
            "unit/settings/test_settings.py",
            "test_a_secret_of_the_page_counts_only_as_the_folders_owner_wrote_it",
        ),
        (
            "integration/station/test_recorder_socket.py",
            "test_the_camera_is_told_to_no_other_user_without_the_token",
        ),
        (_OTHERS, "test_a_member_reads_recordings_and_steers_but_not_the_key_of_root_alone"),
        (_OTHERS, "test_what_a_member_plants_runs_neither_as_root_nor_as_the_service"),
        ("attack/test_sudo.py", "test_a_path_in_a_row_lets_forget_remove_nothing_outside"),
    ),
    "another user of the box": (
        (_OTHERS, "test_a_stranger_reads_and_writes_nothing_of_the_station"),
        (_OTHERS, "test_a_stranger_is_told_what_to_do_and_nothing_that_is_not_so"),
        (_ACCESS, "test_on_this_box_without_a_pin_only_the_page_itself_changes_anything"),
    ),
    "a reader of the state folder": (
        (_OTHERS, "test_a_reader_of_the_folder_does_not_keep_the_daemon_from_starting"),
    ),
    "a device on the network": (
        (_ACCESS, "test_the_places_for_anybody_are_few_and_known"),
        (_ACCESS, "test_nobody_comes_in_without_or_with_a_wrong_or_an_old_session"),
        (_ACCESS, "test_a_foreign_origin_is_refused_even_with_a_session"),
        (_ACCESS, "test_ten_thousand_guesses_do_not_get_in_and_lock_out_no_paired_device"),
        (_ACCESS, "test_wrong_pins_from_many_addresses_keep_no_coach_out_who_was_in_before"),
    ),
    "a paired coach": (
        ("integration/web/test_fuzz.py", "test_no_path_leads_out_of_the_page"),
        (_ACCESS, "test_who_was_ended_comes_in_no_longer"),
        (_ACCESS, "test_a_change_wants_the_csrf_token_of_this_very_device"),
    ),
    "a person who sets up the station": (
        (
            _ACCESS,
            "test_who_sets_up_sees_the_set_up_and_the_camera_alone_and_for_half_an_hour",
        ),
        ("browser/test_setup.py", "test_a_person_with_a_browser_sets_a_station_up"),
    ),
    "a kiosk": (
        (_ACCESS, "test_a_kiosk_sees_its_own_view_alone"),
        (
            "integration/web/test_check_in.py",
            "test_at_a_kiosk_the_athletes_of_its_group_start_and_nobody_else",
        ),
    ),
    "a wall screen": (
        (_ACCESS, "test_the_wall_sees_its_own_view_alone"),
        (
            "integration/web/test_results.py",
            "test_the_wall_shows_numbers_only_where_that_is_asked_for",
        ),
    ),
}


def lines() -> dict[str, tuple[str, str]]:
    """Return what each user can and cannot, as the table says it."""
    text = (REPOSITORY / "docs" / "security.md").read_text()
    section = text.partition("## What each user can do\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    assert rows[0] == ["user", "can", "cannot"]
    return {user: (can, cannot) for user, can, cannot in rows[2:]}


def names_in(path: Path) -> set[str]:
    """Return the names of the tests in a file."""
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE))


def test_every_line_of_the_table_has_its_tests() -> None:
    told = lines()

    assert list(told) == list(PROOFS)
    assert all(can and cannot for can, cannot in told.values())
    for user, proofs in PROOFS.items():
        missing = [one for file, one in proofs if one not in names_in(REPOSITORY / "tests" / file)]
        assert missing == [], user


def test_every_attack_belongs_to_a_line() -> None:
    named = {one for proofs in PROOFS.values() for _, one in proofs}
    attacks = [
        one
        for path in (REPOSITORY / "tests" / "attack").glob("test_*.py")
        if path.name != "test_table.py"
        for one in sorted(names_in(path))
    ]

    assert [one for one in attacks if one not in named] == []
