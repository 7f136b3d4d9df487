"""spotter sessions, spotter session."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import (
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
from agent.cli.since import Since
from agent.errors import RequestError

if TYPE_CHECKING:
    from agent.outbox.store import Outbox
    from agent.outbox.views.sessions import Followed
    from agent.settings import Settings

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
    from agent.cli.session_words import session_cells, session_document

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
    from agent.cli.downloading import download_into
    from agent.cli.session_words import session_document, session_lines

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


def _found(box: "Outbox", wanted: str) -> "Followed":
    from agent.cli.each import clip_named

    entries = box.listing.of_session(wanted) or [clip_named(box, wanted)]
    followed = box.sessions.of(entries[0])
    if followed is None:
        entry = entries[0]
        raise RequestError(
            f"{entry.name} is {entry.state}: it has no session at the API yet",
            hint=f"spotter show {entry.name}",
        )
    return followed


def _link_is_old(followed: "Followed") -> bool:
    from agent.clock import read_clock

    result = followed.result
    if result is None or result.url_at is None:
        return True
    return result.video_state != "present" and read_clock().utc_s - result.url_at > _FRESH_S


def _looked(settings: "Settings", box: "Outbox", followed: "Followed") -> "Followed":
    """Ask the API about a session now, and return how it stands then."""
    from agent.logs import configure_logs
    from agent.on_request.asking import look_now

    configure_logs("error")
    look_now(settings, box, followed.entry)
    wake_daemon(settings)
    now_known = box.sessions.of(followed.entry)
    assert now_known is not None  # it has a session
    return now_known


def _fetch(settings: "Settings", box: "Outbox", followed: "Followed", target: Path) -> None:
    from agent.cli.words import size_words
    from agent.on_request.asking import fetch_export

    click.echo("downloading ...", err=True)
    with file_for_person(settings, target) as here:
        size_bytes = fetch_export(settings, box, followed.entry, here)
    click.echo(f"{target}: {size_words(size_bytes)}", err=True)


def _open(settings: "Settings", followed: "Followed") -> None:
    from agent.cli.showing import show_in_browser
    from agent.station.of_settings import state_folder

    result, code = followed.result, followed.entry.clip_code
    if result is not None and result.video_state == "present":
        show_in_browser(state_folder(settings).analysed_video(code).as_uri())
    elif result is not None and result.analysed_video_url is not None:
        show_in_browser(result.analysed_video_url)
    else:
        raise RequestError(
            f"no analysed video of {code} yet", hint=f"ask the API: spotter session {code} --look"
        )
