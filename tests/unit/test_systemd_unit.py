"""The unit of a station, and how a person starts it."""

from pathlib import Path

from agent.daemon.systemd import start_command, unit_of, with_config

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


def test_a_station_beside_the_service_is_started_with_its_own_settings(tmp_path: Path) -> None:
    (tmp_path / "spotter.service").touch()
    for config in (tmp_path / "station.toml", tmp_path / "at home.toml"):
        started = start_command(config, systemd=tmp_path, units=[tmp_path])
        assert started == with_config("spotter run", config)
    assert started == f"spotter run --config '{tmp_path}/at home.toml'"
