"""The commands `pair` and `certificate`: which devices the page lets in, and why they trust it."""

import math
import os
import secrets
import sys
from base64 import b32encode
from pathlib import Path

import click
import segno

from agent.cli.common import (
    BoundedNumber,
    WholeNumber,
    headed,
    json_option,
    local_time,
    opened_outbox,
    print_answer,
    print_columns,
    print_json,
    settings_of,
    standard_options,
)
from agent.cli.formatting import duration_words
from agent.clock import iso_utc, read_clock
from agent.daemon.systemd import start_command
from agent.disk.state_folder import StateFolderLock, acting_as_owner
from agent.errors import RequestError
from agent.outbox.devices import Device, Role
from agent.settings import Settings, find_config
from agent.settings.model import is_loopback
from agent.station.assignments import state_folder
from agent.station.check_in import group_of
from agent.station.network import page_address, shared_page_address
from agent.station.page_settings import offer_setup
from agent.station.roster import clean_name
from agent.web.tls import LONGEST_DAYS, AuthorityFolder, IssuedFiles

_HEAD = ("DEVICE", "ROLE", "LOGIN", "SINCE ({zone})", "NAME")
_TOKEN_BYTES = 15
_MINUTES, _SETUP_MINUTES = 10.0, 30.0
_MOST_NAME = 80  # signs
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--wall", is_flag=True, help="Read-only wall display.")
@click.option(
    "--kiosk", metavar="GROUP", help="Kiosk in which the athletes of this group assign themselves."
)
@click.option("--setup", is_flag=True, help="Set up the station on the page, for 30 minutes.")
@click.option(
    "--name", default="", metavar="TEXT", help='Name of the device, such as "tablet at rack 2".'
)
@click.option("--network", is_flag=True, help="Fail if the page listens on this box only.")
@click.option(
    "--minutes",
    type=BoundedNumber(1, 1440),
    metavar="N",
    default=None,
    help="How long the link is valid.  [default: 10; 30 for --setup]",
)
@click.option("--list", "list_", is_flag=True, help="List the paired devices.")
@click.option("--end", metavar="DEVICE", help='Revoke a device; "all" for every one.')
@standard_options
def pair(
    wall: bool,
    kiosk: str | None,
    setup: bool,
    name: str,
    network: bool,
    minutes: float | None,
    list_: bool,
    end: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Pair a tablet with the coach's page by QR code.

    With --setup the page asks for everything a new station needs.  The link can
    be used once.  A paired device needs no PIN, and wrong PINs do not lock it out.
    """
    if minutes is None:
        minutes = _SETUP_MINUTES if setup else _MINUTES
    if not math.isfinite(minutes):
        raise click.BadParameter(f"{minutes} is not a number of minutes", param_hint="'--minutes'")
    roles = {Role.WALL: wall, Role.KIOSK: kiosk is not None, Role.SETUP: setup}
    wanted = [role for role, is_wanted in roles.items() if is_wanted]
    if len(wanted) > 1:
        raise click.UsageError("give one of --wall, --kiosk and --setup")
    settings = settings_of(config)
    if network and shared_page_address(settings.web) is None:
        raise RequestError(
            "no other device reaches this station's page",
            hint=f"in its station.toml, set {_open_to_network(settings)}",
        )
    if end is not None:
        _end(settings, end, as_json=as_json)
    elif list_:
        _list(settings, as_json=as_json)
    else:
        role = next(iter(wanted), Role.COACH)
        _offer(settings, role, kiosk, name=name, lasts_s=minutes * 60, as_json=as_json)
        if not as_json:
            _warn_of_silence(settings, find_config(config, os.environ))


def _warn_of_silence(settings: Settings, config: Path) -> None:
    """Say that the page does not open before the daemon is started."""
    with acting_as_owner(settings.paths.state):
        runs = StateFolderLock(state_folder(settings)).is_taken()
    if not runs:
        click.echo(f"The daemon is not running; the page opens after: {start_command(config)}")


def _offer(
    settings: Settings,
    role: Role,
    group: str | None,
    *,
    name: str,
    lasts_s: float,
    as_json: bool,
) -> None:
    if not settings.web.listen:
        raise RequestError(
            "the coach's page is turned off", hint='set web.listen = "127.0.0.1:8377"'
        )
    called = clean_name(name)[:_MOST_NAME]
    token = b32encode(secrets.token_bytes(_TOKEN_BYTES)).decode().lower()
    now_s = read_clock().utc_s
    with opened_outbox(settings) as outbox:
        if role is Role.SETUP:
            offer_setup(state_folder(settings), token)
        group_id = None if group is None else group_of(outbox, group).id
        outbox.devices.offer(
            token, role=role, name=called, now_s=now_s, lasts_s=lasts_s, group_id=group_id
        )
    address = f"{page_address(settings.web)}/pair#{token}"  # behind the #: never in a request
    until = iso_utc(now_s + lasts_s)
    if as_json:
        print_json({"address": address, "role": role, "name": called, "until": until})
    else:
        _show(settings, address, lasts_s)


def show_link(address: str) -> None:
    """Print a pairing link, and its QR code."""
    segno.make(address, error="m", micro=False).terminal(sys.stdout, compact=True, border=2)
    click.echo(f"Scan the code, or open  {address}")


def _show(settings: Settings, address: str, lasts_s: float) -> None:
    show_link(address)
    click.echo(f"Valid for one device, for {duration_words(lasts_s)}.")
    if is_loopback(settings.web.host):
        click.echo(
            f"The page listens on {settings.web.listen}, on this box only.  For the network "
            f"set\n  {_open_to_network(settings)}"
        )


def _open_to_network(settings: Settings) -> str:
    """Say which settings open the page to the network, on the port that it has."""
    port = settings.web.listen.rpartition(":")[2] or "8377"
    return f'web.listen = "0.0.0.0:{port}" and web.pin_file'


def _list(settings: Settings, *, as_json: bool) -> None:
    with opened_outbox(settings) as outbox:
        devices = outbox.devices.all()
    if as_json:
        print_json([_document(device) for device in devices])
        return
    if not devices:
        click.echo("no paired devices")
        return
    here = local_time()
    print_columns(
        [
            headed(_HEAD, here),
            *((d.id, d.role, d.way, here.moment(d.paired_at), d.name) for d in devices),
        ]
    )


def _document(device: Device) -> dict[str, object]:
    return {
        "id": device.id,
        "role": device.role,
        "way": device.way,
        "name": device.name,
        "since": iso_utc(device.paired_at),
    }


def _end(settings: Settings, wanted: str, *, as_json: bool) -> None:
    now_s = read_clock().utc_s
    with opened_outbox(settings) as outbox:
        known = [device.id for device in outbox.devices.all()]
        ended = known if wanted == "all" else [wanted]
        if wanted != "all" and wanted not in known:
            raise RequestError(
                f"no device {wanted!r}", hint="list the devices: spotter pair --list"
            )
        for device_id in ended:
            outbox.devices.end(device_id, now_s=now_s)
    print_answer({"ended": ended}, f"revoked: {', '.join(ended) or 'none'}", as_json=as_json)


@click.group()
def certificate() -> None:
    """Issue certificates for the pages of all stations.

    One authority of the facility signs a certificate for each station's page.  A tablet that
    trusts the authority shows no warning on any of them.
    """


@certificate.command("init")
@click.argument("folder", type=_FOLDER)
@click.option(
    "--name",
    default="Spotter facility",
    show_default=True,
    help="The name that tablets show.",
)
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="DOMAIN",
    help="Also sign for names in this domain, as in gym.example; can be repeated.",
)
@json_option
def init(folder: Path, name: str, domains: tuple[str, ...], as_json: bool) -> None:
    """Create the facility's authority in FOLDER.

    It can sign for private addresses, for names of a local network (.local, .lan, .home.arpa,
    .internal), and for each --domain, for ten years.  Keep FOLDER on one machine that is not a
    station, and back it up: anybody with its key can imitate stations' pages.
    """
    created = AuthorityFolder(folder).create(name, domains=domains, now_s=read_clock().utc_s)
    _print_issued(
        created,
        as_json=as_json,
        then=f"Install {created.certificate} on the tablets (docs/fleet.md); the key stays secret.",
    )


@certificate.command("issue")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--authority", type=_FOLDER, required=True, metavar="FOLDER", help="The authority's folder."
)
@click.option(
    "--out",
    type=_FOLDER,
    metavar="FOLDER",
    help="Where to write page.pem and page.key.  [default: a folder named after the first NAME]",
)
@click.option(
    "--days",
    type=WholeNumber(1, LONGEST_DAYS),
    metavar="N",
    default=LONGEST_DAYS,
    show_default=True,
    help="How long it is valid; some tablets reject longer ones.",
)
@json_option
def issue(
    names: tuple[str, ...], authority: Path, out: Path | None, days: int, as_json: bool
) -> None:
    """Issue the certificate of one station's page.

    NAME is each name and address by which tablets open the page, as in: rack-7.local 192.168.1.20.
    Repeating the command renews it, with a new key.
    """
    folder = out or Path(names[0])
    issued = AuthorityFolder(authority).issue(names, folder, days=days, now_s=read_clock().utc_s)
    _print_issued(
        issued,
        as_json=as_json,
        then='On the station, readable for the group spotter: web.tls = "given", web.tls_cert and '
        "web.tls_key.",
    )


def _print_issued(files: IssuedFiles, *, as_json: bool, then: str) -> None:
    document = {
        "certificate": str(files.certificate),
        "key": str(files.key),
        "valid_until": iso_utc(files.ends_at),
    }
    until = local_time().day(files.ends_at)
    words = f"{files.certificate}: valid until {until}\n{files.key}: its key\n{then}"
    print_answer(document, words, as_json=as_json)
