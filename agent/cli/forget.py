"""spotter forget."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import (
    config_option,
    json_option,
    opened_outbox,
    print_json,
    settings_of,
    wake_daemon,
)
from agent.cli.unknown import warn_of_unknown
from agent.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.outbox.people.forgettings import Forgetting
    from agent.outbox.store import Outbox
    from agent.settings import Settings
    from agent.station.forgetting import Belongings

_WAIT_S = 30.0
_LOOK_S = 0.2


@click.command()
@click.argument("user_id", required=False)
@click.option("--also-at-api", is_flag=True, help="Also delete this station's sessions at the API.")
@click.option(
    "--receipt",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a receipt of the erasure as JSON, and a printable page (.html) next to it.",
)
@click.option("--retry", is_flag=True, help="Retry the deletions that the API refused.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@config_option
@json_option
def forget(
    user_id: str | None,
    also_at_api: bool,
    receipt: Path | None,
    retry: bool,
    yes: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Delete an athlete's data from this device.

    Deletes name, clips, pictures and results of an athlete or a guest (guest:3), including
    clips that are not uploaded yet.  Sessions at the API are listed and kept, unless
    --also-at-api deletes them; that continues in the background until each is deleted or
    refused.  Without USER_ID, --receipt writes the receipt of the latest erasure.
    """
    from agent.clock import read_clock
    from agent.logs import configure_logs

    if user_id is None and (also_at_api or not (receipt or retry)):
        raise click.UsageError("USER_ID is missing")
    yes = yes or user_id is None
    if as_json and not yes:
        raise click.UsageError("--json needs --yes: it cannot ask for confirmation")
    configure_logs("error")
    settings = settings_of(config)
    document: dict[str, object] = {"user_id": user_id}
    with opened_outbox(settings) as box:
        if retry:
            document["retried"] = box.deletions.retry_refused(now_s=read_clock().utc_s)
        if user_id is not None:
            document |= _erase(settings, box, user_id, also_at_api=also_at_api, yes=yes)
        wake_daemon(settings)
        if also_at_api or retry:
            _wait_for_deletions(settings, box, quiet=as_json)
        written = _receipt(settings, box, user_id, receipt)
    document |= written
    if as_json:
        print_json(document)
    else:
        _tell(document)


def _erase(
    settings: "Settings", box: "Outbox", key: str, *, also_at_api: bool, yes: bool
) -> dict[str, object]:
    """Erase the person as far as that can be done now; return what scripts are told."""
    from agent.clock import read_clock
    from agent.station.forgetting import belongings, carry_out
    from agent.station.forgetting import forget as ask_to_forget
    from agent.station.of_settings import state_folder
    from agent.station.roster import athlete_of, split_key

    owned = belongings(box, key)
    before = box.forgettings.of_person(*split_key(key))
    is_here = bool(owned.clips or owned.sessions or athlete_of(box, key))
    if before and not is_here and not also_at_api:
        return _erased_before(settings, key, before)
    if not before and not is_here:
        warn_of_unknown(box, key)
    if not yes:
        _confirm(key, owned, also_at_api=also_at_api)
    undoable = ask_to_forget(box, key, now=read_clock(), at_api=also_at_api)
    asked = box.forgettings.of_undoable(undoable.id)
    assert asked is not None  # made with it
    progress = carry_out(box, state_folder(settings), asked, now=read_clock)
    return {
        "done": progress.done,
        "clips": owned.clips,
        "undelivered": owned.unsent,
        "waits_for": list(progress.waits_for),
        "sessions": list(owned.sessions),
        "also_at_api": also_at_api,
        "named_in_settings": settings.station.user_id == key,
    }


def _erased_before(
    settings: "Settings", key: str, before: "Sequence[Forgetting]"
) -> dict[str, object]:
    """Return what scripts are told of somebody of whom nothing is left to erase."""
    return {
        "done": all(one.state == "done" for one in before),
        "clips": 0,
        "undelivered": 0,
        "waits_for": [],
        "sessions": [],
        "also_at_api": False,
        "named_in_settings": settings.station.user_id == key,
    }


