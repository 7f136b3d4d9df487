"""Numbers whose names nobody fixed, as people read them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.outbox.results import Number
from agent.web.i18n import Texts
from agent.web.views.cards import by_weight, figures_of, name_shown, plottable, value_shown

ENGLISH, GERMAN = Texts("en"), Texts("de")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("peak_velocity_mps", "Peak velocity"),
        ("peakVelocity", "Peak velocity"),
        ("peakPowerW", "Peak power"),
        ("RSI", "RSI"),
        ("reps.1.peak-velocity", "Reps · 1 · Peak velocity"),
        ("Bar speed", "Bar speed"),
        ("m", "M"),
        ("_._", "?"),
        ("x" * 80, "X" + "x" * 46 + "…"),
    ],
)
def test_names_are_made_readable(path: str, shown: str) -> None:
    assert name_shown(path, ENGLISH) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.23456, "1.23"),
        (0.012345, "0.0123"),
        (92.349, "92.3"),
        (1234.5678, "1,235"),
        (60.0, "60"),
        (0, "0"),
        (-0.51, "-0.51"),
        (123456789, "123,456,789"),
        (1.5e-7, "1.5 · 10^-7"),
        (2.5e12, "2.5 · 10^12"),
        (True, "yes"),
        ("good", "good"),
    ],
)
def test_values_are_rounded_to_what_can_be_told_apart(value: Number, shown: str) -> None:
    assert value_shown(value, ENGLISH) == shown


@pytest.mark.parametrize(
    ("path", "english", "german"),
    [
        ("peak_velocity_mps", "Peak velocity 1,920 m/s", "Spitzengeschwindigkeit 1.920 m/s"),
        ("bar_height_m", "Bar height 1,920 m", "Hubhöhe 1.920 m"),
        (
            "reps.2.peak_power_w",
            "Reps · 2 · Peak power 1,920 W",
            "Wiederholungen · 2 · Spitzenleistung 1.920 W",
        ),
        ("knee_angle_max_deg", "Knee angle max 1,920°", "Größter Kniewinkel 1.920°"),
        ("strange_thing", "Strange thing 1,920", "Strange thing 1.920"),
    ],
)
def test_a_metric_has_its_name_and_unit_in_the_pages_language(
    path: str, english: str, german: str
) -> None:
    for texts, shown in ((ENGLISH, english), (GERMAN, german)):
        assert f"{name_shown(path, texts)} {value_shown(1920.0, texts, path=path)}" == shown


def test_german_has_its_own_comma_and_words() -> None:
    assert value_shown(1.234, GERMAN) == "1,23"
    assert value_shown(False, GERMAN) == "nein"


def test_numbers_of_the_whole_take_come_first_and_texts_last() -> None:
    numbers: dict[str, Number] = {
        "bar_path": "good",
        "reps.1.peak": 1.5,
        "valid": True,
        "peak": 1.7,
        "height": 3,
    }

    assert by_weight(numbers) == ["peak", "height", "reps.1.peak", "bar_path", "valid"]
    assert plottable([{"late": 1.0}, numbers], most=3) == ["late", "peak", "height"]


VALUES = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=300))


@given(st.dictionaries(st.text(string.printable, max_size=80), VALUES, max_size=8))
def test_whatever_comes_is_short_and_has_a_name(numbers: dict[str, Number]) -> None:
    finite = {k: v for k, v in numbers.items() if v not in (float("inf"), -float("inf"))}

    for figure in figures_of(finite, ENGLISH):
        assert 1 <= len(figure.name) <= 48 and len(figure.value) <= 48
