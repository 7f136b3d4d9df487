"""spotter run."""

from pathlib import Path

import click

from agent.cli.common import config_option, settings_of


@click.command()
@config_option
def run(config: Path | None) -> None:
    """Run the station in the foreground; logs go to standard error.

    SIGTERM or Ctrl-C ends it within 10 s, whatever it is doing; the next start goes on from
    there.  Without an API key it films and keeps, and delivers once there is one.
    """
    from agent.assembly import run_station
    from agent.logs import configure_logs

    settings = settings_of(config)
    configure_logs(settings.log.level)
    run_station(settings)
