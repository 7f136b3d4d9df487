"""The commands `athletes` and `forget`."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from agent.cli.common import (
    local_time,
    opened_outbox,
    print_columns,
    print_json,
    refusals_of,
    settings_of,
    standard_options,
    wake_daemon,
    warn_unknown_athlete,
)
from agent.clock import iso_utc, read_clock
from agent.daemon.wiring import api_client, fetch_roster, named
from agent.disk.state_folder import StateFolderLock, acting_as_caller
from agent.errors import ApiUnavailableError, RequestError, UnreachableError
from agent.logs import configure_logs
from agent.outbox.outbox import Outbox
from agent.outbox.roster import ROSTER_SYNCED_AT, RosterAthlete
from agent.settings import Settings
from agent.stage import ignore_wake
from agent.station.assignments import state_folder
from agent.station.erasure import ErasurePreview, carry_out, erasure_preview, receipt, receipt_page
from agent.station.erasure import forget as ask_to_forget
from agent.station.roster import athlete_of, resolve_guest, search_athletes, split_key, take_over
from agent.text import counted

_HEAD = ("USER_ID", "NAME", "MISSING IN THE ACCOUNT")
_REFUSALS = frozenset({"key", "account", "no_key"})


@click.command()
@click.option("--sync", is_flag=True, help="Reload the roster from the API first.")
@click.option("--search", default="", metavar="TEXT", help="Filter by part of a name.")
@click.option("--resolve", nargs=2, metavar="GUEST USER_ID", help="Link a guest to an athlete.")
@standard_options
def athletes(
    sync: bool, search: str, resolve: tuple[str, str] | None, config: Path | None, as_json: bool
) -> None:
    """List the athletes who can be assigned.

    Most recently assigned first.  The roster is stored locally; the daemon keeps it up to date.
    A guest (guest:3) is not in the account: a guest's clips are held until --resolve links the
    guest to an athlete.
    """

    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        if sync:
            _sync(settings, outbox)
        if resolve is not None:
            released = resolve_guest(
                outbox,
                *resolve,
                now_s=read_clock().utc_s,
                send_delay_s=settings.delivery.send_delay_s,
            )
            click.echo(f"released: {counted(len(released), 'clip')}", err=True)
        found = search_athletes(outbox, search, most=100_000)
        synced_at = outbox.switches.moment(ROSTER_SYNCED_AT)
    if as_json:
        print_json([_document(athlete) for athlete in found])
        return
    if found:
        print_columns(
            [_HEAD, *((athlete.key, athlete.name, ", ".join(athlete.lacks)) for athlete in found)]
        )
    text = "roster not loaded yet: spotter athletes --sync"
    if synced_at is not None:
        text = f"as of {local_time().full(synced_at)}"
    click.echo(f"{counted(len(found), 'athlete')}, {text}", err=True)


def _document(athlete: RosterAthlete) -> dict[str, object]:
    return {
        "user_id": athlete.user_id,
        "key": athlete.key,
        "name": athlete.name,
        "guest": athlete.is_guest,
        "last_assigned_at": iso_utc(athlete.last_assigned_at),
        "last_barbell_mass": dict(athlete.masses_kg),
        "lacks": list(athlete.lacks),
    }


def _sync(settings: Settings, outbox: Outbox) -> None:
    """Bring the roster up to date now."""

    try:
        with api_client(settings, check=ignore_wake) as client:
            users, complete = named(fetch_roster(settings, outbox, client))
    except ApiUnavailableError as fault:
        if fault.reason in _REFUSALS:
            raise RequestError(
                f"roster not loaded: {fault}",
                hint="use an admin's API key: only admins may list athletes"
                if fault.reason == "account"
                else f"put the right key into {settings.api.key_file}",
            ) from fault
        raise UnreachableError(
            f"roster not loaded: {fault}", hint="the local roster stays in use; try again later"
        ) from fault
    take_over(outbox, users, complete=complete, now_s=read_clock().utc_s)


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
@standard_options
def forget(
    user_id: str | None,
    also_at_api: bool,
    receipt: Path | None,
    retry: bool,
    yes: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Delete an athlete's data from this box.

    Deletes name, clips, pictures and results of an athlete or a guest (guest:3), including
    clips that are not uploaded yet.  Sessions at the API are listed and kept, unless
    --also-at-api deletes them; that continues in the background until each is deleted or
    refused.  Without USER_ID, --receipt writes the receipt of the latest erasure.
    """

    if user_id is None and (also_at_api or not (receipt or retry)):
        raise click.UsageError("USER_ID is missing")
    yes = yes or user_id is None
    if as_json and not yes:
        raise click.UsageError("--json needs --yes: it cannot ask for confirmation")
    configure_logs("error")
    settings = settings_of(config)
    document: dict[str, object] = {"user_id": user_id}
    with opened_outbox(settings) as outbox:
        if retry:
            document["retried"] = outbox.deletions.retry_refused(now_s=read_clock().utc_s)
        if user_id is not None:
            document |= _erase(settings, outbox, user_id, also_at_api=also_at_api, yes=yes)
        wake_daemon(settings)
        if also_at_api or retry:
            _wait_for_deletions(settings, outbox, quiet=as_json)
        written = _receipt(settings, outbox, user_id, receipt)
    document |= written
    if as_json:
        print_json(document)
    else:
        _tell(document)


