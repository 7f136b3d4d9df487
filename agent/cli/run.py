"""spotter run."""

import shlex
from pathlib import Path

import click

from agent.cli.common import config_option, settings_of
from agent.errors import RequestError


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
    from agent.logs import configure_logs
    from agent.outbox.disk.folders import other_owner, user_name
    from agent.running import run_station

    settings = settings_of(config)
    owner = other_owner(settings.paths.state)
    if owner is not None:
        name = user_name(owner.st_uid)
        told = f"{settings.paths.state} belongs to {name}: do not run the station as root"
        raise RequestError(told, hint=f"sudo -u {shlex.quote(name)} spotter run")
    configure_logs(settings.log.level)
    run_station(settings, read_again=lambda: settings_of(config))
