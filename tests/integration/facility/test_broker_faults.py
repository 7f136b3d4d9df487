"""The broker ends, or its disk refuses a write: the hub says so, and starts it again."""

import os
import resource
import signal
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from agent.errors import NotifyError
from agent.hub.server import storing_fault
from tests.facility import SITE, Hub
from tests.station import until

_MOST_FILE = 1 << 17  # bytes; the broker's log stays shorter
_EVENT = b"x" * 16_000


def _stored(hub: Hub) -> str | None:
    """Publish an event; return its id once the broker acknowledges it, None where it does not."""
    number = str(time.monotonic_ns())
    with suppress(NotifyError), closing(hub.connection()) as broker:
        subject = f"spotter.{SITE}.rack-1.event.take.held"
        broker.publish(subject, _EVENT, {"Nats-Msg-Id": number})
        return number
    return None


def test_a_broker_that_gave_its_store_up_stores_again(tmp_path: Path) -> None:
    with Hub(tmp_path) as hub:
        starts, broker, acknowledged = hub.starts(), hub.processes()[1], []
        resource.prlimit(broker, resource.RLIMIT_FSIZE, (_MOST_FILE, _MOST_FILE))
        while (number := _stored(hub)) is not None:
            acknowledged.append(number)
        until(lambda: hub.starts() > starts)
        until(lambda: _stored(hub) is not None)
        assert set(acknowledged) <= {number for _, number in hub.events()}
        assert "events cannot be stored: file too large" in hub.log.read_text()
        assert "answers at" in hub.status(code=0)
        hub.folder.broker_log.write_text(
            "[1] 2026/12/01 12:47:32.257582 [ERR] JetStream failed to store a msg on stream "
            "'HUB > EVENTS': write /x/msgs/1.blk: no space left on device\n"
        )
        assert "FAILING: events cannot be stored: no space left on device" in hub.status(code=1)


def test_a_broker_that_ends_by_itself_is_reported_and_one_that_ends_with_the_hub_is_not(
    tmp_path: Path,
) -> None:
    with Hub(tmp_path) as hub:
        starts = hub.starts()
        os.kill(hub.processes()[1], signal.SIGKILL)
        until(lambda: hub.starts() > starts)
        assert "nats-server has ended by signal 9" in hub.log.read_text()
        reported = hub.log.read_text().count("broker failed")
        for process in reversed(hub.processes()):  # as systemd does
            os.kill(process, signal.SIGTERM)
        hub.stop()
        assert hub.log.read_text().count("broker failed") == reported


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "Filestore [EVENTS] Critical write error: write /a b/1.blk: no space left",
            "no space left",
        ),
        ("stream 'HUB > X' critical write error: sync /a/1.blk: input error", "input error"),
        ("JetStream failed to store a msg on stream 'HUB > X': maximum bytes exceeded", None),
        ("127.0.0.1:51950 - cid:33 - TLS handshake error: EOF", None),
    ],
)
def test_what_the_broker_says_of_its_store(line: str, why: str | None) -> None:
    told = storing_fault(f"[1] 2026/12/01 12:47:45.876833 [ERR] {line}\n")
    assert told == (None if why is None else f"events cannot be stored: {why}")
