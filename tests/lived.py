"""An outbox that has seen one clip go each way, with every file in its place."""

from agent.disk.state_folder import StateFolder
from agent.outbox.entries import AttemptEnd
from agent.outbox.models import ClipTarget, Take
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, Recipient
from tests.factories import NOW_S, admitted, new_entry

WAYS = ("ready", "uploaded", "held", "discarded", "marked", "resent", "dead", "released")


def send(outbox: Outbox, folder: StateFolder, number: int, way: str) -> None:
    """Take a capture in, cut a clip of it, and let it go one way."""
    capture = admitted(outbox, number)
    (folder.captures / capture.stored_name).write_bytes(b"c" * capture.facts.size_bytes)
    claimed = outbox.captures.claim_next(NOW_S)
    assert claimed is not None
    take = Take(number=0, start_s=1, end_s=4, active_start_s=2, active_end_s=3)
    outbox.takes.record(claimed, [take], report='{"verdict": "upload"}')
    new = new_entry(capture)
    (folder.clips / new.clip.stored_name).write_bytes(b"x" * new.clip.size_bytes)
    with outbox.transaction():
        entry = outbox.entries.create(new, now_s=NOW_S)
        outbox.captures.move(claimed, CaptureState.ANALYSED, now_s=NOW_S)
    if way in {"held", "discarded"}:
        outbox.entries.move(entry, EntryState(way), now_s=NOW_S, reason="discarded_by_person")
    if way == "released":
        held = outbox.entries.move(entry, EntryState.HELD, now_s=NOW_S)
        assert held is not None
        tom = ClipTarget(recipient=Recipient.ATHLETE, user_id="tom", activity="running")
        outbox.entries.assign(held, tom, now_s=NOW_S)
    if way not in {"uploaded", "marked", "resent", "dead"}:
        return
    begun = outbox.entries.claim(entry, now_s=NOW_S + number)
    assert begun is not None
    sending, attempt_id = begun
    if way != "resent":
        outbox.attempts.mark_body_complete(attempt_id, now_s=NOW_S + number)
    if way == "dead":
        outbox.attempts.end(attempt_id, AttemptEnd(outcome="RefusedError", seconds=1.0))
        outbox.entries.move(sending, EntryState.DEAD, now_s=NOW_S, reason="http_400")
    if way == "uploaded":
        with outbox.transaction():
            outbox.attempts.end(attempt_id, AttemptEnd(outcome="uploaded", seconds=1.0))
            outbox.entries.adopt_session(
                entry.id, session_id=f"s{number}", server_title=None, now_s=NOW_S
            )
    if way == "resent":
        outbox.attempts.end(attempt_id, AttemptEnd(outcome="NotCreatedError", seconds=1.0))
        ready = outbox.entries.move(sending, EntryState.READY, now_s=NOW_S)
        assert ready is not None
        again = outbox.entries.claim(ready, now_s=NOW_S + number)
        assert again is not None
        outbox.attempts.mark_body_complete(again[1], now_s=NOW_S + number)


def states(outbox: Outbox) -> dict[str, str]:
    """What became of each way, after what every start does."""
    outbox.resume_interrupted(now_s=NOW_S)
    found = {entry.id: str(entry.state) for entry in outbox.entries.in_states(set(EntryState))}
    return {way: found[number] for number, way in enumerate(WAYS, start=1)}


AS_IT_WAS = {
    "ready": "ready",
    "uploaded": "uploaded",
    "held": "held",
    "discarded": "discarded",
    "marked": "uncertain",
    "resent": "uncertain",
    "dead": "dead",
    "released": "ready",
}
