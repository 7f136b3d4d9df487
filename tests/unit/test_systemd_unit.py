"""The unit of a station, and how a person starts it."""

from pathlib import Path

from agent.daemon.systemd import start_command, unit_of

PLAIN = Path("/etc/spotter/station.toml")
SECOND = Path("/etc/spotter/rack-2.toml")


def test_each_station_of_a_box_has_its_unit() -> None:
    assert (unit_of(PLAIN), unit_of(SECOND)) == ("spotter.service", "spotter@rack-2.service")


def test_what_systemd_runs_is_started_by_it(tmp_path: Path) -> None:
    assert start_command(PLAIN, systemd=tmp_path, units=[tmp_path]) == "spotter run"
    for name in ("spotter.service", "spotter@.service"):
        (tmp_path / name).touch()

    started = [
        start_command(c, systemd=tmp_path, units=[tmp_path / "etc", tmp_path])
        for c in (PLAIN, SECOND)
    ]

    assert started == ["sudo systemctl start spotter", "sudo systemctl start spotter@rack-2"]
    assert start_command(PLAIN, systemd=tmp_path / "none", units=[tmp_path]) == "spotter run"
