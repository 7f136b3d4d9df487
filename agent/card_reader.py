"""A card reader that types: its keys become cards, and each card is sent to the page.

A button or pedal is a keyboard, too: some of its keys mean something by themselves.

Most USB readers of cards and codes are keyboards to the system: they type what they read, and
Enter.  The device is grabbed, so that nothing of it reaches a console; a read of which any key is
not understood, or lost, is dropped whole: half a number may be another card's.
"""

import errno
import fcntl
import ssl
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import httpx
import structlog

from agent.buttons import ButtonAction
from agent.errors import RequestError, UnreachableError, plain_words
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
_BOUNCES_S = 0.7
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

    def __init__(self, buttons: Mapping[int, ButtonAction] | None = None) -> None:
        """Prepare to read.

        Args:
            buttons: what single keys mean, by their code; no card contains them.
        """
        self._buttons = dict(buttons or {})
        self._pressed_s: dict[int, float] = {}  # when each of them was pressed last
        self._typed = ""
        self._shifts: set[int] = set()
        self._is_whole = True
        self._at_s = 0.0

    def feed(self, event: InputEvent) -> str | ButtonAction | None:
        """Take one event, and return what was read once it is complete and certain."""
        if event.kind == _KEY and event.code in self._buttons:
            return self._press(event)
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

    def _press(self, event: InputEvent) -> ButtonAction | None:
        """Take a button's event; a contact that bounces, or a foot that rests, is one press."""
        if event.value == _RELEASED:
            return None
        before_s = self._pressed_s.get(event.code)
        self._pressed_s[event.code] = event.at_s
        is_again = before_s is not None and 0 <= event.at_s - before_s < _BOUNCES_S
        if event.value != _PRESSED or is_again:
            return None
        self._is_whole = self._is_whole and not self._typed
        return self._buttons[event.code]

    def _end(self) -> str | None:
        typed, is_whole = self._typed, self._is_whole
        self._begin()
        if not is_whole:
            log.warning("card rejected")
        return typed if typed and is_whole else None

    def _begin(self) -> None:
        self._typed, self._is_whole = "", True


def read_device(
    device: Path, buttons: Mapping[int, ButtonAction] | None = None
) -> Iterator[str | ButtonAction]:
    """Yield the cards that a reader reads and the buttons that are pressed, until it is unplugged.

    Raises:
        RequestError: it is no input device, cannot be opened, is used by another program, or was
            unplugged.
    """
    try:
        if not stat.S_ISCHR(device.stat().st_mode):  # not opened: a pipe would wait for a writer
            raise _no_input_device(device)
        with device.open("rb", buffering=0) as opened:
            fcntl.ioctl(opened.fileno(), _GRAB, 1)
            log.info("reader opened", device=device.name)
            yield from decode_events(opened, buttons)
    except OSError as error:
        if error.errno == errno.ENOTTY:
            raise _no_input_device(device) from None
        raise RequestError(
            f"cannot read {device}: {error.strerror}",
            hint="is it plugged in, and are you in the group input?  ls /dev/input/by-id",
        ) from None


def _no_input_device(device: Path) -> RequestError:
    return RequestError(
        f"{device} is not an input device",
        hint="readers and pedals are in /dev/input/by-id, with names that end in -event-kbd",
    )


def decode_events(
    opened: FileIO, buttons: Mapping[int, ButtonAction] | None = None
) -> Iterator[str | ButtonAction]:
    """Yield the cards and buttons in the events of an input device, until they end."""
    decoder = KeyDecoder(buttons)
    for event in _events(opened):
        read = decoder.feed(event)
        if read is not None:
            yield read


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
    """Sends cards, and what buttons mean, to a station's page."""

    def __init__(self, address: str, token: str, *, ca_file: Path | None = None) -> None:
        self._address = address
        self._headers = {"authorization": f"Bearer {token}"}
        self._tls = ssl.create_default_context(cafile=ca_file)
        if ca_file is None and is_loopback(httpx.URL(address).host):
            self._tls.check_hostname = False  # the certificate names the box, not this address
            self._tls.verify_mode = ssl.CERT_NONE

    def send(self, read: str | ButtonAction, *, rest: Callable[[float], None] = time.sleep) -> str:
        """Send what was read and return the result, as `assigned`; again where nobody answers.

        It is not sent later: by then somebody else may be on the station.

        Raises:
            UnreachableError: nobody answers.
            RequestError: the page refuses the token, or uses TLS, which the address does not.
        """
        is_button = isinstance(read, ButtonAction)
        address = f"{self._address}{'/api/button' if is_button else '/api/tap'}"
        tries = 1 if is_button else _TRIES  # a press whose answer was lost may have done its work
        for left in reversed(range(tries)):
            try:
                answer = httpx.post(
                    address,
                    data={"action" if is_button else "card": str(read)},
                    headers=self._headers,
                    timeout=_ANSWER_WITHIN_S,
                    trust_env=False,
                    verify=self._tls,
                )
                break
            except httpx.HTTPError as error:
                if not left:
                    raise UnreachableError(
                        f"no answer from {address}: {plain_words(error)}",
                        hint="does its daemon run?  spotter status, or another page: --url URL",
                    ) from None
                rest(_AGAIN_S)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise RequestError(
                f"{address} refuses the token", hint="compare it with web.tap_token_file"
            )
        if answer.status_code == httpx.codes.UPGRADE_REQUIRED:
            url = httpx.URL(self._address).copy_with(scheme="https")
            raise RequestError(f"{address}: this page uses TLS", hint=f"--url {url}")
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
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://{f'[{called}]' if ':' in called else called}:{port}"


def pass_on(
    device: Path, sender: CardSender, buttons: Mapping[int, ButtonAction] | None = None
) -> None:
    """Send every card and every press of a button, until the device is unplugged.

    Raises:
        RequestError: it cannot be read, or no longer.
    """
    for read in read_device(device, buttons):
        if isinstance(read, ButtonAction):
            _press(read, sender)
            continue
        try:
            log.info("card forwarded", result=sender.send(read))
        except (UnreachableError, RequestError) as fault:
            log.error("card dropped", detail=str(fault))


def _press(action: ButtonAction, sender: CardSender) -> None:
    try:
        log.info("button forwarded", action=str(action), result=sender.send(action))
    except (UnreachableError, RequestError) as fault:
        log.error("button dropped", action=str(action), detail=str(fault))