def _wait_for_deletions(settings: "Settings", box: "Outbox", *, quiet: bool) -> None:
    """Wait some seconds for a running daemon to delete sessions, and show how far it is."""
    from agent.outbox.disk.owner import OwnerLock
    from agent.station.of_settings import state_folder

    runs, until_s = OwnerLock(state_folder(settings)).is_taken(), time.monotonic() + _WAIT_S
    shows = not quiet and sys.stderr.isatty()
    while runs and time.monotonic() < until_s:
        waiting = box.deletions.count_fresh()
        if not waiting:
            break
        if shows:
            click.echo(f"\r\x1b[Ksessions still to delete: {waiting}", err=True, nl=False)
        time.sleep(_LOOK_S)
    if shows:
        click.echo("\r\x1b[K", err=True, nl=False)


def _receipt(
    settings: "Settings", box: "Outbox", key: str | None, path: Path | None
) -> dict[str, object]:
    """Write the receipt where it is wanted; return what scripts are told of it."""
    from agent.clock import read_clock
    from agent.outbox.disk.folders import acting_as_caller
    from agent.station.receipt import receipt, receipt_page

    station = settings.station.name or settings.station.id
    document = receipt(box, key, station=station, now_s=read_clock().utc_s)
    told: dict[str, object] = {"erasures": document["erasures"], "open": document["open"]}
    if path is None:
        return told
    if not document["erasures"]:
        raise RequestError("no athlete's data was erased on this station: no receipt to write")
    import json

    json_path = path.with_suffix(".json") if path.suffix == ".html" else path
    page_path = json_path.with_suffix(".html")
    page = receipt_page(document, language=settings.web.language)
    try:
        with acting_as_caller():
            json_path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
            page_path.write_text(page)
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}", hint="choose another file") from None
    return {**told, "receipt": [str(json_path), str(page_path)]}


def _confirm(user_id: str, owned: "Belongings", *, also_at_api: bool) -> None:
    from agent.plurals import counted

    clips = counted(owned.clips, "clip") if owned.clips else "no clip"
    unsent = f", {owned.unsent} of them not uploaded" if owned.unsent else ""
    there = ""
    if also_at_api:
        sessions = counted(len(owned.sessions), "session")
        there = f"  At the API, {sessions} of this station will be deleted too."
    question = (
        f"This device has {clips} of {user_id}{unsent}.  All data of this athlete will be deleted "
        f"permanently.{there}  Continue?"
    )
    if not click.confirm(question):
        raise RequestError("nothing was changed")


def _tell(document: dict[str, object]) -> None:
    from agent.plurals import counted

    retried = document.get("retried")
    if isinstance(retried, int):
        click.echo(f"retried: {counted(retried, 'refused deletion')}")
    if document["user_id"] is not None:
        _tell_erased(document)
    erasures, still_open = document["erasures"], document["open"]
    assert isinstance(erasures, list) and isinstance(still_open, list)  # made above
    sessions = [session for erasure in erasures for session in erasure["sessions"]]
    for state, words in (
        ("deleted", "deleted at the API"),
        ("waiting", "to be deleted at the API as soon as it is reachable"),
        ("refused", "refused by the API (--retry tries again)"),
        ("kept", "still at the API (--also-at-api deletes them)"),
    ):
        ids = [
            session["session_id"] or f"of clip {session['clip_code']}, if there is one"
            for session in sessions
            if session["state"] == state
        ]
        if ids:
            click.echo(f"{words}: {', '.join(ids)}")
    if not sessions:
        click.echo("at the API: no session of this station")
    if "receipt" in document:
        paths = document["receipt"]
        assert isinstance(paths, list)  # made above
        click.echo(f"receipt: {' and '.join(paths)}")
        if still_open:
            click.echo("it lists what is still open; write it again later with --receipt")


def _tell_erased(document: dict[str, object]) -> None:
    from agent.plurals import counted

    who, clips, waits_for = document["user_id"], document["clips"], document["waits_for"]
    assert isinstance(waits_for, list) and isinstance(clips, int)  # made above
    click.echo(f"deleted from this device: {counted(clips, 'clip')} of {who}")
    if waits_for:
        click.echo(
            "deleted automatically later, after other athletes' clips in it are uploaded or its "
            f"own upload has ended: {', '.join(waits_for)}"
        )
    if document["named_in_settings"]:
        click.echo("the settings still name this athlete: remove station.user_id")
