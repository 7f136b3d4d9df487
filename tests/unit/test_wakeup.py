"""A flood of wake-ups is taken together, and no interruption waits for it."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.wakeup import WakeSocket, wake


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[WakeSocket]:
    """The daemon's end."""
    made = WakeSocket(tmp_path / "wake")
    yield made
    made.close()


def test_a_flood_of_wake_ups_lets_it_look_ten_times_a_second(
    listener: WakeSocket, tmp_path: Path
) -> None:
    over = threading.Event()

    def flood() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            while not over.is_set():
                try:
                    sender.sendto(b"look", str(tmp_path / "wake"))
                except BlockingIOError:
                    select.select([], [sender], [], 0.1)  # its end is full

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        began_s, spent_s = time.monotonic(), time.thread_time()
        for _ in range(10):
            listener.wait()
        took_s, spent_s = time.monotonic() - began_s, time.thread_time() - spent_s
    finally:
        over.set()
        thread.join()
    assert took_s > 0.85
    assert spent_s < 0.5 * took_s


def test_what_came_while_it_rested_is_not_lost(listener: WakeSocket, tmp_path: Path) -> None:
    for _ in range(3):
        wake(tmp_path / "wake")
        listener.wait()


def test_an_interruption_ends_the_rest_at_once(listener: WakeSocket, tmp_path: Path) -> None:
    wake(tmp_path / "wake")
    listener.wait()
    for _ in range(50):
        listener.interrupt()
        listener.wait()
        listener._next_s = time.monotonic() + 3600.0
    listener.interrupt()
    began_s = time.monotonic()
    listener.wait()
    assert time.monotonic() - began_s < 0.1
