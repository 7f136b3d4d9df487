"""The commands `sessions` and `session`."""

import contextlib
import html
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path

import click
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

from agent.api.downloads import DownloadProgress as Told
from agent.cli.common import (
    clip_named,
    config_option,
    file_for_person,
    headed,
    json_option,
    local_time,
    opened_outbox,
    print_columns,
    print_json,
    settings_of,
    wake_daemon,
)
from agent.cli.formatting import session_cells, session_document, session_lines, size_words
from agent.cli.options import Since
from agent.cli.session_requests import download_video, fetch_export, key_for_asking, look_now
from agent.clock import read_clock
from agent.disk.state_folder import acting_as_caller
from agent.errors import RequestError
from agent.logs import configure_logs
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.queries import Followed
from agent.settings import Settings
from agent.station.assignments import state_folder

_STATES = ("waiting", "completed", "failed", "gone", "not_seen")
_HEAD = ("FILMED ({zone})", "ATHLETE", "MOVEMENT", "STATE", "CLIP", "SESSION", "")
_FRESH_S = 300.0  # a link that was told within so long surely opens


@click.command()
@click.option("--athlete", metavar="USER_ID", help="Only sessions of this athlete.")
@click.option("--since", type=Since(), metavar="2d|DATE", help="Only takes recorded since then.")
@click.option("--state", type=click.Choice(_STATES), help="Only sessions in this state.")
@config_option
@json_option
def sessions(
    athlete: str | None,
    since: float | None,
    state: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """List sessions and their metrics."""

    settings = settings_of(config)
    with opened_outbox(settings) as box:
        found = box.sessions.latest(since=since or 0.0, user_id=athlete, state=state)
    if as_json:
        print_json([session_document(followed) for followed in found])
        return
    if not found:
        click.echo("no sessions")
        return
    here = local_time()
    print_columns([headed(_HEAD, here), *(session_cells(followed, here) for followed in found)])


@click.command()
@click.argument("wanted", metavar="ID")
@click.option("--look", is_flag=True, help="Ask the API now, even after polling has ended.")
@click.option("--open", "opens", is_flag=True, help="Open the analysed video in a browser.")
@click.option(
    "--download",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Download the analysed video and the export; an interrupted download resumes.",
)
@click.option(
    "--export",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Download the key points, angles and timestamps.",
)
@config_option
@json_option
def session(
    wanted: str,
    look: bool,
    opens: bool,
    folder: Path | None,
    target: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Show one session.  ID is a session id, a clip code or e7.

    The API's complete response, with angles and timestamps, is stored as results/CLIP_CODE.json
    in the state folder.
    """
    pass

    settings = settings_of(config)
    with opened_outbox(settings) as box:
        followed = _found(box, wanted)
        if look or (opens and _link_is_old(followed)):
            followed = _looked(settings, box, followed)
        if folder is not None:
            download_into(settings, box, followed.entry, folder)
        if target is not None:
            _fetch(settings, box, followed, target)
    if as_json:
        print_json(session_document(followed))
    else:
        for name, words in session_lines(followed, local_time()):
            click.echo(f"{name:16} {words}")
    if opens:
        _open(settings, followed)


def _found(box: Outbox, wanted: str) -> Followed:

    entries = box.listing.of_session(wanted) or [clip_named(box, wanted)]
    followed = box.sessions.of(entries[0])
    if followed is None:
        entry = entries[0]
        raise RequestError(
            f"{entry.name} is {entry.state}: it has no session at the API yet",
            hint=f"spotter show {entry.name}",
        )
    return followed


def _link_is_old(followed: Followed) -> bool:

    result = followed.result
    if result is None or result.url_at is None:
        return True
    return result.video_state != "present" and read_clock().utc_s - result.url_at > _FRESH_S


def _looked(settings: Settings, box: Outbox, followed: Followed) -> Followed:
    """Ask the API about a session now, and return how it stands then."""

    configure_logs("error")
    look_now(settings, box, followed.entry)
    wake_daemon(settings)
    now_known = box.sessions.of(followed.entry)
    assert now_known is not None  # it has a session
    return now_known


def _fetch(settings: Settings, box: Outbox, followed: Followed, target: Path) -> None:

    click.echo("downloading ...", err=True)
    with file_for_person(settings, target) as here:
        size_bytes = fetch_export(settings, box, followed.entry, here)
    click.echo(f"{target}: {size_words(size_bytes)}", err=True)


def _open(settings: Settings, followed: Followed) -> None:
    pass

    result, code = followed.result, followed.entry.clip_code
    if result is not None and result.video_state == "present":
        show_in_browser(state_folder(settings).analysed_video(code).as_uri())
    elif result is not None and result.analysed_video_url is not None:
        show_in_browser(result.analysed_video_url)
    else:
        raise RequestError(
            f"no analysed video of {code} yet", hint=f"ask the API: spotter session {code} --look"
        )


def download_into(settings: Settings, box: Outbox, entry: Entry, folder: Path) -> None:
    """Bring the analysed video and the API's export of a clip into a folder."""

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

        def pace(told: Told) -> None:
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


_LOADS_WITHIN_S = 1.5

_PAGE = """<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}"><title>Spotter</title>
"""


def show_in_browser(address: str) -> None:
    """Open an address that nobody else is to see: no process list shows it.

    The browser is given a page of this user's alone that leads there.

    Raises:
        RequestError: there is no browser here.
    """
    with tempfile.TemporaryDirectory(prefix="spotter-open-") as folder:
        page = Path(folder) / "open.html"
        page.write_text(_PAGE.format(address=html.escape(address)), encoding="utf-8")
        opened = False
        with contextlib.suppress(webbrowser.Error):
            opened = webbrowser.open(page.as_uri())
        if not opened:
            raise RequestError(
                "no browser is available here",
                hint="open it on the coach's page, or use --download DIR",
            )
        threading.Event().wait(_LOADS_WITHIN_S)  # then the page may go
