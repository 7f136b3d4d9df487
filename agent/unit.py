"""The unit of systemd that runs a station, and the command that starts it."""

from pathlib import Path

SYSTEMD = Path("/run/systemd/system")  # is there where systemd runs the box
_UNITS = Path("/etc/systemd/system")  # where the installer puts them
_BY_HAND = "spotter run"


def unit_of(config: Path) -> str:
    """Return the unit that runs a station: the plain one, or that of a box with several."""
    plain = config.name == "station.toml"
    return "spotter.service" if plain else f"spotter@{config.stem}.service"


def start_command(config: Path, *, systemd: Path = SYSTEMD, units: Path = _UNITS) -> str:
    """Return how a person starts the daemon of a station on this box."""
    unit = unit_of(config)
    file = "spotter@.service" if "@" in unit else unit
    is_installed = systemd.is_dir() and (units / file).exists()
    return f"sudo systemctl start {unit.removesuffix('.service')}" if is_installed else _BY_HAND
