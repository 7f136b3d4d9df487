"""Captures of this station that workers of the site analyse, and the stage that serves them.

A capture never leaves the station's folder: a worker asks for its parts with a token that is drawn
for each offer and ends with it.  Whatever goes wrong here, the station analyses the capture itself.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import structlog

from agent import __version__
from agent.clipping.stage import AnalysisElsewhere, OfferedCapture, ReportElsewhere
from agent.disk.state_folder import StateFolder, open_plain
from agent.errors import ConfigError, NotifyError
from agent.facility.membership import (
    Membership,
    membership_path,
    read_membership,
)
from agent.facility.work import (
    LONGEST_JOB_S,
    MOST_FINDINGS_BYTES,
    MOST_OFFER_BYTES,
    MOST_OFFERED,
    PART_BYTES,
    DoneRequest,
    FetchRequest,
    FindingsError,
    Offer,
    OfferedFile,
    accepted,
    read_request,
    refused,
    request,
    unpacked,
)
from agent.outbox.models import Capture
from agent.outbox.outbox import Outbox
from agent.retry import Backoff, BackoffTimer
from agent.stage import WAKE_ONLY, StageName, Wake

if TYPE_CHECKING:  # see `_connect`
    from agent.facility.broker import HubConnection

When = Literal["never", "when_behind", "always"]

_SERVE_S = 0.2  # between two checks for what is new, while workers are served
_IDLE_S = 2.0  # the broker hears from every connection that often
_MOMENT_S = 0.02
_NOBODY_S = 60.0  # without an offer, after no worker took one
_KEPT = 256  # captures that are not offered again
_BACKOFF = Backoff(base_s=1.0, longest_s=30.0)

log = structlog.get_logger(stage=StageName.WORKERS)


@dataclass(slots=True, kw_only=True)
class _Open:
    """An offer that holds."""

    offer: Offer
    capture: Capture
    files: dict[str, Path]
    duration_s: float
    offered_s: float  # monotonic times
    heard_s: float  # the last sign of a worker
    is_sent: bool = False
    is_begun: bool = False
    parts: list[bytes] = field(default_factory=list)
    found: ReportElsewhere | None = None


class OffloadBoard(AnalysisElsewhere):
    """Which captures are with workers; used by the clipping stage and by the one that serves."""

    def __init__(
        self,
        when: When,
        *,
        patience_s: float,
        wake_clipping: Wake,
        wake_serving: Wake,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with no offer.

        Args:
            when: which captures are offered.
            patience_s: without a sign of a worker, the station takes a capture back.
            wake_clipping: hears when findings have come, or a capture is taken back.
            wake_serving: hears when there is an offer to send.
            monotonic: the clock.
        """
        self._when = when
        self._patience_s = patience_s
        self._wake_clipping = wake_clipping
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._open: dict[int, _Open] = {}  # by capture
        self._given_up: list[int] = []  # captures that this station analyses itself
        self._is_connected = False
        self._pause_until_s = 0.0
        self._wake_serving = wake_serving

    # What the clipping stage asks.

    def out(self) -> set[int]:
        """Return the captures that are with workers."""
        with self._lock:
            return {name for name, one in self._open.items() if one.found is None}

    def room(self) -> int:
        """Return how many captures may be offered now."""
        with self._lock:
            is_possible = self._is_connected and self._monotonic() >= self._pause_until_s
            return MOST_OFFERED - len(self._open) if is_possible and self._when != "never" else 0

    def choose(self, waiting: Sequence[int]) -> int | None:
        """Return which of the captures that wait, oldest first, is offered next; None for none."""
        own = 1 if self._when == "when_behind" else 0
        with self._lock:
            barred = {*self._given_up, *self._open}
        return next((name for name in waiting[own:] if name not in barred), None)

    def offer(self, offered: OfferedCapture) -> bool:
        """Offer a capture; False where the station must analyse it itself."""
        try:
            files = {"capture": offered.path}
            reference = offered.options.get("reference")
            if reference is not None:
                files["reference"] = Path(str(reference))
            offer: Offer | None = Offer(
                token=secrets.token_urlsafe(32),
                version=__version__,
                generation=offered.capture.fence,
                capture=OfferedFile(
                    size=offered.path.stat().st_size,
                    sha256=offered.capture.sha256,
                    suffix=offered.path.suffix.lower(),
                ),
                reference=None if reference is None else _described(files["reference"]),
                options={**offered.options, "model": None, "reference": None},
            )
        except (OSError, ValueError):
            offer = None
        has_own_model = offered.options.get("model") is not None  # workers have the shipped one
        if offer is None or has_own_model or len(request(offer)) > MOST_OFFER_BYTES:
            self._keep(offered.capture.id)
            return False
        now_s = self._monotonic()
        with self._lock:
            self._open[offered.capture.id] = _Open(
                offer=offer,
                capture=offered.capture,
                files=files,
                duration_s=offered.duration_s,
                offered_s=now_s,
                heard_s=now_s,
            )
        self._wake_serving()
        return True

    def result(self, capture: Capture) -> ReportElsewhere | None:
        """Return what a worker found in a capture that was claimed again; None for nothing.

        It counts only if nothing but that claim has happened to the capture since it was offered.
        """
        with self._lock:
            one = self._open.pop(capture.id, None)
        if one is None or one.found is None:
            return None
        is_same = (capture.sha256, capture.fence) == (one.capture.sha256, one.capture.fence + 1)
        if not is_same:
            log.info("findings discarded", capture=capture.name)
            return None
        return one.found

    def take_back(self) -> bool:
        """Take a capture back that no worker has begun; the station has nothing else to do."""
        if self._when != "when_behind":
            return False
        with self._lock:
            untouched = [name for name, one in self._open.items() if not one.is_begun]
        if untouched:
            self._give_up(untouched[0], "the station is free")
        return bool(untouched)

    # What the stage that serves asks.

    @property
    def is_wanted(self) -> bool:
        """Whether anything is ever offered."""
        return self._when != "never"

    def note_connected(self, is_connected: bool) -> None:
        """Note whether workers can be reached."""
        with self._lock:
            is_news, self._is_connected = is_connected != self._is_connected, is_connected
            for one in self._open.values():
                one.is_sent = one.is_sent and (is_connected or one.is_begun)
        if is_news and is_connected:
            self._wake_clipping()

    def unsent(self) -> list[_Open]:
        """Return the offers that the queue has not got."""
        with self._lock:
            return [one for one in self._open.values() if not one.is_sent and one.found is None]

    def end_overdue(self, look: Callable[[int], Capture | None]) -> int:
        """Take captures back of which nobody has heard for too long, or that were decided on.

        Args:
            look: returns a capture as it is now.

        Returns:
            How many are out.
        """
        now_s = self._monotonic()
        with self._lock:
            held = dict(self._open)
        waiting = {name: one for name, one in held.items() if one.found is None}
        left = len(waiting)
        for name, one in held.items():
            now = look(name)
            fences = {one.capture.fence} if name in waiting else range(one.capture.fence + 2)
            if now is None or now.fence not in fences or now_s - one.offered_s > 2 * LONGEST_JOB_S:
                self._give_up(name, "the capture has changed", may_return=True)
                left -= name in waiting
        for name, one in waiting.items():
            if now_s - one.heard_s > self._patience_s or now_s - one.offered_s > LONGEST_JOB_S:
                why = "the worker is silent" if one.is_begun else "no worker took it"
                if not one.is_begun:
                    self._pause_until_s = now_s + _NOBODY_S
                self._give_up(name, why)
                left -= 1
        return left

    def fetch(self, content: bytes) -> bytes:
        """Answer a worker that asks for a part of a file."""
        try:
            asked, _ = read_request(content, FetchRequest)
            one = self._of(asked.token)
            if one is None or one.found is not None:
                return refused("the offer has ended")
            path = one.files.get(asked.file)
            if path is None:
                return refused("there is no such file")
            with open_plain(path) as file:
                file.seek(asked.offset)
                return accepted(file.read(PART_BYTES))
        except (ValueError, OSError):
            return refused("it cannot be read")

    def done(self, content: bytes) -> bytes:
        """Answer a worker that brings findings, or gives up."""
        try:
            told, body = read_request(content, DoneRequest)
        except ValueError:
            return refused("it cannot be read")
        one = self._of(told.token)
        if one is None or one.found is not None:
            return refused("the offer has ended")
        if told.failed is not None:
            self._give_up(one.capture.id, "the worker could not analyse it")
            return accepted()
        if told.part == 0:
            one.parts = []
        have = sum(len(part) for part in one.parts)
        if told.part != len(one.parts) or have + len(body) > MOST_FINDINGS_BYTES:
            one.parts = []
            return refused("findings are too large, or not in order")
        one.parts.append(body)
        return accepted() if told.part + 1 < told.parts else self._take_over(one)

    def _take_over(self, one: _Open) -> bytes:
        """Check findings that are whole; what is wrong with them ends the offer."""
        content, one.parts = b"".join(one.parts), []
        try:
            found = unpacked(content, one.offer, duration_s=one.duration_s)
        except FindingsError as error:
            log.warning("findings rejected", capture=one.capture.name, reason=str(error))
            self._give_up(one.capture.id, "its findings were rejected")
            return refused(str(error))
        # As text, landmarks need a tenth of the memory: several captures may wait with theirs.
        kept = ReportElsewhere(
            report=found.report.model_dump(mode="json"), skeleton=found.skeleton_text()
        )
        with self._lock:
            one.found = kept
        log.info("findings received", capture=one.capture.name, takes=len(found.report.takes))
        self._wake_clipping()
        return accepted()

    def _of(self, token: str) -> _Open | None:
        """Return the offer that a token opens, which has shown a sign of its worker."""
        with self._lock:
            for one in self._open.values():
                if secrets.compare_digest(one.offer.token, token):
                    one.is_begun, one.heard_s = True, self._monotonic()
                    return one
        return None

    def _keep(self, name: int) -> None:
        """Let this station analyse a capture itself."""
        with self._lock:
            self._given_up = [*self._given_up, name][-_KEPT:]

    def _give_up(self, name: int, why: str, *, may_return: bool = False) -> None:
        with self._lock:
            one = self._open.pop(name, None)
        if not may_return:
            self._keep(name)
        if one is not None:
            log.info("offer revoked", capture=one.capture.name, reason=why)
            self._wake_clipping()


