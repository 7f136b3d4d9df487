"""The commands of `hub` by which its machine is maintained."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click
from pydantic import ValidationError

from agent.backup import BackupContent, settings_of_backup, write_backup
from agent.cli.care import placed_settings, report_findings
from agent.cli.common import (
    Command,
    headed,
    json_option,
    local_time,
    print_answer,
    print_columns,
    print_json,
    refusals_of,
)
from agent.cli.formatting import duration_words, size_words
from agent.cli.page import show_link
from agent.clock import read_clock
from agent.disk.space import measure
from agent.disk.state_folder import acting_as_owner
from agent.doctor.facility import HUB_UNIT, TWIN_REMEDY, hub_rounds
from agent.errors import NotifyError, RequestError
from agent.facility.orders import Release
from agent.facility.remote import COMMANDS, WALL, RemoteCommand
from agent.hub.fleet_settings import FleetReleases, FleetSettings
from agent.hub.folder import HUB_BACKUP, HubFolder, restore_hub
from agent.hub.look import HubLook, RemoteResult, StationCommander, find_twin, look_at_hub
from agent.hub.planning import HubRoster, moment_of, read_roster_csv
from agent.hub.settings import HUB_CONFIG, HubSettings, load_hub
from agent.hub.stations import StationView, WorkerView
from agent.settings.load import toml_tables
from agent.station.network import page_remedy
from agent.text import counted, printable, read_json

_MOST_CSV = 4_000_000  # characters
_MOST_GROUP = 40
_SHOW_AFTER_S = 2.0
_PAIR_LINK = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]{1,260}/pair#[a-z2-7]{24}")
_HEAD = ("STATION", "STATE", "ATHLETE", "TO REVIEW", "TO UPLOAD", "LAST MESSAGE")

_archive = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
hub_config_option = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    metavar="FILE",
    default=HUB_CONFIG,
    show_default=True,
    help="The hub's settings.",
)


def hub_options(command: Command) -> Command:
    """Give a command of the hub `--config` and `--json`."""
    return hub_config_option(json_option(command))


@click.group()
def hub() -> None:
    """Run the hub of a facility: many stations on one screen."""


def prepared_hub(settings: HubSettings) -> HubFolder:
    """Return the hub's folder with its keys, made where they are missing.

    Raises:
        ConfigError: they cannot be made.
    """
    folder = HubFolder(settings.hub.state)
    if not folder.root.exists():
        folder.prepare()
        return folder
    with acting_as_owner(folder.root):
        folder.prepare()
    return folder


@contextmanager
def opened_hub(config: Path) -> Iterator[tuple[HubSettings, HubFolder]]:
    """Load the hub's settings and open its folder; root has the rights of its owner meanwhile.

    Raises:
        ConfigError: the settings are not valid, or the hub's keys cannot be made.
    """
    settings = load_hub(config)
    folder = prepared_hub(settings)
    with acting_as_owner(folder.root):
        yield settings, folder


def _look(config: Path) -> HubLook:
    with opened_hub(config) as (settings, folder):
        return look_at_hub(settings.hub, folder, now=read_clock)


@hub.command()
@hub_options
def doctor(config: Path, as_json: bool) -> None:
    """Check the hub and its stations, and say how to fix problems.

    Exit codes: 0 no failure (there may be warnings, as for stations that are away), 1 at least one
    FAIL, 78 invalid settings.
    """
    report_findings(hub_rounds(config, now=read_clock()), as_json=as_json)


@hub.command()
@click.argument("file", type=click.File("r", encoding="utf-8"), required=False)
@click.option("--replace", is_flag=True, help="Replace all athletes with those of FILE.")
@click.option("--remove", metavar="USER_ID", help="Forget an athlete.")
@hub_options
def roster(
    file: TextIO | None, replace: bool, remove: str | None, config: Path, as_json: bool
) -> None:
    """List the site's athletes, or import them from FILE.

    FILE is a CSV file ("-": standard input) with the columns user_id,name, and perhaps
    groups,consent; groups are separated by a semicolon, consent is yes, no or empty.  If a line
    cannot be read, nothing changes.  The hub's page shows the names; they are not sent to stations.
    Athletes with consent no cannot be planned.
    """
    if (file is not None and remove is not None) or (replace and file is None):
        raise click.UsageError("a FILE, with --replace if wanted, or --remove")
    given = None if file is None else read_roster_csv(text_of(file))
    with opened_hub(config) as (_settings, folder):
        athletes = HubRoster(folder.roster)
        if remove is not None:
            athletes.remove(remove)
        if given is not None:
            athletes.change(given, replace=replace)
        known = list(athletes.athletes().values())
    if as_json:
        print_json([one.model_dump(mode="json") for one in known])
    elif given is not None or remove is not None:
        done = f"removed: {remove}" if given is None else f"imported: {len(given)}"
        click.echo(f"{done}; {counted(len(known), 'athlete')} in all")
    elif known:
        rows = [(one.user_id, one.name, "; ".join(one.groups), one.consent) for one in known]
        print_columns([("USER ID", "NAME", "GROUPS", "CONSENT"), *rows])
    else:
        click.echo("no athletes; import them: spotter hub roster FILE.csv")


def text_of(file: TextIO) -> str:
    """Return the text of a file that a person gave.

    Raises:
        RequestError: it is not UTF-8, or too long.
    """
    try:
        text = file.read(_MOST_CSV + 1)
    except UnicodeDecodeError:
        raise RequestError(f"{file.name} is not valid UTF-8", hint="save it as UTF-8") from None
    if len(text) > _MOST_CSV:
        raise RequestError(f"{file.name} is longer than {_MOST_CSV} characters")
    return text


@hub.command("do")
@click.argument("station")
@click.argument("command", type=click.Choice(COMMANDS), metavar="COMMAND")
@click.argument("ids", nargs=-1)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="For support: file to write.  [default: spotter-support-STATION.tar.gz in this folder]",
)
@click.option("--wall", is_flag=True, help="For pair: a read-only wall display.")
@hub_options
def do(
    station: str,
    command: RemoteCommand,
    ids: tuple[str, ...],
    out: Path | None,
    wall: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Run doctor, retry, support or pair at a station.

    COMMAND is one of these four.  It runs spotter doctor, spotter outbox retry ID..., spotter
    support or spotter pair at the station, with that command's exit code.  69: the station does not
    answer.
    """
    if bool(ids) != (command == "retry") or (out is not None and command != "support"):
        raise click.UsageError("IDs for retry and nothing else, --out for support")
    if wall and command != "pair":
        raise click.UsageError("--wall for pair")
    target = out or Path(f"spotter-support-{station}.tar.gz")
    if command == "support" and target.exists():
        raise RequestError(f"{target} is there already", hint="choose another file: --out FILE")
    with opened_hub(config) as (settings, folder):
        commander = StationCommander(settings.hub, folder, now=read_clock)
        words = (WALL,) if wall else ids
        result = commander.carry_out(station, command, words, waiting=_shown_waiting(station))
    if command == "support" and not result.code:
        with refusals_of(target, hint="choose another file: --out FILE"):
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(result.content)
        told = {"file": str(target), "bytes": len(result.content)}
        print_answer(told, f"{target}: {size_words(len(result.content))}", as_json=as_json)
        return
    # A station that pairs no tablet, or writes no bundle, says why in its complaint.
    if not result.code or command in {"doctor", "retry"}:
        _print_result(command, result.content.decode("utf-8", "replace"), as_json=as_json)
    elif as_json:
        why = printable(result.complaint, 900) or f"ended with exit code {result.code}"
        print_json({"error": why, "hint": None})
    _end_as_there(result)


