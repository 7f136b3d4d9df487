"""The page's TLS certificate: configured, or self-signed."""

import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.clock import Instant, Now
from agent.disk.state_folder import StateFolder, fsync_file, give_to_owner_of, move_durably
from agent.errors import ConfigError
from agent.settings.model import WebSettings
from agent.station.addresses import own_address

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
        """Where certificate and key lie."""
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
        """Show the certificate that lies there now, if that is another one.

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
    except x509.ExtensionNotFound:  # and browsers look at nothing else
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
        raise ConfigError(f"the page's certificate {certificate} cannot be used: {error}") from None
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
    secret = new_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
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
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Spotter")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    for extension, critical in (
        (x509.BasicConstraints(ca=True, path_length=0), True),  # tablets install only these
        (key_usage("digital_signature", "key_cert_sign"), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(names), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, hashes.SHA256())


def key_usage(*allowed: str) -> x509.KeyUsage:
    """Return what a key may be used for, by the names of RFC 5280, and nothing else."""
    return x509.KeyUsage(**(dict.fromkeys(_USAGES, False) | dict.fromkeys(allowed, True)))
