"""Both languages say everything, and nothing is said that nobody asks for."""

import re
import string

import pytest

from agent.activities import EXERCISES
from agent.errors import AnalysisFault
from agent.outbox.results.follow_ups import FollowUpState
from agent.outbox.states import EntryState, Reason
from agent.station.whose import Remark
from agent.station.word import Word
from agent.web.board.words import LB_KG, Movement, Wording
from agent.web.texts import LANGUAGES, Texts
from agent.web.texts.english import ENGLISH
from agent.web.texts.german import GERMAN
from analysis.quality.remarks import TEXTS as ANALYSIS_REMARKS
from tests.conftest import REPOSITORY

WEB = REPOSITORY / "agent" / "web"
SOURCES = "\n".join(
    path.read_text()
    for pattern in ("*.py", "*.html")
    for path in WEB.rglob(pattern)
    if "texts" not in path.parts
)


def gaps(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_every_key_with_the_same_gaps() -> None:
    assert list(ENGLISH) == list(GERMAN)
    assert {k: gaps(v) for k, v in ENGLISH.items()} == {k: gaps(v) for k, v in GERMAN.items()}


def test_every_key_that_is_asked_for_is_there() -> None:
    asked = set(re.findall(r'say\(\s*"(\w+)"[),]', SOURCES))

    assert asked and asked <= set(ENGLISH)


def test_nothing_is_said_that_nobody_asks_for() -> None:
    looked_up = (
        "state_",
        "entry_",
        "reason_",
        "remark_",
        "lane_",
        "activity_",
        "exercise_",
        "unit_",
        "measure_",
        "analysis_",
        "fault_",
        "sheet_days_",
    )
    named = set(re.findall(r"[\"'](\w+)[\"']", SOURCES))

    idle = [
        key
        for key in ENGLISH
        if key.removesuffix("_one") not in named and not key.startswith(looked_up)
    ]

    assert not idle


def test_every_state_reason_and_remark_has_words() -> None:
    keys = [f"state_{word}" for word in Word]
    keys += [f"entry_{state}" for state in EntryState if state is not EntryState.DISCARDED]
    keys += [f"remark_{code}" for code in ANALYSIS_REMARKS]
    keys += [f"remark_{v}" for k, v in vars(Remark).items() if k.isupper() and v != Remark.MAY_BE]
    keys += [f"analysis_{state}" for state in FollowUpState if state != "completed"]
    keys += [f"fault_{fault}" for fault in AnalysisFault]
    keys += [f"activity_{activity}" for activity in EXERCISES]
    keys += [
        f"exercise_{exercise.lower().replace(' ', '_')}"
        for offered in EXERCISES.values()
        for exercise in offered
    ]

    assert set(keys) <= set(ENGLISH)


def test_every_reason_to_wait_has_words_of_its_own() -> None:
    ended = {
        *(Reason.GREW_AFTER_ADMISSION, Reason.BY_PERSON, Reason.LOOKED_AGAIN, Reason.JOINED),
        *(Reason.FILMING_STOPPED, Reason.SENT_ANEW, Reason.FORGOTTEN),
        Reason.STOP_CAN_BE_UNDONE,  # it ends by itself
    }

    assert {f"reason_{r}" for r in Reason if r not in ended} <= set(ENGLISH)


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_and_times_are_written_as_people_write_them(language: str) -> None:
    texts = Texts("de" if language == "de" else "en")

    assert texts.number(62.5) == ("62,5" if language == "de" else "62.5")
    assert texts.number(60.0) == "60"
    assert texts.duration(12) == "12 s"
    assert texts.duration(3599) == "60 min"
    assert texts.duration(86400 * 3) == ("3 Tage" if language == "de" else "3 days")


def test_masses_are_shown_in_pounds_and_kept_in_kilograms() -> None:
    wording = Wording(Texts("en"), "lb")

    assert wording.kilograms(135) == round(135 * LB_KG, 2) == 61.23
    assert wording.shown(61.23) == 135.0
    done = Movement(
        activity="weightlifting", exercise="clean_and_jerk", mass_kg=61.23, incline_deg=None
    )
    assert wording.movement(done) == "Clean and jerk, 135 lb"
