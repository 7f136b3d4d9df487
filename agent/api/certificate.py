"""Until when a host's certificate holds."""

import socket
import ssl
from pathlib import Path

from agent.api.tls import tls_context


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
