"""Names are found however people type them, and shown whatever the account says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.station.roster import MOST_NAME, clean_name, fold, searchable


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("Jörg Müller", "muller"),
        ("Jörg Müller", "MUELLER"),
        ("Jörg Müller", "örg"),
        ("Strauß", "strauss"),
        ("Strauß", "STRAUSS"),
        ("Łukasz Żółć", "lukasz zolc"),
        ("Søren", "soren"),
        ("İbrahim Işık", "ibrahim isik"),
        ("Анна Петрова", "петр"),
        ("Анна Петрова", "АННА"),
        ("李小龍", "小龍"),
        ("ياسمين", "ياس"),
        ("Ὀδυσσεύς", "οδυσσευσ"),
        ("ﬁona", "fiona"),
        ("Ame\u0301lie", "Amélie"),
    ],
)
def test_a_name_is_found_by_any_part_in_any_case_with_any_accents(name: str, typed: str) -> None:
    assert all(word in searchable(name) for word in fold(typed).split())


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("  Ada \n Example ", "Ada Example"),
        ("Ada\x00\x1b[31mRed", "Ada [31mRed"),
        ("evil\u202egnp.exe", "evil gnp.exe"),
        ("\u200f\u200e", ""),
        ("ن\u200cم", "ن\u200cم"),
        ("x" * 10_000, "x" * MOST_NAME),
        ("lone \ud800 surrogate", "lone surrogate"),
    ],
)
def test_what_no_name_should_hold_is_not_shown(told: str, shown: str) -> None:
    assert clean_name(told) == shown


@given(st.text(max_size=400))
def test_whatever_the_account_says_can_be_stored_shown_and_found(told: str) -> None:
    shown = clean_name(told)

    assert len(shown) <= MOST_NAME and shown == clean_name(shown)
    shown.encode()
    assert all(word in searchable(shown) for word in fold(shown).split())