def _end_as_there(result: RemoteResult) -> None:
    """Print what the station's command complained of, and end with its exit code."""
    if result.complaint:
        click.echo(printable(result.complaint, 900), err=True)
    if result.code:
        sys.exit(result.code)


def _print_link(told: object, *, as_json: bool) -> None:
    """Print a station's pairing link, and nothing else that a station may have sent."""
    address = str(told.get("address")) if isinstance(told, dict) else ""
    if not _PAIR_LINK.fullmatch(address):
        raise RequestError(
            "the station has not answered with a pairing link", hint="update the station"
        )
    if as_json:
        print_json({"address": address})
        return
    show_link(address)
    click.echo("Valid for one device, for 10 minutes.")


def _print_result(command: RemoteCommand, text: str, *, as_json: bool) -> None:
    """Print what a station's command printed as JSON; what cannot be read is left out."""
    try:
        document = read_json(text)
    except ValueError:
        document = None
    if command == "pair":
        _print_link(document, as_json=as_json)
        return
    if document is None:
        return
    if as_json:
        print_json(document)
        return
    if command == "doctor":
        _print_checks(document)
        return
    for one in _documents(document):  # of retry, for each id
        if not one.get("error"):  # errors are in the complaint
            click.echo(f"{_shown(one.get('id'))}: {_shown(one.get('state'))}")


