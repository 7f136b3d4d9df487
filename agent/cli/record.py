"""The command `record`: validates a recorder's settings, and becomes its process."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from agent.recorder.policy import RecorderPolicy
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
    """Record one camera while the station arms it.

    Runs in the foreground, as its own user beside the station's daemon, which arms it while an
    athlete is on the station.  Packets are stored as the camera sends them; disarmed, they stay in
    memory.  SIGTERM or Ctrl-C ends it; the last file is completed.
    """
    _become_recorder(load_recorder(config).policy())


def _become_recorder(policy: RecorderPolicy) -> NoReturn:
    """Replace this process by one that only films; its policy, with passwords, is in no file."""
    handed = os.memfd_create("recorder", flags=0)  # inherited
    os.write(handed, policy.as_json().encode())
    os.lseek(handed, 0, os.SEEK_SET)
    name = policy.camera.name  # distinguishes the processes of several cameras
    os.execv(  # noqa: S606  # of our own words
        sys.executable,
        [sys.executable, "-I", "-m", "agent.recorder.run", name, str(handed)],
    )
