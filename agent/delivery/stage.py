"""The delivery stage: uploads one clip at a time.

Each step does one thing: asks whether the lane is open, looks one unknown outcome up, or sends
the clip whose turn it is.  What becomes of one that fails is `agent.delivery.retry_policy`'s.

Before every upload the clip is checked: is it still the file that was recorded in the outbox?  Each
is hashed once in the life of this process, before it is first sent by it: what a power cut damaged
is not sent, and a start need not read everything that waits.  A damaged clip is held, and cut
again.  A file renamed while its writer has it open may still change.  If a capture grew after it
was ingested, its clips are void: the file goes back into the capture folder and settles again.  If
it is the same in another place on the disk, it was copied back, from a backup perhaps: then its
clips are looked up first, for of what was sent since the backup nothing is on record.
"""

import hashlib
import sqlite3
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import structlog

from agent.api.client import ApiClient
from agent.bandwidth_schedule import Timetable, UplinkShare
from agent.clock import Clock, Now
from agent.delivery.circuit_breaker import ApiAccess, CircuitBreaker, KeyPolicy, ReadKey
from agent.delivery.reconcile import Reconciler
from agent.delivery.retry_policy import ClipBackoff, RetryPolicy
from agent.delivery.scheduling import UploadOrder
from agent.delivery.upload import Throttle, Uploader, UploadReceipt
from agent.disk.space import is_disk_full, is_refusal
from agent.disk.state_folder import StateFolder, move_durably, open_plain
from agent.errors import AgentError, ApiUnavailableError, UploadError
from agent.failpoints import crash_point
from agent.heartbeat import during_io
from agent.outbox.models import Capture, Entry, FileFacts
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, FileState, Reason, Recipient
from agent.retry import Backoff
from agent.stage import WAKE_ONLY, ShutdownRequested, StageName, Wake, ignore_wake

_PIECE_BYTES = 1 << 20
_MOST_STEM = 60  # characters of the old name: any file system can hold them


class _Original(Enum):
    """What a capture's file is by now."""

    AS_IT_WAS = auto()
    GROWN = auto()
    COPIED = auto()
    OVERWRITTEN = auto()  # longer, and from its beginning on another: its writer's work, or damage


