"""The webhook: a signed HTTP POST for each event (Standard Webhooks)."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from agent import __version__
from agent.api.responses import ApiResponse, requested_wait_s
from agent.api.tls import tls_context, tls_fault, tls_words
from agent.api.transfer import DeadlineExceededError, ExchangeWatchdog, no_cookies
from agent.clock import Now
from agent.errors import NotifyError, plain_words
from agent.notifications.message import Interest, Notice

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
KEY_PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes, of the specification


def signing_key(secret: str) -> bytes:
    """Return the key that a secret stands for: base64, usually behind `whsec_`.

    Raises:
        ValueError: it is no base64, or too short or too long.
    """
    try:
        key = base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the secret is not {KEY_PREFIX} and base64") from None
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        size = f"{SHORTEST_KEY} to {LONGEST_KEY} bytes"
        raise ValueError(f"the secret must have {size} behind its base64, not {len(key)}")
    return key


def signed_headers(message_id: str, body: bytes, *, key: bytes, now_s: float) -> Mapping[str, str]:
    """Return the headers of one attempt to send a message.

    Args:
        message_id: the same at every attempt; without a full stop, which separates what is signed.
        body: exactly as it is sent.
        key: as `signing_key` returns it.
        now_s: Unix time of the attempt.
    """
    moment = str(int(now_s))
    content = b".".join((message_id.encode(), moment.encode(), body))
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {ID: message_id, TIMESTAMP: moment, SIGNATURE: f"v1,{signature}"}


def command_for_secret(file: Path) -> str:
    """Return the shell command that puts a new secret into a file."""
    return f'echo "{KEY_PREFIX}$(openssl rand -base64 32)" | sudo tee {file}'


_ASK_TO_WAIT = frozenset({429, 503})
_REMEDIES = {
    401: "check that both sides use the same secret",
    403: "check that both sides use the same secret",
    404: "check webhook.url",
    405: "check webhook.url",
}


class Webhook:
    """The way to one receiver on the web."""

    interest = Interest.CHANGES

    def __init__(
        self,
        url: str,
        *,
        read_secret: Callable[[], str | None],
        ca_file: Path | None,
        timeout_s: float,
        now: Now,
        check: Callable[[], None],
    ) -> None:
        """Prepare the way; nothing is connected yet.

        Args:
            url: where notices are posted.
            read_secret: reads the secret again, or None where there is none.
            ca_file: a certificate authority to trust instead of the usual ones.
            timeout_s: the longest that one notice may take, answer and all.
            now: the station's clock.
            check: what it raises ends an exchange that is under way.
        """
        self._url = url
        self._read_secret = read_secret
        self._timeout_s = timeout_s
        self._now = now
        self._check = check
        self._ca_file = ca_file
        self._http: httpx.Client | None = None

    def keep_up(self) -> bool:
        """Nothing is kept open between two notices."""
        return False

    def send(self, notice: Notice) -> None:
        """Post a notice.

        Raises:
            NotifyError: no 2xx came back.
        """
        now_s = self._now().utc_s
        signed = signed_headers(notice.id, notice.body, key=self._key(), now_s=now_s)
        headers = {**signed, "Spotter-Event": notice.event}
        answer = self._post(notice.body, headers)
        if 200 <= answer.status < 300:
            return
        wait_s = requested_wait_s(answer, now_s=self._now().utc_s)
        asks_to_wait = answer.status in _ASK_TO_WAIT
        raise NotifyError(words_of(answer.status), retry_after_s=wait_s if asks_to_wait else None)

    def close(self) -> None:
        """Close what is open."""
        if self._http is not None:
            self._http.close()

    def _client(self) -> httpx.Client:
        """Return what speaks HTTP, made when it is first wanted: its certificates may be missing.

        Raises:
            OSError: they cannot be read.
        """
        if self._http is None:
            self._http = httpx.Client(
                headers={
                    "User-Agent": f"spotter/{__version__}",
                    "Content-Type": "application/json",
                },
                timeout=httpx.Timeout(None, connect=self._timeout_s),  # see `ExchangeWatchdog`
                verify=tls_context(self._ca_file),
                follow_redirects=False,
                cookies=no_cookies(),
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        return self._http

    def _key(self) -> bytes:
        secret = self._read_secret()
        if secret is None:
            raise NotifyError("no secret to sign with: see webhook.secret_file")
        try:
            return signing_key(secret)
        except ValueError as error:
            raise NotifyError(f"{error}: see webhook.secret_file") from None

    def _post(self, body: bytes, headers: dict[str, str]) -> ApiResponse:
        """Return the answer's head; its body is not read."""
        began_s = time.monotonic()

        def judge(_unacknowledged_bytes: int) -> None:
            self._check()
            if time.monotonic() - began_s > self._timeout_s:
                raise DeadlineExceededError(f"no answer within {self._timeout_s:g} s")

        try:
            client = self._client()
            with ExchangeWatchdog(judge) as watch:
                request = client.build_request(
                    "POST",
                    self._url,
                    content=body,
                    headers=headers,
                    extensions={"trace": watch.trace},
                )
                response = client.send(request, stream=True)
                response.close()
        except (
            httpx.RequestError,
            httpx.InvalidURL,
            DeadlineExceededError,
            OSError,
            ValueError,
        ) as error:
            raise NotifyError(self._words(error)) from error
        retry_after = response.headers.get("Retry-After")
        return ApiResponse(status=response.status_code, body=b"", retry_after=retry_after)

    def _words(self, error: Exception) -> str:
        fault = tls_fault(error) if isinstance(error, httpx.ConnectError) else None
        if fault is not None:
            host = httpx.URL(self._url).host
            return tls_words(fault, host=host, now=self._now(), table="webhook")
        return f"the receiver cannot be reached: {plain_words(error)}"


def words_of(status: int) -> str:
    """Return what an answer that is no 2xx says."""
    if 300 <= status < 400:
        return f"the receiver redirects (HTTP {status}): webhook.url must be its final address"
    remedy = _REMEDIES.get(status)
    return f"the receiver answered HTTP {status}" + (f": {remedy}" if remedy else "")