def _described(path: Path) -> OfferedFile:
    with open_plain(path) as file:
        content = file.read()
    return OfferedFile(
        size=len(content), sha256=sha256(content).hexdigest(), suffix=path.suffix.lower()
    )


class OffloadStage:
    """Offers captures to the site's workers and serves them; sleeps where that is turned off."""

    name = StageName.WORKERS

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        board: OffloadBoard,
        *,
        check: Callable[[], None],
    ) -> None:
        """Prepare to look for a hub.

        Args:
            outbox: of the station.
            folder: where it is kept that the station has joined.
            board: what is to be offered.
            check: what it raises ends whatever is under way.
        """
        self._look = outbox.captures.by_id
        self._folder = folder
        self._board = board
        self._check = check
        self._timer = BackoffTimer(_BACKOFF)
        self._member: Membership | None = None
        self._link: HubConnection | None = None

    def step(self) -> float:
        """Send what is to be offered, and answer workers for a moment."""
        if not self._board.is_wanted or not membership_path(self._folder).exists():
            self.close()
            return WAKE_ONLY
        try:
            member, link = self._opened()
            for one in self._board.unsent():
                link.publish(member.subjects.offer, one.offer.model_dump_json().encode())
                one.is_sent = True
                log.info("capture offered", capture=one.capture.name)
            is_busy = self._board.end_overdue(self._look) > 0
            link.serve(_SERVE_S if is_busy else _MOMENT_S)
        except (NotifyError, ConfigError) as error:
            self._board.note_connected(False)
            self._board.end_overdue(self._look)
            self._close_link()
            log.debug("workers not reached", error=str(error))
            return min(self._timer.note_failure(), _IDLE_S if self._board.out() else LONGEST_JOB_S)
        self._timer.note_success()
        return 0.0 if is_busy else _IDLE_S

    def close(self) -> None:
        """Disconnect from the hub."""
        self._board.note_connected(False)
        self._close_link()

    def _close_link(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _opened(self) -> "tuple[Membership, HubConnection]":
        member = read_membership(self._folder)
        if member is None:
            raise NotifyError("the station belongs to no facility")
        if self._link is None or member != self._member:
            self._close_link()
            self._member = member
            self._link = self._connect(member)
            self._board.note_connected(True)
            log.info("workers connected")
        return member, self._link

    def _connect(self, member: Membership) -> "HubConnection":
        # The broker's client and the cryptography cost memory that a station alone need not spend.
        from agent.facility.joining import connection_of

        link = connection_of(self._folder, member, check=self._check)
        try:
            link.open()
            link.answer(member.subjects.fetch, self._board.fetch)
            link.answer(member.subjects.done, self._board.done)
        except BaseException:
            link.close()
            raise
        return link