class PreflightCheck:
    """Holds or voids what must not be sent."""

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        *,
        capture_folder: Path,
        now: Now,
        wake_analysis: Wake,
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._capture_folder = capture_folder
        self._now = now
        self._wake_analysis = wake_analysis
        self._to_go_back: dict[Path, Path] = {}  # files of void captures, and their places
        self._whole: set[int] = set()  # clips that were found to be what they were cut as

    def __call__(self, entry: Entry) -> bool:
        """Tell whether a clip may go; one that may not has been moved out of the way.

        Or it was changed, and may go at its next turn.
        """
        self._bring_back()
        for capture in self._outbox.entries.captures_of(entry.id):
            original = self._look_at(capture)
            if original is _Original.AS_IT_WAS:
                continue
            if original is _Original.COPIED:
                return False
            if original is _Original.OVERWRITTEN:
                self._hold(capture)
                return False
            if not entry.attempts:
                self._void(capture)
                return False
        if self._is_whole(entry):
            return True
        log.error("clip file damaged", entry=entry.name, clip=entry.clip_code)
        self._outbox.files.note_damage(entry.id, now_s=self._now().utc_s)
        self._wake_analysis()
        return False

    def _is_whole(self, entry: Entry) -> bool:
        """Tell whether a clip's file is there with all that was cut."""
        clip = self._folder.clips / entry.stored_name
        if not clip.is_file() or clip.stat().st_size != entry.clip_bytes:
            return False
        if entry.id not in self._whole:
            if _sha256(clip) != entry.clip_sha256:
                return False
            self._whole.add(entry.id)
        return True

    def _look_at(self, capture: Capture) -> _Original:
        if capture.file_state is not FileState.PRESENT:
            return _Original.AS_IT_WAS
        path = self._folder.captures / capture.stored_name
        try:
            found = FileFacts.of(path.stat())
        except FileNotFoundError:
            return _Original.AS_IT_WAS  # somebody took it away; the clip is whole all the same
        if found == capture.facts or found.size_bytes < capture.facts.size_bytes:
            return _Original.AS_IT_WAS  # or torn, not grown: the clip was cut when it was whole
        begins_as_before = _sha256_of_beginning(path, capture.facts.size_bytes) == capture.sha256
        if found.size_bytes > capture.facts.size_bytes:
            return _Original.GROWN if begins_as_before else _Original.OVERWRITTEN
        return self._copied(capture, found) if begins_as_before else self._damaged(capture)

    def _damaged(self, capture: Capture) -> _Original:
        log.warning("capture file changed", capture=capture.name)
        return _Original.AS_IT_WAS

    def _copied(self, capture: Capture, found: FileFacts) -> _Original:
        log.warning("capture copy detected", capture=capture.name)
        with self._outbox.transaction():
            self._outbox.captures.restore_file(capture, found, now_s=self._now().utc_s)
            self._outbox.outcomes.doubt(capture.id)
        return _Original.COPIED

    def _hold(self, capture: Capture) -> None:
        """Let a person review clips whose original is another one; its clips may be intact."""
        log.warning("capture file overwritten", capture=capture.name)
        found = FileFacts.of((self._folder.captures / capture.stored_name).stat())
        now_s, reason = self._now().utc_s, Reason.GREW_AFTER_ADMISSION
        with self._outbox.transaction():
            for entry in self._outbox.entries.of_capture(capture.id):
                if entry.state is EntryState.READY:
                    self._outbox.entries.move(entry, EntryState.HELD, now_s=now_s, reason=reason)
            self._outbox.captures.restore_file(capture, found, now_s=now_s)

    def _void(self, capture: Capture) -> None:
        """End a capture's clips and let its file be admitted again."""
        now_s = self._now().utc_s
        log.warning("grown capture returned", capture=capture.name)
        with self._outbox.transaction():
            for entry in self._outbox.entries.of_capture(capture.id):
                if entry.state in {EntryState.READY, EntryState.HELD}:
                    self._outbox.entries.move(
                        entry,
                        EntryState.DISCARDED,
                        now_s=now_s,
                        reason=Reason.GREW_AFTER_ADMISSION,
                    )
                    self._recut_elsewhere(entry, capture)
            self._outbox.captures.move(
                capture, CaptureState.DISCARDED, now_s=now_s, reason=Reason.GREW_AFTER_ADMISSION
            )
            self._outbox.captures.set_file_state(capture.id, FileState.CLEARED, now_s=now_s)
        name = Path(capture.file_name)
        target = self._capture_folder / f"{capture.name}-{name.stem[:_MOST_STEM]}{name.suffix}"
        self._to_go_back[self._folder.captures / capture.stored_name] = target
        self._bring_back()

    def _bring_back(self) -> None:
        """Give files back to the capture folder, as soon as it takes them."""
        for source, target in list(self._to_go_back.items()):
            try:
                if source.exists():
                    move_durably(source, target)
            except OSError as error:
                log.warning("capture return failed", file=target.name, error=str(error))
            else:
                del self._to_go_back[source]

    def _recut_elsewhere(self, entry: Entry, grown: Capture) -> None:
        """Let the other recording of a clip over two be analysed again: its part is whole."""
        for other in self._outbox.entries.captures_of(entry.id):
            if other.id != grown.id and other.state is CaptureState.ANALYSED:
                now_s = self._now().utc_s
                self._outbox.takes.reset(other, now_s=now_s)
                self._outbox.captures.move(other, CaptureState.CAPTURED, now_s=now_s)


def _sha256(path: Path) -> str:
    with during_io(path.stat().st_size), open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of_beginning(path: Path, size_bytes: int) -> str:
    digest, left_bytes = hashlib.sha256(), size_bytes
    with during_io(size_bytes), open_plain(path) as file:
        while left_bytes > 0 and (piece := file.read(min(left_bytes, _PIECE_BYTES))):
            digest.update(piece)
            left_bytes -= len(piece)
    return digest.hexdigest()


_UNREADABLE = 3  # times that the disk may refuse a clip before it is held and cut again

