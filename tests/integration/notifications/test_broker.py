"""A real broker: acknowledged one by one, kept state, last will, and nothing lost by a restart."""

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from agent.errors import NotifyError
from agent.notifications.message import Topics, discovery, trial_notice
from agent.notifications.mqtt import Broker, BrokerSettings
from agent.notifications.stage import MOST_TRIES, NotificationStage
from agent.sandbox.server import CERTIFICATES
from tests.factories import instant
from tests.integration.notifications.conftest import STATION, Workbench
from tests.mosquitto import Listener, Mosquitto
from tests.unit.notifications.test_station_report import QUIET, but

TOPICS = Topics(prefix="spotter", station=STATION)
LET_IN = b"\x20\x03\x00\x00\x00"  # of MQTT 5


def broker(
    port: int, *, version: str = "5", user: str | None = None, tls: Path | Literal[False] = False
) -> Broker:
    return Broker(
        BrokerSettings(
            host="127.0.0.1",
            port=port,
            tls=bool(tls),
            ca_file=tls or None,
            version="5" if version == "5" else "3.1.1",
            user=user,
            client_id="spotter-p3",
        ),
        topics=TOPICS,
        greetings=tuple(discovery(TOPICS, prefix="homeassistant")),
        read_password=lambda: "wrong",
        now=instant,
        check=lambda: None,
    )


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as running:
        yield running


def turn(bench: Workbench, channel: NotificationStage, *, steps: int = 3) -> None:
    for _ in range(steps):
        channel.step()
        bench.clock.now_s += 301


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_station_is_there_tells_what_happens_and_leaves(
    bench: Workbench, mosquitto: Mosquitto, version: str
) -> None:
    channel = bench.channel(
        broker(mosquitto.port, version=version), name="mqtt", look=lambda: QUIET
    )
    with Listener(mosquitto.port) as listener:
        codes = [bench.take(), bench.take()]
        turn(bench, channel)
        listener.wait_for(lambda heard: len(heard.notices()) == 2)
        assert [notice["clip_code"] for notice in listener.notices()] == codes
        assert all(message.qos == 1 for message in listener.heard)
        assert listener.last(TOPICS.availability) == "online"
        channel.close()
        listener.wait_for(lambda heard: heard.last(TOPICS.availability) == "offline")

    assert bench.outbox.channels.get("mqtt").cursor == bench.outbox.happenings.latest()  # type: ignore[union-attr]  # it is on
    with Listener(mosquitto.port, "+/#") as late:  # what the broker keeps for who comes later
        # What the first listener has not acknowledged comes as well.
        late.wait_for(lambda heard: len({m.topic for m in heard.heard if m.retain}) == 7)
        kept = {message.topic for message in late.heard if message.retain}
        assert {TOPICS.state, TOPICS.availability} <= kept
        assert len([topic for topic in kept if topic.startswith("homeassistant/")]) == 5
        assert not any("/event/" in topic for topic in kept)


def test_a_restart_of_the_broker_loses_nothing_and_the_state_is_told_anew(
    bench: Workbench, mosquitto: Mosquitto
) -> None:
    standing = QUIET
    channel = bench.channel(broker(mosquitto.port), name="mqtt", look=lambda: standing)
    with Listener(mosquitto.port, "spotter/#") as listener:
        codes = [bench.take()]
        turn(bench, channel)
        mosquitto.stop()
        codes += [bench.take(), bench.take()]
        turn(bench, channel)
        failing = bench.outbox.channels.get("mqtt")
        assert failing is not None and failing.failing_since is not None
        assert bench.outbox.channels.refused("mqtt") == (0, None)

        mosquitto.start()
        standing = but(held=2)
        turn(bench, channel, steps=4)
        # One may come twice: who counted three would not wait for the last.
        listener.wait_for(lambda heard: {n["clip_code"] for n in heard.notices()} >= set(codes))
        listener.wait_for(lambda heard: heard.last(TOPICS.state)["held"] == 2)

    told = [notice["clip_code"] for notice in listener.notices()]
    assert list(dict.fromkeys(told)) == codes
    channel.close()


