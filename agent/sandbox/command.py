"""The sandbox as a command, for installers who rehearse."""

import signal
import threading
from collections.abc import Callable

from agent.plurals import counted
from agent.sandbox.server import Sandbox


def serve(sandbox: Sandbox, echo: Callable[[str], None]) -> None:
    """Run a sandbox until SIGINT or SIGTERM, telling what it receives."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    sandbox.book.on_change = echo
    with sandbox:
        keys = ", ".join(sandbox.tokens)
        echo(f"sandbox API at {sandbox.base_url}, keys: {keys}; videos at {sandbox.storage_url}")
        echo("point a station at it:")
        echo(
            f"  export SPOTTER_API__BASE_URL={sandbox.base_url}"
            f" SPOTTER_API__KEY={sandbox.tokens[0]}"
        )
        if sandbox.tls:
            echo(f"  export SPOTTER_API__CA_FILE={sandbox.ca_file}")
        echo("Ctrl-C ends it")
        ended.wait()
        sessions = len(sandbox.book.sessions)
        asked = counted(len(sandbox.book.requests), "request")
        echo(f"ended: {counted(sessions, 'session')} made, {asked}")
