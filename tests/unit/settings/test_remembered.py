"""Settings that were right before are not checked again, and never out of date."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.settings import load_settings, remembered_settings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "station.toml"
    path.write_text(
        f'[station]\nactivity = "running"\n[paths]\nstate = "{tmp_path}/s"\n'
        f'capture = "{tmp_path}/c"\n[api]\nkey = "very-secret"\n'
    )
    return path


def test_they_are_the_same_without_the_secrets(config: Path, tmp_path: Path) -> None:
    first, again = remembered_settings(config), remembered_settings(config)

    assert again.paths.state == first.paths.state == tmp_path / "s"
    assert again.capture.suffixes == load_settings(config).capture.suffixes
    assert again.api.key is None
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(kept) == 1 and b"very-secret" not in kept[0].read_bytes()


def test_an_edit_or_another_environment_is_seen_at_once(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered_settings(config)
    monkeypatch.setenv("SPOTTER_STATION__ID", "other")
    assert remembered_settings(config).station.id == "other"
    monkeypatch.delenv("SPOTTER_STATION__ID")
    config.write_text(config.read_text().replace("running", "swimming"))

    with pytest.raises(ConfigError, match="swimming"):
        remembered_settings(config)


def test_those_of_several_stations_are_kept_but_not_all_there_ever_were(
    config: Path, tmp_path: Path
) -> None:
    text = config.read_text()
    for number in range(12):
        config.write_text(f"{text}# {number}\n")
        remembered_settings(config)

    assert len([path for path in (tmp_path / "cache").rglob("*") if path.is_file()]) == 8


def test_what_was_spoilt_is_checked_anew(config: Path, tmp_path: Path) -> None:
    remembered_settings(config)
    (kept,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    kept.write_text("[1, 2")

    assert remembered_settings(config).station.activity == "running"


def test_a_look_loads_neither_the_model_nor_what_migrates(config: Path) -> None:
    remembered_settings(config)
    script = (
        "import sys; from pathlib import Path; from agent.cli.common import settings_for_a_look;"
        "settings_for_a_look(Path(sys.argv[1])); import agent.outbox.opening;"
        "print([n for n in ('pydantic', 'sqlite_utils', 'numpy', 'httpx', 'tempfile',"
        "'agent.outbox.journal.writing', 'agent.outbox.entry') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(config)], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
