"""The broker's client.  Only this module and the hub import nats.

A connection is used by one thread, which runs its event loop while it waits and at no other time.
It never reconnects automatically: the caller decides when to try again.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from agent.errors import NotifyError, plain_words
from agent.facility.keys import FacilityKey
from agent.facility.membership import CERTIFICATE_NAME, split_address
from agent.stage import ignore_wake
from agent.text import read_json

CONNECT_WITHIN_S = 3
ANSWER_WITHIN_S = 3.0
_LEAVE_WITHIN_S = 1.0
AGAIN_S = 0.5  # between two tries, while a broker starts
_MOST_S = 6.0  # for any exchange, whatever the library makes of it: the daemon ends within ten

Answer = TypeVar("Answer")


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return "eof_received" not in str(record.msg)


# At every end of a connection over TLS, the library makes asyncio warn of nothing that matters.
logging.getLogger("asyncio").addFilter(_is_worth_a_line)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccess:
    """How a broker is reached, and as whom."""

    address: str  # host:port
    certificate: str  # PEM, the only one that it may show
    key: FacilityKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message as the broker keeps it."""

    subject: str
    body: bytes
    headers: Mapping[str, str]
    sequence: int  # in its stream


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledMessage:
    """A message of a work queue, until it is acknowledged."""

    subject: str
    body: bytes
    acknowledge: str  # the subject that hears what becomes of it


class HubRefusesError(NotifyError):
    """The hub does not know the key, or not yet: it starts its broker again for a new one."""


async def connect(access: BrokerAccess, *, reconnects: bool = False) -> Client:
    """Return a connection.

    Args:
        access: where and as whom.
        reconnects: whether it connects again after a loss, as the hub does.

    Raises:
        NotifyError: there is none, with the reason in words.
    """
    client = Client()
    # The library would load another one for signatures; it is given what that one would set.
    client._public_nkey = access.key.public

    async def ignore(_error: Exception) -> None:
        """Ignore it: the exchange that failed raises its own error."""

    def sign(nonce: str) -> bytes:
        return base64.b64encode(access.key.sign(nonce.encode()))

    try:
        await _knock(access.address)
        await client.connect(
            f"tls://{access.address}",
            tls=trusting(access.certificate),
            tls_hostname=CERTIFICATE_NAME,
            tls_handshake_first=True,  # nothing is said before it, so nothing can talk us out of it
            signature_cb=sign,
            allow_reconnect=reconnects,
            max_reconnect_attempts=-1 if reconnects else 0,
            reconnect_time_wait=1,
            connect_timeout=CONNECT_WITHIN_S,
            error_cb=ignore,
        )
    except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
        await _leave(client)
        raise _named(error, access.address) from error
    return client


async def _knock(address: str) -> None:
    """Find out whether anybody listens there: the library would only say that time is up.

    Raises:
        OSError: nobody does, with the reason.
    """
    host, port = split_address(address)
    _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_WITHIN_S)
    writer.transport.abort()
    await asyncio.sleep(0)


