"""`spotter pair`: a link as a QR code, and who came in by one."""

import json
import re
import stat
from pathlib import Path

from agent.disk.state_folder import OF_SESSIONS, StateFolder, load_secret
from agent.outbox.devices import Role
from agent.outbox.outbox import Outbox
from tests.station import Station


def test_the_port_that_is_suggested_is_the_pages_own(tmp_path: Path) -> None:
    station = Station(tmp_path, "http://127.0.0.1:9", {"web": {"listen": "127.0.0.1:8391"}})
    for told in (station.spotter("pair"), station.spotter("pair", "--network", code=1)):
        assert 'web.listen = "0.0.0.0:8391"' in told and "8377" not in told


def test_a_link_is_shown_as_a_code_and_kept_as_a_hash_alone(tmp_path: Path) -> None:
    station = Station(
        tmp_path, "http://127.0.0.1:9", settings={"web": {"listen": "127.0.0.1:8377"}}
    )

    shown = station.spotter("pair", "--name", "tablet")

    link = re.search(r"http://127\.0\.0\.1:8377/pair#([a-z2-7]{24})\b", shown)
    assert link is not None
    assert shown.count("█") + shown.count("▀") + shown.count("▄") > 200
    assert "10 min" in shown and "on this box only" in shown
    assert f"not running; the page opens after: spotter run --config {station.config}" in shown
    assert link[1].encode() not in (station.state / "outbox.db").read_bytes()
    with Outbox.open(station.state) as outbox:
        device = outbox.devices.pair(link[1], device_id="abcd", now_s=2e9)
        assert device is None, "too late"
        outbox.devices.add_by_pin(device_id="efgh", now_s=1.0)
    listed = json.loads(station.spotter("pair", "--list", "--json"))
    assert [(one["id"], one["role"], one["way"]) for one in listed] == [("efgh", Role.COACH, "pin")]
    assert "no device" in station.spotter("pair", "--end", "nobody", code=1)
    assert "efgh" in station.spotter("pair", "--end", "all")
    assert "no paired devices" in station.spotter("pair", "--list")


def test_there_is_nothing_to_pair_with_where_the_page_is_off(tmp_path: Path) -> None:
    station = Station(tmp_path, "http://127.0.0.1:9")

    assert "turned off" in station.spotter("pair", code=1)


def test_the_secret_of_sessions_is_the_services_alone(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.prepare()
    secret = load_secret(folder, OF_SESSIONS)
    path = tmp_path / "page-secret"

    assert stat.S_IMODE(path.stat().st_mode) == 0o660 and len(secret) == 32
    assert load_secret(folder, OF_SESSIONS) == secret
    path.write_bytes(b"torn")
    assert load_secret(folder, OF_SESSIONS) != secret
