"""Commands of the hub at a station: signed, once for each id, by the real hub and the daemon."""

import json
import tarfile
import time
from pathlib import Path

import pytest

from agent.cli.hub_care import _print_result
from agent.disk.state_folder import StateFolder
from agent.errors import RequestError
from agent.facility.keys import FacilityKey
from agent.facility.membership import Membership
from agent.facility.remote import CommandRunner, RemoteRequest, RemoteState
from agent.facility.work import granted, read_request
from agent.outbox.devices import Role
from agent.outbox.outbox import Outbox
from tests.facility import Hub
from tests.factories import NOW_S, instant
from tests.integration.facility.conftest import MakeStation
from tests.integration.facility.test_telling import hold_clips
from tests.station import give, until

_HUB, _THIEF = FacilityKey(bytes(32)), FacilityKey(bytes([1]) * 32)
_MEMBER = Membership(address="h:1", site="gym-1", station="rack-1", certificate="", hub=_HUB.public)


def asked(**more: object) -> RemoteRequest:
    told = {"site": "gym-1", "station": "rack-1", "id": "a" * 32, "command": "retry"}
    return RemoteRequest.model_validate({**told, "issued_at": NOW_S, "arguments": ("e1",), **more})


@pytest.fixture
def runner(tmp_path: Path) -> CommandRunner:
    StateFolder(tmp_path).prepare()
    return CommandRunner(StateFolder(tmp_path), _MEMBER, now=lambda: instant(1))


def test_a_command_runs_once_however_often_it_is_asked_for(
    runner: CommandRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOTTER_CONFIG", str(tmp_path / "none.toml"))
    body = asked().sealed(_HUB)

    def state() -> RemoteState:
        found: RemoteState = read_request(granted(runner.handle(body)), RemoteState)[0]
        return found

    assert state().state == "running"
    other = runner.handle(asked(id="b" * 32).sealed(_HUB))
    assert other.startswith(b"-another command")
    until(lambda: state().state == "done")
    assert state().code == 78 and "none.toml is missing; choose another" in state().complaint
    assert not list((tmp_path / "tmp").iterdir())
    assert len(runner._jobs) == 1
    answered = json.loads(granted(runner.handle(asked(part=0).sealed(_HUB))))
    assert "none.toml" in answered["error"]
    runner.close()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (asked().sealed(_THIEF), b"not signed"),
        (asked(station="rack-2").sealed(_HUB), b"another station"),
        (asked(site="gym-2").sealed(_HUB), b"another station"),
        (asked(issued_at=NOW_S - 3600).sealed(_HUB), b"s old"),
        (asked(issued_at=NOW_S + 3600).sealed(_HUB), b"s old"),
        (asked(part=0).sealed(_HUB), b"started again"),
        (asked().sealed(_HUB).replace(b"retry", b"leave"), b"not signed"),
        (asked().sealed(_HUB)[:-9], b"cannot be read"),
        (b"[" * 100_000, b"cannot be read"),
        (b"", b"cannot be read"),
    ],
    ids=range(10),
)
def test_what_is_not_the_hubs_runs_nothing(runner: CommandRunner, body: bytes, why: bytes) -> None:
    answer = runner.handle(body)
    assert answer.startswith(b"-") and why in answer
    assert not runner._jobs


def test_an_id_is_never_an_option() -> None:
    for argument in ("--config", "-h", "a b", "a/b", "", "x" * 41):
        with pytest.raises(ValueError, match="arguments"):
            asked(arguments=(argument,))


@pytest.mark.parametrize(
    "hostile", ["[" * 100_000, '{"checks": 1}', '{"checks": [1, {"state": [1]}]}', "rubbish"]
)
def test_what_no_doctor_prints_is_left_out(hostile: str) -> None:
    _print_result("doctor", hostile, as_json=False)
    _print_result("retry", hostile, as_json=True)


def test_what_a_retry_did_is_said_for_each_id(capsys: pytest.CaptureFixture[str]) -> None:
    told = [{"id": "e7", "state": "ready", "error": None}, {"id": "e8", "error": "is held"}, 3]
    _print_result("retry", json.dumps(told), as_json=False)
    assert capsys.readouterr().out == "e7: ready\n"


