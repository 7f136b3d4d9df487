"""Settings that a hub has set: above the station's file, below the page's, and never trusted."""

import json
import os
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.settings.load import (
    CONFIG_VARIABLE,
    HUB_FILE,
    PAGE_FILE,
    Origin,
    check_hub_settings,
    check_tables,
    loaded_settings,
)

_FILE = '[station]\nid = "s"\nactivity = "running"\n[delivery]\nmin_rate_bytes_s = 50000\n'


def with_hub(root: Path, tables: object, *, mode: int = 0o640) -> Path:
    """Return a station's settings file, with what the hub has set in its state folder."""
    state = root / "state"
    state.mkdir(exist_ok=True)
    path = root / "station.toml"
    path.write_text(_FILE + f'[paths]\nstate = "{state}"\n[web]\nlanguage = "en"\n')
    document = json.dumps({"tables": tables})
    (state / HUB_FILE).write_text(json.dumps({"document": document, "signature": ""}))
    (state / HUB_FILE).chmod(mode)
    return path


def test_the_hub_goes_before_the_file_and_the_page_before_the_hub(tmp_path: Path) -> None:
    path = with_hub(
        tmp_path, {"quality": {"too_dark": "hold"}, "web": {"language": "de", "unit": "lb"}}
    )
    (tmp_path / "state" / PAGE_FILE).write_text('[web]\nlanguage = "en"\n')

    loaded = loaded_settings(path)

    settings, origins = loaded.settings, loaded.origins
    assert (settings.quality.too_dark, settings.web.unit, settings.web.language) == (
        ("hold", "lb", "en")
    )
    assert origins["quality"]["too_dark"] is Origin.HUB and origins["web"]["unit"] is Origin.HUB
    assert origins["web"]["language"] is Origin.PAGE and not loaded.rejected


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({"api": {"base_url": "https://evil.example"}}, "api.base_url cannot be set there"),
        ({"paths": {"capture": "/etc"}}, "paths.capture cannot be set there"),
        ({"web": {"pin_file": "/etc/shadow"}}, "web.pin_file cannot be set there"),
        ({"capture": {"keep_originals_h": 0}}, "capture.keep_originals_h cannot be set there"),
        ({"station": {"unassigned": "discard"}}, "station.unassigned cannot be set there"),
        ({"quality": {"too_dark": "sometimes"}}, "too_dark"),
        ({"delivery": {"schedule": "100kbit/s"}}, "min_rate_bytes_s"),
        ({"quality": 3}, "stands outside"),
        ([], "cannot be read"),
    ],
)
def test_what_a_hub_cannot_set_or_the_station_cannot_do_is_ignored_as_a_whole(
    tmp_path: Path, tables: object, why: str
) -> None:
    loaded = loaded_settings(with_hub(tmp_path, tables))
    assert why in loaded.rejected[Origin.HUB]
    assert loaded.settings.web.language == "en" and Origin.HUB not in {
        origin for keys in loaded.origins.values() for origin in keys.values()
    }


@pytest.mark.parametrize("mode", [0o660, 0o642])
def test_a_file_that_others_may_write_does_not_count(tmp_path: Path, mode: int) -> None:
    loaded = loaded_settings(with_hub(tmp_path, {"web": {"unit": "lb"}}, mode=mode))
    assert "somebody else" in loaded.rejected[Origin.HUB]
    assert loaded.settings.web.unit == "kg"


def test_a_link_or_a_second_name_does_not_count(tmp_path: Path) -> None:
    path = with_hub(tmp_path, {"web": {"unit": "lb"}})
    kept = tmp_path / "state" / HUB_FILE
    os.link(kept, tmp_path / "second")
    assert loaded_settings(path).settings.web.unit == "kg"
    kept.unlink()
    kept.symlink_to(tmp_path / "second")
    assert "symbolic links" in loaded_settings(path).rejected[Origin.HUB]


def test_a_station_tries_what_its_hub_wants_with_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(with_hub(tmp_path, {})))
    check_hub_settings({"delivery": {"schedule": "2Mbit/s"}})
    with pytest.raises(ConfigError, match="min_rate_bytes_s"):
        check_hub_settings({"delivery": {"schedule": "100kbit/s"}})
    check_tables({"delivery": {"schedule": "100kbit/s"}})  # another station may
    with pytest.raises(ConfigError, match="cannot be set there"):
        check_tables({"log": {"file": "x"}})
