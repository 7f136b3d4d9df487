"""A chain and its sites: two real hubs, each with its nats-server, one a leaf of the other."""

import json
import os
import random
import shutil
import signal
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.errors import NotifyError
from agent.facility.broker import BrokerAccess
from agent.facility.membership import SiteSubjects
from agent.outbox.outbox import Outbox
from agent.wakeup import wake
from tests.facility import SITE, Ear, Hub, answered, free_address, opened
from tests.integration.facility.conftest import MakeStation
from tests.integration.facility.test_telling import hold_clips
from tests.lived import send
from tests.station import Station, until

CHAIN = "chain-1"
_OWN = SiteSubjects(site=SITE)
_NAMES = ("Ada Lovelace", "Grace Hopper")
_JPEG = b"\xff\xd8\xff"


def chain_hub(root: Path, *, more: str = '[web]\nlisten = ""\n') -> Hub:
    """A hub that lets sites connect."""
    return Hub(root, site=CHAIN, more=f'sites = "{free_address()}"\n{more}')


def join(chain: Hub, site: Hub) -> None:
    """Let a site join, and wait until the chain has heard of it."""
    told = json.loads(chain.spotter("invite", "--site", site.site, "--json"))
    site.spotter("join", str(told["link"]))
    until(lambda: not sites_of(chain)[site.site]["away"])


def sites_of(chain: Hub) -> dict[str, dict[str, object]]:
    """What the chain's hub lists of its sites."""
    return {one["site"]: one for one in json.loads(chain.spotter("sites", "--json"))}


def stations_of(chain: Hub) -> dict[str, dict[str, object]]:
    """What the chain's hub lists of its sites' stations."""
    told = json.loads(chain.spotter("stations", "--json"))
    return {f"{one['site']}.{one['station']}": one for one in told if "site" in one}


def stolen_key(chain: Hub, site: Hub) -> Ear:
    """An open connection to the chain of somebody who took a site's key."""
    found = site.folder.chain()
    assert found is not None
    certificate = chain.folder.certificate[0].read_text()
    return opened(BrokerAccess(address=chain.listen, certificate=certificate, key=found[1]))


def ids_at(hub: Hub, stream: str = "EVENTS") -> list[str]:
    """The ids of the stored events; none while there is no such stream."""
    try:
        return [notice for _, notice in hub.events(stream)]
    except (NotifyError, KeyError):
        return []


def is_level(chain: Hub, site: Hub) -> bool:
    """Tell whether the chain has every event that the site has."""
    here = set(ids_at(site))
    return bool(here) and here <= set(ids_at(chain, _OWN.stream))


def test_a_chain_sees_every_station_and_event_of_its_sites_and_no_name(
    tmp_path: Path, station: MakeStation
) -> None:
    with chain_hub(tmp_path / "chain") as chain, Hub(tmp_path / "site") as site:
        roster = tmp_path / "roster.csv"
        roster.write_text("user_id,name,consent\n" + f"u1,{_NAMES[0]},yes\nu2,{_NAMES[1]},\n")
        site.spotter("roster", str(roster))
        rack = station("rack-1")
        site.admit(rack)
        with Outbox.open(rack.state) as outbox:
            send(outbox, StateFolder(rack.state), 1, "uploaded")
            code = outbox.gallery.latest(most=1)[0].entry.clip_code
        StateFolder(rack.state).thumbnail_of(code).write_bytes(_JPEG + b"a picture")
        join(chain, site)
        with closing(stolen_key(chain, site)) as arriving, closing(chain.connection()) as at_hub:
            arriving.hear()  # to one who hears all, everything is sent that can be
            at_hub.hear()
            with rack.running():
                with Outbox.open(rack.state) as outbox:
                    hold_clips(outbox, 2, 3)
                until(lambda: site.state_of("rack-1") is not None)
                until(lambda: is_level(chain, site))
                until(lambda: stations_of(chain).get(f"{SITE}.rack-1", {}).get("told"))
                shown = stations_of(chain)[f"{SITE}.rack-1"]
            until(lambda: _heard(arriving, _OWN.tell) and _heard(at_hub, _OWN.stations))
            heard = [*arriving.all, *at_hub.all]
        assert any(subject.startswith(f"spotter.{SITE}.rack-1.event.") for subject, _ in heard)
        for subject, body in heard:
            text = _unpacked(subject, body)
            assert not any(name.encode() in text for name in _NAMES), subject
            assert _JPEG not in text and b'"page":"http' not in text, subject
        told = shown["told"]
        assert isinstance(told, dict) and told["athlete"]["user_id"] == "u1"
        assert not shown["away"]
        assert f"{SITE}.rack-1" in chain.spotter("stations")
        assert f"{CHAIN}, answers at" in site.status()

        chain.stop()
        until(lambda: "FAILING" in site.status())
        chain.start()
        assert f"{SITE}.rack-1" in stations_of(chain)  # known over a restart
        until(lambda: not sites_of(chain)[SITE]["away"])

        chain.spotter("remove", SITE, "--site")
        until(lambda: not ids_at(chain, _OWN.stream))
        assert sites_of(chain) == {} == stations_of(chain)
        assert "left the chain" in site.spotter("leave")
        assert "refuses" not in site.status()


def _heard(ear: Ear, subject: str) -> bool:
    """Tell whether a message of a subject has been heard, and one of a running station's."""
    ear.serve(0.5)
    return any(one == subject and b'"uploaded"' in _unpacked(one, body) for one, body in ear.all)


def _unpacked(subject: str, body: bytes) -> bytes:
    return zlib.decompress(body) if subject in {_OWN.tell, _OWN.stations} else body


def _misses(hub: Hub, other: Hub) -> bool:
    """Tell whether a hub says that the other one is away."""
    if hub.site == CHAIN:
        return bool(sites_of(hub)[other.site]["away"])
    return "FAILING" in hub.status()


