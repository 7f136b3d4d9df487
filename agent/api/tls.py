"""TLS contexts, and certificate errors explained to the person at the box."""

import socket
import ssl
from pathlib import Path

import httpx

from agent.clock import Instant, LocalTime
from agent.errors import kind_words

# Codes of OpenSSL's certificate verification (x509_vfy.h).
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME = frozenset({62, 64})
_ADDRESSES = {"api": "base_url", "webhook": "url", "mqtt": "host"}
_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return what a host's certificate is judged by: the usual authorities, or one's own."""
    if ca_file is None:
        return httpx.create_ssl_context()
    return ssl.create_default_context(cafile=str(ca_file))


def no_authorities() -> ssl.SSLContext:
    """Return what trusts no certificate: for a client that has no use for TLS, without a file."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def tls_fault(error: BaseException | None) -> ssl.SSLError | None:
    """Return the TLS error at the root of an error, or None where there is none.

    A connection that is cut in mid-handshake is the network's fault, not the certificate's.
    """
    while error is not None:
        if isinstance(error, ssl.SSLError) and not isinstance(error, _CUT):
            return error
        error = error.__cause__ or error.__context__
    return None


def tls_words(fault: ssl.SSLError, *, host: str, now: Instant, table: str = "api") -> str:
    """Return what is wrong, and what this box's clock says.

    Args:
        fault: as the handshake ended.
        host: whom we meant to reach.
        now: this moment.
        table: of the settings that say so.
    """
    return f"TLS: {_fault_words(fault, host, table)}; {_clock_words(now)}"


def _fault_words(fault: ssl.SSLError, host: str, table: str) -> str:
    code = getattr(fault, "verify_code", None)
    if code == _EXPIRED:
        return f"the certificate of {host} has expired, or this box's clock runs ahead"
    if code == _NOT_YET_VALID:
        return f"the certificate of {host} is not valid yet, or this box's clock is behind"
    if code in _UNKNOWN_ISSUER:
        return (
            f"the certificate of {host} is signed by an unknown authority: "
            f"another box answers, or {table}.ca_file is missing"
        )
    if code in _OTHER_NAME:
        address = f"{table}.{_ADDRESSES[table]}"
        return f"the certificate is not for {host}: another box answers, or {address} is wrong"
    if code is not None:
        return f"the certificate of {host} is refused ({getattr(fault, 'verify_message', code)})"
    told = (fault.reason or "").replace("_", " ").lower() or kind_words(fault)
    return f"{host} does not speak valid TLS ({told})"


def _clock_words(now: Instant) -> str:
    told = f"this box's clock says {LocalTime(now.utc_s).full(now.utc_s)}"
    return told if now.trusted else f"{told}, but nothing has set it yet"


def certificate_ends_at(host: str, port: int, *, ca_file: Path | None, wait_s: float) -> float:
    """Return the Unix time at which the certificate of a host ends.

    Raises:
        OSError: it cannot be reached, or its certificate is refused.
    """
    with (
        socket.create_connection((host, port), timeout=wait_s) as plain,
        tls_context(ca_file).wrap_socket(plain, server_hostname=host) as secured,
    ):
        found = secured.getpeercert()
    assert found is not None  # it was verified
    return float(ssl.cert_time_to_seconds(str(found["notAfter"])))
