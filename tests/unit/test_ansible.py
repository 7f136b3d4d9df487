"""The Ansible role: what its template writes is TOML, and its example is a station's settings."""

import json
import tomllib
from pathlib import Path

import jinja2
import pytest

from agent.settings import Settings
from tests.conftest import REPOSITORY

_ANSIBLE = REPOSITORY / "config" / "ansible"
_TEMPLATES = _ANSIBLE / "roles" / "spotter_station" / "templates"


def rendered(tables: object) -> dict[str, object]:
    # As Ansible sets it up; its filter `to_json` is json.dumps.
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, autoescape=False)  # noqa: S701  # it writes no HTML
    environment.filters["to_json"] = json.dumps
    template = environment.from_string((_TEMPLATES / "settings.toml.j2").read_text())
    return tomllib.loads(template.render(tables=tables))


@pytest.mark.parametrize(
    "value",
    [
        'Rack "7" \\ Süd',
        "two\nlines\t#1",
        "{{ not }} = [a table]",
        "\u2028 \x1b",
        62.5,
        60,
        True,
        ["mon-fri 06:00-22:00", "sat 08:00-12:00"],
        [],
    ],
)
def test_any_value_arrives_as_it_is(value: object) -> None:
    assert rendered({"station": {"name": value}}) == {"station": {"name": value}}


def test_tables_keep_apart_and_what_is_not_set_is_left_out() -> None:
    tables = {"web": {"pin_file": None, "language": "de"}, "station": {"id": "a"}}

    assert rendered(tables) == {"web": {"language": "de"}, "station": {"id": "a"}}


def test_the_settings_of_the_example_are_valid() -> None:
    yaml = pytest.importorskip("yaml")
    places = ("group_vars/stations/main.yml", "host_vars/rack-7.yml")
    tables: dict[str, dict[str, object]] = {"station": {"id": "rack-7"}, "web": {"pin": "48291377"}}
    for place in places:
        said = yaml.safe_load(Path(_ANSIBLE, "inventory", place).read_text())
        for name in ("spotter_station_settings_all", "spotter_station_settings"):
            for table, values in said.get(name, {}).items():
                tables.setdefault(table, {}).update(values)
    tables["web"]["hosts"] = ["rack-7.local"]  # where the example has an expression of Ansible

    settings = Settings.model_validate(rendered(tables))

    assert (settings.station.exercise, settings.web.language) == ("snatch", "de")
