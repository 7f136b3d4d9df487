"""The MQTT client.  Only this module imports paho.

Every connection has a client of its own, and a clean session: what was not acknowledged is sent
again from the outbox, and by nobody else.  Nothing is subscribed to.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.api.tls import tls_context, tls_fault, tls_words
from agent.clock import Now
from agent.errors import NotifyError, plain_words
from agent.heartbeat import beat
from agent.notifications.message import OFFLINE, ONLINE, Interest, Message, Notice, Topics
from agent.stage import StageName

MOST_HEARD_BYTES = 64 * 1024  # between two checks; acknowledgements are a few bytes each


class Wire(mqtt.Client):
    """A client that leaves a broker which sends without end: it has subscribed to nothing."""

    heard_bytes = 0  # since the last check

    def turn(self, wait_s: float) -> bool:
        """Take what has come, send what waits, keep the connection alive; False: it is lost.

        Args:
            wait_s: the longest wait for something to do.
        """
        sock = self.socket()
        if sock is None:
            return False
        is_readable = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        if not is_readable:
            poll = select.poll()
            wanted = select.POLLIN | (select.POLLOUT if self.want_write() else 0)
            poll.register(sock.fileno(), wanted)
            is_readable = any(event & ~select.POLLOUT for _, event in poll.poll(wait_s * 1000))
        try:
            code = self._carry_on(is_readable=is_readable)
        except Exception:  # noqa: BLE001  # whatever a broker's bytes make of paho: it is left
            return False
        return code == MQTTErrorCode.MQTT_ERR_SUCCESS and self.socket() is not None

    def drop(self) -> None:
        """Let go of the connection without taking leave."""
        sock = self.socket()
        if sock is not None:
            sock.close()

    def _carry_on(self, *, is_readable: bool) -> MQTTErrorCode:
        code = self.loop_read() if is_readable else MQTTErrorCode.MQTT_ERR_SUCCESS
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS and self.want_write():
            code = self.loop_write()
        return self.loop_misc() if code == MQTTErrorCode.MQTT_ERR_SUCCESS else code

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        """Shake hands; paho's own way leaves a socket open whose certificate is wrong."""
        assert self._ssl_context is not None  # set before it connects
        wrapped = self._ssl_context.wrap_socket(
            tcp_sock, server_hostname=self.host, do_handshake_on_connect=False
        )
        try:
            wrapped.settimeout(self.connect_timeout)
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped

    def _sock_recv(self, bufsize: int) -> bytes:
        part = super()._sock_recv(min(bufsize, MOST_HEARD_BYTES))
        self.heard_bytes += len(part)
        if self.heard_bytes > MOST_HEARD_BYTES:
            raise ConnectionError("the broker sends too much data")
        return part


_KEEP_ALIVE_S = 60  # the broker gives a station up that it has not heard of for half as long again
_CONNECT_WITHIN_S = 4.0
_ANSWER_WITHIN_S = 10.0
_LEAVE_WITHIN_S = 1.5
_TURN_S = 0.2
log = structlog.get_logger(stage=StageName.NOTIFICATIONS)

_VERSIONS = {"5": mqtt.MQTTv5, "3.1.1": mqtt.MQTTv311}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """How a broker is reached."""

    host: str
    port: int
    tls: bool
    ca_file: Path | None
    version: Literal["5", "3.1.1"]
    user: str | None
    client_id: str
    is_station: bool = True  # online from now on; a command that only tries the broker out is not