log = structlog.get_logger(stage=StageName.DELIVERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """What the settings say about sending clips."""

    host: str  # the API's name in the outbox
    key: KeyPolicy
    read_key: ReadKey
    capture_folder: Path  # where the camera writes
    timetable: Timetable
    share: UplinkShare
    backoff: Backoff  # for a clip that fails
    reconcile_wait_s: float  # between the two look-ups that prove absence
    smaller_if_too_large: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvents:
    """Who hears of what came of clips."""

    on_recut: Wake = ignore_wake  # one is to be cut again
    on_delivered: Wake = ignore_wake


class DeliveryStage:
    """The way of the station's clips to one API host."""

    name = StageName.DELIVERY

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        client: ApiClient,
        *,
        policy: DeliveryPolicy,
        clock: Clock,
        events: DeliveryEvents,
    ) -> None:
        self._outbox = outbox
        self._now = now = clock.now
        self._wake_next = events.on_delivered
        self._breaker = CircuitBreaker(
            outbox,
            client,
            host=policy.host,
            settings=policy.key,
            read_key=policy.read_key,
            now=now,
        )
        self._patience = ClipBackoff(outbox, policy.backoff, now=now)
        throttle = Throttle(policy.timetable, policy.share, now=now, wait=clock.wait)
        self._uploader = Uploader(outbox, client, clips=folder.clips, throttle=throttle, now=now)
        self._reconciler = Reconciler(
            outbox,
            client,
            self._patience,
            wait_s=policy.reconcile_wait_s,
            keeps_titles=self._breaker.keeps_titles,
            clock=clock,
        )
        self._order = UploadOrder(outbox, policy.timetable, policy.share, now=now)
        self._reaction = RetryPolicy(
            outbox,
            self._breaker,
            self._patience,
            smaller_if_too_large=policy.smaller_if_too_large,
            now=now,
            wake_analysis=events.on_recut,
        )
        self._is_still_whole = PreflightCheck(
            outbox,
            folder,
            capture_folder=policy.capture_folder,
            now=now,
            wake_analysis=events.on_recut,
        )
        self._unreadable: Counter[int] = Counter()  # how often the disk refused a clip
        # An answer that the disk refused.
        self._unrecorded: tuple[Entry, int, UploadReceipt, ApiAccess] | None = None

    def step(self) -> float:
        """Do one thing for one clip, and say when there may be another."""
        self._record_again()
        now_s = self._now().utc_s
        self._outbox.entries.resume_interrupted(now_s=now_s)  # a step before may have failed
        self._patience.pull_in()
        access = self._breaker.acquire()
        if access is None:
            return max(self._breaker.wait_s(), 1.0)
        next_due_at = self._next_due_at()
        if next_due_at is None:
            return WAKE_ONLY
        if next_due_at > now_s:
            return next_due_at - now_s
        try:
            return self._do_next(access, now_s)
        except ApiUnavailableError as fault:  # of a look-up: an upload's own is dealt with already
            self._breaker.pause(fault)
        return 0.0

    def close(self) -> None:
        """Nothing is held: the connections belong to the creator of the client."""

    def _next_due_at(self) -> float | None:
        """Return when there is something to do next, or None."""
        unsettled_at = self._reconciler.next_settlement_at()
        if unsettled_at is not None:
            return unsettled_at
        times = (self._outbox.entries.next_due_at(), self._reconciler.next_look_at())
        return min((due_at for due_at in times if due_at is not None), default=None)

    def _do_next(self, access: ApiAccess, now_s: float) -> float:
        """Look up what is uncertain, else send what is due, else look for what is held."""
        uncertain = self._outbox.entries.next_uncertain(now_s)
        if uncertain is not None:
            if self._reconciler.look_up(uncertain, access):
                self._reaction.note_delivered(uncertain, access)
                self._wake_next()
            return 0.0
        entry = self._order.next_up(access)
        if entry is None:
            self._reconciler.look_for_held(access)
            self._pause_where_limits_stop_all(access)
            return self._order.rest_s()
        if self._may_go(entry, access) and self._reconciler.may_resend(entry, access):
            now_s = self._now().utc_s
            self._breaker.begin_trial()
            self._outbox.limits.begin_trial(access.uid, entry.user_id, now_s=now_s)
            claimed = self._outbox.entries.claim(entry, now_s=now_s)
            if claimed is not None:
                self._send(*claimed, access)
        return 0.0

    def _pause_where_limits_stop_all(self, access: ApiAccess) -> None:
        """Say that the plan is used up where every clip that is due waits for such a limit."""
        limits = self._outbox.limits
        if access.is_limited or not limits.in_row(access.uid):
            return
        limited = limits.limited(access.uid)
        if limited is not None and limits.next_free(access.uid, self._now().utc_s) is None:
            self._breaker.pause_for_limit(limited.detail, account=access.uid)

    def _may_go(self, entry: Entry, access: ApiAccess) -> bool:
        """Tell whether an entry may be sent; one that may not has been moved out of the way."""
        if self._outbox.forgettings.is_leaving(entry):  # it was under way when that began
            self._reaction.discard(entry, Reason.FORGOTTEN)
            return False
        try:
            if not self._is_still_whole(entry):
                return False
        except OSError as error:
            if not self._stays_unreadable(entry, error):
                raise
            self._reaction.hold(entry, Reason.CLIP_DAMAGED, detail=str(error))
            return False
        for_owner = entry.recipient is Recipient.KEY_OWNER or access.is_owners(entry.user_id)
        if for_owner or access.acts_for_others:
            return True
        self._reaction.hold(entry, Reason.KEY_CANNOT_SEND)
        return False

    def _send(self, entry: Entry, attempt_id: int, access: ApiAccess) -> None:
        try:
            sent = self._uploader.send(entry, attempt_id, access)
        except ShutdownRequested:
            # ready, or uncertain if the body may have gone out whole: its mark shows which
            self._outbox.entries.resume_interrupted(now_s=self._now().utc_s)
            raise
        except UploadError as error:
            self._reaction.carry_out(entry, error, access)
        except (OSError, AgentError) as error:
            if not self._stays_unreadable(entry, error):
                raise
            self._reaction.hold(entry, Reason.CLIP_DAMAGED, detail=str(error))
        else:
            self._unrecorded = (entry, attempt_id, sent, access)
            self._record_again()

    def _stays_unreadable(self, entry: Entry, error: Exception) -> bool:
        """Tell whether a clip is at fault, not a moment in which the disk refuses."""
        if is_disk_full(error):  # for what is kept of the attempt
            return False
        if not is_refusal(error):
            return True
        self._unreadable[entry.id] += 1
        return self._unreadable[entry.id] >= _UNREADABLE

    def _record_again(self) -> None:
        """Put an answer on record; one that the disk refuses is kept: nobody will repeat it."""
        if self._unrecorded is None:
            return
        try:
            self._record(*self._unrecorded)
        except (OSError, sqlite3.OperationalError):
            raise
        except BaseException:
            self._unrecorded = None
            raise
        self._unrecorded = None

    def _record(
        self, entry: Entry, attempt_id: int, sent: UploadReceipt, access: ApiAccess
    ) -> None:
        with self._outbox.transaction():
            self._outbox.attempts.end(attempt_id, sent.end)
            adopted = self._outbox.entries.adopt_session(
                entry.id,
                session_id=sent.made.session_id,
                server_title=sent.made.title,
                now_s=self._now().utc_s,
            )
            if adopted is None:  # found by a look-up meanwhile: it must not be another one
                self._outbox.outcomes.note_second_session(entry.id, sent.made.session_id)
            self._outbox.entries.note_title(entry.id, sent.title)
            if sent.made.title is not None and entry.clip_code not in sent.made.title.lower():
                self._breaker.note_altered_title()
        crash_point("uploaded")
        self._reaction.note_delivered(entry, access)
        log.info(
            "clip uploaded",
            entry=entry.name,
            clip=entry.clip_code,
            session=sent.made.session_id,
            bytes=sent.end.size_bytes,
            seconds=round(sent.end.seconds, 2),
        )
        self._wake_next()
