"""A real broker, Debian's mosquitto, on loopback, and somebody who listens to it."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.needs import need
from tests.station import PATIENCE_S

PROGRAM = Path("/usr/sbin/mosquitto")


class Mosquitto(AbstractContextManager["Mosquitto"]):
    """One broker; it keeps its port over a restart."""

    def __init__(self, folder: Path, *, more: str = "allow_anonymous true") -> None:
        need(PROGRAM, "mosquitto")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nuser root\npersistence true\n"
            f"persistence_location {folder}/\n{more}\n"
        )
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the broker and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([PROGRAM, "-c", self._config], stderr=log)
        latest_s = time.monotonic() + PATIENCE_S
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < latest_s, "the broker does not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        """End the broker; it keeps what it has promised to deliver."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None

    def __enter__(self) -> "Mosquitto":
        self.start()
        return self

    def __exit__(self, *_ended: object) -> None:
        self.stop()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Listener(AbstractContextManager["Listener"]):
    """Hears everything below a topic, from a session that outlives the connection."""

    def __init__(self, port: int, topic: str = "#") -> None:
        self.heard: list[mqtt.MQTTMessage] = []
        self._news = threading.Condition()
        self._ready = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> "Listener":
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_ended: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_for(
        self, holds: Callable[["Listener"], bool], *, timeout_s: float = PATIENCE_S
    ) -> "Listener":
        """Wait until what was heard is enough."""
        with self._news:
            assert self._news.wait_for(lambda: holds(self), timeout_s), self.topics()
        return self

    def topics(self) -> list[str]:
        """Return the topics of what was heard, in order."""
        return [message.topic for message in self.heard]

    def last(self, topic: str) -> Any:
        """Return what was last heard of a topic: a document, a text, or None."""
        texts = [message.payload.decode() for message in self.heard if message.topic == topic]
        if not texts:
            return None
        return json.loads(texts[-1]) if texts[-1].startswith("{") else texts[-1]

    def notices(self) -> list[dict[str, Any]]:
        """Return the notices that were heard, in order."""
        return [json.loads(m.payload) for m in self.heard if "/event/" in m.topic]

    def _hear(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._news:
            self.heard.append(message)
            self._news.notify_all()