def test_the_hub_lets_a_station_retry_and_says_what_it_says(hub: Hub, station: MakeStation) -> None:
    rack = station("commanded")
    hub.admit(rack)
    assert "no station" in hub.spotter("do", "nowhere", "doctor", code=1)
    with Outbox.open(rack.state) as outbox:
        hold_clips(outbox, 1)
    with rack.running():
        until(lambda: hub.state_of("commanded") is not None)
        told = hub.spotter("do", "commanded", "retry", "e1", code=1)
        assert "e1 is held: None; spotter outbox release e1" in told
        assert "an id is like" in hub.spotter("do", "commanded", "retry", "../x", code=1)
        assert "IDs for retry" in hub.spotter("do", "commanded", "doctor", "e1", code=2)
    assert "does not answer" in hub.spotter("do", "commanded", "doctor", code=69)


def test_a_tablet_is_paired_from_the_hub_and_the_link_is_written_nowhere(
    hub: Hub, station: MakeStation
) -> None:
    rack = station("paired")
    hub.admit(rack)
    closed = rack.config.read_text()
    with rack.running():
        until(lambda: hub.state_of("paired") is not None)
        refused = hub.spotter("do", "paired", "pair", code=1)
        answer = give(["hub", "do", "paired", "pair", "--json", "--config", str(hub.config)])
        assert answer.returncode == 1 and "no other device" in json.loads(answer.stdout)["error"]
        assert "no other device reaches" in refused and "web.pin_file" in refused
        assert "--wall for pair" in hub.spotter("do", "paired", "doctor", "--wall", code=2)
        # The daemon's own page stays closed: its command reads the settings as they are now.
        pin = rack.root / "pin"
        pin.write_text("8531-7742")
        opened = f'listen = "0.0.0.0:8377"\npin_file = "{pin}"'
        rack.config.write_text(closed.replace('listen = ""', opened))
        told = json.loads(hub.spotter("do", "paired", "pair", "--wall", "--json"))
        shown = hub.spotter("do", "paired", "pair")
        rack.config.write_text(closed)
    link = shown.partition("or open  ")[2].split()[0]
    tokens = [address.partition("/pair#")[2] for address in (told["address"], link)]
    assert all(len(token) == 24 for token in tokens)
    kept = [path for root in (rack.root, hub.config.parent) for path in root.rglob("*")]
    for path in kept:
        if path.is_file():
            content = path.read_bytes()
            assert not any(token.encode() in content for token in tokens), path
    with Outbox.open(rack.state) as outbox:
        found = [
            outbox.devices.pair(token, device_id=f"tablet-{at}", now_s=time.time())
            for at, token in enumerate(tokens)
        ]
        assert [device and (device.role, device.name) for device in found] == [
            (Role.WALL, "hub gym-1"),
            (Role.COACH, "hub gym-1"),
        ]
        assert outbox.devices.pair(tokens[0], device_id="second", now_s=time.time()) is None


@pytest.mark.parametrize(
    "address", ["http://a:1/pair#short", "\x1b[2J", "javascript://a/pair#" + "a" * 24, None]
)
def test_only_a_pairing_link_is_shown(address: str | None) -> None:
    for as_json in (False, True):
        with pytest.raises(RequestError, match="not answered with a pairing link"):
            _print_result("pair", json.dumps({"address": address}), as_json=as_json)


@pytest.mark.soak  # the doctor tries the model, twice
def test_the_hub_gets_a_stations_doctor_and_its_support_bundle(
    hub: Hub, station: MakeStation, tmp_path: Path
) -> None:
    rack = station("examined")
    hub.admit(rack)
    out = tmp_path / "bundle.tar.gz"
    with rack.running():
        until(lambda: hub.state_of("examined") is not None)
        checks = json.loads(_said(hub, "do", "examined", "doctor", "--json"))["checks"]
        assert {"API", "hub", "service"} <= {one["name"] for one in checks}
        told = json.loads(_said(hub, "do", "examined", "support", "--out", str(out), "--json"))
        assert told["bytes"] == out.stat().st_size
    with tarfile.open(out) as bundle:
        assert "spotter-support/doctor.json" in bundle.getnames()
    assert out.stat().st_mode & 0o077 == 0


def _said(hub: Hub, *words: str) -> str:
    """What a command of the hub prints, whatever its exit code."""
    return give(["hub", *words, "--config", str(hub.config)]).stdout
