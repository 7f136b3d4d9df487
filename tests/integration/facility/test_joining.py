"""Joining a facility, and what a member's key can do: the real hub, the real nats-server."""

import asyncio
import json
import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from agent.errors import NotifyError, RequestError
from agent.facility import broker
from agent.facility.membership import Invitation
from agent.facility.orders import StationPlan
from agent.hub.run import trim_events
from agent.hub.server import hub_access
from tests.facility import SITE, Hub, answered, stolen
from tests.forked import ForkedCommand
from tests.integration.facility.conftest import MakeStation
from tests.station import PATIENCE_S, Station, give, until


def test_a_link_lets_one_station_in_once_and_says_so_otherwise(
    hub: Hub, station: MakeStation
) -> None:
    first, other = station("rack-1"), station("rack-2")
    link = hub.invite("rack-1")

    assert "is for 'rack-1'" in other.spotter("join", link, code=1)
    told = other.spotter("join", "http://gym.example", code=1)
    assert "not an invitation" in told and "quote the whole link" in told
    told = json.loads(first.spotter("join", link, "--json"))
    assert told == {"site": SITE, "station": "rack-1", "hub": hub.listen}
    assert "belongs to gym-1 already" in first.spotter("join", link, code=1)
    listed = json.loads(hub.spotter("stations", "--json"))
    silent = {"group": None, "away": True, "age_s": None, "told": None}
    assert {"station": "rack-1", **silent} in listed

    assert "left the facility" in first.spotter("leave")
    assert "used, or has expired" in first.spotter("join", link, code=1)
    assert not (first.state / "hub-key").exists()


def test_a_script_invites_and_joins_without_a_pause(hub: Hub, station: MakeStation) -> None:
    member = station("rack-7")
    link = str(json.loads(hub.spotter("invite", "rack-7", "--json"))["link"])
    assert "joined gym-1" in member.spotter("join", link)


@pytest.mark.soak
def test_many_stations_join_at_once(hub: Hub, station: MakeStation) -> None:
    members = [station(f"many-{number}") for number in range(6)]
    joining = []
    for number, member in enumerate(members):
        link = str(json.loads(hub.spotter("invite", f"many-{number}", "--json"))["link"])
        words = ["join", link, "--config", str(member.config)]
        log = member.root / "join.log"
        joining.append((ForkedCommand(words, environment=dict(os.environ), log=log), log))
    for command, log in joining:
        assert command.wait(PATIENCE_S) == 0, log.read_text()


def test_another_machine_in_the_hubs_place_is_told_nothing(hub: Hub, station: MakeStation) -> None:
    link = Invitation.of(hub.invite("rack-3"))
    other = Invitation(
        address=link.address, site=SITE, station="rack-3", digest=bytes(32), seed=link.seed
    )

    assert "is not the hub" in station("rack-3").spotter("join", other.link, code=69)


def test_a_removed_station_is_told_that_its_key_is_refused(hub: Hub, station: MakeStation) -> None:
    member = station("rack-4")
    hub.admit(member)
    hub.spotter("assign", "rack-4", "u1")
    hub.spotter("remove", "rack-4")

    left = StationPlan.unsealed(
        hub.folder.plan_of("rack-4").read_bytes(),
        **{"site": SITE, "station": "rack-4", "hub": hub.folder.key().public},
    )
    assert not left.turns  # for another station of this name
    until(lambda: "refuses this station's key" in (_refusal(member) or ""))
    assert "no station" in hub.spotter("remove", "rack-4", code=1)


@pytest.mark.parametrize("link", ["", "spotter-join://h/a/b", "spotter-join://h:x/a/b#a.b", "\0"])
def test_what_is_no_link_is_refused(link: str) -> None:
    with pytest.raises(RequestError, match="not an invitation"):
        Invitation.of(link)


