"""What a station tells the hub, over every way to lose it: the real hub, the real nats-server."""

import json
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from agent.bandwidth_schedule import UplinkShare
from agent.clock import Clock, read_clock
from agent.disk.state_folder import StateFolder
from agent.doctor.check import Severity, StationUnderTest
from agent.doctor.network import check_channels
from agent.facility.broker import HubConnection
from agent.facility.joining import access_of
from agent.facility.keys import FacilityKey
from agent.facility.membership import read_membership, read_station_key
from agent.facility.orders import AllowanceKeeper, PlanKeeper, ReleaseKeeper, SettingsKeeper
from agent.facility.receiver import (
    POSTER_OF,
    HubFeed,
    HubOrders,
    HubReceiver,
    StationReports,
)
from agent.notifications.stage import NotificationStage
from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState, Recipient
from agent.retry import Backoff
from agent.settings import load_settings
from agent.stage import ignore_wake
from agent.station.assignments import StationRules
from tests.facility import SITE, Hub
from tests.factories import admitted, new_entry
from tests.integration.facility.conftest import MakeStation
from tests.lived import send
from tests.station import PATIENCE_S, Station, until

_RULES = StationRules(
    default=ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
)


def hold_clips(outbox: Outbox, *numbers: int) -> list[str]:
    """Make clips that wait for a person; return the ids of their notices' clips."""
    return [
        outbox.entries.create(
            new_entry(admitted(outbox, number), state=EntryState.HELD), now_s=time.time()
        ).clip_code
        for number in numbers
    ]


def codes_at(hub: Hub, station: str) -> list[str]:
    """The clips of which the hub has stored an event, each as often as it is stored."""
    prefix = f"spotter.{SITE}.{station}.event."
    return [
        notice.split("-take-")[0].rpartition("-")[2]
        for subject, notice in hub.events()
        if subject.startswith(prefix)
    ]


def poster_at(hub: Hub, station: str) -> tuple[bytes, str | None] | None:
    """The picture that the hub has of a station's last take, and of which clip it is."""
    with closing(hub.connection()) as broker:
        found = broker.stored(f"$JS.API.DIRECT.GET.KV_state.$KV.state.{SITE}.{station}.poster")
    return None if found is None else (found.body, found.headers.get(POSTER_OF) or None)


@contextmanager
def telling(station: Station) -> Iterator[tuple[Outbox, NotificationStage]]:
    """The stage of the hub alone, in this process."""
    folder = StateFolder(station.state)
    member = read_membership(folder)
    assert member is not None
    with Outbox.open(folder.root) as outbox:
        feed = HubFeed(outbox, station=member.station)
        receiver = HubReceiver(
            HubConnection(access_of(member, FacilityKey(read_station_key(folder)))),
            member.subjects,
            feed,
            reports=StationReports(state=lambda: b"{}"),
            orders=HubOrders(
                plans=PlanKeeper(outbox, folder, member, rules=_RULES),
                allowance=AllowanceKeeper(folder, member, UplinkShare()),
                settings=SettingsKeeper(folder, member, reload=ignore_wake),
                release=ReleaseKeeper(folder, member),
            ),
            now=read_clock,
        )
        often = Backoff(base_s=0.05, longest_s=0.05)
        stage = NotificationStage(outbox, receiver, feed, look=None, clock=Clock(), backoff=often)
        try:
            yield outbox, stage
        finally:
            stage.close()


def tell_until(stage: NotificationStage, hub: Hub, codes: list[str]) -> None:
    """Let it tell until the hub has stored an event of each of these clips, once and in order."""

    def has_stored() -> bool:
        stage.step()
        return codes_at(hub, "rack-1") == codes

    until(has_stored)


