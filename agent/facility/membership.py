"""That a station belongs to a facility: what it received when it joined, and the names it uses.

Nothing here loads the broker's client or cryptography: a station without a hub needs neither.
"""

import base64
import binascii
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from agent.disk.state_folder import (
    MEMBERSHIP,
    STATION_KEY,
    StateFolder,
    fsync_folder,
    is_plain,
    open_plain,
    rewriting,
)
from agent.errors import ConfigError, RequestError
from agent.settings.load import HUB_FILE
from agent.text import read_json

NAME = r"[A-Za-z0-9_-]{1,40}"  # of a site or a station: one token of a subject
DEFAULT_PORT = 4222
CERTIFICATE_NAME = "spotter-hub"  # the one name in a hub's certificate, whatever its address
EVENTS_STREAM, STATES, DESIRED = "EVENTS", "state", "desired"
WORK_STREAM, WORKERS = "WORK", "workers"  # the queue of captures to analyse, and who reads it
NEXT_WORK = f"$JS.API.CONSUMER.MSG.NEXT.{WORK_STREAM}.{WORKERS}"
WORK_ACKNOWLEDGED = f"$JS.ACK.{WORK_STREAM}.{WORKERS}.>"
KEEP_EVENTS_S = 30 * 86_400.0
PLAN_FILE = "hub-plan.json"  # in the state folder: the last plan of the hub's
RELEASE_FILE = "hub-release.json"  # and the version it wants; spotter-update reads it
ALLOWANCE_FILE = "hub-allowance.json"  # and the share of the uplink that holds without it
MOST_POSTER_BYTES = 16_384  # of the small picture of a take
_SECRET_BYTES = 32  # of the invitation's seed, and of the certificate's digest
_MOST_BYTES = 65_536
_LINK = re.compile(rf"/({NAME})/({NAME})")


class MemberKind(StrEnum):
    """Who may join a hub."""

    STATION = "station"
    WORKER = "worker"  # analyses for the stations
    SITE = "site"  # another hub, of which this one is the chain's

    @property
    def scheme(self) -> str:
        """Of an invitation's link."""
        return "spotter-join" if self is MemberKind.STATION else f"spotter-{self}"


_KINDS = {kind.scheme: kind for kind in MemberKind}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """The subjects of one station, which it alone may use."""

    site: str
    station: str

    @property
    def place(self) -> str:
        """What they have in common; the station's key in the bucket of states."""
        return f"{self.site}.{self.station}"

    @property
    def state(self) -> str:
        """Where its state is published."""
        return f"$KV.{STATES}.{self.place}"

    @property
    def poster(self) -> str:
        """Where the small picture of its last take is published."""
        return f"{self.state}.poster"

    @property
    def working(self) -> str:
        """Where a worker of this name says what it does."""
        return f"{self.state}.worker"

    @property
    def allowance(self) -> str:
        """Where the hub publishes its share of the uplink."""
        return f"{self.state}.allowance"

    @property
    def events(self) -> str:
        """Begins the subject of each of its events."""
        return f"spotter.{self.place}.event"

    def join(self, kind: MemberKind) -> str:
        """Return where a member of this name asks to be let in, with the invitation's key."""
        return f"spotter.{self.site}.{joining(kind)}.{self.station}"

    @property
    def offer(self) -> str:
        """Where it offers a capture to the workers; the broker adds the station's id."""
        return f"spotter.{self.site}.work.analyse"

    @property
    def offered(self) -> str:
        """Where such an offer arrives: so a worker knows whose it is."""
        return f"{self.offer}.{self.station}"

    @property
    def do(self) -> str:
        """Begins the subject of each command that the hub gives it."""
        return f"spotter.{self.place}.do"

    @property
    def fetch(self) -> str:
        """Where a worker asks it for a part of a capture."""
        return f"spotter.{self.place}.fetch"

    @property
    def done(self) -> str:
        """Where a worker gives it what was found."""
        return f"spotter.{self.place}.done"

    def last(self, stream: str, subject: str) -> str:
        """Return where the broker is asked for the latest message of one subject."""
        return f"$JS.API.DIRECT.GET.{stream}.{subject}"


