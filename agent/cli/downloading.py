"""What `spotter session --download` shows while it fetches."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.errors import RequestError

if TYPE_CHECKING:
    from agent.api.taking import Progress as Told
    from agent.outbox.entry import Entry
    from agent.outbox.store import Outbox
    from agent.settings import Settings


def download_into(settings: "Settings", box: "Outbox", entry: "Entry", folder: Path) -> None:
    """Bring the analysed video and the API's export of a clip into a folder."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    from agent.cli.common import file_for_person
    from agent.cli.words import size_words
    from agent.on_request.asking import fetch_export, key_for_asking
    from agent.on_request.downloading import download_video
    from agent.outbox.disk.folders import acting_as_caller

    video, export = (
        folder / f"{entry.clip_code}{end}" for end in ("-analysed.mp4", "-export.json")
    )
    try:
        with acting_as_caller():
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{folder}: {error.strerror}") from error
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as shown:
        bar = shown.add_task("analysed video", total=None)

        def pace(told: "Told") -> None:
            shown.update(bar, completed=told.have_bytes, total=told.total_bytes)

        with file_for_person(settings, video) as here:
            size_bytes = download_video(
                settings, box, entry, here, key=lambda: key_for_asking(settings, box), pace=pace
            )
        click.echo(f"{video}: {size_words(size_bytes)}", err=True)
        shown.update(bar, description="key points and angles", completed=0, total=None)
        with file_for_person(settings, export) as here:
            size_bytes = fetch_export(settings, box, entry, here)
    click.echo(f"{export}: {size_words(size_bytes)}", err=True)
