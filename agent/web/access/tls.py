"""TLS of the page: a certificate that was given, or one of Spotter's own making."""

import os
import socket
import ssl
import subprocess
from pathlib import Path

from agent.errors import ConfigError
from agent.outbox.folders import StateFolder, fsync_file, give_to_owner_of, move_durably
from agent.settings.web import WebSettings
from agent.web.access.address import own_address

_DAYS = 800  # some tablets refuse certificates that last longer
_RENEW_BEFORE_S = 60 * 86400
_OPENSSL_WITHIN_S = 30.0


def tls_context(settings: WebSettings, folder: StateFolder) -> ssl.SSLContext | None:
    """Return what TLS needs, or None where the page goes without.

    Raises:
        ConfigError: the certificate cannot be read or made.
    """
    if settings.tls == "off":
        return None
    if settings.tls == "given":
        assert settings.tls_cert and settings.tls_key  # checked by the settings
        certificate, key = settings.tls_cert, settings.tls_key
    else:
        certificate, key = own_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the page's certificate {certificate} cannot be used: {error}") from None
    return context


def own_certificate(folder: StateFolder) -> tuple[Path, Path]:
    """Return certificate and key of Spotter's own making, made where they are missing or old.

    Raises:
        ConfigError: openssl is missing or fails.
    """
    certificate, key = folder.root / "page-cert.pem", folder.root / "page-key.pem"
    if not (key.exists() and _lasts(certificate)):
        _make(certificate, key, folder)
    return certificate, key


def _lasts(certificate: Path) -> bool:
    words = ["x509", "-in", str(certificate), "-noout", "-checkend", str(_RENEW_BEFORE_S)]
    return certificate.exists() and _openssl(words) == 0


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
    if _openssl(words) != 0:
        raise ConfigError(
            "openssl could not make the page's certificate", hint='set web.tls = "given" or "off"'
        )
    for unfinished, final in ((new_key, key), (new_certificate, certificate)):
        give_to_owner_of(folder.root, unfinished)
        unfinished.chmod(0o660)
        fsync_file(unfinished)
        move_durably(unfinished, final)


def _openssl(words: list[str]) -> int:
    try:
        done = subprocess.run(
            ["openssl", *words],  # noqa: S607  # Debian's own, wherever it is
            capture_output=True,
            timeout=_OPENSSL_WITHIN_S,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigError(
            'web.tls = "own" needs openssl', hint="sudo apt install openssl"
        ) from None
    except subprocess.TimeoutExpired:
        return -1
    return done.returncode