def joining(kind: MemberKind) -> str:
    """Return the token of the subjects where members of a kind ask to be let in."""
    return "join" if kind is MemberKind.STATION else f"join-{kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSubjects:
    """The subjects of one site at its chain, which it alone may use."""

    site: str

    @property
    def stream(self) -> str:
        """The stream of its events, of a size of its own."""
        return f"{EVENTS_STREAM}-{self.site}"

    @property
    def events(self) -> str:
        """The subjects of all events of its stations."""
        return f"spotter.{self.site}.*.event.>"

    @property
    def stations(self) -> str:
        """Where it says what its stations do."""
        return f"$KV.{STATES}.{self.site}"

    @property
    def tell(self) -> str:
        """The same at the site; a leaf lets no subject of JetStream's own through."""
        return f"spotter.{self.site}.chain.stations"

    @property
    def stream_info(self) -> str:
        """Where the chain is asked what it has stored of the site's events."""
        return f"$JS.API.STREAM.INFO.{self.stream}"

    @property
    def ask_info(self) -> str:
        """The same at the site."""
        return f"spotter.{self.site}.chain.info"

    @property
    def stream_get(self) -> str:
        """Where the chain is asked for one of them."""
        return f"$JS.API.DIRECT.GET.{self.stream}"

    @property
    def ask_event(self) -> str:
        """The same at the site."""
        return f"spotter.{self.site}.chain.get"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What a station knows of its facility."""

    address: str  # host:port of the broker
    site: str
    station: str
    certificate: str  # PEM, the only one that the broker may show
    hub: str  # the public key that signs what the hub wants

    @property
    def subjects(self) -> Subjects:
        """The station's subjects."""
        return Subjects(site=self.site, station=self.station)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """The way into a facility: for one station, worker or site, once."""

    address: str  # host:port of the broker
    site: str
    station: str  # or the name of the worker or site
    digest: bytes  # SHA-256 of the broker's certificate (DER)
    seed: bytes  # of the key that may ask to be let in, and nothing else
    kind: MemberKind = MemberKind.STATION

    @property
    def link(self) -> str:
        """The invitation as one line; all that is secret stands behind the #."""
        secrets = ".".join(_text(part) for part in (self.digest, self.seed))
        return f"{self.kind.scheme}://{self.address}/{self.site}/{self.station}#{secrets}"

    @classmethod
    def of(cls, link: str) -> "Invitation":
        """Return what a link says.

        Raises:
            RequestError: it is none.
        """
        try:
            parts = urlsplit(link.strip())
            path, secrets = _LINK.fullmatch(parts.path), parts.fragment.split(".")
            kind = _KINDS.get(parts.scheme)
            if kind is None or not parts.hostname or path is None or len(secrets) != 2:
                raise ValueError(link)
            digest, seed = (_bytes(part) for part in secrets)
            port = parts.port or DEFAULT_PORT
        except ValueError:
            raise RequestError(
                "this is not an invitation",
                hint="make one on the hub: spotter hub invite STATION, --worker NAME, or "
                "--site NAME; quote the whole link",
            ) from None
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(
            address=f"{host}:{port}",
            site=path[1],
            station=path[2],
            digest=digest,
            seed=seed,
            kind=kind,
        )


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of an address such as hub.local:4222."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _text(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        part = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError(text) from None
    if len(part) != _SECRET_BYTES:
        raise ValueError(text)
    return part


def membership_path(folder: StateFolder) -> Path:
    """Return where a station keeps what it knows of its facility."""
    return folder.root / MEMBERSHIP


def read_membership(folder: StateFolder) -> Membership | None:
    """Return what a station knows of its facility; None where it belongs to none.

    Raises:
        ConfigError: the file cannot be used.
    """
    path = membership_path(folder)
    try:
        with open_plain(path) as file:
            told = read_json(file.read(_MOST_BYTES))
        member = Membership(**told)
        split_address(member.address)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error.strerror or "cannot be read") from None
    except (ValueError, TypeError, AttributeError):
        raise _unusable(path, "is damaged") from None
    if not all(isinstance(value, str) for value in asdict(member).values()):
        raise _unusable(path, "is damaged")
    return member


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{path}: {why}", hint="spotter leave, then join again with a new link")


def read_station_key(folder: StateFolder) -> bytes:
    """Return the seed of the station's own key.

    Raises:
        ConfigError: it is missing or damaged.
    """
    path = folder.root / STATION_KEY
    try:
        with open_plain(path) as file:
            seed = file.read(_SECRET_BYTES + 1)
    except OSError as error:
        raise _unusable(path, error.strerror or "cannot be read") from None
    if len(seed) != _SECRET_BYTES:
        raise _unusable(path, "is damaged")
    return seed


def write_membership(folder: StateFolder, member: Membership, *, seed: bytes) -> None:
    """Record that a station has joined: its key first, for the other file says that it is there.

    Raises:
        OSError: nothing has changed, or the key alone.
    """
    with rewriting(folder.root / STATION_KEY, 0o660) as file:
        file.write(seed)
    with rewriting(membership_path(folder), 0o660) as file:
        file.write(json.dumps(asdict(member), indent=1).encode())


def forget_membership(folder: StateFolder) -> bool:
    """Let a station belong to no facility; False where it belonged to none."""
    others = (STATION_KEY, PLAN_FILE, ALLOWANCE_FILE, HUB_FILE, RELEASE_FILE)
    paths = (membership_path(folder), *(folder.root / name for name in others))
    was_member = os.path.lexists(paths[0])
    for path in paths:
        if is_plain(path):
            with suppress(FileNotFoundError):
                path.unlink()
    fsync_folder(folder.root)
    return was_member