def test_a_stolen_key_reads_and_writes_nothing_of_another_station(
    hub: Hub, station: MakeStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    thief, victim = station("thief"), station("victim")
    hub.admit(thief)
    hub.admit(victim)
    poster = f"$KV.state.{SITE}.victim.poster"
    own, event = f"$KV.state.{SITE}.thief", f"spotter.{SITE}.victim.event.take.ready"
    state, wish = f"$KV.state.{SITE}.victim", f"$KV.desired.{SITE}.victim.plan"
    with closing(hub.connection()) as all_rights, closing(stolen(victim)) as mine:
        mine.publish(state, b"mine")
        mine.publish(event, b"mine")
        all_rights.publish(wish, b"for the victim")
        all_rights.hear()
        monkeypatch.setattr(broker, "ANSWER_WITHIN_S", 0.3)

        asked = [
            event,
            state,
            poster,
            wish,
            f"spotter.{SITE}.victim.do.retry",
            "$JS.API.STREAM.INFO.EVENTS",
            "$JS.API.STREAM.DELETE.EVENTS",
        ]
        asked += [f"$JS.API.DIRECT.GET.KV_state.{state}", f"$JS.API.DIRECT.GET.KV_desired.{wish}"]
        asked += [f"$JS.API.DIRECT.GET.EVENTS.{event}", "$JS.API.CONSUMER.CREATE.EVENTS"]
        for subject in asked:
            with closing(stolen(thief)) as taken:
                assert not answered(taken, subject), subject

        # The broker answers to whatever subject a request names, with rights of its own.
        with closing(stolen(thief)) as confused:
            for answer_to in (event, state, wish, "$JS.API.STREAM.DELETE.EVENTS"):
                confused.tell(own, answer_to=answer_to)
            confused.hear()
            time.sleep(0.3)  # nothing can be waited for that must not come
            all_rights.ask("$JS.API.INFO")
            mine.publish(state, b"mine")
            assert all(b"victim" not in body for _, body in confused.all)

        # A header can have the broker forget all other messages of a stream, or this one soon.
        for headers in ({"Nats-Rollup": "all"}, {"Nats-Rollup": "sub"}, {"Nats-TTL": "1s"}):
            with closing(stolen(thief)) as clearing, pytest.raises(NotifyError):
                clearing.publish(own, b"{}", headers)

        heard = [subject for subject, _ in all_rights.all]
        assert own in heard and not {event, wish, poster} & set(heard)
        for stream, subject, body in (
            ("KV_state", state, b"mine"),
            ("KV_desired", wish, b"for the victim"),
            ("EVENTS", event, b"mine"),
        ):
            kept = all_rights.stored(f"$JS.API.DIRECT.GET.{stream}.{subject}")
            assert kept is not None and kept.body == body


def _refusal(station: Station) -> str | None:
    try:
        stolen(station).close()
    except NotifyError as refusal:
        return str(refusal) if "reach" not in str(refusal) else None  # it starts again just now
    return None


def test_a_station_that_was_renamed_is_told_by_which_name_the_hub_knows_it(
    hub: Hub, station: MakeStation
) -> None:
    renamed = station("before")
    hub.admit(renamed)

    def told() -> list[str]:
        done = give(["doctor", "--json", "--config", str(renamed.config)])
        checks = json.loads(done.stdout)["checks"]
        return [f"{one['state']} {one['finding']}" for one in checks if one["name"] == "hub"]

    assert f"fine {hub.listen} accepts the station as {SITE}/before" in told()
    renamed.config.write_text(renamed.config.read_text().replace('"before"', '"after"'))
    words = "warning station.id is after, and the hub knows and plans this station as before"
    assert words in told()


def test_a_stolen_key_takes_the_place_of_nobodys_events(
    tmp_path: Path, station: MakeStation
) -> None:
    with Hub(tmp_path / "hub") as hub:
        thief, victim = station("thief"), station("victim")
        hub.admit(thief)
        hub.admit(victim)
        with closing(stolen(victim)) as mine:
            mine.publish(
                f"spotter.{SITE}.victim.event.take.ready", b"mine", {"Nats-Msg-Id": "mine"}
            )
        with closing(stolen(thief)) as flooding:
            for number in range(30):
                subject = f"spotter.{SITE}.thief.event.{number}"
                flooding.publish(subject, b"{}", {"Nats-Msg-Id": str(number)})
            with pytest.raises(NotifyError, match="message size exceeds"):
                flooding.publish(f"spotter.{SITE}.thief.event.big", bytes(1 << 16))

        async def trim() -> dict[str, int]:
            access = hub_access(hub.listen, hub.folder, hub.folder.key())
            client = await broker.connect(access)
            try:
                return await trim_events(client.jetstream(), SITE, most=10)
            finally:
                await client.close()

        assert asyncio.run(trim()) == {"thief": 30}
        assert asyncio.run(trim()) == {}
        assert [notice for _, notice in hub.events()] == ["mine", *map(str, range(20, 30))]
