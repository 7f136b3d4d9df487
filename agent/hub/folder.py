"""The hub's state folder: its keys and certificate, and which stations it knows.

What the broker stores may be lost at any time; what makes a hub this hub is in this folder, outside
of the broker's store.  So is what a backup of it holds: the stations send the broker everything
again that it lacks, and a hub that is restored elsewhere is whole a moment after they connect.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.backup import BackupContent, BackupKind, put_records_aside, restore_backup
from agent.disk.space import READ_ONLY_REMEDY, is_disk_full, is_refusal
from agent.disk.state_folder import (
    MEMBERSHIP,
    OF_SESSIONS,
    STATION_KEY,
    StateFolder,
    acting_as_owner,
    load_secret,
    open_plain,
    rewriting,
)
from agent.errors import AgentError, BusyError, ConfigError, RequestError
from agent.facility.keys import FacilityKey
from agent.facility.membership import (
    CERTIFICATE_NAME,
    MemberKind,
    Membership,
    read_membership,
    read_station_key,
)
from agent.outbox.recovery import accept_copy
from agent.text import read_json
from agent.web.tls import private_pem, self_signed

_MOST_BYTES = 4 << 20
# Stations know this one certificate by itself, not by its dates; a clock may be wrong on either
# side, and no date can help where the key is stolen.
_BEGINS, _ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStation:
    """A station, a worker or a site that has joined."""

    key: str  # public
    since: float  # Unix time
    group: str | None = None  # of stations, on the board


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInvitation:
    """A station, a worker or a site that may join."""

    key: str  # public, of the link's seed
    until: float  # Unix time


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Who may come in, and by which key: stations, the workers that analyse for them, and sites."""

    stations: dict[str, KnownStation] = field(default_factory=dict)
    invitations: dict[str, OpenInvitation] = field(default_factory=dict)  # of stations
    workers: dict[str, KnownStation] = field(default_factory=dict)
    worker_invitations: dict[str, OpenInvitation] = field(default_factory=dict)
    sites: dict[str, KnownStation] = field(default_factory=dict)  # of which this is the chain's hub
    site_invitations: dict[str, OpenInvitation] = field(default_factory=dict)

    def known(self, kind: MemberKind) -> dict[str, KnownStation]:
        """Return the members of a kind that have joined."""
        found: dict[str, KnownStation] = getattr(self, _TABLES[kind][0])
        return found

    def invited(self, kind: MemberKind) -> dict[str, OpenInvitation]:
        """Return the members of a kind that may join."""
        found: dict[str, OpenInvitation] = getattr(self, _TABLES[kind][1])
        return found

    def _with(
        self,
        kind: MemberKind,
        known: dict[str, KnownStation],
        invited: dict[str, OpenInvitation],
    ) -> "Register":
        tables: dict[str, Any] = dict(zip(_TABLES[kind], (known, invited), strict=True))
        return replace(self, **tables)

    def invite(
        self, name: str, invitation: OpenInvitation, *, kind: MemberKind = MemberKind.STATION
    ) -> "Register":
        """Return it with one more invitation, in place of an earlier one."""
        return self._with(kind, self.known(kind), {**self.invited(kind), name: invitation})

    def accept(
        self, name: str, key: str, *, now_s: float, kind: MemberKind = MemberKind.STATION
    ) -> "Register":
        """Return it with who came by an invitation, which is used up.

        Raises:
            RequestError: there is none, or it has expired.
        """
        known, invited = self.known(kind), self.invited(kind)
        invitation = invited.get(name)
        if invitation is None or invitation.until <= now_s:
            raise RequestError(f"there is no invitation for {name}")
        group = known[name].group if name in known else None
        joined = KnownStation(key=key, since=now_s, group=group)
        return self._with(kind, {**known, name: joined}, _without(invited, name))

    def remove(self, name: str, *, kind: MemberKind = MemberKind.STATION) -> "Register":
        """Return it without a member, and its invitation.

        Raises:
            RequestError: it knows neither.
        """
        known, invited = self.known(kind), self.invited(kind)
        if name not in known and name not in invited:
            raise RequestError(f"no {kind} {name!r}", hint=f"spotter hub {kind}s lists them")
        return self._with(kind, _without(known, name), _without(invited, name))

    def place(self, station: str, group: str | None) -> "Register":
        """Return it with a station in another group of the board, or in none.

        Raises:
            RequestError: there is no such station.
        """
        known = self.station(station)
        return replace(self, stations={**self.stations, station: replace(known, group=group)})

    def station(self, name: str) -> KnownStation:
        """Return a station that has joined.

        Raises:
            RequestError: there is none of this name, or it is only invited.
        """
        known = self.stations.get(name)
        if known is not None:
            return known
        if name in self.invitations:
            raise RequestError(
                f"{name} is invited and has not joined yet",
                hint=f"at the station: spotter join LINK; a new link: spotter hub invite {name}",
            )
        raise RequestError(f"no station {name!r}", hint="spotter hub stations lists them")

    @property
    def keys(self) -> frozenset[tuple[str, str, float]]:
        """What the broker must know of it: who may come in."""
        found: set[tuple[str, str, float]] = set()
        for kind in MemberKind:
            found |= {(name, one.key, 0.0) for name, one in self.known(kind).items()}
            found |= {(name, one.key, one.until) for name, one in self.invited(kind).items()}
        return frozenset(found)

    def without_expired(self, *, now_s: float) -> "Register":
        """Return it with the invitations that still hold."""
        held = self
        for kind in MemberKind:
            held = held._with(kind, held.known(kind), _held(held.invited(kind), now_s))
        return held


