"""The commands `sessions`, `session` and `export`, and what they ask of the API on demand."""

import contextlib
import html
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

from agent.api.client import KEY_HEADERS, ApiKey
from agent.api.documents import export_path
from agent.api.downloads import DownloadProgress, Pace
from agent.api.responses import ApiResponse
from agent.cli.common import (
    Since,
    config_option,
    file_for_person,
    find_clip,
    headed,
    local_time,
    opened_outbox,
    print_columns,
    print_json,
    refusals_of,
    settings_of,
    standard_options,
    wake_daemon,
)
from agent.cli.formatting import session_cells, session_document, session_lines, size_words
from agent.clock import read_clock
from agent.daemon.wiring import api_client, follow_up_stage, video_fetcher
from agent.disk.space import DiskSpace
from agent.disk.state_folder import acting_as_caller, move_durably, open_plain, part_of
from agent.errors import (
    AgentError,
    ApiUnavailableError,
    BusyError,
    DownloadError,
    HostUnreachableError,
    RejectedDownloadError,
    RequestError,
    UnreachableError,
)
from agent.logs import configure_logs
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.queries import Followed
from agent.outbox.results import FollowUpState, VideoState
from agent.results.csv_export import ExportedTake, names_of, write_csv
from agent.results.follow_up import PollResult
from agent.settings import Settings, read_api_key
from agent.settings.load import how_to_edit
from agent.settings.model import why_no_key
from agent.stage import ignore_wake
from agent.station.assignments import api_host, state_folder
from agent.station.clip_actions import find
from agent.text import counted

_MOST_EXPORT_BYTES = 512 << 20
_EDGE_BYTES = 64


def look_now(settings: Settings, outbox: Outbox, entry: Entry) -> PollResult:
    """Ask about a clip's session, and keep what comes back; from then on it is followed again.

    Raises:
        RequestError: there is no key, the API refuses it, or the clip's athlete was forgotten.
        UnreachableError: no proper answer came.
    """
    key = key_for_asking(settings, outbox)
    outbox.follow_ups.resume(entry.id, now_s=read_clock().utc_s)
    follow_up = outbox.follow_ups.of_entry(entry.id)
    if follow_up is None or follow_up.state == "gone":
        raise RequestError(f"{entry.name} has no athlete any more: nothing to look up")
    folder = state_folder(settings)
    with api_client(settings, check=ignore_wake) as client:
        stage = follow_up_stage(
            settings, folder, outbox, client, DiskSpace(folder.root, min_free_mb=0), key=lambda: key
        )
        look = stage.poll_now(follow_up, key)
    if look.fault is not None and look.analysis is None:
        if look.fault.reason == "key":
            hint = f"put the right key into {settings.api.key_file}"
            raise RequestError(str(look.fault), hint=hint)
        raise UnreachableError(str(look.fault), hint="the daemon keeps trying")
    return look


def fetch_export(settings: Settings, outbox: Outbox, entry: Entry, target: Path) -> int:
    """Fetch key points, angles and timestamps of a clip's session into a file; return its size.

    Raises:
        RequestError: there is no key, the API refuses, what came is no document of its, or the
            file cannot be written.
        UnreachableError: no proper answer came.
    """
    key = key_for_asking(settings, outbox)
    path = export_path(entry.activity, entry.session_id or "")
    with refusals_of(target, hint="choose another folder"):
        fd, name = tempfile.mkstemp(dir=target.parent, prefix=".spotter-", suffix=".part")
    unfinished = Path(name)
    try:
        with (
            os.fdopen(fd, "wb") as file,
            api_client(settings, check=ignore_wake) as client,
        ):
            answer = client.save(path, key, file, most_bytes=_MOST_EXPORT_BYTES)
        text = _fault_of(answer, unfinished)
        if text is not None:
            raise RequestError(f"no export of {entry.name}: {text}")
        unfinished.replace(target)
    except ApiUnavailableError as fault:
        raise UnreachableError(str(fault), hint="try again later") from fault
    finally:
        unfinished.unlink(missing_ok=True)
    return target.stat().st_size


def _fault_of(answer: ApiResponse, content: Path) -> str | None:
    """Return why what came is no export; None where it is one."""
    if answer.is_cut:
        return f"larger than {_MOST_EXPORT_BYTES >> 20} MB"
    if answer.status != 200:
        words = answer.error_words()
        return f"HTTP {answer.status}" + (f": {words}" if words else ", not a response of the API")
    with content.open("rb") as file:
        begins = file.read(_EDGE_BYTES).lstrip()[:1]
        file.seek(-min(_EDGE_BYTES, content.stat().st_size), os.SEEK_END)
        ends = file.read().rstrip()[-1:]
    is_document = (begins, ends) in {(b"{", b"}"), (b"[", b"]")}
    return None if is_document else "the response is not JSON: a captive portal?"


