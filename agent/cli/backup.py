"""The commands `backup` and `restore`."""

import os
import sys
from pathlib import Path

import click

from agent.backup import (
    STATION_BACKUP,
    BackupContent,
    Progress,
    restore_backup,
    settings_of_backup,
    write_backup,
)
from agent.cli.common import config_option, json_option, print_json, settings_of
from agent.cli.formatting import size_words
from agent.clock import read_clock
from agent.disk.state_folder import rewriting
from agent.errors import RequestError
from agent.settings import find_config
from agent.text import counted

_archive = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.command()
@_archive
@click.option("--without-videos", is_flag=True, help="Only records and settings.")
@config_option
@json_option
def backup(file: Path, without_videos: bool, config: Path | None, as_json: bool) -> None:
    """Back up the station to FILE, a tar archive.

    The station may run meanwhile; the archive is of one moment.  It holds the records, the
    settings, and recordings, clips and results; neither the API key nor the key of the page's
    certificate.  It contains videos and names of people: keep it as safe as the box.
    """
    settings = settings_of(config)
    content = write_backup(
        file,
        settings.paths.state,
        find_config(config, os.environ),
        station=settings.station.id,
        videos=not without_videos,
        now=read_clock(),
        progress=shown_progress("written"),
    )
    if as_json:
        print_json(backup_summary(content))
        return
    click.echo(f"{file}: {counted(len(content.files), 'file')}, {size_words(content.size_bytes)}")
    if without_videos and content.unsent:
        waiting = counted(content.unsent, "clip")
        click.echo(f"  {waiting} not delivered yet: without videos, not in this backup", err=True)


@click.command()
@_archive
@click.option("--settings-only", is_flag=True, help="Only the settings, as for another station.")
@config_option
@json_option
def restore(file: Path, settings_only: bool, config: Path | None, as_json: bool) -> None:
    """Restore a station from FILE, which spotter backup made.

    The settings get their place where none are; those that are there stay.  The state folder must
    not hold records, and no daemon may run on it.  Afterwards every clip is looked up at the API
    before it is sent: what the old box sent since the backup is not sent again.
    """
    found = settings_of_backup(file)
    path = find_config(config, os.environ)
    is_new = place_settings(path, found)
    settings = settings_of(path)
    content = None
    if not settings_only:
        content = restore_backup(file, settings.paths.state, progress=shown_progress("restored"))
    if as_json:
        restored = None if content is None else backup_summary(content)
        print_json({"settings": str(path), "settings_restored": is_new, "state": restored})
        return
    if is_new:
        click.echo(f"settings restored: {path}")
    elif path.read_bytes() != found:
        entry = STATION_BACKUP.settings_entry
        click.echo(f"settings kept: {path} (those of the backup: tar -xOf {file} {entry})")
    if content is not None:
        click.echo(
            f"{settings.paths.state} restored: {counted(len(content.files), 'file')} of station "
            f"{content.station}, {content.made_at}"
        )
        click.echo("Do not start the old box again as this station.")
    click.echo("Next: the API key, if it is missing, then spotter doctor")


def place_settings(path: Path, found: bytes) -> bool:
    """Give the settings of a backup their place; False where there are others, which stay.

    Raises:
        RequestError: they cannot be written.
    """
    if path.exists():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with rewriting(path, 0o640) as written:
            written.write(found)
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}", hint="use sudo") from error
    return True


def backup_summary(content: BackupContent) -> dict[str, object]:
    """Return what an archive holds, ready for JSON."""
    return {
        "station": content.station,
        "made_at": content.made_at,
        "version": content.version,
        "videos": content.has_videos,
        "unsent": content.unsent,
        "files": len(content.files),
        "bytes": content.size_bytes,
    }


def shown_progress(what: str) -> Progress:
    """Return what shows progress in a terminal, and nothing elsewhere."""

    def show(done: int, size: int) -> None:
        if sys.stderr.isatty():
            end = "\r\x1b[K" if done >= size else ""
            click.echo(
                f"\r\x1b[K{what}: {size_words(done)} of {size_words(size)}{end}", nl=False, err=True
            )

    return show
