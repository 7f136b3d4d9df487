"""paho's client, turned by hand and bounded: its own thread would wake the box for nothing."""

import select
import socket
import ssl

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

MOST_HEARD_BYTES = 64 * 1024  # between two looks; acknowledgements are a few bytes each


class Wire(mqtt.Client):
    """A client that leaves a broker which sends without end: it has subscribed to nothing."""

    heard_bytes = 0  # since the last look

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