def test_what_the_broker_refuses_for_good_is_given_up_alone(
    bench: Workbench, tmp_path: Path
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite spotter/#\ntopic deny spotter/p3/event/take.ready\n")
    with Mosquitto(tmp_path, more=f"allow_anonymous true\nacl_file {rules}") as mosquitto:
        channel = bench.channel(broker(mosquitto.port), name="mqtt", look=lambda: QUIET)
        code = bench.take()
        turn(bench, channel, steps=MOST_TRIES + 1)
        channel.close()

    count, last = bench.outbox.channels.refused("mqtt")
    assert count == 1 and last is not None and code in last.notice
    assert "rejected spotter/p3/event/take.ready: Not authorized" in last.why


def test_a_broker_that_does_not_let_us_in_says_so(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path, more="allow_anonymous false") as mosquitto,
        pytest.raises(NotifyError, match="refused the connection: Not authorized"),
    ):
        broker(mosquitto.port, user="spotter").keep_up()


def test_over_tls_another_box_in_the_brokers_place_is_told_from_it(tmp_path: Path) -> None:
    pem, ca = CERTIFICATES / "good.pem", CERTIFICATES / "ca.pem"
    more = f"allow_anonymous true\ncertfile {pem}\nkeyfile {pem}"
    with Mosquitto(tmp_path, more=more) as mosquitto:
        way = broker(mosquitto.port, tls=ca)
        assert way.keep_up()
        way.send(trial_notice(station=STATION, at=1.0))
        way.close()
        with pytest.raises(NotifyError, match=r"mqtt\.ca_file is missing"):
            broker(mosquitto.port, tls=CERTIFICATES / "unknown-ca.pem").keep_up()
        with pytest.raises(NotifyError, match="cannot be reached"):
            broker(mosquitto.port, tls=tmp_path / "nowhere.pem").keep_up()


@contextlib.contextmanager
def hostile(speak: Callable[[socket.socket], None]) -> Iterator[int]:
    """A broker that says what it likes to everybody who comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                with contextlib.suppress(OSError):
                    client, _ = server.accept()
                    with client:
                        if not client.recv(4096):
                            return  # the test is over
                        speak(client)

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        yield port
        with socket.create_connection(("127.0.0.1", port)):
            pass
        thread.join(10)


def test_a_broker_that_sends_without_end_is_left() -> None:
    left, sent_bytes = threading.Event(), 0

    def speak(client: socket.socket) -> None:
        nonlocal sent_bytes
        client.sendall(LET_IN + b"\x30\xff\xff\xff\x7f\x00\x01a\x00")  # a message of 256 MB
        try:
            while True:
                sent_bytes += client.send(b"x" * 65536)
        except OSError:
            left.set()

    with hostile(speak) as port:
        way = broker(port)
        with pytest.raises(NotifyError, match="lost"):
            way.keep_up()
            way.send(trial_notice(station=STATION, at=1.0))
        assert left.wait(60)
    assert sent_bytes < 32 << 20  # what the system's own buffers took


def packet(chance: random.Random) -> bytes:
    """A packet that a broker may send, rightly framed, with anything in it."""
    kind = chance.choice((0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0, 0xE0))
    body = chance.randbytes(chance.randrange(12))
    return bytes([kind, len(body)]) + body


def test_whatever_a_broker_says_is_a_closed_way_at_worst() -> None:
    chance = random.Random(7)

    def speak(client: socket.socket) -> None:
        client.sendall(chance.choice((b"", LET_IN)) + packet(chance) + packet(chance))

    with hostile(speak) as port:
        for round_ in range(200):
            way = broker(port, version="5" if round_ % 2 else "3.1.1")
            with pytest.raises(NotifyError):
                way.keep_up()
                way.send(trial_notice(station=STATION, at=1.0))
                way.keep_up()
            way.close()
