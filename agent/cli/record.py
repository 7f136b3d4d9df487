"""The command `record`; apart from the others, for a recorder loads nothing of the station's."""

from pathlib import Path

import click

from agent.logs import configure_logs
from agent.recorder.run import run_recorder
from agent.recorder.settings import load_recorder


@click.command()
@click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    metavar="FILE",
    required=True,
    help="The recorder's settings, such as /etc/spotter/recorder-main.toml.",
)
def record(config: Path) -> None:
    """Film one camera while the station wants it filmed.

    Runs in the foreground, as its own user beside the station's daemon, which arms it while an
    athlete is on the station.  Packets are stored as the camera sends them; disarmed, they stay in
    memory.  SIGTERM or Ctrl-C ends it, and its last file whole.
    """
    settings = load_recorder(config)
    configure_logs()
    run_recorder(settings)