def _erase(
    settings: Settings, outbox: Outbox, key: str, *, also_at_api: bool, yes: bool
) -> dict[str, object]:
    """Erase the person as far as that can be done now; return the document for scripts."""
    owned = erasure_preview(outbox, key)
    before = outbox.forgettings.of_person(*split_key(key))
    is_here = bool(owned.clips or owned.sessions or athlete_of(outbox, key))
    if before and not is_here and not also_at_api:  # nothing is left to erase
        done, waits_for = all(one.state == "done" for one in before), list[str]()
    else:
        if not before and not is_here:
            warn_unknown_athlete(outbox, key)
        if not yes:
            _confirm(key, owned, also_at_api=also_at_api)
        undoable = ask_to_forget(outbox, key, now=read_clock(), at_api=also_at_api)
        asked = outbox.forgettings.of_undoable(undoable.id)
        assert asked is not None  # made with it
        progress = carry_out(outbox, state_folder(settings), asked, now=read_clock)
        done, waits_for = progress.done, list(progress.waits_for)
    return {
        "done": done,
        "clips": owned.clips,
        "undelivered": owned.unsent,
        "waits_for": waits_for,
        "sessions": list(owned.sessions),
        "also_at_api": also_at_api,
        "named_in_settings": settings.station.user_id == key,
    }


def _wait_for_deletions(settings: Settings, outbox: Outbox, *, quiet: bool) -> None:
    """Wait some seconds for a running daemon to delete sessions, and show how far it is."""

    runs, until_s = StateFolderLock(state_folder(settings)).is_taken(), time.monotonic() + _WAIT_S
    shows = not quiet and sys.stderr.isatty()
    while runs and time.monotonic() < until_s:
        waiting = outbox.deletions.count_fresh()
        if not waiting:
            break
        if shows:
            click.echo(f"\r\x1b[Ksessions still to delete: {waiting}", err=True, nl=False)
        time.sleep(_LOOK_S)
    if shows:
        click.echo("\r\x1b[K", err=True, nl=False)


def _receipt(
    settings: Settings, outbox: Outbox, key: str | None, path: Path | None
) -> dict[str, object]:
    """Write the receipt where it is wanted; return the document for scripts about it."""
    station = settings.station.name or settings.station.id
    document = receipt(outbox, key, station=station, now_s=read_clock().utc_s)
    result: dict[str, object] = {"erasures": document["erasures"], "open": document["open"]}
    if path is None:
        return result
    if not document["erasures"]:
        raise RequestError("no athlete's data was erased on this station: no receipt to write")

    json_path = path.with_suffix(".json") if path.suffix == ".html" else path
    page_path = json_path.with_suffix(".html")
    page = receipt_page(document, language=settings.web.language)
    with refusals_of(path, hint="choose another file"), acting_as_caller():
        json_path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        page_path.write_text(page)
    return {**result, "receipt": [str(json_path), str(page_path)]}


def _confirm(user_id: str, owned: ErasurePreview, *, also_at_api: bool) -> None:
    clips = counted(owned.clips, "clip") if owned.clips else "no clip"
    unsent = f", {owned.unsent} of them not uploaded" if owned.unsent else ""
    there = ""
    if also_at_api:
        sessions = counted(len(owned.sessions), "session")
        there = f"  At the API, {sessions} of this station will be deleted too."
    question = (
        f"This box has {clips} of {user_id}{unsent}.  All data of this athlete will be deleted "
        f"permanently.{there}  Continue?"
    )
    try:
        is_sure = click.confirm(question)
    except click.Abort as aborted:
        if not isinstance(aborted.__context__, EOFError):
            raise
        click.echo()
        raise RequestError(
            "nothing was changed: the question was not answered", hint="--yes answers it"
        ) from None
    if not is_sure:
        raise RequestError("nothing was changed")


def _tell(document: dict[str, Any]) -> None:
    retried = document.get("retried")
    if isinstance(retried, int):
        click.echo(f"retried: {counted(retried, 'refused deletion')}")
    if document["user_id"] is not None:
        _tell_erased(document)
    erasures, still_open = document["erasures"], document["open"]
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
        click.echo(f"receipt: {' and '.join(document['receipt'])}")
        if still_open:
            click.echo("it lists what is still pending; write it again later with --receipt")


def _tell_erased(document: dict[str, Any]) -> None:
    who, clips, waits_for = document["user_id"], document["clips"], document["waits_for"]
    click.echo(f"deleted from this box: {counted(clips, 'clip')} of {who}")
    if waits_for:
        click.echo(
            "deleted automatically later, after other athletes' clips in it are uploaded or its "
            f"own upload has ended: {', '.join(waits_for)}"
        )
    if document["named_in_settings"]:
        click.echo("the settings still name this athlete: remove station.user_id")