def test_a_daemon_tells_its_state_and_every_event_once_over_kills_of_both(
    hub: Hub, station: MakeStation
) -> None:
    rack = station("daemon-1")
    hub.admit(rack)
    daemon = rack.start({"SPOTTER_CRASH_AT": "notice-acknowledged"})
    with Outbox.open(rack.state) as outbox:
        codes = hold_clips(outbox, 1)
    assert daemon.wait(PATIENCE_S) == -signal.SIGKILL
    with rack.running():
        until(lambda: hub.state_of("daemon-1") is not None)
        hub.kill()  # a broker without its hub ends too
        with Outbox.open(rack.state) as outbox:
            codes += hold_clips(outbox, 2, 3)
        rack.spotter("status")
        until(lambda: 'event="notifications paused"' in rack.log.read_text())
        hub.start()
        until(lambda: set(codes_at(hub, "daemon-1")) == set(codes))
        told = hub.state_of("daemon-1")
    assert told is not None
    assert (told["station"], told["page"]) == ("daemon-1", None)
    assert told["athlete"] == {
        **{"user_id": "u1", "guest": False, "exercise": "running", "barbell_mass": None},
        **{"since": "1970-01-01T00:00:00Z", "set_by": "settings"},
    }
    assert Counter(codes_at(hub, "daemon-1")) == Counter(codes)  # the broker knows the ids
    said = [line for line in rack.log.read_text().splitlines() if "channel=hub" in line]
    assert f"the hub at {hub.listen}" in said[0]
    assert len(said) == 2  # one line when it goes, one when it is back
    assert "hub" in json.loads(rack.spotter("status", "--json"))["notices"]


def test_the_picture_of_the_last_take_is_shown_until_it_is_gone(
    hub: Hub, station: MakeStation
) -> None:
    rack = station("pictured")
    hub.admit(rack)
    folder = StateFolder(rack.state)
    with Outbox.open(rack.state) as outbox:
        send(outbox, folder, 1, "uploaded")
        code = outbox.gallery.latest(most=1)[0].entry.clip_code
    small = folder.thumbnail_of(code)
    small.write_bytes(b"a small picture")
    with rack.running():
        until(lambda: poster_at(hub, "pictured") == (b"a small picture", code))
        small.unlink()  # as where its athlete is forgotten
        until(lambda: poster_at(hub, "pictured") == (b"", None))


def test_what_a_new_or_shorter_store_lacks_is_told_again(
    tmp_path: Path, station: MakeStation
) -> None:
    with Hub(tmp_path / "hub") as hub:
        rack = station("rack-1")
        hub.admit(rack)
        with telling(rack) as (outbox, stage):
            codes = hold_clips(outbox, 1, 2)
            tell_until(stage, hub, codes)
            hub.stop()
            kept = tmp_path / "kept"
            shutil.copytree(hub.folder.store, kept)
            hub.start()
            codes += hold_clips(outbox, 3)
            tell_until(stage, hub, codes)

            hub.stop()
            shutil.rmtree(hub.folder.store)  # a store without the last event
            shutil.move(kept, hub.folder.store)
            hub.start()
            tell_until(stage, hub, codes)

            hub.stop()
            shutil.rmtree(hub.folder.store)  # an empty one
            hub.start()
            tell_until(stage, hub, codes)


def test_the_doctor_says_what_keeps_a_station_from_its_hub(
    tmp_path: Path, station: MakeStation
) -> None:
    rack = station("rack-9")
    with Hub(tmp_path / "hub") as hub:
        hub.admit(rack)
        assert _doctor(rack) == (
            Severity.FINE,
            f"{hub.listen} accepts the station as {SITE}/rack-9",
        )
        for path in hub.folder.certificate:
            path.unlink()
    with hub:
        assert "another certificate than the hub's" in _doctor(rack)[1]
    state, text = _doctor(rack)
    assert state is Severity.WARNING
    assert "cannot be reached" in text and "works without it" in text


def _doctor(station: Station) -> tuple[Severity, str]:
    under_test = StationUnderTest(
        settings=load_settings(station.config), config=station.config, now=read_clock(), environ={}
    )
    found = [one for one in check_channels(under_test) if one.name == "hub"]
    return found[0].state, found[0].finding
