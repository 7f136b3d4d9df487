"""The real daemon tells a real broker and a real receiver, and is killed while it does."""

import json
import signal
from pathlib import Path

import pytest

from agent.clock import read_clock
from agent.doctor.check import CheckResult, Severity, StationUnderTest
from agent.doctor.network import check_channels
from agent.notifications.message import count_waiting
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState
from agent.settings import load_settings
from tests.factories import NOW_S, admitted, new_entry
from tests.integration.notifications.conftest import SECRET
from tests.mosquitto import Listener, Mosquitto
from tests.receiver import Receiver
from tests.station import Station, until

AVAILABILITY, STATE = "spotter/test/availability", "spotter/test/state"


def station_with(tmp_path: Path, url: str, port: int) -> Station:
    return Station(
        tmp_path,
        "http://127.0.0.1:9",
        {"webhook": {"url": url, "secret": SECRET}, "mqtt": {"host": "127.0.0.1", "port": port}},
    )


def hold_a_clip(station: Station, number: int) -> str:
    """Make a clip that waits for a person, as the analysis would."""
    with Outbox.open(station.state) as outbox:
        new = new_entry(admitted(outbox, number), state=EntryState.HELD)
        return outbox.entries.create(new, now_s=NOW_S + number).clip_code


def waiting(station: Station) -> int:
    """How many notices are not acknowledged, on any channel."""
    with Outbox.open(station.state) as outbox:
        cursors = [channel.cursor for channel in outbox.channels.all()]
        return sum(count_waiting(outbox, at, wanted=None, most=100) for at in cursors)


def test_killed_between_acknowledgement_and_cursor_it_tells_twice_and_loses_nothing(
    tmp_path: Path, receiver: Receiver
) -> None:
    with Mosquitto(tmp_path) as mosquitto, Listener(mosquitto.port, "spotter/#") as listener:
        station = station_with(tmp_path, receiver.url, mosquitto.port)
        daemon = station.start({"SPOTTER_CRASH_AT": "notice-acknowledged"})
        listener.wait_for(lambda heard: heard.last(STATE) is not None)
        assert listener.last(AVAILABILITY) == "online"
        first = hold_a_clip(station, 1)
        assert daemon.wait(20) == -signal.SIGKILL
        listener.wait_for(lambda heard: heard.last(AVAILABILITY) == "offline")  # its last will

        second = hold_a_clip(station, 2)
        with station.running():
            until(lambda: receiver.events().count("take.held") >= 2)
            listener.wait_for(lambda heard: len({n["id"] for n in heard.notices()}) == 2)
            assert listener.last(AVAILABILITY) == "online"
            until(lambda: listener.last(STATE)["held"] == 2)
            until(lambda: waiting(station) == 0)
            told = json.loads(station.spotter("status", "--json"))["notices"]
            assert {name: channel["waiting"] for name, channel in told.items()} == {
                "mqtt": 0,
                "webhook": 0,
            }
        listener.wait_for(lambda heard: heard.last(AVAILABILITY) == "offline")

    posted = [json.loads(p.body) for p in receiver.taken if p.event == "take.held"]
    for heard in (posted, listener.notices()):
        assert list(dict.fromkeys(notice["clip_code"] for notice in heard)) == [first, second]
        assert len({notice["id"] for notice in heard}) == 2
    assert len(posted) + len(listener.notices()) > 4  # somebody heard it twice
    assert SECRET not in station.log.read_text() and "/hooks/" not in station.log.read_text()


def test_a_notice_on_trial_and_what_doctor_says(tmp_path: Path, receiver: Receiver) -> None:
    with Mosquitto(tmp_path) as mosquitto, Listener(mosquitto.port) as listener:
        station = station_with(tmp_path, receiver.url, mosquitto.port)
        assert "sent to" in station.spotter("notify", "test")
        assert [posted.event for posted in receiver.taken] == ["station.test"]
        listener.wait_for(lambda heard: bool(heard.notices()))
        assert listener.topics() == ["spotter/test/event/station.test"]  # and no word of a station
        assert {found.state for found in doctors(station)} == {Severity.FINE}
        said = station.spotter("notify", "reverted", "0.1.0", "0.2.0", "--reason", "it fails")
        assert said.count("sent to") == 2
        last = json.loads(receiver.taken[-1].body)
        assert (last["event"], last["failed_version"]) == ("station.update_reverted", "0.2.0")

    told = station.spotter("notify", "test", code=69)
    assert "mqtt: the broker cannot be reached" in told
    assert {f.name: f.state for f in doctors(station)} == {
        "webhook": Severity.FINE,
        "mqtt": Severity.BROKEN,
    }


@pytest.mark.parametrize(
    ("webhook", "name", "words"),
    [
        ({"secret_file": "/nonexistent"}, "webhook secret", "is empty or missing"),
        ({"secret": "dG9vIHNob3J0"}, "webhook secret", "24 to 64 bytes"),
        ({"url": "http://127.0.0.1:9/x", "secret": SECRET}, "webhook", "cannot be reached"),
    ],
)
def test_what_doctor_says_of_a_webhook(
    tmp_path: Path, receiver: Receiver, webhook: dict[str, object], name: str, words: str
) -> None:
    station = Station(tmp_path, "http://127.0.0.1:9", {"webhook": {"url": receiver.url, **webhook}})

    (wrong,) = [found for found in doctors(station) if found.state is Severity.BROKEN]

    assert wrong.name == name and words in wrong.finding


def test_nothing_set_up_is_a_matter_of_settings(station: Station) -> None:
    assert "no notification receiver is configured" in station.spotter("notify", "test", code=78)


def doctors(station: Station) -> list[CheckResult]:
    patient = StationUnderTest(
        settings=load_settings(station.config), config=station.config, now=read_clock(), environ={}
    )
    return check_channels(patient)
