"""A hub's backup while it runs, and another machine that takes its place."""

import json
import os
import shutil
import tarfile
import time
from pathlib import Path

import pytest

from agent.outbox.outbox import Outbox
from tests.facility import Hub
from tests.integration.facility.conftest import MakeStation
from tests.integration.facility.test_telling import codes_at, hold_clips
from tests.station import give, until

_WITHIN_S = 60.0


def test_a_new_machine_with_the_backup_has_the_whole_board_and_nobody_visits_a_station(
    tmp_path: Path, station: MakeStation
) -> None:
    archive, racks = tmp_path / "hub.tar", [station("rack-1"), station("rack-2")]
    with Hub(tmp_path / "hub", more='[web]\nlisten = "PAGE"\n') as hub:
        for rack in racks:
            hub.admit(rack)
        with Outbox.open(racks[0].state) as outbox:
            codes = hold_clips(outbox, 1, 2)
        with racks[0].running(), racks[1].running():
            hub.spotter("assign", "rack-1", "ada")
            hub.spotter("assign", "rack-1", "cleo", "--at", "2040-01-01 10:00")
            until(lambda: _plan_state(hub) == "applied")
            until(lambda: sorted(codes_at(hub, "rack-1")) == sorted(codes))
            link = json.loads(hub.spotter("pair", "--json"))["address"]
            told = json.loads(hub.spotter("backup", str(archive), "--json"))
            assert told["site"] == "gym-1" and archive.stat().st_mode & 0o077 == 0
            assert "is there already" in hub.spotter("backup", str(archive), code=1)
            with tarfile.open(archive) as held:
                assert not [name for name in held.getnames() if "jetstream" in name]
            refused = hub.spotter("restore", str(archive), code=75)
            assert "another spotter" in refused

            hub.stop()
            shutil.rmtree(hub.folder.root)  # the old machine is gone
            config = hub.config.read_text()
            hub.config.unlink()
            assert "do not start the old hub" in hub.spotter("restore", str(archive)).lower()
            assert hub.config.read_text() == config
            assert not hub.folder.store.exists()
            began_s = time.monotonic()
            hub.start()
            until(lambda: not any(one["away"] for one in _listed(hub)))
            until(lambda: sorted(codes_at(hub, "rack-1")) == sorted(codes))
            assert time.monotonic() - began_s < _WITHIN_S
            assert _plan_state(hub) == "applied"
            plan = json.loads(hub.spotter("assign", "rack-1", "bob", "--json"))[0]
            assert [turn["user_id"] for turn in plan["turns"]] == ["bob", "cleo"]
            until(lambda: _athlete(hub) == "bob")
            with Outbox.open(hub.folder.root) as outbox:
                token = link.partition("#")[2]
                assert outbox.devices.pair(token, device_id="tablet", now_s=time.time())
    assert "history lost" not in hub.log.read_text()
    assert "holds a hub's stations already" in hub.spotter("restore", str(archive), code=1)


@pytest.mark.parametrize("place", ["elsewhere", "the same address"])
def test_a_second_hub_with_the_same_keys_is_reported(tmp_path: Path, place: str) -> None:
    archive = tmp_path / "hub.tar"
    with Hub(tmp_path / "old") as old:
        old.spotter("backup", str(archive))
        assert json.loads(old.status("--json", code=0))["second_hub"] is None
        assert "second hub" not in give(["hub", "doctor", "--config", str(old.config)]).stdout
        new = Hub(tmp_path / "new")
        listen = new.listen if place == "elsewhere" else old.listen
        new.config.write_text(
            f'[hub]\nsite = "gym-1"\nstate = "{new.folder.root}"\nlisten = "{listen}"\n'
            f'address = "{old.listen}"\n[web]\nlisten = ""\n'
        )
        new.spotter("restore", str(archive))
        assert json.loads(new.status("--json", code=1))["second_hub"] == old.listen
        if place == "elsewhere":
            new.start()
            assert "running" in new.status(code=1)
        told = new.status(code=1)
        assert f"ANOTHER HUB with the same keys runs and answers at {old.listen}" in told
        checked = give(["hub", "doctor", "--config", str(new.config)])
        assert checked.returncode == 1 and "second hub" in checked.stdout, checked.stdout
        assert json.loads(old.status("--json", code=0))["second_hub"] is None
        if place == "elsewhere":
            old.stop()
            assert json.loads(new.status("--json", code=0))["second_hub"] is None
            new.stop()


def test_another_backup_and_a_changed_one_restore_nothing(
    tmp_path: Path, station: MakeStation
) -> None:
    archive, rack = tmp_path / "station.tar", station("rack-1")
    rack.spotter("backup", str(archive))
    hub = Hub(tmp_path / "hub")
    assert "not a whole backup of a hub" in hub.spotter("restore", str(archive), code=1)
    kept = tmp_path / "hub.tar"
    hub.spotter("backup", str(kept))
    refused = give(["restore", str(kept), "--config", str(rack.config)])
    assert refused.returncode == 1 and "not a whole backup of a station" in refused.stderr
    if os.geteuid() == 0:  # who else could give it away
        os.chown(hub.folder.root, 65534, 65534)
        assert "do not run the hub as root" in hub.spotter("run", code=1)
        os.chown(hub.folder.root, 0, 0)
    other = Hub(tmp_path / "other")
    content = kept.read_bytes()
    (hub.folder.root / "stations.json").write_text("{")
    assert "is damaged" in hub.spotter("backup", str(tmp_path / "bad.tar"), code=78)
    assert not (tmp_path / "bad.tar").exists()
    secret = (hub.folder.root / "hub-secret").read_bytes()
    kept.write_bytes(content.replace(secret, bytes(32)))
    other.config.unlink()  # that of the backup takes its place, and goes with a refused restore
    shutil.rmtree(hub.folder.root)
    assert "damaged" in other.spotter("restore", str(kept), code=1)
    assert not (hub.folder.root / "hub-secret").exists() and not other.config.exists()


def _listed(hub: Hub) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = json.loads(hub.spotter("stations", "--json"))
    return listed


def _plan_state(hub: Hub) -> object:
    shown = (hub.state_of("rack-1") or {}).get("plan")
    return shown["state"] if isinstance(shown, dict) else None


def _athlete(hub: Hub) -> object:
    shown = (hub.state_of("rack-1") or {}).get("athlete")
    return shown["user_id"] if isinstance(shown, dict) else None
