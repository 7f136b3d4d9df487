"""A hub's commands on a disk that takes nothing: one line that names the file, and what to do."""

import json
import time
from pathlib import Path

import pytest

from agent.facility.keys import FacilityKey
from agent.hub.folder import HubFolder
from tests.disks import fill, mount_again, mounted
from tests.station import give

_ROSTER = "user_id,name\nada,Ada\n"
_KEY = FacilityKey(b"1" * 32).public


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_a_command_that_the_disk_refuses_names_the_file_and_changes_nothing(
    tmp_path: Path, state: str
) -> None:
    roster, pushed = tmp_path / "roster.csv", tmp_path / "pushed.toml"
    roster.write_text(_ROSTER)
    pushed.write_text('[log]\nlevel = "debug"\n')
    with mounted(tmp_path / "disk", "size=4m") as disk:
        folder = HubFolder(disk / "state")
        config = _settings(tmp_path, folder.root)
        _hub(config, "invite", "rack-1")
        _hub(config, "pair")
        folder.change(lambda held: held.accept("rack-1", _KEY, now_s=time.time()))
        before = folder.register()
        fill(disk)
        words = "No space left on device"
        if state == "read-only":
            (disk / "filler.bin").unlink()
            mount_again(disk, "ro")
            words = "Read-only file system"

        for command in (
            ["roster", str(roster)],
            ["invite", "rack-2"],
            ["remove", "rack-1"],
            ["push", str(pushed)],
            ["release", "0.2.0"],
            ["group", "rack-1", "platforms"],
        ):
            code, told = _hub(config, *command)
            assert code == 1, (command, told)
            assert told[0].startswith(f"spotter: {folder.root}/"), (command, told)
            assert told[0].endswith(words) and len(told) == 2, (command, told)
        code, told = _hub(config, "pair")
        assert code and str(folder.root) in told[0] and len(told) == 2, told

        assert folder.register() == before
        assert sorted(place.name for place in folder.root.glob(".*")) == []
        assert json.loads(give(["hub", "roster", "--json", "--config", str(config)]).stdout) == []


def test_a_new_hub_on_a_full_disk_is_told_to_try_again_later(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=4m") as disk:
        config = _settings(tmp_path, disk / "state")
        fill(disk)

        code, told = _hub(config, "invite", "rack-1")

    assert code == 75 and told[1] == "  free disk space", told
    assert told[0] == f"spotter: hub.state: No space left on device: {disk}/state/hub-secret"


def _settings(place: Path, state: Path) -> Path:
    config = place / "hub.toml"
    config.write_text(f'[hub]\nsite = "gym-1"\nstate = "{state}"\nlisten = "127.0.0.1:1"\n')
    return config


def _hub(config: Path, *words: str) -> tuple[int, list[str]]:
    done = give(["hub", *words, "--config", str(config)])
    return done.returncode, done.stderr.splitlines()
