"""spotter athletes."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import (
    config_option,
    json_option,
    local_time,
    opened_outbox,
    print_columns,
    print_json,
    settings_of,
)
from agent.errors import LaneError, RequestError, UnreachableError

if TYPE_CHECKING:
    from agent.outbox.people.roster import Athlete
    from agent.outbox.store import Outbox
    from agent.settings import Settings

_HEAD = ("USER_ID", "NAME", "MISSING IN THE ACCOUNT")
_REFUSALS = frozenset({"key", "account", "no_key"})


@click.command()
@click.option("--sync", is_flag=True, help="Reload the roster from the API first.")
@click.option("--search", default="", metavar="TEXT", help="Filter by part of a name.")
@click.option("--resolve", nargs=2, metavar="GUEST USER_ID", help="Link a guest to an athlete.")
@config_option
@json_option
def athletes(
    sync: bool, search: str, resolve: tuple[str, str] | None, config: Path | None, as_json: bool
) -> None:
    """List the athletes who can be assigned.

    Most recently assigned first.  The roster is stored locally; the daemon keeps it up to date.
    A guest (guest:3) is not in the account: a guest's clips are held until --resolve links the
    guest to an athlete.
    """
    from agent.clock import read_clock
    from agent.outbox.people.switches import ROSTER_SYNCED_AT
    from agent.plurals import counted
    from agent.station.roster import resolve_guest, search_athletes

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
    told = "roster not loaded yet: spotter athletes --sync"
    if synced_at is not None:
        told = f"as of {local_time().full(synced_at)}"
    click.echo(f"{counted(len(found), 'athlete')}, {told}", err=True)


def _document(athlete: "Athlete") -> dict[str, object]:
    from agent.clock import iso_utc

    return {
        "user_id": athlete.user_id,
        "key": athlete.key,
        "name": athlete.name,
        "guest": athlete.is_guest,
        "last_assigned_at": iso_utc(athlete.last_assigned_at),
        "last_barbell_mass": dict(athlete.masses_kg),
        "lacks": list(athlete.lacks),
    }


def _sync(settings: "Settings", outbox: "Outbox") -> None:
    """Bring the roster up to date now."""
    from agent.assembly.attendance import fetch_roster, named
    from agent.assembly.delivery import api_client
    from agent.clock import read_clock
    from agent.stage import ignore_wake
    from agent.station.of_settings import api_host
    from agent.station.refreshing import take_over

    try:
        with api_client(settings, check=ignore_wake) as client:
            users, complete = named(fetch_roster(settings, outbox, client, host=api_host(settings)))
    except LaneError as fault:
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
