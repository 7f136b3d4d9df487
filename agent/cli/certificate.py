"""The command `certificate`."""

from pathlib import Path

import click

from agent.cli.common import WholeNumber, json_option, local_time, print_answer
from agent.clock import iso_utc, read_clock
from agent.web.tls import LONGEST_DAYS, AuthorityFolder, IssuedFiles

_folder = click.Path(path_type=Path, file_okay=False)


@click.group()
def certificate() -> None:
    """Issue certificates for the pages of all stations.

    One authority of the facility signs a certificate for each station's page.  A tablet that
    trusts the authority shows no warning on any of them.
    """


@certificate.command("init")
@click.argument("folder", type=_folder)
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
    _tell(
        created,
        as_json=as_json,
        then=f"Install {created.certificate} on the tablets (docs/fleet.md); the key stays secret.",
    )


@certificate.command("issue")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--authority", type=_folder, required=True, metavar="FOLDER", help="The authority's folder."
)
@click.option(
    "--out",
    type=_folder,
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
    _tell(
        issued,
        as_json=as_json,
        then='On the station, readable for the group spotter: web.tls = "given", web.tls_cert and '
        "web.tls_key.",
    )


def _tell(files: IssuedFiles, *, as_json: bool, then: str) -> None:
    document = {
        "certificate": str(files.certificate),
        "key": str(files.key),
        "valid_until": iso_utc(files.ends_at),
    }
    until = local_time().day(files.ends_at)
    words = f"{files.certificate}: valid until {until}\n{files.key}: its key\n{then}"
    print_answer(document, words, as_json=as_json)