_TABLES = {
    MemberKind.STATION: ("stations", "invitations"),
    MemberKind.WORKER: ("workers", "worker_invitations"),
    MemberKind.SITE: ("sites", "site_invitations"),
}
_ADDED_TABLES = ("workers", "worker_invitations", "sites", "site_invitations")  # by later versions
_Kept = TypeVar("_Kept")


def _without(table: dict[str, _Kept], name: str) -> dict[str, _Kept]:
    return {other: one for other, one in table.items() if other != name}


def _held(table: dict[str, OpenInvitation], now_s: float) -> dict[str, OpenInvitation]:
    return {name: one for name, one in table.items() if one.until > now_s}


@dataclass(frozen=True, slots=True)
class HubFolder:
    """The places inside the hub's state folder."""

    root: Path

    @property
    def store(self) -> Path:
        """What the broker stores; may be emptied."""
        return self.root / "jetstream"

    @property
    def configuration(self) -> Path:
        """The broker's configuration, written at each of its starts."""
        return self.root / "nats-server.conf"

    @property
    def broker_log(self) -> Path:
        """What the broker logs."""
        return self.root / "nats-server.log"

    @property
    def certificate(self) -> tuple[Path, Path]:
        """Where the broker's certificate and its key are."""
        return self.root / "certificate.pem", self.root / "certificate-key.pem"

    @property
    def plans(self) -> Path:
        """The plan of each station as it was published last; the broker may lose its own."""
        return self.root / "plans"

    @property
    def roster(self) -> Path:
        """The site's athletes."""
        return self.root / "roster.json"

    @property
    def wanted_settings(self) -> Path:
        """What the hub wants of its stations' settings."""
        return self.root / "wanted-settings.json"

    @property
    def wanted_releases(self) -> Path:
        """Which version the hub wants of its stations."""
        return self.root / "wanted-releases.json"

    def plan_of(self, station: str) -> Path:
        """Where the plan of one station is."""
        return self.plans / f"{station}.json"

    @property
    def words(self) -> Path:
        """The last word of every station."""
        return self.root / "last-words.json"

    @property
    def site_words(self) -> Path:
        """The last word of every site of a chain."""
        return self.root / "last-sites.json"

    def chain(self) -> tuple[Membership, FacilityKey] | None:
        """Return the chain of this site, and the site's key there; None where it has none.

        Raises:
            ConfigError: they cannot be used.
        """
        try:
            member = read_membership(self.places)
            if member is None:
                return None
            x509.load_pem_x509_certificate(member.certificate.encode())
            return member, FacilityKey(read_station_key(self.places))
        except (ConfigError, ValueError) as error:
            hint = "spotter hub leave, then join again with a new link"
            raise ConfigError(f"the site's chain: {error}", hint=hint) from None

    @property
    def places(self) -> StateFolder:
        """The same folder, for its lock and its secrets."""
        return StateFolder(self.root)

    def prepare(self) -> None:
        """Make the folder, its keys and its certificate where they are missing.

        Raises:
            BusyError: the disk is full, read-only or faulty.
            ConfigError: they cannot be made.
        """
        os.umask(0o077)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.key()
            self.plans.mkdir(exist_ok=True)
            certificate, key = self.certificate
            if not (certificate.exists() and key.exists()):
                _make_certificate(certificate, key)
        except OSError as error:
            raise _unusable(error) from None

    def digest(self) -> bytes:
        """Return the SHA-256 of the broker's certificate, by which an invitation names it."""
        held = x509.load_pem_x509_certificate(self.certificate[0].read_bytes())
        return hashlib.sha256(held.public_bytes(serialization.Encoding.DER)).digest()

    def key(self) -> FacilityKey:
        """Return the hub's key, by which the broker knows it and stations know its plans."""
        return FacilityKey(load_secret(self.places, "hub-secret"))

    def register(self) -> Register:
        """Return which stations may come in.

        Raises:
            ConfigError: the file is damaged.
        """
        path = self._register
        try:
            with open_plain(path) as file:
                told = {key: {} for key in _ADDED_TABLES} | read_json(file.read(_MOST_BYTES))
            tables: dict[str, Any] = {}
            for known, invited in _TABLES.values():
                tables[known] = {n: KnownStation(**one) for n, one in told[known].items()}
                tables[invited] = {n: OpenInvitation(**one) for n, one in told[invited].items()}
            return Register(**tables)
        except FileNotFoundError:
            return Register()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}", hint="use sudo") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ConfigError(f"{path} is damaged", hint="restore it from a backup") from None

    def change(self, change: Callable[[Register], Register]) -> Register:
        """Change which stations may come in, one process after another.

        Raises:
            ConfigError: the file is damaged.
            RequestError: the change cannot be made.
            OSError: it cannot be written.
        """
        with changing_alone(self.root):
            new = change(self.register())
            with rewriting(self._register, 0o600) as file:
                file.write(json.dumps(asdict(new), indent=1).encode())
        return new

    @property
    def _register(self) -> Path:
        return self.root / "stations.json"


