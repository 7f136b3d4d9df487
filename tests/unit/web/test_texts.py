"""English and German say everything, in catalogues that the code and its templates agree with."""

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment
from jinja2.ext import InternationalizationExtension

from agent.errors import AnalysisFault
from agent.exercises import EXERCISES as OFFERED
from agent.outbox.corrections import OPEN
from agent.outbox.models import ClipTarget
from agent.outbox.results import FollowUpState
from agent.outbox.states import EntryState, Reason, Recipient
from agent.settings import Settings
from agent.settings.model import LOCALES
from agent.station.attribution import ClipWarning
from agent.station.status import StationStatus
from agent.web import i18n
from agent.web.app import station_templates
from agent.web.i18n import LB_KG, Texts, Wording
from analysis.quality import TEXTS as ANALYSIS_REMARKS
from tests import messages
from tests.conftest import REPOSITORY
from tests.messages import Translations

AGENT = REPOSITORY / "agent"
WEB = AGENT / "web"
LANGUAGES = ("en", "de")
_ARGUMENTS = {"gettext": 1, "translated": 1, "N_": 1, "ngettext": 2, "plural": 2}
_MARKED = {"gettext_noop": 1, "ngettext_noop": 2}  # anywhere in the agent


def gaps(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", text))


def forms(message: object) -> tuple[str, ...]:
    """A message's text, or its texts by number."""
    return tuple(map(str, message)) if isinstance(message, list | tuple) else (str(message),)


def asked() -> Iterator[tuple[str, ...]]:
    """Every message of the code and the templates, found without Babel."""
    for path in AGENT.rglob("*.py"):
        known = _MARKED | (_ARGUMENTS if path.is_relative_to(WEB) else {})
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = str(getattr(node.func, "attr", "") or getattr(node.func, "id", ""))
            given = node.args[: known.get(name, 0)]
            texts = [str(a.value) for a in given if isinstance(a, ast.Constant)]
            if texts and len(texts) == len(given):
                yield tuple(texts)
    environment = Environment(extensions=[InternationalizationExtension])  # noqa: S701  # only read
    for path in WEB.rglob("*.html"):
        for _, _, found in environment.extract_translations(path.read_text()):  # type: ignore[attr-defined]  # the extension adds it
            yield (found,) if isinstance(found, str) else tuple(text for text in found if text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_every_message_translated_and_no_other(language: str) -> None:
    catalogue = messages.read(messages.catalogues()[language])

    known = {forms(message.id) for message in catalogue if message.id}
    assert known == set(asked())
    for message in catalogue:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        assert all(forms(message.string)), f"not translated: {message.id}"
        for one in forms(message.string):
            assert gaps(one) == gaps(forms(message.id)[-1]), f"not the same gaps: {message.id}"


def test_the_files_are_what_make_messages_writes() -> None:
    for language, path in messages.catalogues().items():
        catalogue = messages.read(path)

        assert messages.written(messages.updated(catalogue)) == path.read_bytes(), (
            f"{language}: run `make messages`"
        )
        assert messages.compiled(catalogue) == path.with_suffix(".mo").read_bytes(), language


def test_a_language_is_added_by_a_folder_with_a_catalogue_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(LOCALES, tmp_path / "locale")
    monkeypatch.setattr("agent.settings.model.LOCALES", tmp_path / "locale")
    monkeypatch.setattr(messages, "LOCALES", tmp_path / "locale")
    monkeypatch.setattr(i18n, "LOCALES", tmp_path / "locale")
    added = tmp_path / "locale" / "fr" / "LC_MESSAGES" / "spotter.po"
    added.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "locale" / "en" / "LC_MESSAGES" / "spotter.po", added)
    added.write_text(added.read_text().replace('msgstr "Log in"', 'msgstr "Connexion"'))

    messages.main()

    settings = Settings.model_validate(
        {"station": {"id": "p3", "activity": "running"}, "web": {"language": "fr"}}
    )
    assert Texts(settings.web.language).gettext("Log in") == "Connexion"


def test_a_language_without_a_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of de, en"):
        Settings.model_validate(
            {"station": {"id": "p3", "activity": "running"}, "web": {"language": "../en"}}
        )


def test_neither_a_value_nor_a_translation_can_put_markup_into_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "xx" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    hostile = Translations(locale="en")
    hostile.add("Still %(name)s?", '<b title="x">%(name)s</b>')
    hostile.add(("%(n)s %(who)s", "%(n)s %(who)ss"), ("<i>", "<i>%(who)s"))
    (folder / "spotter.mo").write_bytes(messages.compiled(hostile))
    monkeypatch.setattr(i18n, "LOCALES", tmp_path)
    settings = Settings.model_validate({"station": {"id": "p3", "activity": "running"}})
    templates = station_templates(settings, Texts("xx"))

    shown = templates.from_string(
        '{{ _("Still %(name)s?", name=name) }}'
        "{% trans n=2, who=name %}{{ n }} {{ who }}{% pluralize %}{{ n }} {{ who }}s{% endtrans %}"
    ).render(name="<script>")

    assert shown.startswith("&lt;b title=&#34;x&#34;&gt;&lt;script&gt;&lt;/b&gt;")
    assert "<" not in shown


def test_every_state_reason_and_warning_has_words() -> None:
    remarks = {v for k, v in vars(ClipWarning).items() if k.isupper() and v != ClipWarning.MAY_BE}
    offered = {one.lower().replace(" ", "_") for each in OFFERED.values() for one in each}

    assert set(StationStatus) == set(i18n.STATES)
    assert {*EntryState, "fresh"} == set(i18n.ENTRY_STATES)
    assert set(ANALYSIS_REMARKS) | remarks <= set(i18n.WARNINGS)
    assert set(FollowUpState) - {FollowUpState.COMPLETED} == set(i18n.ANALYSIS_STATES)
    assert set(AnalysisFault) <= set(i18n.FAULTS)
    assert set(OPEN) <= set(i18n.RESENDS)
    assert set(OFFERED) == set(i18n.ACTIVITIES) and offered == set(i18n.EXERCISES)


def test_every_reason_to_wait_has_words_of_its_own() -> None:
    ended = {
        *(Reason.GREW_AFTER_ADMISSION, Reason.BY_PERSON, Reason.LOOKED_AGAIN, Reason.JOINED),
        *(Reason.FILMING_STOPPED, Reason.SENT_ANEW, Reason.FORGOTTEN),
        *(Reason.STOP_CAN_BE_UNDONE, Reason.AT_WORKER),  # they end by themselves
    }

    assert set(Reason) - ended <= set(i18n.REASONS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_and_times_are_written_as_people_write_them(language: str) -> None:
    texts = Texts(language)
    is_german = language == "de"

    assert texts.number(62.5) == ("62,5" if is_german else "62.5")
    assert texts.number(60.0) == "60"
    assert texts.number(2496.5, grouped=True) == ("2.496,5" if is_german else "2,496.5")
    assert texts.duration(12) == "12 s"
    assert texts.duration(3599) == "60 min"
    assert texts.duration(86400 * 3) == ("3 Tage" if is_german else "3 days")
    assert texts.duration(86400) == ("1 Tag" if is_german else "1 day")
    assert texts.ngettext("%(n)s take to review.", "%(n)s takes to review.", 1) == (
        "1 Versuch zu prüfen." if is_german else "1 take to review."
    )


def test_masses_are_shown_in_pounds_and_kept_in_kilograms() -> None:
    wording = Wording(Texts("en"), "lb")

    assert wording.kilograms(135) == round(135 * LB_KG, 2) == 61.23
    assert wording.shown(61.23) == 135.0
    done = ClipTarget(
        recipient=Recipient.UNKNOWN,
        user_id=None,
        activity="weightlifting",
        exercise="clean_and_jerk",
        barbell_mass_kg=61.23,
    )
    assert wording.movement(done) == "Clean and jerk, 135 lb"
