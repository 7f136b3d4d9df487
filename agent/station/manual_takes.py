"""Takes that a person marks, and new analyses that a person requests."""

from pathlib import Path

from agent.errors import BusyError, RequestError
from agent.outbox.models import Capture, Take, TakeOrigin
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, FileState, Reason
from agent.station.clip_actions import find
from agent.station.description import sha256_of

_LOOKED_INTO = frozenset({CaptureState.ANALYSED, CaptureState.SKIPPED})
_UNSENT = frozenset({EntryState.READY, EntryState.HELD, EntryState.DEAD})
_SENT = frozenset(
    {EntryState.UPLOADING, EntryState.UNCERTAIN, EntryState.UPLOADED, EntryState.COMPLETED}
)


def find_capture(outbox: Outbox, wanted: str) -> Capture:
    """Return a capture by its ID, by one of its clips, by a file's content, or by its name.

    Raises:
        RequestError: there is no such capture, or several have the name.
    """
    path = Path(wanted)
    digest = sha256_of(path)
    if digest is not None:
        found = outbox.captures.by_sha256(digest)
        if found is None:
            raise RequestError(
                f"no recording named {wanted}", hint="copy it into the capture folder first"
            )
        return found
    named = outbox.captures.by_file_name(path.name)
    if len(named) > 1:
        ids = ", ".join(capture.name for capture in named)
        raise RequestError(
            f"several recordings are named {named[0].file_name}", hint=f"use the ID of one: {ids}"
        )
    if named:
        return named[0]
    subject = find(outbox, wanted)
    if isinstance(subject, Capture):
        return subject
    capture = outbox.captures.by_id(outbox.entries.captures_of(subject.id)[0])
    assert capture is not None  # a clip's capture is never deleted
    return capture


def add_take(
    outbox: Outbox, capture: Capture, *, start_s: float, end_s: float, now_s: float
) -> Take:
    """Let a clip of `[start_s, end_s)` be cut and delivered like any other.

    Raises:
        BusyError: the capture is being analysed.
        RequestError: it is no stretch of it, its file is gone, or a clip of it exists already.
    """
    with outbox.transaction():
        _refuse_unless_looked_into(capture)
        if not 0 <= start_s < end_s or end_s > (capture.duration_s or end_s) + 0.5:
            raise RequestError(
                f"{start_s:g} to {end_s:g} s is outside {capture.name}",
                hint=f"it is {capture.duration_s or 0:.1f} s long, and START must come before END",
            )
        if capture.hides(start_s, end_s):
            raise RequestError(
                f"recording was paused during {start_s:g} to {end_s:g} s of {capture.name}",
                hint=f"for the paused parts see: spotter outbox show {capture.name}",
            )
        take = outbox.takes.add_by_hand(capture, start_s=start_s, end_s=end_s)
        for other in [*outbox.takes.kept(capture), *outbox.takes.waiting(capture)]:
            if other.number != take.number and other.overlaps(take):
                raise RequestError(
                    f"{other.active_start_s:.1f} to {other.active_end_s:.1f} s of {capture.name} "
                    "already has a clip",
                    hint=f"see spotter show {capture.name}; discard that clip first if possible",
                )
        _look_again_at(outbox, capture, now_s=now_s)
    return take


def look_again(outbox: Outbox, capture: Capture, *, now_s: float) -> Capture:
    """Let the analysis find the takes of a capture anew.

    Clips that it found before and that are unsent are discarded; what was sent, or was made by
    hand, stays and gets no second clip.

    Raises:
        BusyError: the capture, or a clip of it, is under way.
        RequestError: its file is gone, or all of its clips are sent.
    """
    with outbox.transaction():
        _refuse_unless_looked_into(capture, CaptureState.QUARANTINED)
        _refuse_if_all_sent(outbox, capture)
        _refuse_if_joined(outbox, capture)
        found = {t.number for t in outbox.takes.of(capture) if t.origin is TakeOrigin.FOUND}
        for entry in outbox.entries.of_takes(capture.id, found):
            if entry.state in _UNSENT:
                outbox.entries.move(
                    entry, EntryState.DISCARDED, now_s=now_s, reason=Reason.LOOKED_AGAIN
                )
        outbox.takes.reset(capture, now_s=now_s)
        return _look_again_at(outbox, capture, now_s=now_s)


def _refuse_if_all_sent(outbox: Outbox, capture: Capture) -> None:
    entries = outbox.entries.of_capture(capture.id)
    under_way = [e for e in entries if e.state in {EntryState.UPLOADING, EntryState.UNCERTAIN}]
    if under_way:
        raise BusyError(
            f"{under_way[0].name} is {under_way[0].state}", hint="try again in a few minutes"
        )
    if entries and all(entry.state in _SENT for entry in entries):
        raise RequestError(
            f"all clips of {capture.name} are uploaded already",
            hint=f"for a missed take: spotter takes add {capture.name} START END",
        )


def _refuse_if_joined(outbox: Outbox, capture: Capture) -> None:
    """A clip over two captures would lose the part that is in the other one."""
    for entry in outbox.entries.of_capture(capture.id):
        captures = outbox.entries.captures_of(entry.id)
        if len(captures) > 1 and entry.state is not EntryState.DISCARDED:
            names = " and ".join(f"c{number}" for number in captures)
            raise RequestError(
                f"{entry.name} is one clip of {names}",
                hint=f"discard {entry.name} first, then clip its parts: spotter takes add",
            )


def _refuse_unless_looked_into(capture: Capture, *more: CaptureState) -> None:
    if capture.state in {CaptureState.CAPTURED, CaptureState.ANALYSING}:
        raise BusyError(f"{capture.name} is {capture.state}", hint="try again in a few minutes")
    if capture.state not in _LOOKED_INTO | {*more}:
        raise RequestError(f"{capture.name} is {capture.state}")
    if capture.file_state is not FileState.PRESENT:
        raise RequestError(
            f"the file of {capture.name} was deleted after its upload",
            hint="see capture.keep_originals_h: how long recordings are kept after upload",
        )


def _look_again_at(outbox: Outbox, capture: Capture, *, now_s: float) -> Capture:
    moved = outbox.captures.move(capture, CaptureState.CAPTURED, now_s=now_s)
    if moved is None:
        raise BusyError("its state changed just now", hint="try again")
    return moved
