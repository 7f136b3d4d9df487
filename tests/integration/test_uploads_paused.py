"""A pause of the lane, as the commands show it and end it."""

import json
import time

from agent.clock import LocalTime
from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from tests.factories import ready_entry
from tests.station import Station, until


def api_of(station: Station) -> dict[str, str]:
    told: dict[str, str] = json.loads(station.spotter("status", "--json"))["api"]
    return told


def test_a_pause_is_shown_with_its_reason_and_next_look_and_retry_ends_it(
    station: Station, sandbox: Sandbox
) -> None:
    sandbox.add_fault("429:retry-after=1800@status")
    with station.running():
        until(lambda: api_of(station)["paused"])
        api = api_of(station)
        told = station.spotter("status")
        with Outbox.open(station.state) as outbox:
            entry = ready_entry(outbox)
        station.spotter("outbox", "retry", entry.name)
        until(lambda: "uploads resumed" in station.log.read_text())

    assert (api["paused"], api["next_probe_at"] is not None) == ("server", True)
    assert (
        "uploads PAUSED" in told
        and "HTTP 429" in told
        and LocalTime(time.time()).moment_or(api["next_probe_at"]) in told
    )


def test_a_changed_key_file_ends_a_pause_without_a_restart(
    station: Station, sandbox: Sandbox
) -> None:
    sandbox.replace_key("another-key")
    with station.running():
        until(lambda: "uploads paused" in station.log.read_text())
        station.key_file.write_text("another-key")
        until(lambda: "uploads resumed" in station.log.read_text())
