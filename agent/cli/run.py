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

    Logs go to standard error.  SIGTERM or Ctrl-C ends it within 10 s, whatever it is doing;
    the next start goes on from there.  SIGHUP reads the settings again; a mistake in them
    leaves the old ones in force. Without an API key it films and keeps, and delivers once
    there is one.
    """
    # `spotter --help` loads this module too: with the daemon it would take ten times as long.
    from agent.logs import configure_logs
    from agent.outbox.disk.folders import other_owner, user_name
    from agent.running import run_station

    settings = settings_of(config)
    owner = other_owner(settings.paths.state)
    if owner is not None:
        name = user_name(owner.st_uid)
        told = f"{settings.paths.state} belongs to {name}: root runs no station there"
        raise RequestError(told, hint=f"sudo -u {shlex.quote(name)} spotter run")
    configure_logs(settings.log.level)
    run_station(settings, read_again=lambda: settings_of(config))
