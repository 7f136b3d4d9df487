"""TLS of the page: a certificate that was given, or one of Spotter's own making."""

import os
import socket
import ssl
import subprocess
from pathlib import Path

from agent.clock import Instant, Now
from agent.errors import ConfigError
from agent.outbox.disk.folders import StateFolder, fsync_file, give_to_owner_of, move_durably
from agent.settings.web import WebSettings
from agent.web.access.address import own_address

_DAYS = 800  # some tablets refuse certificates that last longer
_RENEW_BEFORE_S = 60 * 86400
_OPENSSL_WITHIN_S = 30.0


class PageCertificate:
    """The certificate that the page shows, kept up while it serves."""

    def __init__(self, settings: WebSettings, folder: StateFolder, *, now: Now) -> None:
        """Take the certificate that was given, or make one.

        Raises:
            ConfigError: it cannot be read or made.
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
        if self._settings.tls == "own":
            return self._folder.root / "page-cert.pem", self._folder.root / "page-key.pem"
        assert self._settings.tls_cert and self._settings.tls_key  # checked by the settings
        return self._settings.tls_cert, self._settings.tls_key

    def renew(self) -> None:
        """Make one of Spotter's own anew, where it is missing or its time is not now.

        Raises:
            ConfigError: openssl is missing or fails.
        """
        certificate, key = self._places
        if self._settings.tls == "own" and not (key.exists() and _serves(certificate, self._now())):
            _make(certificate, key, self._folder)

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
        certificate, key = self._places
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"the page's certificate {certificate} cannot be used: {error}"
            ) from None
        return context

    def _marks(self) -> list[tuple[int, int] | None]:
        """Return what changes with the files."""
        return [_mark(place) for place in self._places]


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _serves(certificate: Path, now: Instant) -> bool:
    """Tell whether a certificate's time is now; a clock that nothing has set cannot tell."""
    told = _openssl(["x509", "-in", str(certificate), "-noout", "-dates"])
    if told is None:
        return False
    dates = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    begins_s, ends_s = (ssl.cert_time_to_seconds(dates[name]) for name in ("notBefore", "notAfter"))
    return not now.trusted or begins_s <= now.utc_s < ends_s - _RENEW_BEFORE_S


def _make(certificate: Path, key: Path, folder: StateFolder) -> None:
    host = socket.gethostname()
    names = [f"DNS:{host}", f"DNS:{host}.local", "DNS:localhost", "IP:127.0.0.1"]
    address = own_address()
    if address is not None:
        names.append(f"IP:{address}")
    new_key, new_certificate = folder.tmp / key.name, folder.tmp / certificate.name
    new_key.unlink(missing_ok=True)
    os.close(os.open(new_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    words = [
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", str(_DAYS), "-subj", "/CN=Spotter", "-addext"),
        *(f"subjectAltName={','.join(names)}", "-keyout", str(new_key)),
        *("-out", str(new_certificate)),
    ]
    if _openssl(words) is None:
        raise ConfigError(
            "openssl could not make the page's certificate", hint='set web.tls = "given" or "off"'
        )
    for unfinished, final in ((new_key, key), (new_certificate, certificate)):
        give_to_owner_of(folder.root, unfinished)
        unfinished.chmod(0o660)
        fsync_file(unfinished)
        move_durably(unfinished, final)


def _openssl(words: list[str]) -> str | None:
    """Return what openssl says; None where it fails."""
    try:
        done = subprocess.run(
            ["openssl", *words],  # noqa: S607  # Debian's own, wherever it is
            capture_output=True,
            text=True,
            timeout=_OPENSSL_WITHIN_S,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigError(
            'web.tls = "own" needs openssl', hint="sudo apt install openssl"
        ) from None
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
