"""The page's TLS certificate: configured, self-signed, or from a facility's own authority.

Tablets trust an authority once, and with it every station's page.  Its name constraints (RFC 5280,
4.2.1.10) keep a stolen key from being of use outside the facility: it can sign for private
addresses, names of a local network, and the domains that were named.
"""

import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.clock import Instant, Now
from agent.disk.state_folder import (
    StateFolder,
    fsync_file,
    give_to_owner_of,
    move_durably,
    rewriting,
)
from agent.errors import ConfigError, RequestError, plain_words
from agent.settings.model import WebSettings
from agent.station.network import own_address

LONGEST_DAYS = 800  # some tablets refuse certificates that last longer
_RENEW_BEFORE_S = 60 * 86400
_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


class PageCertificate:
    """The certificate that the page shows, kept up while it serves."""

    def __init__(self, settings: WebSettings, folder: StateFolder, *, now: Now) -> None:
        """Take the certificate that was given, or make one.

        Raises:
            ConfigError: it cannot be used.
            OSError: it cannot be written.
        """
        self._settings = settings
        self._folder = folder
        self._now = now
        self.renew()
        self._seen = self._marks()
        self.context = self._fresh()

    @property
    def _places(self) -> tuple[Path, Path]:
        """Where certificate and key are."""
        if self._settings.certificate == "own":
            return self._folder.root / "page-cert.pem", self._folder.root / "page-key.pem"
        assert self._settings.tls_cert and self._settings.tls_key  # checked by the settings
        return self._settings.tls_cert, self._settings.tls_key

    def renew(self) -> None:
        """Renew a certificate of Spotter's own that is missing, unreadable or not valid now.

        Raises:
            OSError: it cannot be written.
        """
        certificate, key = self._places
        now = self._now()
        if self._settings.certificate == "own" and not _serves(certificate, key, now):
            _make(certificate, key, self._folder, now=now)

    def take_over(self) -> None:
        """Use the certificate that is there now, if it has changed.

        Raises:
            ConfigError: it cannot be used; the one before is shown on.
        """
        marks = self._marks()
        if marks != self._seen:
            self._seen = marks
            self._fresh()  # a half renewed pair must not get into the one that serves
            self.context.load_cert_chain(*self._places)

    def _fresh(self) -> ssl.SSLContext:
        return _context(*self._places)

    def _marks(self) -> list[tuple[int, int] | None]:
        """Return what changes with the files."""
        return [_mark(place) for place in self._places]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCertificate:
    """For how long, and for which names, a certificate that was given serves."""

    ends_at: float  # Unix time
    names: frozenset[str]  # host names in lower case, and addresses

    def fits(self, host: str) -> bool:
        """Tell whether a browser accepts it for a host name or an address."""
        name = host.lower()
        any_label = f"*.{name.partition('.')[2]}"
        return name in self.names or (not _is_address(name) and any_label in self.names)


def read_given(certificate: Path, key: Path) -> GivenCertificate:
    """Read a certificate that was given.

    Raises:
        ConfigError: it cannot be used with this key.
    """
    _context(certificate, key)
    held = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        found = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:  # and browsers check nothing else
        found = x509.SubjectAlternativeName([])
    return GivenCertificate(
        ends_at=held.not_valid_after_utc.timestamp(),
        names=frozenset(
            [
                *(name.lower() for name in found.get_values_for_type(x509.DNSName)),
                *(str(address) for address in found.get_values_for_type(x509.IPAddress)),
            ]
        ),
    )


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        told = plain_words(error)
        raise ConfigError(f"the page's certificate {certificate} cannot be used: {told}") from None
    return context


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _serves(certificate: Path, key: Path, now: Instant) -> bool:
    """Tell whether both can be read and their time is now; a clock that nothing set cannot tell."""
    if not os.access(key, os.R_OK):
        return False
    try:
        held = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    begins_s, ends_s = held.not_valid_before_utc.timestamp(), held.not_valid_after_utc.timestamp()
    return not now.trusted or begins_s <= now.utc_s < ends_s - _RENEW_BEFORE_S


def _make(certificate: Path, key: Path, folder: StateFolder, *, now: Instant) -> None:
    """Write a new key and its certificate, each whole or not at all."""
    new_key = ec.generate_private_key(ec.SECP256R1())
    signed = _signed(new_key, host=socket.gethostname(), address=own_address(), now_s=now.utc_s)
    secret = private_pem(new_key)
    public = signed.public_bytes(serialization.Encoding.PEM)
    for content, mode, final in ((secret, 0o600, key), (public, 0o644, certificate)):
        unfinished = folder.tmp / final.name
        unfinished.unlink(missing_ok=True)
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        give_to_owner_of(folder.root, unfinished)
        unfinished.chmod(mode)
        fsync_file(unfinished)
        move_durably(unfinished, final)


