"""The commands `run` and `config`."""

import os
import shlex
from pathlib import Path

import click
import structlog

from agent.cli.common import config_option, loaded_of, print_answer, print_json, standard_options
from agent.daemon.run import run_station
from agent.disk.state_folder import other_owner, user_name
from agent.errors import RequestError
from agent.logs import configure_logs
from agent.settings import Loaded, Settings, effective, loaded_settings
from agent.settings.generate import sample_toml
from agent.settings.load import (
    CONFIG_VARIABLE,
    HIDDEN,
    HUB_FILE,
    PAGE_FILE,
    Origin,
    toml_value,
)
from agent.stage import StageName

_SET_BY = {Origin.HUB: "by the hub", Origin.PAGE: "on the page"}

log = structlog.get_logger(stage=StageName.SETTINGS)


@click.command()
@config_option
def run(config: Path | None) -> None:
    """Run the station in the foreground.

    Logs go to standard error.  SIGTERM or Ctrl-C stops it within 10 s; the next start resumes
    the work.  SIGHUP reloads the settings; invalid settings are rejected and the current ones
    stay active.  Without an API key, recordings are processed and stored, and uploading begins
    once there is a key.
    """
    # `spotter --help` loads this module too: with the daemon it would take ten times as long.

    loaded = loaded_of(config)
    settings = loaded.settings
    owner = other_owner(settings.paths.state)
    if owner is not None:
        name = user_name(owner.st_uid)
        text = f"{settings.paths.state} belongs to {name}: do not run the station as root"
        raise RequestError(text, hint=f"sudo -u {shlex.quote(name)} spotter run")
    configure_logs(settings.log.level)
    # Commands that the daemon starts for the hub have the same settings.
    if loaded.path.exists():  # else all settings are in the environment
        os.environ[CONFIG_VARIABLE] = str(loaded.path.absolute())
    _tell_rejected(loaded)

    def read_again() -> Settings:
        again = loaded_of(config)
        _tell_rejected(again)
        return again.settings

    run_station(settings, read_again=read_again)


def _tell_rejected(loaded: Loaded) -> None:
    for layer, why in loaded.rejected.items():
        log.error("settings layer rejected", layer=str(layer), error=why)


@click.command()
@click.option("--sample", is_flag=True, help="Print a commented sample file.")
@click.option("--check", is_flag=True, help="Validate the settings.")
@standard_options
def config(sample: bool, check: bool, config: Path | None, as_json: bool) -> None:
    """Show the active settings and the origin of each.

    The output has the form of a settings file; secrets are hidden.  --sample prints a file with
    every setting and its meaning.
    """

    if sample and as_json:
        raise click.UsageError("--sample cannot be combined with --json")
    if sample:
        click.echo(sample_toml(), nl=False)
        return
    loaded = loaded_settings(config)
    if check:
        document = {"file": str(loaded.path), "usable": True}
        print_answer(document, f"{loaded.path} is valid", as_json=as_json)
        return
    tables, origins = effective(loaded.settings), loaded.origins
    files = {
        Origin.FILE: str(loaded.path),
        Origin.HUB: str(loaded.settings.paths.state / HUB_FILE),
        Origin.PAGE: str(loaded.settings.paths.state / PAGE_FILE),
    }
    for layer, why in loaded.rejected.items():
        click.echo(f"spotter: what was set {_SET_BY[layer]} is ignored: {why}", err=True)
    if as_json:
        print_json({**tables, "origins": {**files, **origins}})
        return
    for table, values in tables.items():
        click.echo(f"[{table}]")
        for key, value in values.items():
            origin = origins[table][key]
            text = files.get(origin, str(origin))
            click.echo(f"{_line(key, value):50}  # {text}")
        click.echo()


def _line(key: str, value: object) -> str:
    """Return a setting as it would stand in the file; what cannot stand there is a remark."""

    if value is None:
        return f"# {key} is not set"
    return f"# {key} is hidden" if value == HIDDEN else f"{key} = {toml_value(value)}"