@contextmanager
def changing_alone(root: Path, lock: str = "stations.lock") -> Iterator[None]:
    """Change files of a hub's folder, one process after another: read, change, write.

    Of two commands at once, or one and the hub's page, the later must not undo the earlier.

    Args:
        root: the folder.
        lock: the file in it that is locked; another one where it takes long, as over a network.

    Raises:
        OSError: the folder takes no lock.
    """
    fd = os.open(root / lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _unusable(error: OSError) -> AgentError:
    """Return what to say of a place in the hub's folder that cannot be made or read."""
    told = f"hub.state: {error.strerror}: {error.filename}"
    if is_disk_full(error):
        return BusyError(told, hint="free disk space")
    if is_refusal(error):
        return BusyError(told, hint=READ_ONLY_REMEDY)
    return ConfigError(told, hint="use sudo, or another folder")


def _make_certificate(certificate: Path, key: Path) -> None:
    new_key = ec.generate_private_key(ec.SECP256R1())
    signed = self_signed(new_key, [x509.DNSName(CERTIFICATE_NAME)], begins=_BEGINS, ends=_ENDS)
    public = signed.public_bytes(serialization.Encoding.PEM)
    for path, content in ((key, private_pem(new_key)), (certificate, public)):
        with rewriting(path, 0o600) as file:
            file.write(content)


_FILES = (
    *("hub-secret", "certificate.pem", "certificate-key.pem", "stations.json", "last-words.json"),
    *("roster.json", "wanted-settings.json", OF_SESSIONS, MEMBERSHIP, STATION_KEY),
    *("wanted-releases.json", "last-sites.json"),
)


def restore_hub(path: Path, root: Path) -> BackupContent:
    """Put the state of a backup into a folder that has no stations.

    Raises:
        RequestError: it cannot be read, is no backup or a damaged one, or there are stations.
        BusyError: a hub runs on the folder.
    """
    content = restore_backup(path, root, kind=HUB_BACKUP)
    with acting_as_owner(root):
        accept_copy(root)
    return content


def _prepare(folder: StateFolder) -> None:
    os.umask(0o077)
    try:
        for place in (folder.tmp, folder.set_aside, HubFolder(folder.root).plans):
            place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(error) from None


def _make_room(folder: StateFolder) -> None:
    """Put the keys of a hub aside that no station has joined.

    Raises:
        RequestError: one has.
    """
    register = HubFolder(folder.root).register()
    if register.stations or register.sites:
        raise RequestError(
            f"{folder.root} holds a hub's stations already, which a restore does not replace",
            hint=f"stop the hub and move them away first: sudo mv {folder.root} {folder.root}.old",
        )
    put_records_aside(folder, *_FILES)


HUB_BACKUP = BackupKind(
    name="hub",
    settings_name="hub.toml",
    command="spotter hub backup",
    root_files=_FILES,
    places=("plans",),
    mode=0o600,
    prepare=_prepare,
    make_room=_make_room,
)
