"""Signs of life on a clock of our own, and the datagrams of the notify protocol."""

import os
import socket
from pathlib import Path

from agent.daemon.systemd import NotifySocket
from agent.heartbeat import Heartbeats, beat, during_io

_DAY_S = 86400.0


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_an_idle_month_is_no_stuck_stage() -> None:
    clock = Clock()
    heartbeats = Heartbeats(bound_s=120, clock=clock)
    heartbeats.begin("intake")
    while clock.now_s < 30 * _DAY_S:
        beat(waits_s=60)
        clock.now_s += 60
        assert heartbeats.stuck() == []
    heartbeats.end("intake")


def test_a_stage_that_says_nothing_is_stuck_after_its_bound_and_no_other_hides_it() -> None:
    clock = Clock()
    heartbeats = Heartbeats(bound_s=120, clock=clock)
    other = heartbeats.begin("delivery")
    heartbeats.begin("analysis")
    with during_io(4_000_000_000):
        clock.now_s = 2000.0
        other.beat()
        assert heartbeats.stuck() == []
    clock.now_s = 2119.0
    other.beat()
    assert heartbeats.stuck() == []
    clock.now_s = 2121.0
    other.beat()
    assert heartbeats.stuck() == ["analysis"]
    heartbeats.end("analysis")
    assert heartbeats.stuck() == []


def test_without_a_stage_a_beat_is_nothing() -> None:
    Heartbeats().end("nobody")
    beat(waits_s=1)


def test_lines_reach_a_socket_in_the_abstract_namespace_too(tmp_path: Path) -> None:
    for address in (f"@spotter-test-{os.getpid()}", str(tmp_path / "socket")):
        bound = "\0" + address[1:] if address[0] == "@" else address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(bound)
            NotifySocket.of({"NOTIFY_SOCKET": address}).tell("READY=1", "STATUS=x")
            assert listener.recv(100) == b"READY=1\nSTATUS=x"


def test_a_service_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    NotifySocket.of({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell_ready()
    NotifySocket.of({}).tell_ready()


def test_the_watchdog_of_another_process_is_not_ours() -> None:
    ours = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "60000000"}
    assert NotifySocket.of(ours).watchdog_s == 60
    assert NotifySocket.of({**ours, "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 60
    assert NotifySocket.of({**ours, "WATCHDOG_PID": "1"}).watchdog_s is None