def key_for_asking(settings: Settings, outbox: Outbox) -> ApiKey:
    """Return the key, in the header that the API took the last time.

    Raises:
        RequestError: there is none.
    """
    token = read_api_key(settings.api, os.environ)
    if token is None:
        raise RequestError(
            why_no_key(settings.api, os.environ), hint=how_to_edit(settings.api.key_file)
        )
    known = outbox.lanes.get(api_host(settings)).key_header
    wanted = known if settings.api.key_header == "auto" else settings.api.key_header
    return ApiKey(
        token=token, header=next((form for form in KEY_HEADERS if form == wanted), KEY_HEADERS[0])
    )


_NEVER_SEEN = frozenset({FollowUpState.FAILED, FollowUpState.GONE})
_PART_BYTES = 1 << 20


def download_video(
    settings: Settings,
    outbox: Outbox,
    entry: Entry,
    target: Path,
    *,
    key: Callable[[], ApiKey | None],
    pace: Pace,
) -> int:
    """Bring a clip's analysed video into a file; return its size.

    Raises:
        BusyError: it is not there yet, or does not come now; the same again continues from there.
        UnreachableError: its host cannot be reached.
        RequestError: it is no video, or the file cannot be written.
    """
    video = outbox.videos.of_entry(entry.id)
    if video is None:
        raise _missing(outbox, entry)
    here = state_folder(settings).analysed_video(entry.clip_code)
    try:
        with refusals_of(target.parent):
            if outbox.videos.state(entry.id) is VideoState.PRESENT:
                return _copy(here, target, pace)
            with api_client(settings, check=ignore_wake) as client:
                fetcher = video_fetcher(settings, outbox, client, key=key, check=ignore_wake)
                return fetcher.fetch(video, target, pace=pace)
    except DownloadError as error:
        raise _told(error, entry) from error


def _missing(outbox: Outbox, entry: Entry) -> AgentError:
    """Return why no analysed video of a clip is known."""
    hint = f"ask the API now: spotter session {entry.clip_code} --look"
    follow_up = outbox.follow_ups.of_entry(entry.id)
    if follow_up is None or follow_up.state not in _NEVER_SEEN:
        return BusyError(f"the analysis of {entry.clip_code} is not complete yet", hint=hint)
    text = f"no analysed video of {entry.clip_code}: {follow_up.words}"
    return RequestError(text, hint=hint)


def _told(error: DownloadError, entry: Entry) -> AgentError:
    """Return an error as a command ends with it."""
    words = f"no analysed video of {entry.clip_code}: {error}"
    if isinstance(error, RejectedDownloadError):
        return RequestError(words)
    hint = "run the same command again: the download resumes"
    if isinstance(error, HostUnreachableError):
        return UnreachableError(words, hint=hint)
    return BusyError(words, hint=hint)


def _copy(source: Path, target: Path, pace: Pace) -> int:
    """Copy a file of this box, so that it is there whole or not at all."""
    with open_plain(source) as video:
        size_bytes = os.fstat(video.fileno()).st_size
        with _new(part_of(target)) as part:
            have_bytes = 0
            while chunk := video.read(_PART_BYTES):
                part.write(chunk)
                have_bytes += len(chunk)
                pace(
                    DownloadProgress(
                        part_bytes=len(chunk),
                        have_bytes=have_bytes,
                        total_bytes=size_bytes,
                        can_resume=False,
                    )
                )
            part.flush()
            os.fsync(part.fileno())
    move_durably(part_of(target), target)
    return size_bytes


