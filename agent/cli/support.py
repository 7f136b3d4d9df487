"""spotter support."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import config_option

if TYPE_CHECKING:
    from agent.clock import Instant
    from agent.settings import Settings


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write.  [default: spotter-support-DATE.tar.gz in this folder]",
)
@config_option
def support(out: Path | None, config: Path | None) -> None:
    """Create a support bundle.

    It contains the report of spotter doctor, settings, versions, counts and recent events, but
    no keys, PINs, names, file names or pictures; athletes appear under pseudonyms.
    """
    from agent.clock import read_clock
    from agent.errors import RequestError
    from agent.settings import find_config
    from agent.support.archive import write_archive
    from agent.support.journal import journal_lines
    from agent.unit import SYSTEMD, unit_of

    now = read_clock()
    moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(now.utc_s))
    target = out or Path(f"spotter-support-{moment}.tar.gz")
    findings, settings = _findings(config, now), _settings(config)
    journal = journal_lines(unit=unit_of(find_config(config, os.environ)))
    try:
        names = write_archive(
            target,
            settings,
            findings=findings,
            journal=journal,
            now=now,
        )
    except OSError as error:
        raise RequestError(
            f"{target}: {error.strerror}", hint="choose another file: --out FILE"
        ) from None
    click.echo(f"{target}: {', '.join(names)}")
    if settings is None:
        click.echo(
            "Settings and counts are missing: see doctor.json (permissions: sudo spotter support)"
        )
    if not journal and SYSTEMD.is_dir():
        click.echo("The service's log is missing, this user may not read it: sudo spotter support")
    click.echo(f"Review it before you send it: tar -xOzf {target} | less")


def _findings(config: Path | None, now: "Instant") -> list[dict[str, object]]:
    from agent.doctor.rounds import rounds
    from agent.settings import find_config

    findings: list[dict[str, object]] = []
    for name, look in rounds(find_config(config, os.environ), explicit=config, now=now):
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[Kchecking: {name}", nl=False, err=True)
        findings += [
            {"name": f.name, "state": str(f.state), "finding": f.finding, "remedy": f.remedy}
            for f in look()
        ]
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    return findings


def _settings(config: Path | None) -> "Settings | None":
    from agent.errors import ConfigError
    from agent.settings import load_settings

    try:
        return load_settings(config)
    except ConfigError:
        return None  # the archive's first finding
