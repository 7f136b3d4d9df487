"""The hub's doctor and status: the real hub in every state that a person may find it in."""

import json
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from agent.disk.space import DiskUsage
from agent.doctor.check import Severity
from agent.doctor.facility import judge_server, judge_space
from agent.errors import NotifyError
from agent.web.server import listen_on
from tests.facility import SITE, Hub, stolen
from tests.forked import ForkedCommand
from tests.integration.facility.conftest import MakeStation
from tests.station import give, until


def found(hub: Hub, *, code: int) -> Mapping[str, tuple[str, str]]:
    """Every finding of the doctor by its name: state and words."""
    done = give(["hub", "doctor", "--json", "--config", str(hub.config)])
    assert done.returncode == code, done.stdout + done.stderr
    checks = json.loads(done.stdout)["checks"]
    return {one["name"]: (one["state"], f"{one['finding']} {one['remedy']}") for one in checks}


def test_the_doctor_of_a_hub_from_before_its_start_to_a_station_that_is_away(
    tmp_path: Path, station: MakeStation
) -> None:
    targets = tmp_path / "stations.json"
    more = f'prometheus_targets = "{targets}"\n[web]\nlisten = "PAGE"\n'
    hub = Hub(tmp_path / "hub", more=more)
    before = found(hub, code=1)
    assert before["service"][0] == "broken" and "stations wait for it" in before["service"][1]
    assert before["nats-server"][0] == "fine"

    with hub:
        rack = station("rack-1")
        assert "none has joined" in found(hub, code=0)["stations"][1]
        hub.admit(rack)
        with rack.running():
            until(lambda: hub.state_of("rack-1") is not None)
            seen = found(hub, code=0)
            assert seen["stations"] == ("fine", "all 1 connected None")
            assert seen["certificate"][1].startswith("valid until 2049-12-31")
            assert (seen["broker"][0], seen["page"][0]) == ("fine", "fine")
            status = json.loads(hub.status("--json", code=0))
            assert (status["running"], status["counts"]["away"]) == (True, 0)
            assert status["stations"][0]["told"]["plan"]["state"] == "none"
        with closing(hub.connection()) as broker:
            word = {"state": "safe", "page": "https://192.0.2.7:8377"}
            broker.publish(f"$KV.state.{SITE}.rack-1", json.dumps(word).encode())
        until(lambda: targets.exists() and "192.0.2.7" in targets.read_text())
        assert json.loads(targets.read_text())[0]["labels"]["__scheme__"] == "https"
        hub.stop()
        words = json.loads(hub.folder.words.read_text())
        words["rack-1"] |= {"heard_at": words["rack-1"]["heard_at"] - 3600, "boot_id": "earlier"}
        hub.folder.words.write_text(json.dumps(words))
        hub.start()
        state, told = found(hub, code=0)["stations"]
        assert state == "warning" and told.startswith("1 of 1 away: rack-1 (since ")
        assert "away: rack-1, last message: 1 h ago" in hub.status(code=0)

        starts = hub.starts()
        hub.spotter("remove", "rack-1")
        until(lambda: hub.starts() > starts)
        with pytest.raises(NotifyError):
            stolen(rack).close()
        assert "127.0.0.1 (1 time)" in found(hub, code=0)["refused"][1]

    with socket.create_server((hub.listen.split(":")[0], int(hub.listen.split(":")[1]))):
        assert "another program listens" in found(hub, code=1)["broker"][1]
    hub.folder.root.chmod(0o755)
    assert "open to other users" in found(hub, code=1)["state folder"][1]
    hub.folder.certificate[1].write_bytes(b"rubbish")
    assert "damaged" in found(hub, code=1)["certificate"][1]
    hub.config.write_text("[hub]\n")
    assert "hub.site" in found(hub, code=78)["settings"][1]


def test_the_doctor_of_a_hub_examines_the_certificate_that_its_page_was_given(
    tmp_path: Path,
) -> None:
    pem, key, authority = tmp_path / "page.pem", tmp_path / "page.key", tmp_path / "authority"
    more = (
        f'[web]\nlisten = "PAGE"\nhosts = ["hub.local"]\ntls = "given"\n'
        f'tls_cert = "{pem}"\ntls_key = "{key}"\n'
    )
    hub = Hub(tmp_path / "hub", more=more)
    assert found(hub, code=1)["page certificate"][0] == "broken"

    def issue(name: str, days: str) -> None:
        words = ["issue", name, "127.0.0.1", "--days", days, "--out", str(tmp_path)]
        done = give(["certificate", *words, "--authority", str(authority)])
        assert done.returncode == 0, done.stderr

    assert give(["certificate", "init", str(authority)]).returncode == 0
    issue("other.local", "800")
    state, told = found(hub, code=1)["page certificate"]
    assert state == "warning" and "not for hub.local" in told
    issue("hub.local", "20")
    state, told = found(hub, code=1)["page certificate"]
    assert state == "warning" and "in 20 days" in told
    issue("hub.local", "800")
    assert found(hub, code=1)["page certificate"][0] == "fine"


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ("nats-server: v2.15.1\n", Severity.FINE),
        ("nats-server: v2.12.0\n", Severity.FINE),
        ("nats-server: v2.10.27\n", Severity.BROKEN),
        ("no such thing", Severity.BROKEN),
    ],
)
def test_an_old_server_is_named(told: str, state: Severity) -> None:
    assert judge_server(Path("/usr/bin/nats-server"), told).state is state


@pytest.mark.parametrize(
    ("free", "state"),
    [(5e9, Severity.FINE), (1e9, Severity.WARNING), (1e8, Severity.BROKEN)],
)
def test_a_disk_that_fills_up_is_said_before_the_broker_stops(free: float, state: Severity) -> None:
    room = DiskUsage(free_bytes=int(free), total_bytes=10**11, free_files=None)
    assert judge_space(room).state is state


def test_a_broker_whose_port_is_taken_says_what_to_do(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    with closing(listen_on(hub.listen)):
        process = ForkedCommand(
            ["hub", "run", "--config", str(hub.config)], environment=dict(os.environ), log=hub.log
        )
        until(lambda: 'event="broker failed"' in hub.log.read_text())
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    told = hub.log.read_text()
    assert f"{hub.listen} is already in use by another program" in told
    assert "set another hub.listen" in told


def test_a_page_whose_port_is_taken_is_said_with_what_to_do_and_by_the_exit_code(
    tmp_path: Path,
) -> None:
    hub = Hub(tmp_path, more='[web]\nlisten = "PAGE"\n')
    assert "page       -" in hub.status(code=1)  # nothing runs
    paired = give(["hub", "pair", "--config", str(hub.config)])
    assert "The hub is not running" in paired.stderr
    with closing(listen_on(hub.page)), hub:
        until(lambda: 'event="page failed"' in hub.log.read_text())
        told = json.loads(hub.status("--json", code=1))
        assert (told["running"], told["broker"]["answers"]) == (True, True)
        assert (told["page"]["open"], told["page"]["reason"]) == (False, "port_taken")
        (line,) = [one for one in hub.status(code=1).splitlines() if one.startswith("page")]
        assert f"NOT open: {hub.page}: Address already in use" in line
        assert "ss -ltnp" in line and "another web.listen" in line
        paired = give(["hub", "pair", "--config", str(hub.config)])
        assert paired.returncode == 0 and "The page is not open: " in paired.stderr
        state, words = found(hub, code=1)["page"]
        assert state == "broken" and "ss -ltnp" in words
    with hub:
        assert f"at {hub.page}" in hub.status(code=0)
        assert json.loads(hub.status("--json", code=0))["page"]["reason"] is None