def _new(path: Path) -> BinaryIO:
    """Open a file for writing that was not there before, whatever is in its place."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660), "wb")


_STATES = ("waiting", "completed", "failed", "gone", "not_seen")
_HEAD = ("FILMED ({zone})", "ATHLETE", "EXERCISE", "STATE", "CLIP", "SESSION", "")
_FRESH_S = 300.0  # a link that the API gave within so long surely opens


@click.command()
@click.option("--athlete", metavar="USER_ID", help="Only sessions of this athlete.")
@click.option("--since", type=Since(), metavar="2d|DATE", help="Only takes recorded since then.")
@click.option("--state", type=click.Choice(_STATES), help="Only sessions in this state.")
@standard_options
def sessions(
    athlete: str | None,
    since: float | None,
    state: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """List sessions and their metrics."""
    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        found = outbox.sessions.latest(since=since or 0.0, user_id=athlete, state=state)
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
@standard_options
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
    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        followed = _found(outbox, wanted)
        if look or (opens and _link_is_old(followed)):
            followed = _looked(settings, outbox, followed)
        if folder is not None:
            download_into(settings, outbox, followed.entry, folder)
        if target is not None:
            _fetch(settings, outbox, followed, target)
    if as_json:
        print_json(session_document(followed))
    else:
        for name, words in session_lines(followed, local_time()):
            click.echo(f"{name:16} {words}")
    if opens:
        _open(settings, followed)


def _found(outbox: Outbox, wanted: str) -> Followed:
    entries = outbox.listing.of_session(wanted)
    if not entries:
        try:
            find(outbox, wanted)
        except RequestError:
            hint = "list them: spotter sessions; clips: spotter outbox list --all"
            raise RequestError(f"no session or clip {wanted!r}", hint=hint) from None
        entries = [find_clip(outbox, wanted)]
    followed = outbox.sessions.of(entries[0])
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


def _looked(settings: Settings, outbox: Outbox, followed: Followed) -> Followed:
    """Ask the API about a session now, and return how it stands then."""

    configure_logs("error")
    look_now(settings, outbox, followed.entry)
    wake_daemon(settings)
    now_known = outbox.sessions.of(followed.entry)
    assert now_known is not None  # it has a session
    return now_known


def _fetch(settings: Settings, outbox: Outbox, followed: Followed, target: Path) -> None:
    click.echo("downloading ...", err=True)
    with file_for_person(settings, target) as here:
        size_bytes = fetch_export(settings, outbox, followed.entry, here)
    click.echo(f"{target}: {size_words(size_bytes)}", err=True)


def _open(settings: Settings, followed: Followed) -> None:
    result, code = followed.result, followed.entry.clip_code
    if result is not None and result.video_state == "present":
        show_in_browser(state_folder(settings).analysed_video(code).as_uri())
    elif result is not None and result.analysed_video_url is not None:
        show_in_browser(result.analysed_video_url)
    else:
        raise RequestError(
            f"no analysed video of {code} yet", hint=f"ask the API: spotter session {code} --look"
        )


def download_into(settings: Settings, outbox: Outbox, entry: Entry, folder: Path) -> None:
    """Bring the analysed video and the API's export of a clip into a folder."""

    video, export = (
        folder / f"{entry.clip_code}{end}" for end in ("-analysed.mp4", "-export.json")
    )
    with refusals_of(folder), acting_as_caller():
        folder.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as shown:
        bar = shown.add_task("analysed video", total=None)

        def pace(progress: DownloadProgress) -> None:
            shown.update(bar, completed=progress.have_bytes, total=progress.total_bytes)

        with file_for_person(settings, video) as here:
            size_bytes = download_video(
                settings,
                outbox,
                entry,
                here,
                key=lambda: key_for_asking(settings, outbox),
                pace=pace,
            )
        click.echo(f"{video}: {size_words(size_bytes)}", err=True)
        shown.update(bar, description="key points and angles", completed=0, total=None)
        with file_for_person(settings, export) as here:
            size_bytes = fetch_export(settings, outbox, entry, here)
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


_STANDARD_OUTPUT = "-"


@click.command()
@click.option("--since", type=Since(), metavar="2d|DATE", help="Only takes recorded since then.")
@click.option("--athlete", metavar="USER_ID", help="Only takes of this athlete.")
@click.option(
    "--csv",
    "target",
    is_flag=False,
    flag_value=_STANDARD_OUTPUT,
    default=_STANDARD_OUTPUT,
    metavar="[FILE]",
    help="Write to a file.  [default: standard output]",
)
@click.option("--names", is_flag=True, help="Include the athletes' names.")
@config_option
def export(
    since: float | None, athlete: str | None, target: str, names: bool, config: Path | None
) -> None:
    """Export takes and their metrics as CSV.

    One row per take, one column per metric; UTF-8, times in UTC.
    """
    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        sessions = outbox.sessions.latest(since=since or 0.0, user_id=athlete)
        found = [ExportedTake.of_session(session) for session in sessions]
        known = names_of(outbox, found) if names else None
    if target == _STANDARD_OUTPUT:
        write_csv(sys.stdout, found, names=known)
        return
    with (
        refusals_of(target, hint="choose another file"),
        Path(target).open("w", encoding="utf-8", newline="") as file,
    ):
        write_csv(file, found, names=known)
    click.echo(f"{counted(len(found), 'take')} written to {target}", err=True)
