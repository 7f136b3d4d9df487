"""The commands `hub`, `join` and `leave`."""

import os
import re
import shlex
import sys
from base64 import b32encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import click
import segno

from agent.cli.common import (
    BoundedNumber,
    Duration,
    Number,
    WholeNumber,
    opened_outbox,
    print_answer,
    print_json,
    settings_of,
    standard_options,
    wake_daemon,
)
from agent.cli.formatting import duration_words
from agent.cli.hub_care import (
    hub,
    hub_config_option,
    hub_options,
    opened_hub,
    prepared_hub,
    text_of,
)
from agent.cli.page import show_link
from agent.clock import LocalTime, iso_utc, read_clock
from agent.disk.space import READ_ONLY_REMEDY, is_read_only
from agent.disk.state_folder import StateFolderLock, acting_as_owner, other_owner, user_name
from agent.doctor.facility import HUB_UNIT
from agent.errors import BusyError, RequestError
from agent.facility.joining import join as join_facility
from agent.facility.joining import join_as_site
from agent.facility.keys import SEED_BYTES, FacilityKey
from agent.facility.membership import NAME, Invitation, MemberKind, forget_membership
from agent.facility.orders import Turn
from agent.hub.folder import HubFolder, OpenInvitation
from agent.hub.planning import (
    MOST_DAYS,
    HubAthlete,
    HubRoster,
    Planner,
    is_calendar,
    moment_of,
    read_plan_csv,
    user_id_among,
)
from agent.hub.run import run_hub
from agent.hub.settings import LEAF_PORT, HubSettings, load_hub
from agent.logs import configure_logs
from agent.outbox.consistency import stored_pause
from agent.outbox.devices import Role
from agent.outbox.outbox import Outbox
from agent.stage import StageName
from agent.station.assignments import state_folder
from agent.station.network import page_address, page_remedy
from agent.text import counted

_TOKEN_BYTES = 15
_PAIR_WITHIN_S = 600.0
_KINDS = {
    MemberKind.SITE: "NAME is a site; this hub is the hub of its chain.",
    MemberKind.WORKER: "NAME is a worker, which analyses for stations.",
}
_JOIN_COMMANDS = {
    MemberKind.STATION: "spotter join",
    MemberKind.WORKER: "spotter worker --join",
    MemberKind.SITE: "sudo spotter hub join",
}


@hub.command("run")
@hub_config_option
def run(config: Path) -> None:
    """Run the hub in the foreground.

    Starts nats-server, to which every station that has joined connects.  Stations also work without
    the hub, and send what it missed once it is back.  SIGTERM or Ctrl-C ends it.
    """
    settings = load_hub(config)
    owner = other_owner(settings.hub.state)
    if owner is not None:
        name = user_name(owner.st_uid)
        raise RequestError(
            f"{settings.hub.state} belongs to {name}: do not run the hub as root",
            hint=f"sudo systemctl start spotter-hub, or sudo -u {shlex.quote(name)}",
        )
    configure_logs(settings.log.level)
    run_hub(settings)


