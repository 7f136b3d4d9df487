"""A facility's own certificate authority: tablets trust it once, and with it every station's page.

Its name constraints (RFC 5280, 4.2.1.10) keep a stolen key from being of use outside the facility:
it can sign for private addresses, names of a local network, and the domains that were named.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.disk.state_folder import rewriting
from agent.errors import RequestError, plain_words
from agent.web.tls import LONGEST_DAYS, key_usage

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
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins - _CLOCK_BEHIND)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
            .add_extension(
                x509.NameConstraints(
                    permitted_subtrees=[*permitted, *_networks()], excluded_subtrees=None
                ),
                critical=True,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )
        _write(self.key, _private(key), self.certificate, builder.sign(key, hashes.SHA256()))
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
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_LONGEST_NAME])])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(begins - _CLOCK_BEHIND, authority.not_valid_before_utc))
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        )
        issued = folder / "page.pem", folder / "page.key"
        _write(issued[1], _private(key), issued[0], builder.sign(signer, hashes.SHA256()))
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


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(key: Path, secret: bytes, certificate: Path, signed: x509.Certificate) -> None:
    """Write both, each whole or not at all; the key first, which is of no use alone."""
    public = signed.public_bytes(serialization.Encoding.PEM)
    try:
        key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place, content, mode in ((key, secret, 0o600), (certificate, public, 0o644)):
            with rewriting(place, mode) as file:
                file.write(content)
    except OSError as error:
        raise RequestError(f"{error.filename or key.parent}: {error.strerror}") from None