class Broker:
    """The way to one broker."""

    interest = Interest.NUMBERS

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        topics: Topics,
        greetings: Sequence[Message],
        read_password: Callable[[], str | None],
        now: Now,
        check: Callable[[], None],
    ) -> None:
        """Prepare the way; nothing is connected yet.

        Args:
            settings: how the broker is reached.
            topics: of the station.
            greetings: what is published on every new connection.
            read_password: reads the password again, or None where there is none.
            now: the station's clock.
            check: what it raises ends a wait.
        """
        self._settings = settings
        self._topics = topics
        self._greetings = greetings
        self._read_password = read_password
        self._now = now
        self._check = check
        self._client: Wire | None = None
        self._answer: ReasonCode | None = None  # to the connection
        self._left: ReasonCode | None = None  # why the broker left
        self._taken: dict[int, ReasonCode] = {}  # by message

    def keep_up(self) -> bool:
        """Keep the connection alive, or open it again.

        Raises:
            NotifyError: there is none.
        """
        if self._client is not None:
            self._turn(self._client, 0.0)
            self._client.heard_bytes = 0
            return False
        self._connect()
        if self._settings.is_station:
            self._greet()
        return True

    def send(self, notice: Notice) -> None:
        """Publish a notice and wait for its acknowledgement.

        Raises:
            NotifyError: there was none, or it was a refusal.
        """
        self._publish(self._topics.message_of(notice), within_s=_ANSWER_WITHIN_S)

    def close(self) -> None:
        """Say that the station goes, and leave; what fails now is the last will's business."""
        client = self._client
        if client is None:
            return
        self._check = _never  # it is ending already
        try:
            if self._settings.is_station:
                self._publish(self._topics.presence(OFFLINE), within_s=_LEAVE_WITHIN_S)
            client.disconnect()
            self._turn(client, 0.0)
        except NotifyError:
            pass  # on purpose: the broker will notice
        self._drop()

    def _greet(self) -> None:
        """Say that the station is there; a broker that wants no greetings is no closed way."""
        self._publish_or_drop(self._topics.presence(ONLINE))
        for message in self._greetings:
            try:
                self._publish(message, within_s=_ANSWER_WITHIN_S)
            except NotifyError as fault:
                if self._client is None:
                    raise
                log.warning("discovery failed", detail=str(fault))
                return

    def _publish_or_drop(self, message: Message) -> None:
        try:
            self._publish(message, within_s=_ANSWER_WITHIN_S)
        except NotifyError:
            self._drop()
            raise

    def _connect(self) -> None:
        settings = self._settings
        self._answer = self._left = None
        properties = None
        if settings.version == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
            properties.MaximumPacketSize = MOST_HEARD_BYTES
        beat(waits_s=_CONNECT_WITHIN_S)
        try:
            client = self._new_client()
            client.connect(
                settings.host, settings.port, keepalive=_KEEP_ALIVE_S, properties=properties
            )
        except (OSError, ValueError) as error:
            raise NotifyError(self._words(error)) from error
        self._client = client
        self._await(
            client, lambda: self._answer is not None, "to accept the connection", _ANSWER_WITHIN_S
        )
        assert self._answer is not None  # just awaited
        if self._answer.is_failure:
            self._drop()
            raise NotifyError(f"the broker refused the connection: {self._answer}")

    def _new_client(self) -> Wire:
        settings = self._settings
        client = Wire(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=_VERSIONS[settings.version],
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_WITHIN_S
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        if settings.user is not None:
            client.username_pw_set(settings.user, self._read_password())
        if settings.tls:
            client.tls_set_context(tls_context(settings.ca_file))
        if self._settings.is_station:
            client.will_set(self._topics.availability, OFFLINE, qos=1, retain=True)
        return client

    def _publish(self, message: Message, *, within_s: float) -> None:
        client = self._client
        if client is None:
            raise NotifyError("not connected to the broker")
        told = client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        self._await(client, lambda: told.mid in self._taken, "to acknowledge an event", within_s)
        code = self._taken.pop(told.mid)
        if code.is_failure:
            raise NotifyError(f"the broker rejected {message.topic}: {code}")

    def _await(
        self, client: Wire, has_come: Callable[[], bool], what: str, within_s: float
    ) -> None:
        latest_s = time.monotonic() + within_s
        while not has_come():
            self._check()
            beat()
            if time.monotonic() > latest_s:
                self._drop()
                raise NotifyError(f"the broker takes more than {within_s:g} s {what}")
            try:
                self._turn(client, _TURN_S)
            except NotifyError:
                if not has_come():  # else it said why, and left
                    raise

    def _turn(self, client: Wire, wait_s: float) -> None:
        """Take what has come, send what waits, and keep the connection alive."""
        if not client.turn(wait_s):
            left = "" if self._left is None else f" ({self._left})"
            self._drop()
            raise NotifyError(f"the connection to the broker is lost{left}")

    def _drop(self) -> None:
        """Let go of the connection; a client is never used for a second one."""
        client, self._client = self._client, None
        self._taken.clear()
        if client is not None:
            client.drop()

    def _words(self, error: Exception) -> str:
        fault = tls_fault(error)
        if isinstance(fault, ssl.SSLError):
            return tls_words(fault, host=self._settings.host, now=self._now(), table="mqtt")
        return f"the broker cannot be reached: {plain_words(error)}"

    def _on_connect(
        self, _client: object, _data: object, _flags: object, code: ReasonCode, _more: object
    ) -> None:
        self._answer = code

    def _on_disconnect(
        self,
        _client: object,
        _data: object,
        flags: mqtt.DisconnectFlags,
        code: ReasonCode,
        _m: object,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._left = code

    def _on_publish(
        self, _client: object, _data: object, mid: int, code: ReasonCode, _more: object
    ) -> None:
        self._taken[mid] = code


def _never() -> None:
    """Stand in where nobody ends a wait."""
