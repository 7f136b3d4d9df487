"""A card reader that types: its keys become cards, and each card is sent to the page.

Most USB readers of cards and codes are keyboards to the system: they type what they read, and
Enter.  The device is grabbed, so that nothing of it reaches a console; a read of which any key is
not understood, or lost, is dropped whole: half a number may be another card's.
"""

import fcntl
import os
import ssl
import stat
import struct
import time
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import httpx
import structlog

from agent.errors import RequestError, UnreachableError
from agent.settings.model import WebSettings, is_loopback
from agent.stage import StageName

log = structlog.get_logger(stage=StageName.STATION)

# struct input_event (linux/input.h): seconds, microseconds, type, code, value.
_EVENT = struct.Struct("@llHHi")
_GRAB = 0x40044590  # EVIOCGRAB
_SYN, _KEY = 0, 1
_SYN_DROPPED = 3
_RELEASED, _PRESSED = 0, 1  # 2: held
_SHIFTS = frozenset({42, 54})
_ENDS = frozenset({15, 28, 96})  # tab, enter, enter of the keypad
_PAUSE_S = 2.0  # a reader types within milliseconds: what comes later is another read
_MOST_CHARS = 128
# By the code of the key (linux/input-event-codes.h), as on the US layout that readers assume.
_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (71, "789-456+1230.", "789-456+1230."),
    *((55, "*", "*"), (57, " ", " "), (98, "/", "/")),
)
_SIGNS = {
    (first + place, is_shifted): sign
    for first, plain, shifted in _ROWS
    for is_shifted, signs in ((False, plain), (True, shifted))
    for place, sign in enumerate(signs)
}


class InputEvent(NamedTuple):
    """One event of an input device."""

    at_s: float  # on the device's clock
    kind: int
    code: int
    value: int


class KeyDecoder:
    """Turns the keys of a reader into what it read.  Pure: time comes with the events."""

    def __init__(self) -> None:
        self._typed = ""
        self._shifts: set[int] = set()
        self._is_whole = True
        self._at_s = 0.0

    def feed(self, event: InputEvent) -> str | None:
        """Take one event, and return what was read once it is complete and certain."""
        if (event.kind, event.code) == (_SYN, _SYN_DROPPED):
            self._is_whole = False
        if event.kind != _KEY:
            return None
        if event.code in _SHIFTS:
            (self._shifts.discard if event.value == _RELEASED else self._shifts.add)(event.code)
            return None
        if event.value != _PRESSED:
            return None
        if not 0 <= event.at_s - self._at_s <= _PAUSE_S:
            self._begin()
        self._at_s = event.at_s
        if event.code in _ENDS:
            return self._end()
        sign = _SIGNS.get((event.code, bool(self._shifts)))
        self._is_whole = self._is_whole and sign is not None and len(self._typed) < _MOST_CHARS
        self._typed += sign or ""
        return None

    def _end(self) -> str | None:
        typed, is_whole = self._typed, self._is_whole
        self._begin()
        if not is_whole:
            log.warning("card rejected")
        return typed if typed and is_whole else None

    def _begin(self) -> None:
        self._typed, self._is_whole = "", True


def read_cards(device: Path) -> Iterator[str]:
    """Yield what a reader reads, until it is unplugged or its file ends.

    Raises:
        RequestError: it cannot be opened, is used by another program, or was unplugged.
    """
    decoder = KeyDecoder()
    try:
        with device.open("rb", buffering=0) as opened:
            if stat.S_ISCHR(os.fstat(opened.fileno()).st_mode):
                fcntl.ioctl(opened.fileno(), _GRAB, 1)
            log.info("reader opened", device=device.name)
            for event in _events(opened):
                card = decoder.feed(event)
                if card is not None:
                    yield card
    except OSError as error:
        raise RequestError(
            f"cannot read {device}: {error.strerror}",
            hint="is it plugged in, and are you in the group input?  ls /dev/input/by-id",
        ) from None


def _events(opened: FileIO) -> Iterator[InputEvent]:
    kept = b""
    while content := opened.read(_EVENT.size * 64):
        kept += content
        whole = len(kept) - len(kept) % _EVENT.size
        for seconds, micros, kind, code, value in _EVENT.iter_unpack(kept[:whole]):
            yield InputEvent(seconds + micros / 1e6, kind, code, value)
        kept = kept[whole:]


_TRIES, _AGAIN_S, _ANSWER_WITHIN_S = 3, 0.5, 3.0


class CardSender:
    """Sends cards to a station's page."""

    def __init__(self, address: str, token: str, *, ca_file: Path | None = None) -> None:
        self._address = f"{address}/api/tap"
        self._headers = {"authorization": f"Bearer {token}"}
        self._tls = ssl.create_default_context(cafile=ca_file)
        if ca_file is None and is_loopback(httpx.URL(address).host):
            self._tls.check_hostname = False  # the certificate names the box, not this address
            self._tls.verify_mode = ssl.CERT_NONE

    def send(self, card: str, *, rest: Callable[[float], None] = time.sleep) -> str:
        """Send a card and return the result, as `assigned`; a few times where nobody answers.

        It is not sent later: by then somebody else may be on the station.

        Raises:
            UnreachableError: nobody answers.
            RequestError: the page refuses the token.
        """
        for left in reversed(range(_TRIES)):
            try:
                answer = httpx.post(
                    self._address,
                    data={"card": card},
                    headers=self._headers,
                    timeout=_ANSWER_WITHIN_S,
                    trust_env=False,
                    verify=self._tls,
                )
                break
            except httpx.HTTPError as error:
                if not left:
                    raise UnreachableError(
                        f"no answer from {self._address}: {type(error).__name__}"
                    ) from None
                rest(_AGAIN_S)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise RequestError(
                f"{self._address} refuses the token", hint="compare it with web.tap_token_file"
            )
        return _result(answer)


def _result(answer: httpx.Response) -> str:
    """Return the word of an answer; its sentence may name an athlete, and stays out of logs."""
    try:
        result = answer.json().get("result")
    except (ValueError, AttributeError):
        result = None
    return result if isinstance(result, str) and result.isalpha() else f"HTTP {answer.status_code}"


def own_page(settings: WebSettings) -> str:
    """Return the page's address on this box itself."""
    host, _, port = settings.listen.rpartition(":")
    host = host.strip("[]")
    called = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104  # asked, not listened on
    scheme = "http" if settings.tls == "off" else "https"
    return f"{scheme}://{f'[{called}]' if ':' in called else called}:{port}"


def pass_on(device: Path, sender: CardSender) -> None:
    """Send every card that a reader reads, until it is unplugged or its file ends.

    Raises:
        RequestError: the reader cannot be read (any longer).
    """
    for card in read_cards(device):
        try:
            log.info("card forwarded", result=sender.send(card))
        except (UnreachableError, RequestError) as fault:
            log.error("card dropped", detail=str(fault))