def _print_checks(report: object) -> None:
    for one in _documents(report.get("checks") if isinstance(report, dict) else None):
        words = (_shown(one.get(key)) for key in ("state", "name", "finding"))
        click.echo("{:8} {:20} {}".format(*words))
        if one.get("remedy"):
            click.echo(f"{'':29} -> {_shown(one['remedy'])}")


def _documents(told: object) -> list[dict[str, Any]]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _shown(value: object) -> str:
    return printable(str(value or ""), 300)


def _shown_waiting(station: str) -> Callable[[float], None]:
    """Return what says in a terminal that a station is at work."""

    def show(for_s: float) -> None:
        if for_s > _SHOW_AFTER_S and sys.stderr.isatty():
            click.echo(f"\r\x1b[Kwaiting for {station}: {for_s:.0f} s\r", nl=False, err=True)

    return show


@hub.command()
@click.argument("file", type=click.File("r", encoding="utf-8"), required=False)
@click.option("--group", "group_name", metavar="NAME", help="For the stations of this group.")
@click.option("--station", metavar="STATION", help="For this station.")
@click.option("--clear", is_flag=True, help="Remove what is set there.")
@hub_options
def push(
    file: TextIO | None,
    group_name: str | None,
    station: str | None,
    clear: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Send settings to all stations, a group, or one.

    FILE has the form of station.toml ("-": standard input) and replaces what was set there before.
    A station's settings take precedence over its group's, and a group's over those for all.
    docs/facility-manage.md lists the settings that can be set.  Each station validates them,
    applies them without a restart, and reports it; invalid ones are rejected.  Without FILE: show
    what is set.
    """
    if (file is not None and clear) or (group_name is not None and station is not None):
        raise click.UsageError("a FILE or --clear; for all, for --group or for --station")
    tables = {} if file is None else _tables_of(file)
    with opened_hub(config) as (settings, folder):
        fleet = FleetSettings(settings.hub, folder)
        if file is not None or clear:
            fleet.change(tables, station=station, group=group_name)
            told = _tell(fleet)
        else:
            told = None
        wanted = fleet.wanted()
    if as_json:
        print_json({"told": told or [], "wanted": wanted.model_dump(mode="json")})
    elif told is not None:
        click.echo(f"sent to: {', '.join(told) or 'no station, nothing has changed'}")
        click.echo("the result: the hub's page, or spotter hub stations --json")
    elif file is None and not clear:
        click.echo(wanted.text() or "# nothing is set; send settings: spotter hub push FILE.toml")


def _tables_of(file: TextIO) -> dict[str, dict[str, Any]]:
    try:
        return toml_tables(text_of(file))
    except ValueError as error:
        hint = "the file has the form of station.toml: docs/facility-manage.md"
        raise RequestError(f"{file.name}: {error}", hint=hint) from None


def _tell(fleet: FleetSettings | FleetReleases) -> list[str] | None:
    """Publish it to the stations; None where no hub runs, which publishes it later."""
    try:
        return fleet.tell(now_s=read_clock().utc_s)
    except NotifyError as error:
        click.echo(f"saved; the stations get it once the hub runs: {error}", err=True)
        return None


@hub.command()
@click.argument("version", required=False)
@click.option("--group", "group_name", metavar="NAME", help="For the stations of this group.")
@click.option("--station", metavar="STATION", help="For this station.")
@click.option(
    "--not-before", metavar="TIME", help='Install VERSION not before 14:30, or "2026-11-30 14:30".'
)
@click.option("--hold", is_flag=True, help="Install no version.")
@click.option("--clear", is_flag=True, help="Remove what is set there.")
@hub_options
def release(
    version: str | None,
    group_name: str | None,
    station: str | None,
    not_before: str | None,
    hold: bool,
    clear: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Set which VERSION the stations install.

    A station's version takes precedence over its group's, and a group's over that for all.
    spotter-update, at a station, installs this version if the station's ring offers it and it is
    newer than the one there; never another, and never an older one.  Without arguments: show what
    is set.
    """
    if (version is not None) + hold + clear > 1 or (group_name is not None and station is not None):
        raise click.UsageError("VERSION, --hold or --clear; for all, for --group or for --station")
    if not_before is not None and version is None:
        raise click.UsageError("--not-before for a VERSION")
    wanted = _release_of(version, not_before, hold=hold)
    with opened_hub(config) as (settings, folder):
        fleet = FleetReleases(settings.hub, folder)
        told = None
        if wanted is not None or clear:
            fleet.change(wanted, station=station, group=group_name)
            told = _tell(fleet)
        kept = fleet.wanted()
    if as_json:
        print_json({"told": told or [], "wanted": kept.model_dump(mode="json")})
    elif told is not None:
        click.echo(f"sent to: {', '.join(told) or 'no station, nothing has changed'}")
    elif wanted is None and not clear:
        click.echo("\n".join(kept.lines()) or "no version is wanted: stations install the ring's")


def _release_of(version: str | None, not_before: str | None, *, hold: bool) -> Release | None:
    """Return what is to be wanted; None: nothing was given.

    Raises:
        RequestError: it is no version, or no time.
    """
    if version is None and not hold:
        return None
    at_s = None
    if not_before is not None:
        try:
            at_s = moment_of(not_before, now_s=read_clock().utc_s)
        except ValueError:
            raise RequestError(
                f"{not_before!r} is not a time", hint="14:30, or 2026-11-30 14:30"
            ) from None
    try:
        return Release(version=version, hold=hold, not_before=at_s)
    except ValidationError:
        raise RequestError(f"{version!r} is not a version", hint="as in 0.2.0") from None


@hub.command()
@click.argument("station")
@click.argument("name", required=False)
@click.option("--clear", is_flag=True, help="Out of its group.")
@hub_options
def group(station: str, name: str | None, clear: bool, config: Path, as_json: bool) -> None:
    """Put a station into a group on the hub's page.

    The page shows the stations of a group together, with the group's name.
    """
    wanted = None if name is None else " ".join(name.split())
    if clear == (name is not None) or (wanted is not None and not 0 < len(wanted) <= _MOST_GROUP):
        raise click.UsageError(f"a NAME of at most {_MOST_GROUP} characters, or --clear")
    with opened_hub(config) as (settings, folder):
        folder.change(lambda register: register.place(station, wanted))
        for fleet in (FleetSettings(settings.hub, folder), FleetReleases(settings.hub, folder)):
            _tell(fleet)  # something else may be wanted of it now
    document = {"station": station, "group": wanted}
    print_answer(document, f"{station}: {wanted or 'no group'}", as_json=as_json)


@hub.command()
@_archive
@hub_options
def backup(file: Path, config: Path, as_json: bool) -> None:
    """Back up the hub to FILE, a tar archive.

    The hub may keep running.  The archive holds its keys, stations, athletes, plans, paired devices
    and settings: protect it like the machine itself.  Events and states are not in it, the stations
    send them again; nor is the page's PIN.
    """
    with opened_hub(config) as (settings, folder):
        folder.register()  # a damaged one must not take the place of a good backup
        HubRoster(folder.roster).athletes()
    content = write_backup(
        file,
        folder.root,
        config,
        station=settings.hub.site,
        videos=True,
        now=read_clock(),
        kind=HUB_BACKUP,
    )
    words = f"{file}: {counted(len(content.files), 'file')}, {size_words(content.size_bytes)}"
    print_answer(_summary(content), words, as_json=as_json)


@hub.command()
@_archive
@hub_options
def restore(file: Path, config: Path, as_json: bool) -> None:
    """Restore a hub from FILE, a backup of spotter hub backup.

    On another machine it must get the name or address by which the stations call the hub; then they
    connect without a visit.  Existing settings stay.  The state folder must not hold a hub's
    stations, and no hub may run on it.
    """
    with placed_settings(config, settings_of_backup(file, HUB_BACKUP)) as is_new:
        settings = load_hub(config)
        content = restore_hub(file, settings.hub.state)
    document = {"settings": str(config), "settings_restored": is_new, **_summary(content)}
    words = (
        f"settings {'restored' if is_new else 'kept'}: {config}\n"
        f"{settings.hub.state} restored: {content.station}, {content.made_at}\n"
        "Do not start the old hub again.\n"
        f"Stations call the hub at {settings.hub.called}, unless they joined at another.\n"
        "Next: the page's PIN, if it is missing, then spotter hub doctor"
    )
    print_answer(document, words, as_json=as_json)


def _summary(content: BackupContent) -> dict[str, object]:
    return {
        "site": content.station,
        "made_at": content.made_at,
        "version": content.version,
        "files": len(content.files),
        "bytes": content.size_bytes,
    }


@hub.command()
@hub_options
def status(config: Path, as_json: bool) -> None:
    """Show what the hub is doing, with a summary of all stations.

    Exit code 1: the hub is not running, its broker or its page does not work, or a second hub with
    the same keys is running.  A station that is away changes nothing.
    """
    with opened_hub(config) as (settings, folder):
        look = look_at_hub(settings.hub, folder, now=read_clock)
        twin = find_twin(settings.hub, folder)
    free_bytes = measure(settings.hub.state).free_bytes
    page = _page_document(settings.web.listen, look)
    document = {
        **look.document(),
        "second_hub": twin,
        "page": page,
        "disk_free_bytes": free_bytes,
    }
    if as_json:
        print_json(document)
    else:
        _print_status(look, document, page, free_bytes=free_bytes)
        if twin is not None:
            click.echo(f"ANOTHER HUB with the same keys runs and answers at {twin}")
            click.echo(f"  {TWIN_REMEDY}")
    if not look.runs or look.fault is not None or twin is not None or page["reason"] is not None:
        sys.exit(1)


def _page_document(listen: str, look: HubLook) -> dict[str, object]:
    """Return whether the hub's page is served, and if not, why and what to do."""
    pause = look.page_pause if listen else None
    return {
        "listen": listen or None,
        "open": look.runs and bool(listen) and pause is None,
        "reason": pause and pause.reason,
        "detail": pause and pause.detail,
        "do": pause and page_remedy(listen, pause.reason, unit=HUB_UNIT),
    }


def _page_words(page: dict[str, object]) -> str:
    if page["listen"] is None:
        return 'turned off (web.listen = "")'
    if page["reason"] is not None:
        return f"NOT open: {page['detail']} ({page['do']})"
    return f"at {page['listen']}" if page["open"] else "-"


def _print_status(
    look: HubLook, document: dict[str, Any], page: dict[str, object], *, free_bytes: int
) -> None:
    state = "running" if look.runs else "NOT running: spotter hub run"
    broker = f"answers at {look.listen}" if look.fault is None else f"FAILING: {look.fault}"
    kept = f"{look.events} stored, {size_words(look.event_bytes)}"
    joined, gone = counted(len(look.stations), "station"), len(look.away)
    counts = document["counts"]
    lines = [
        ("hub", f"{look.site}, {state}"),
        ("broker", broker),
        ("page", _page_words(page)),
        ("events", kept),
        ("disk", f"{size_words(free_bytes)} free"),
        ("stations", f"{joined}, {gone} away, {len(look.register.invitations)} invited"),
        ("to review", str(counts["to_review"])),
        ("to upload", counted(counts["clips_to_upload"], "clip")),
    ]
    print_columns([*lines, *_more_of(look)])
    for site in look.sites:
        if site.is_away:
            click.echo(f"away: site {site.site}, last message: {_ago(site.age_s)}")
    for view in look.away:
        click.echo(f"away: {view.station}, last message: {_age(view)}")


def _more_of(look: HubLook) -> list[tuple[str, str]]:
    """Return the lines of what not every hub has: workers, sites, a chain."""
    lines = []
    if look.workers:
        away = sum(worker.is_away for worker in look.workers)
        busy = sum(
            not one.is_away and one.word is not None and one.word.station is not None
            for one in look.workers
        )
        told = f"{counted(len(look.workers), 'worker')}, {busy} at work, {away} away"
        lines.append(("workers", told))
    if look.sites or look.register.site_invitations:
        gone = sum(site.is_away for site in look.sites)
        told = f"{counted(len(look.sites), 'site')}, {gone} away"
        lines.append(("sites", f"{told}, {len(look.register.site_invitations)} invited"))
    if look.chain is not None:
        reached = f"answers at {look.chain.address}"
        if look.chain.fault is not None:
            reached = f"FAILING: {look.chain.fault}"
        lines.append(("chain", f"{look.chain.chain}, {reached}"))
    return lines


@hub.command()
@hub_options
def stations(config: Path, as_json: bool) -> None:
    """List the stations with what each is doing.

    Stations without a message for 15 s are away; they are shown with their last state.
    """
    look = _look(config)
    views, invited = look.everywhere, sorted(look.register.invitations)
    if as_json:
        told = [{"station": name, "invited": True} for name in invited]
        print_json([*(view.document() for view in views), *told])
    elif not views and not invited:
        click.echo("no stations; invite one: spotter hub invite STATION")
    else:
        lines = [_line(view) for view in views]
        print_columns([_HEAD, *lines, *((name, "invited", "", "", "", "") for name in invited)])


@hub.command()
@hub_options
def workers(config: Path, as_json: bool) -> None:
    """List the workers, which analyse for the stations."""
    look = _look(config)
    invited, joined = sorted(look.register.worker_invitations), look.workers
    if as_json:
        told = [worker.document() for worker in joined]
        print_json([*told, *({"worker": name, "invited": True} for name in invited)])
    elif not joined and not invited:
        click.echo("no workers; invite one: spotter hub invite --worker NAME")
    else:
        here = local_time()
        lines = [
            (
                one.worker,
                _doing(one),
                "" if one.word is None else str(one.word.finished),
                _ago(one.age_s),
                here.moment(one.since),
            )
            for one in joined
        ]
        head = headed(("WORKER", "STATE", "FINISHED", "LAST MESSAGE", "JOINED ({zone})"), here)
        print_columns([head, *lines, *((name, "invited", "", "", "") for name in invited)])


def _doing(worker: WorkerView) -> str:
    if worker.is_away or worker.word is None:
        return "away"
    station = worker.word.station
    return "waits" if station is None else f"analyses for {station}"


@hub.command()
@hub_options
def sites(config: Path, as_json: bool) -> None:
    """List the sites of a chain, with a summary of their stations."""
    look = _look(config)
    invited = sorted(look.register.site_invitations)
    if as_json:
        told = [site.document() for site in look.sites]
        print_json([*told, *({"site": name, "invited": True} for name in invited)])
    elif not look.sites and not invited:
        click.echo("no sites; invite one: spotter hub invite --site NAME")
    else:
        lines = [
            (
                site.site,
                "away" if site.is_away else "connected",
                str(len(site.stations)),
                str(sum(view.is_away for view in site.stations)),
                str(sum(view.word.to_review for view in site.stations if view.word)),
                _ago(site.age_s),
            )
            for site in look.sites
        ]
        head = ("SITE", "STATE", "STATIONS", "AWAY", "TO REVIEW", "LAST MESSAGE")
        print_columns([head, *lines, *((name, "invited", "", "", "", "") for name in invited)])


def _line(view: StationView) -> tuple[str, ...]:
    age = _age(view)
    word = view.word
    if word is None:
        return view.place, "away", "", "", "", age
    athlete = (word.athlete.user_id if word.athlete else None) or "-"
    todo = str(word.to_review) if word.to_review else "-"
    state = f"away ({word.state})" if view.is_away else str(word.state)
    return view.place, state, athlete, todo, str(word.backlog.clips), age


def _age(view: StationView) -> str:
    return "at an unknown time" if view.word and view.age_s is None else _ago(view.age_s)


def _ago(age_s: float | None) -> str:
    return "never" if age_s is None else f"{duration_words(age_s)} ago"