def _kind_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say what kind of member NAME is."""
    for kind, words in _KINDS.items():
        flag = click.option(f"--{kind}", "kind", flag_value=kind, type=MemberKind, help=words)
        command = flag(command)
    return command


@hub.command("invite")
@click.argument("station", metavar="NAME")
@_kind_options
@click.option(
    "--hours",
    type=BoundedNumber(0.1, 24 * 30),
    metavar="N",
    default=24.0,
    show_default=True,
    help="How long the link is valid.",
)
@hub_options
def invite(
    station: str, kind: MemberKind | None, hours: float, config: Path, as_json: bool
) -> None:
    """Print a link and QR code that let a station join.

    NAME is the station's id.  The link lets one station join, once: spotter join 'LINK'.  Keep it
    secret until then.  A station that has joined before gets a new key.
    """
    kind = kind or MemberKind.STATION
    if not re.fullmatch(NAME, station):
        if kind is not MemberKind.STATION:
            raise RequestError(f"{station!r} is not a name", hint="letters, digits, - and _")
        raise RequestError(
            f"{station!r} is not a station's id", hint="see station.id in the station's settings"
        )
    settings = load_hub(config)
    folder = prepared_hub(settings)
    if kind is MemberKind.SITE:
        _check_chain(settings, folder, station)
    seed, until_s = os.urandom(SEED_BYTES), read_clock().utc_s + hours * 3600
    opened = OpenInvitation(key=FacilityKey(seed).public, until=until_s)
    with acting_as_owner(folder.root):
        folder.change(lambda register: register.invite(station, opened, kind=kind))
        digest = folder.digest()
    invitation = Invitation(
        address=settings.hub.called,
        site=settings.hub.site,
        station=station,
        digest=digest,
        seed=seed,
        kind=kind,
    )
    if as_json:
        print_json({"link": invitation.link, str(kind): station, "until": iso_utc(until_s)})
        return
    segno.make(invitation.link, error="l", micro=False).terminal(sys.stdout, compact=True, border=2)
    click.echo(f"On the {kind}:")
    click.echo(f"{_JOIN_COMMANDS[kind]} '{invitation.link}'")
    click.echo(f"Valid once, for {duration_words(hours * 3600)}.")
    _warn_if_unreachable(settings, folder)


def _check_chain(settings: HubSettings, folder: HubFolder, site: str) -> None:
    """See that this is a chain's hub, to which such a site can connect.

    Raises:
        RequestError: it is not.
    """
    if settings.hub.sites is None:
        raise RequestError(
            "this hub does not let sites connect", hint=f'set hub.sites = "0.0.0.0:{LEAF_PORT}"'
        )
    if site == settings.hub.site:
        raise RequestError(f"{site} is this hub's own site", hint="each site needs its own name")
    with acting_as_owner(folder.root):
        if folder.chain() is not None:
            raise RequestError("this hub belongs to a chain itself", hint="spotter hub leave")


def _warn_if_unreachable(settings: HubSettings, folder: HubFolder) -> None:
    with acting_as_owner(folder.root):
        runs = StateFolderLock(folder.places).is_taken()
    if not runs:
        click.echo("The hub is not running; start it first: spotter hub run", err=True)
    if not settings.hub.is_reachable:
        click.echo(
            f"The broker listens on {settings.hub.listen}, on this machine only.  For stations on "
            'the network set hub.listen = "0.0.0.0:4222"',
            err=True,
        )


@hub.command("remove")
@click.argument("station", metavar="NAME")
@_kind_options
@hub_options
def remove(station: str, kind: MemberKind | None, config: Path, as_json: bool) -> None:
    """Remove a station from the hub, or revoke its invitation.

    The station continues without the hub; `spotter leave` there ends its attempts to connect.  A
    removed worker's recording goes to another one, or back to its station.  The events of a removed
    site are deleted here.
    """
    kind = kind or MemberKind.STATION
    with opened_hub(config) as (settings, folder):
        folder.change(lambda register: register.remove(station, kind=kind))
        if kind is MemberKind.STATION:
            Planner(settings.hub, folder).clear(station, now_s=read_clock().utc_s)
    print_answer({"removed": station}, f"removed: {station}", as_json=as_json)


@hub.command("assign")
@click.argument("station")
@click.argument("user_id")
@click.option("--at", "begins", metavar="TIME", help="Begin, such as 14:30.  [default: now]")
@click.option(
    "--for", "lasts_s", type=Duration(), metavar="30m", help="The turn ends after this time."
)
@click.option("--exercise", help="Exercise.  [default: the athlete's last one there]")
@click.option("--barbell-mass", type=Number(), metavar="KG", help="Weight on the bar.")
@hub_options
def assign(
    station: str,
    user_id: str,
    begins: str | None,
    lasts_s: float | None,
    exercise: str | None,
    barbell_mass: float | None,
    config: Path,
    as_json: bool,
) -> None:
    """Plan an athlete for a station, from now or a given time.

    USER_ID may also be the full name of one athlete of the roster.  The station stores the plan,
    and carries it out even without the hub.  A coach at the station can override it until the next
    turn begins; the hub's page shows that.
    """
    now_s = read_clock().utc_s
    user_id = user_id_among(_athletes(config), user_id)
    try:
        begins_s = now_s if begins is None else moment_of(begins, now_s=now_s)
        turn = Turn(
            user_id=user_id,
            begins=begins_s,
            ends=None if lasts_s is None else begins_s + lasts_s,
            exercise=exercise,
            barbell_mass=barbell_mass,
        )
    except ValueError:
        raise RequestError(
            "this cannot be planned", hint='times are like 14:30 or "2026-11-29 14:30"'
        ) from None
    if turn.ends is not None and turn.ends <= now_s:
        ended = LocalTime(now_s).moment(turn.ends)
        raise RequestError(
            f"this turn would have ended at {ended}",
            hint='another day, with its date: --at "2026-11-29 14:30"',
        )
    _plan(config, {station: [turn]}, now_s=now_s, as_json=as_json)


@hub.command("plan")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option(
    "--days",
    type=WholeNumber(1, MOST_DAYS),
    metavar="N",
    default=2,
    show_default=True,
    help="How many days of an iCalendar file are planned, from now on.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Remove future turns that are not in FILE, within --days, at its stations.",
)
@hub_options
def plan(file: TextIO, days: int, replace: bool, config: Path, as_json: bool) -> None:
    """Plan many turns from FILE, a CSV or iCalendar file.

    "-": standard input.  If a line cannot be read, nothing is planned.  Columns of a CSV file:
    station,user_id,begins, and optionally ends,exercise,barbell_mass.  Times are 14:30 (today) or
    2026-11-29 14:30.  In an iCalendar each event is a turn: LOCATION is the station's id, SUMMARY
    the athlete, by user id or by a name of the roster.
    """
    now_s, text = read_clock().utc_s, text_of(file)
    if not is_calendar(text):
        turns = read_plan_csv(text, now_s=now_s, athletes=_athletes(config))
        _plan(config, turns, now_s=now_s, as_json=as_json, replace=replace)
        return
    from agent.hub.calendar import read_plan_calendar  # its libraries are the hub's alone

    with opened_hub(config) as (_settings, folder):
        stations, athletes = folder.register().stations, HubRoster(folder.roster).athletes()
    found = read_plan_calendar(text, now_s=now_s, days=days, stations=stations, athletes=athletes)
    if found.ignored:
        ignored = counted(found.ignored, "event")
        click.echo(f"{ignored} without a LOCATION, which names the station: ignored", err=True)
    _plan(config, found.turns, now_s=now_s, as_json=as_json, replace=replace)


def _athletes(config: Path) -> Mapping[str, HubAthlete]:
    """Return the site's athletes by user id.

    Raises:
        ConfigError: the hub's files cannot be used.
    """
    with opened_hub(config) as (_, folder):
        return HubRoster(folder.roster).athletes()


def _plan(
    config: Path,
    turns: Mapping[str, Sequence[Turn]],
    *,
    now_s: float,
    as_json: bool,
    replace: bool = False,
) -> None:
    with opened_hub(config) as (settings, folder):
        register = folder.register()
        for name in sorted(turns):
            register.station(name)
        planner = Planner(settings.hub, folder)
        planner.refuse_without_consent(turn for told in turns.values() for turn in told)
        plans = [
            planner.add(name, told, now_s=now_s, replace=replace)
            for name, told in sorted(turns.items())
            if told or replace
        ]
    if as_json:
        print_json([made.model_dump(mode="json") for made in plans])
        return
    for made in plans:
        click.echo(f"{made.station}: planned, revision {made.revision}, turns {len(made.turns)}")


@hub.command("pair")
@click.option("--wall", is_flag=True, help="Read-only wall display.")
@hub_options
def pair(wall: bool, config: Path, as_json: bool) -> None:
    """Pair a device with the hub's page by a QR code.

    The code is valid once, for 10 minutes.
    """
    settings = load_hub(config)
    if not settings.web.listen:
        raise RequestError("the hub's page is turned off", hint='set web.listen = "127.0.0.1:8378"')
    folder = prepared_hub(settings)
    if is_read_only(folder.root):
        raise BusyError(f"{folder.root} (hub.state) is read-only", hint=READ_ONLY_REMEDY)
    token, now_s = b32encode(os.urandom(_TOKEN_BYTES)).decode().lower(), read_clock().utc_s
    role = Role.WALL if wall else Role.COACH
    with acting_as_owner(folder.root), Outbox.open(folder.root) as outbox:
        outbox.devices.offer(token, role=role, name="", now_s=now_s, lasts_s=_PAIR_WITHIN_S)
    address = f"{page_address(settings.web)}/pair#{token}"  # behind the #: never in a request
    if as_json:
        print_json({"address": address, "role": role, "until": iso_utc(now_s + _PAIR_WITHIN_S)})
        return
    show_link(address)
    _warn_if_closed(settings, folder)


def _warn_if_closed(settings: HubSettings, folder: HubFolder) -> None:
    """Say why the page that was shown is not open, if it is not."""
    with acting_as_owner(folder.root):
        runs = StateFolderLock(folder.places).is_taken()
        pause = stored_pause(folder.root, StageName.PAGE)
    if not runs:
        click.echo("The hub is not running; the page opens after: spotter hub run", err=True)
    elif pause is not None:
        remedy = page_remedy(settings.web.listen, pause.reason, unit=HUB_UNIT)
        click.echo(f"The page is not open: {pause.detail}\n  {remedy}", err=True)


@hub.command("join")
@click.argument("link")
@hub_options
def join_chain(link: str, config: Path, as_json: bool) -> None:
    """Join a chain by the LINK of spotter hub invite --site.

    The chain's hub then shows the states of this site's stations, and keeps their events for 30
    days.  Athletes appear as user ids; names, pictures and addresses of pages stay here.
    """
    settings = load_hub(config)
    if settings.hub.sites is not None:
        raise RequestError("a chain's hub cannot join another chain", hint="unset hub.sites")
    invitation = Invitation.of(sys.stdin.readline() if link == "-" else link)
    folder = prepared_hub(settings)
    with acting_as_owner(folder.root):
        member = join_as_site(folder.places, invitation, site=settings.hub.site)
    document = {"chain": member.site, "site": member.station, "hub": member.address}
    words = f"joined {member.site} as {member.station}, hub {member.address}"
    print_answer(document, words, as_json=as_json)


@hub.command("leave")
@hub_options
def leave_chain(config: Path, as_json: bool) -> None:
    """Leave the chain: nothing is sent to its hub any more.

    On the chain's hub, spotter hub remove --site takes the site off its list.
    """
    with opened_hub(config) as (_settings, folder):
        left = forget_membership(folder.places)
    words = "left the chain" if left else "this site belongs to no chain"
    print_answer({"left": left}, words, as_json=as_json)


@click.command()
@click.argument("link")
@standard_options
def join(link: str, config: Path | None, as_json: bool) -> None:
    """Join a facility by the LINK of spotter hub invite.

    The station creates its own key for the hub, which never leaves it.  Events from now on,
    and the station's state, then go to the hub too; nothing else changes.
    """
    settings = settings_of(config)
    invitation = Invitation.of(sys.stdin.readline() if link == "-" else link)
    with opened_outbox(settings) as outbox:
        member = join_facility(state_folder(settings), invitation, station=settings.station.id)
        outbox.channels.begin(StageName.HUB)
    wake_daemon(settings)
    document = {"site": member.site, "station": member.station, "hub": member.address}
    words = f"joined {member.site} as {member.station}, hub {member.address}"
    print_answer(document, words, as_json=as_json)


@click.command()
@standard_options
def leave(config: Path | None, as_json: bool) -> None:
    """Leave the facility: nothing is sent to the hub any more.

    On the hub, spotter hub remove takes the station off its list.
    """
    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        left = forget_membership(state_folder(settings))
        outbox.channels.end(StageName.HUB)
    wake_daemon(settings)
    words = "left the facility" if left else "the station belongs to no facility"
    print_answer({"left": left}, words, as_json=as_json)