def _lose(hub: Hub, other: Hub, kind: str, kept: Path) -> None:
    """Let something happen to the broker of a hub, which the other one is connected to."""
    if kind == "killed":
        hub.kill_broker()
        return
    if kind == "cut off":  # nobody closes a connection, nothing arrives
        with frozen(hub):
            until(lambda: _misses(other, hub))
        return
    hub.stop()
    if kind == "older" and kept.exists():
        shutil.rmtree(hub.folder.store)
        shutil.copytree(kept, hub.folder.store)
    elif kind == "empty":
        shutil.rmtree(hub.folder.store)
    hub.start()


@contextmanager
def frozen(hub: Hub) -> Iterator[None]:
    """Let a hub and its broker do nothing meanwhile."""
    pids = hub.processes()
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def play(root: Path, rack: Station, losses: Sequence[tuple[str, str]]) -> None:
    """Let a station tell events while a chain and its site lose each other and their stores."""
    with chain_hub(root / "chain") as chain, Hub(root / "site") as site:
        site.admit(rack)
        join(chain, site)
        hubs = {"chain": (chain, site), "site": (site, chain)}
        with rack.running(), Outbox.open(rack.state) as outbox:
            for number, (whose, kind) in enumerate(losses, start=1):
                hold_clips(outbox, 2 * number)
                wake(StateFolder(rack.state).wake_socket)
                until(lambda: is_level(chain, site))
                hub, other = hubs[whose]
                kept = root / f"kept-{whose}"
                if kind == "older" and not kept.exists():
                    hub.stop()
                    shutil.copytree(hub.folder.store, kept)
                    hub.start()
                    hold_clips(outbox, 2 * number + 1)
                    wake(StateFolder(rack.state).wake_socket)
                    until(lambda: is_level(chain, site))
                _lose(hub, other, kind, kept)
            hold_clips(outbox, 2 * len(losses) + 2)
            wake(StateFolder(rack.state).wake_socket)
            until(lambda: is_level(chain, site))
            held = sum(state == "held" for state in rack.states())
            until(lambda: len(set(ids_at(chain, _OWN.stream))) == held)
            assert set(ids_at(chain, _OWN.stream)) == set(ids_at(site))


_STORES = [(whose, kind) for whose in ("chain", "site") for kind in ("older", "empty")]
_EACH = [
    *_STORES,
    *((whose, kind) for whose in ("chain", "site") for kind in ("killed", "cut off")),
]


def test_no_event_is_missing_at_the_chain_whatever_either_side_loses(
    tmp_path: Path, station: MakeStation
) -> None:
    play(tmp_path, station("rack-1"), _STORES)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_no_event_is_missing_at_the_chain_after_forty_losses(
    tmp_path: Path, station: MakeStation
) -> None:
    chance = random.Random(5)
    play(tmp_path, station("rack-1"), chance.choices(_EACH, k=40))


def test_a_stolen_site_key_reaches_its_own_stream_alone_and_another_server_gets_nothing(
    tmp_path: Path,
) -> None:
    with chain_hub(tmp_path / "chain") as chain, Hub(tmp_path / "site") as site:
        assert "each site needs its own name" in chain.spotter("invite", "--site", CHAIN, code=1)
        told = json.loads(chain.spotter("invite", "--site", "gym-2", "--json"))
        assert "is for 'gym-2', this site is 'gym-1'" in site.spotter("join", told["link"], code=1)
        join(chain, site)
        starts = chain.starts()
        chain.spotter("invite", "--site", "gym-2")  # has a stream once it has joined
        until(lambda: chain.starts() > starts)
        with closing(chain.connection()) as all_rights:
            all_rights.publish(f"spotter.{CHAIN}.rack.event.take.ready", b"{}")
            all_rights.publish(_OWN.events.replace("*", "rack").replace(">", "test"), b"{}")
        for subject in (
            *("spotter.gym-2.rack-1.event.take.ready", f"spotter.{CHAIN}.rack.event.take.ready"),
            *("spotter.gym-2.chain.stations", "$KV.state.gym-2", f"$KV.state.{CHAIN}.rack"),
            *("$JS.API.STREAM.INFO.EVENTS", "$JS.API.DIRECT.GET.EVENTS", "$JS.API.INFO"),
            *(f"$JS.API.STREAM.DELETE.{_OWN.stream}", f"$JS.API.STREAM.PURGE.{_OWN.stream}"),
            *(f"$JS.API.STREAM.UPDATE.{_OWN.stream}", f"$JS.API.CONSUMER.CREATE.{_OWN.stream}"),
            *(f"spotter.{CHAIN}.join-site.gym-2", f"spotter.{CHAIN}.rack.do.retry"),
        ):
            with closing(stolen_key(chain, site)) as thief:
                assert not answered(thief, subject), subject
        with closing(stolen_key(chain, site)) as thief:  # its own is all that it can ask for
            assert b'"name":"EVENTS-gym-1"' in thief.ask(_OWN.ask_info)
            found = thief.stored(_OWN.ask_event, b'{"last_by_subj": ">"}')
            assert found is not None and found.subject.startswith(f"spotter.{SITE}.")

        chain.stop()
        for path in chain.folder.certificate:
            path.unlink()
        chain.start()
        log = site.folder.broker_log
        until(lambda: "certificate not pinned" in log.read_text())
        assert "cannot be reached" in site.status()
        assert "chain" in found_by_doctor(site)


def found_by_doctor(hub: Hub) -> dict[str, str]:
    """What the doctor warns of."""
    checks = json.loads(hub.spotter("doctor", "--json"))["checks"]
    return {one["name"]: one["finding"] for one in checks if one["state"] == "warning"}