def _signed(
    key: ec.EllipticCurvePrivateKey, *, host: str, address: str | None, now_s: float
) -> x509.Certificate:
    """Return a certificate that signs itself, for every name and address of this box."""
    begins = datetime.fromtimestamp(int(now_s), UTC)
    names: list[x509.GeneralName] = [
        *(x509.DNSName(one) for one in (host, f"{host}.local", "localhost") if one.isascii()),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    if address is not None:
        names.append(x509.IPAddress(ipaddress.ip_address(address)))
    return self_signed(key, names, begins=begins, ends=begins + timedelta(days=LONGEST_DAYS))


def self_signed(
    key: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName],
    *,
    begins: datetime,
    ends: datetime,
) -> x509.Certificate:
    """Return a certificate that signs itself, for a server of these names."""
    extensions = (
        (x509.BasicConstraints(ca=True, path_length=0), True),  # tablets install only these
        (key_usage("digital_signature", "key_cert_sign"), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(names), False),
    )
    return _certificate(key, "Spotter", extensions, begins=begins, ends=ends)


def _certificate(
    key: ec.EllipticCurvePrivateKey,
    name: str,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
    *,
    begins: datetime,
    ends: datetime,
    issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None,
) -> x509.Certificate:
    """Return the certificate of a key.

    Args:
        key: whose it is.
        name: the common name of its subject.
        extensions: each with whether it is critical; the key's identifier is added.
        begins, ends: when it is valid.
        issuer: who signs it, and by which key; None: it signs itself.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_name, signer = issuer or (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(own_id, critical=False).sign(signer, hashes.SHA256())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as a file holds it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def key_usage(*allowed: str) -> x509.KeyUsage:
    """Return what a key may be used for, by the names of RFC 5280, and nothing else."""
    return x509.KeyUsage(**(dict.fromkeys(_USAGES, False) | dict.fromkeys(allowed, True)))


AUTHORITY_YEARS = 10
_YEAR = timedelta(days=365.25)
_LOCAL_DOMAINS = ("local", "lan", "home.arpa", "internal", "localhost")
_PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7")
_DOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)
_LONGEST_NAME = 64  # of a common name
_CLOCK_BEHIND = timedelta(days=1)  # of a station whose clock is not set yet


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedFiles:
    """Where a certificate and its key were written, and until when it is valid."""

    certificate: Path
    key: Path
    ends_at: float  # Unix time


@dataclass(frozen=True, slots=True)
class AuthorityFolder:
    """The folder with an authority's certificate and its key."""

    root: Path

    @property
    def certificate(self) -> Path:
        """What tablets install; not a secret."""
        return self.root / "authority.crt"

    @property
    def key(self) -> Path:
        """By which certificates are signed; for its owner alone."""
        return self.root / "authority.key"

    def create(self, name: str, *, domains: Sequence[str], now_s: float) -> IssuedFiles:
        """Create an authority.

        Args:
            name: what tablets show of it.
            domains: for which it can sign too, beside private addresses and local names.
            now_s: Unix time.

        Raises:
            RequestError: there is one already, a domain is not one, or the folder cannot be
                written.
        """
        for place in (self.key, self.certificate):
            if place.exists():
                raise RequestError(
                    f"{place} exists",
                    hint="a new authority has to be installed on every tablet: choose another "
                    "folder, or remove this one first",
                )
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise RequestError(f"an authority's name has 1 to {_LONGEST_NAME} printable characters")
        for word in domains:
            if "." not in _domain(word):
                raise RequestError(
                    f"{word!r} is a top-level domain, which is not yours alone",
                    hint="name your own domain, as in gym.example",
                )
        permitted = [x509.DNSName(_domain(word)) for word in (*_LOCAL_DOMAINS, *domains)]
        begins = datetime.fromtimestamp(int(now_s), UTC)
        ends = begins + AUTHORITY_YEARS * _YEAR
        key = ec.generate_private_key(ec.SECP256R1())
        limits = x509.NameConstraints(
            permitted_subtrees=[*permitted, *_networks()], excluded_subtrees=None
        )
        extensions = (
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (key_usage("key_cert_sign", "crl_sign"), True),
            (limits, True),
        )
        signed = _certificate(key, name, extensions, begins=begins - _CLOCK_BEHIND, ends=ends)
        _write(self.key, key, self.certificate, signed)
        return IssuedFiles(certificate=self.certificate, key=self.key, ends_at=ends.timestamp())

    def issue(self, names: Sequence[str], folder: Path, *, days: int, now_s: float) -> IssuedFiles:
        """Write a certificate for a page, `page.pem`, and its key, `page.key`, into a folder.

        What is there from before is replaced: a certificate is renewed with a new key.

        Args:
            names: by which tablets reach the station, names and addresses; the first is its
                subject.
            folder: where both are written.
            days: how long it is valid; never longer than the authority.
            now_s: Unix time.

        Raises:
            RequestError: the authority cannot be read, has expired or may not sign for a name,
                or the folder cannot be written.
        """
        authority, signer = self._read()
        begins = datetime.fromtimestamp(int(now_s), UTC)
        ends = min(begins + timedelta(days=min(days, LONGEST_DAYS)), authority.not_valid_after_utc)
        if ends <= begins:
            raise RequestError(
                f"the authority in {self.root} expired on {authority.not_valid_after_utc:%Y-%m-%d}",
                hint="create a new one in another folder, and install it on the tablets",
            )
        alternatives = list(dict.fromkeys(self._named(word, authority) for word in names))
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (key_usage("digital_signature"), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.SubjectAlternativeName(alternatives), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
        )
        signed = _certificate(
            key,
            names[0][:_LONGEST_NAME],
            extensions,
            begins=max(begins - _CLOCK_BEHIND, authority.not_valid_before_utc),
            ends=ends,
            issuer=(authority.subject, signer),
        )
        issued = folder / "page.pem", folder / "page.key"
        _write(issued[1], key, issued[0], signed)
        return IssuedFiles(certificate=issued[0], key=issued[1], ends_at=ends.timestamp())

    def _read(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        try:
            authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            key = serialization.load_pem_private_key(self.key.read_bytes(), password=None)
        except FileNotFoundError as error:
            raise RequestError(
                f"no authority in {self.root}: {Path(error.filename).name} is missing",
                hint=f"spotter certificate init {self.root} creates one",
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise RequestError(
                f"the authority in {self.root} cannot be read: {plain_words(error)}"
            ) from None
        if (
            not isinstance(key, ec.EllipticCurvePrivateKey)
            or key.public_key() != authority.public_key()
        ):
            raise RequestError(f"key and certificate in {self.root} do not belong together")
        return authority, key

    def _named(self, word: str, authority: x509.Certificate) -> x509.GeneralName:
        """Return a name as it stands in a certificate, if the authority can sign for it."""
        name: x509.DNSName | x509.IPAddress
        try:
            name = x509.IPAddress(ipaddress.ip_address(word.partition("%")[0]))  # without a zone
        except ValueError:
            name = x509.DNSName(_domain(word))
        try:
            limits = authority.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:  # an authority from elsewhere
            return name
        permitted = limits.permitted_subtrees or []
        if any(_is_within(name, one) for one in permitted):
            return name
        domains = (one.value for one in permitted if isinstance(one, x509.DNSName))
        raise RequestError(
            f"{word}: this authority cannot sign for it",
            hint=f"it signs for private addresses and names that end in .{', .'.join(domains)}; "
            "another domain: spotter certificate init --domain",
        )


def _is_within(name: x509.DNSName | x509.IPAddress, subtree: x509.GeneralName) -> bool:
    if isinstance(name, x509.DNSName):
        return isinstance(subtree, x509.DNSName) and (
            name.value == subtree.value or name.value.endswith(f".{subtree.value}")
        )
    return (
        isinstance(subtree, x509.IPAddress)
        and isinstance(subtree.value, ipaddress.IPv4Network | ipaddress.IPv6Network)
        and name.value in subtree.value
    )


def _domain(word: str) -> str:
    name = word.lower().rstrip(".")
    if not _DOMAIN.fullmatch(name):
        raise RequestError(
            f"{word!r} is not a host name or address", hint="such as rack-7.local or 192.168.1.20"
        )
    return name


def _networks() -> list[x509.IPAddress]:
    return [x509.IPAddress(ipaddress.ip_network(word)) for word in _PRIVATE_NETWORKS]


def _write(
    key: Path, private: ec.EllipticCurvePrivateKey, certificate: Path, signed: x509.Certificate
) -> None:
    """Write both, each whole or not at all; the key first, which is of no use alone."""
    secret, public = private_pem(private), signed.public_bytes(serialization.Encoding.PEM)
    try:
        key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place, content, mode in ((key, secret, 0o600), (certificate, public, 0o644)):
            with rewriting(place, mode) as file:
                file.write(content)
    except OSError as error:
        raise RequestError(
            f"{error.filename or key.parent}: {error.strerror}", hint="choose another folder"
        ) from None
