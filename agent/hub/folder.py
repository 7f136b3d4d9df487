"""The hub's state folder: its keys and certificate, and which stations it knows.

What the broker stores may be lost at any time; what makes a hub this hub is in this folder, outside
of the broker's store.
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
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.disk.state_folder import StateFolder, load_secret, open_plain, rewriting
from agent.errors import ConfigError, RequestError
from agent.facility.keys import FacilityKey
from agent.facility.membership import CERTIFICATE_NAME
from agent.web.tls import self_signed

_MOST_BYTES = 4 << 20
# Stations know this one certificate by itself, not by its dates; a clock may be wrong on either
# side, and no date can help where the key is stolen.
_BEGINS, _ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStation:
    """A station or a worker that has joined."""

    key: str  # public
    since: float  # Unix time
    group: str | None = None  # of stations, on the board


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInvitation:
    """A station or a worker that may join."""

    key: str  # public, of the link's seed
    until: float  # Unix time


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Who may come in, and by which key: stations, and the workers that analyse for them."""

    stations: dict[str, KnownStation] = field(default_factory=dict)
    invitations: dict[str, OpenInvitation] = field(default_factory=dict)  # of stations
    workers: dict[str, KnownStation] = field(default_factory=dict)
    worker_invitations: dict[str, OpenInvitation] = field(default_factory=dict)

    def invite(
        self, name: str, invitation: OpenInvitation, *, as_worker: bool = False
    ) -> "Register":
        """Return it with one more invitation, in place of an earlier one."""
        if as_worker:
            return replace(self, worker_invitations={**self.worker_invitations, name: invitation})
        return replace(self, invitations={**self.invitations, name: invitation})

    def accept(self, name: str, key: str, *, now_s: float, as_worker: bool = False) -> "Register":
        """Return it with who came by an invitation, which is used up.

        Raises:
            RequestError: there is none, or it has expired.
        """
        invitations = self.worker_invitations if as_worker else self.invitations
        invitation = invitations.get(name)
        if invitation is None or invitation.until <= now_s:
            raise RequestError(f"there is no invitation for {name}")
        left, joined = _without(invitations, name), KnownStation(key=key, since=now_s)
        if as_worker:
            workers = {**self.workers, name: joined}
            return replace(self, workers=workers, worker_invitations=left)
        before = self.stations.get(name)
        joined = replace(joined, group=None if before is None else before.group)
        return replace(self, stations={**self.stations, name: joined}, invitations=left)

    def remove(self, name: str, *, as_worker: bool = False) -> "Register":
        """Return it without a station or worker, and its invitation.

        Raises:
            RequestError: it knows neither.
        """
        known, invited = self.stations, self.invitations
        if as_worker:
            known, invited = self.workers, self.worker_invitations
        if name not in known and name not in invited:
            kind = "worker" if as_worker else "station"
            raise RequestError(f"no {kind} {name!r}", hint=f"spotter hub {kind}s lists them")
        known, invited = _without(known, name), _without(invited, name)
        if as_worker:
            return replace(self, workers=known, worker_invitations=invited)
        return replace(self, stations=known, invitations=invited)

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
        members = (*self.stations.items(), *self.workers.items())
        guests = (*self.invitations.items(), *self.worker_invitations.items())
        known = {(name, one.key, 0.0) for name, one in members}
        return frozenset(known | {(name, one.key, one.until) for name, one in guests})

    def without_expired(self, *, now_s: float) -> "Register":
        """Return it with the invitations that still hold."""
        return replace(
            self,
            invitations=_held(self.invitations, now_s),
            worker_invitations=_held(self.worker_invitations, now_s),
        )


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

    def plan_of(self, station: str) -> Path:
        """Where the plan of one station is."""
        return self.plans / f"{station}.json"

    @property
    def words(self) -> Path:
        """The last word of every station."""
        return self.root / "last-words.json"

    @property
    def places(self) -> StateFolder:
        """The same folder, for its lock and its secrets."""
        return StateFolder(self.root)

    def prepare(self) -> None:
        """Make the folder, its keys and its certificate where they are missing.

        Raises:
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
            raise ConfigError(
                f"hub.state: {error.strerror}: {error.filename}", hint="use sudo, or another folder"
            ) from None

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
                told = json.loads(file.read(_MOST_BYTES))
            known = (told["stations"], told.get("workers", {}))
            invited = (told["invitations"], told.get("worker_invitations", {}))
            stations, workers = ({n: KnownStation(**o) for n, o in t.items()} for t in known)
            guests, new_workers = ({n: OpenInvitation(**o) for n, o in t.items()} for t in invited)
            return Register(
                stations=stations,
                invitations=guests,
                workers=workers,
                worker_invitations=new_workers,
            )
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
        with self._alone():
            new = change(self.register())
            with rewriting(self._register, 0o600) as file:
                file.write(json.dumps(asdict(new), indent=1).encode())
        return new

    @property
    def _register(self) -> Path:
        return self.root / "stations.json"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fd = os.open(self.root / "stations.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _make_certificate(certificate: Path, key: Path) -> None:
    new_key = ec.generate_private_key(ec.SECP256R1())
    signed = self_signed(new_key, [x509.DNSName(CERTIFICATE_NAME)], begins=_BEGINS, ends=_ENDS)
    secret = new_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = signed.public_bytes(serialization.Encoding.PEM)
    for path, content in ((key, secret), (certificate, public)):
        with rewriting(path, 0o600) as file:
            file.write(content)