def trusting(certificate: str) -> ssl.SSLContext:
    """Return what accepts one certificate and no other.

    Raises:
        ValueError: it is none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=certificate)
    except ssl.SSLError:
        raise ValueError("the hub's certificate is damaged") from None
    return context


def fetch_certificate(address: str, *, digest: bytes, within_s: float) -> str:
    """Return the certificate (PEM) of the broker at an address.

    Nothing is sent to it, and it is trusted only if its SHA-256 is the invitation's.

    Args:
        address: host:port.
        digest: of the certificate that is expected.
        within_s: how long a broker that starts again is waited for.

    Raises:
        NotifyError: nobody answers, or somebody else.
    """
    latest_s = time.monotonic() + within_s
    while True:
        try:
            shown = _shown_by(address)
            break
        except OSError as error:
            if time.monotonic() > latest_s:
                raise _named(error, address) from None
        time.sleep(AGAIN_S)
    if hashlib.sha256(shown).digest() != digest:
        raise NotifyError(
            f"{address} shows another certificate than the invitation's: it is not the hub",
            hint="make a new invitation on the hub, and compare the addresses",
        )
    return ssl.DER_cert_to_PEM_cert(shown)


def _shown_by(address: str) -> bytes:
    """Return the certificate (DER) that is shown at an address.

    Raises:
        OSError: nobody is there.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the caller compares it instead
    with (
        socket.create_connection(split_address(address), CONNECT_WITHIN_S) as plain,
        context.wrap_socket(plain) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


def _named(error: Exception, address: str) -> NotifyError:
    """Return what the library's error means to a caller."""
    text = str(error)
    if "Authorization" in text:
        return HubRefusesError(
            "the hub refuses this station's key: join again with a new invitation"
        )
    if isinstance(error, nats.errors.NoRespondersError):
        words = f"the hub at {address} is starting, or has stopped"
    elif isinstance(error, ssl.SSLCertVerificationError):
        words = f"{address} shows another certificate than the hub's"
    elif isinstance(error, nats.errors.NoServersError):
        words = f"the hub at {address} cannot be reached"
    elif isinstance(error, TimeoutError):
        words = f"the hub at {address} does not answer"
    elif isinstance(error, nats.errors.Error):
        words = f"the hub at {address}: {text.removeprefix('nats: ')}"
    else:
        words = f"the hub at {address} cannot be reached: {plain_words(error)}"
    return NotifyError(words)


class HubConnection:
    """One connection, for a thread that waits for every answer."""

    def __init__(self, access: BrokerAccess, *, check: Callable[[], None] = ignore_wake) -> None:
        """Prepare to connect; nothing is connected yet.

        Args:
            access: where and as whom.
            check: is called before each exchange; what it raises ends the connection's use.
        """
        self._access = access
        self._check = check
        self._loop = asyncio.new_event_loop()
        self._client: Client | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is connected, as far as the last exchange has shown."""
        return self._client is not None and self._client.is_connected

    @property
    def broker_name(self) -> str | None:
        """The name by which the broker introduced itself; None where there is no connection."""
        if self._client is None:
            return None
        name = self._client._server_info.get("server_name")
        return name if isinstance(name, str) else None

    def open(self) -> None:
        """Connect.

        Raises:
            NotifyError: there is no connection.
        """
        self.drop()
        self._client = self._run(connect(self._access))

    def publish(self, subject: str, body: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Publish a message and return its sequence, once the broker has it on its disk.

        Raises:
            NotifyError: it was not acknowledged.
        """
        answer = self._answer(subject, body, headers).data
        try:
            told = read_json(answer)
            if "error" in told:
                raise NotifyError(f"the hub rejected an event: {told['error'].get('description')}")
            return int(told["seq"])
        except (ValueError, TypeError, KeyError, AttributeError):
            raise NotifyError("the hub's acknowledgement cannot be read") from None

    def ask(self, subject: str, body: bytes = b"") -> bytes:
        """Return the answer to a request.

        Raises:
            NotifyError: there was none.
        """
        return self._answer(subject, body, None).data

    def stored(self, subject: str, asked: bytes = b"") -> StoredMessage | None:
        """Return the message that a direct request asks for; None where there is none.

        Args:
            subject: as of `Subjects.last`.
            asked: which message, where the subject does not say it.

        Raises:
            NotifyError: the broker did not answer.
        """
        return stored_message(self._answer(subject, asked, None))

    def send(self, subject: str, body: bytes) -> None:
        """Publish a message that nobody acknowledges.

        Raises:
            NotifyError: the connection is lost.
        """

        async def send() -> None:
            client = self._connected()
            await client.publish(subject, body)
            await client.flush(round(ANSWER_WITHIN_S))

        self._run(send())

    def answer(self, subject: str, handle: Callable[[bytes], bytes]) -> None:
        """Answer requests on a subject from now on, while `serve` runs.

        Args:
            subject: which requests.
            handle: returns the answer; it raises nothing.

        Raises:
            NotifyError: the connection is lost.
        """

        async def respond(message: Msg) -> None:
            await message.respond(handle(message.data))

        async def subscribe() -> None:
            client = self._connected()
            await client.subscribe(subject, cb=respond)
            await client.flush(round(ANSWER_WITHIN_S))

        self._run(subscribe())

    def serve(self, for_s: float) -> None:
        """Answer requests for some seconds, at most 5.

        Raises:
            NotifyError: the connection is lost.
        """

        async def wait() -> None:
            client = self._connected()
            await asyncio.sleep(for_s)
            if not client.is_connected:
                raise nats.errors.ConnectionClosedError

        self._run(wait())

    def pull(self, subject: str, *, wait_s: float) -> PulledMessage | None:
        """Return the next message of a work queue; None where none came in time.

        Args:
            subject: which asks for the next message.
            wait_s: how long, at most 4.

        Raises:
            NotifyError: the connection is lost, or nobody keeps the queue.
        """

        async def pull() -> Msg:
            client = self._connected()
            inbox = client.new_inbox()
            # Not a request: the message comes under its own subject, not under the inbox's.
            heard = await client.subscribe(inbox, max_msgs=1)
            try:
                asked = json.dumps({"batch": 1, "expires": round(wait_s * 1e9)}).encode()
                await client.publish(subject, asked, reply=inbox)
                return await heard.next_msg(wait_s + 1.0)
            finally:
                with contextlib.suppress(nats.errors.Error):
                    await heard.unsubscribe()

        message = self._run(pull())
        if not message.reply or not message.subject.startswith("spotter."):
            if (message.headers or {}).get("Status") == "503":
                self.drop()
                raise NotifyError(f"the hub at {self._access.address} is starting, or has stopped")
            return None
        return PulledMessage(subject=message.subject, body=message.data, acknowledge=message.reply)

    def drop(self) -> None:
        """Let go of the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            self._loop.run_until_complete(_leave(client))
            self._loop.run_until_complete(_end_tasks())  # which may still wait for messages

    def close(self) -> None:
        """Let go of everything."""
        self.drop()
        if not self._loop.is_closed():
            self._loop.run_until_complete(_end_tasks())
            self._loop.close()

    def _connected(self) -> Client:
        if self._client is None:
            raise NotifyError("not connected to the hub")
        return self._client

    def _answer(self, subject: str, body: bytes, headers: Mapping[str, str] | None) -> Msg:
        async def exchange() -> Msg:
            given = None if headers is None else dict(headers)
            return await self._connected().request(
                subject, body, timeout=ANSWER_WITHIN_S, headers=given
            )

        return self._run(exchange())

    def _run(self, exchange: Coroutine[Any, Any, Answer]) -> Answer:
        """Run the loop until an exchange is over; one that fails ends the connection."""
        try:
            self._check()
        except BaseException:
            exchange.close()
            raise
        try:
            return self._loop.run_until_complete(asyncio.wait_for(exchange, _MOST_S))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            self.drop()
            raise _named(error, self._access.address) from error
        except NotifyError:
            self.drop()
            raise


async def _end_tasks() -> None:
    """End what the library leaves running."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _leave(client: Client) -> None:
    """Close a connection; one that is broken already needs no farewell."""
    if client._transport is None:  # nobody answered
        return
    # The library forgets the socket of a connection that never got ready.
    writer = getattr(client._transport, "_io_writer", None)
    with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
        await asyncio.wait_for(client.close(), _LEAVE_WITHIN_S)
    if writer is not None:
        # Python 3.11.2, Debian 12's, cannot abort what a refusal has closed already.
        with contextlib.suppress(AttributeError):
            writer.transport.abort()
        await asyncio.sleep(0)


def stored_message(answer: Msg) -> StoredMessage | None:
    """Return the message that a direct request brought; None where there is none.

    Raises:
        NotifyError: it cannot be read.
    """
    headers = answer.headers or {}
    status = headers.get("Status")
    if status == "404":
        return None
    try:
        return StoredMessage(
            subject=headers["Nats-Subject"],
            body=answer.data,
            headers=headers,
            sequence=int(headers["Nats-Sequence"]),
        )
    except (KeyError, ValueError):
        raise NotifyError(f"the hub's answer cannot be read: {status}") from None
