"""The states of captures and entries, their transitions, and the reasons for waiting."""

from enum import StrEnum


class CaptureState(StrEnum):
    """Where a capture is: captured -> analysing -> analysed."""

    CAPTURED = "captured"  # ingested; may be analysed from due_at on
    ANALYSING = "analysing"  # in the hands of the one living daemon
    ANALYSED = "analysed"  # its clips have entries
    SKIPPED = "skipped"  # no take was found in it
    QUARANTINED = "quarantined"  # unreadable; kept, with its reason
    DISCARDED = "discarded"  # a person, a setting or a growing file ended it


class EntryState(StrEnum):
    """Where a clip is: ready -> uploading -> uploaded -> completed."""

    READY = "ready"  # may be claimed from due_at on
    HELD = "held"  # waits for a person
    UPLOADING = "uploading"  # in the hands of the one living daemon
    UNCERTAIN = "uncertain"  # sent whole, outcome unknown: looked up first
    UPLOADED = "uploaded"  # the API has made its session
    COMPLETED = "completed"  # the session's analysis is there
    DEAD = "dead"  # refused for good
    DISCARDED = "discarded"  # a person or a setting ended it


# What the station has still to do by itself, whoever reports it.
TO_BE_LOOKED_INTO = (CaptureState.CAPTURED, CaptureState.ANALYSING)
UNSENT = frozenset({EntryState.READY, EntryState.HELD, EntryState.DEAD})
BEING_SENT = frozenset({EntryState.UPLOADING, EntryState.UNCERTAIN})
SENT = frozenset({EntryState.UPLOADED, EntryState.COMPLETED})
TO_BE_SENT = (EntryState.READY, EntryState.UPLOADING, EntryState.UNCERTAIN)


class FileState(StrEnum):
    """Whether the file of a row is still on the disk."""

    PRESENT = "present"
    CLEARING = "clearing"  # may be gone: unlinking was begun
    CLEARED = "cleared"
    DAMAGED = "damaged"  # missing or torn though it is needed: cut again


class Recipient(StrEnum):
    """Into whose account a clip goes."""

    ATHLETE = "athlete"  # the user_id of the entry
    KEY_OWNER = "key_owner"  # nobody was assigned and the station is set to upload
    UNKNOWN = "unknown"  # a person must say


class Reason(StrEnum):
    """Why an entry or a capture waits or has ended."""

    UNASSIGNED = "unassigned"
    TWO_ATHLETES = "two_athletes"
    RECORDING_TIME_UNKNOWN = "recording_time_unknown"
    ANALYSIS_FAILED = "analysis_failed"
    ANALYSIS_HOLD = "analysis_hold"
    KEY_CANNOT_SEND = "key_cannot_send_for_others"
    OUTCOME_UNKNOWN = "outcome_unknown"
    RECORD_DAMAGED = "record_damaged"
    REFUSED_FOR_ATHLETE = "refused_for_athlete"
    ACTIVITY_NOT_IN_PLAN = "activity_not_in_plan"
    CLIP_DAMAGED = "clip_damaged"
    CAPTURE_MISSING = "capture_missing"
    CAPTURE_DAMAGED = "capture_damaged"
    GREW_AFTER_ADMISSION = "grew_after_admission"
    BY_PERSON = "discarded_by_person"
    LOOKED_AGAIN = "looked_again"
    JOINED = "joined"
    NEXT_RECORDING = "next_recording"
    SAME_MOMENT = "same_moment"
    GUEST = "guest"
    HELD_BY_PERSON = "held_by_person"
    FILMING_STOPPED = "filming_stopped"
    FILMING_MAY_BE_STOPPED = "filming_may_be_stopped"
    STOP_CAN_BE_UNDONE = "stop_can_be_undone"
    AT_WORKER = "at_worker"
    SENT_ANEW = "sent_anew"
    FORGOTTEN = "forgotten"
    FAILS_AT_SERVER = "fails_at_server"
    TOO_LARGE = "too_large"


REASON_TEXTS: dict[Reason, str] = {
    Reason.UNASSIGNED: "no athlete was assigned when it was recorded: release it with --user-id",
    Reason.TWO_ATHLETES: "the athlete changed during the take: release it with --user-id",
    Reason.RECORDING_TIME_UNKNOWN: (
        "its recording time is uncertain, and so is its athlete: release it with --user-id; if the "
        "camera's clock is right, set capture.clock_offset_s"
    ),
    Reason.ANALYSIS_FAILED: "its analysis failed: release uploads the whole recording",
    Reason.ANALYSIS_HOLD: "the analysis is uncertain: review the clip, then release or discard it",
    Reason.KEY_CANNOT_SEND: "the API key may only upload its owner's clips: use an admin's key",
    Reason.OUTCOME_UNKNOWN: (
        "it was uploaded completely, but the API does not confirm it: check your account there, "
        "then release (uploads again) or discard; Spotter keeps checking, retry checks now"
    ),
    Reason.RECORD_DAMAGED: (
        "its last decision was lost and the API does not have it: release uploads it, or discard it"
    ),
    Reason.REFUSED_FOR_ATHLETE: (
        "the API rejects this athlete: fix that and retry, or release it with --user-id"
    ),
    Reason.ACTIVITY_NOT_IN_PLAN: (
        "the account's plan does not include this activity: upgrade the plan, then retry"
    ),
    Reason.CLIP_DAMAGED: (
        "the clip's file is missing or damaged: it is cut again if the recording is still stored"
    ),
    Reason.CAPTURE_MISSING: "its file is missing: copy the same file into the capture folder again",
    Reason.CAPTURE_DAMAGED: (
        "its file is incomplete: copy the complete file into the capture folder again"
    ),
    Reason.GREW_AFTER_ADMISSION: "it grew after it was ingested: ingested again",
    Reason.BY_PERSON: "discarded by a person",
    Reason.LOOKED_AGAIN: "its recording was analysed again: replaced by the new clips",
    Reason.GUEST: (
        "its athlete is a guest: link the guest to an athlete, or release with --user-id"
    ),
    Reason.HELD_BY_PERSON: "held by a person: release or discard it",
    Reason.FILMING_STOPPED: "recorded while recording was paused: deleted, not analysed",
    Reason.FILMING_MAY_BE_STOPPED: (
        "it may have been recorded while recording was paused: not analysed; discard it, or retry "
        "to analyse it"
    ),
    Reason.STOP_CAN_BE_UNDONE: (
        "it was or may have been recorded while recording was paused: not analysed while the pause "
        "can still be undone"
    ),
    Reason.AT_WORKER: (
        "offered to the site's workers; if none analyses it, this station does so itself"
    ),
    Reason.SENT_ANEW: "resent for the right athlete",
    Reason.FORGOTTEN: "its athlete's data was deleted",
    Reason.JOINED: "it continues in the next recording: replaced by one clip of both",
    Reason.NEXT_RECORDING: "it may continue in the next recording: waiting for it",
    Reason.SAME_MOMENT: (
        "another clip shows part of the same moment: review both, then release or discard this one"
    ),
    Reason.TOO_LARGE: (
        "the API rejects a clip of this size: a smaller rendition is being made; "
        "release uploads it as it is"
    ),
    Reason.FAILS_AT_SERVER: (
        "the API failed on it ten times while others passed: retried once a day; retry tries now"
    ),
}


def reason_text(reason: str | None) -> str | None:
    """Return what a reason means and what a person can do; a reason without a text is its own."""
    known = {str(member): text for member, text in REASON_TEXTS.items()}
    return None if reason is None else known.get(reason, reason)


CAPTURE_MOVES: dict[CaptureState, frozenset[CaptureState]] = {
    CaptureState.CAPTURED: frozenset(
        {CaptureState.ANALYSING, CaptureState.QUARANTINED, CaptureState.DISCARDED}
    ),
    CaptureState.ANALYSING: frozenset(
        {
            CaptureState.CAPTURED,
            CaptureState.ANALYSED,
            CaptureState.SKIPPED,
            CaptureState.QUARANTINED,
            CaptureState.DISCARDED,
        }
    ),
    CaptureState.ANALYSED: frozenset({CaptureState.CAPTURED, CaptureState.DISCARDED}),
    CaptureState.SKIPPED: frozenset({CaptureState.CAPTURED, CaptureState.DISCARDED}),
    CaptureState.QUARANTINED: frozenset({CaptureState.CAPTURED, CaptureState.DISCARDED}),
    CaptureState.DISCARDED: frozenset(),
}

ENTRY_MOVES: dict[EntryState, frozenset[EntryState]] = {
    EntryState.READY: frozenset(
        {EntryState.UPLOADING, EntryState.UNCERTAIN, EntryState.HELD, EntryState.DISCARDED}
    ),
    EntryState.HELD: frozenset({EntryState.READY, EntryState.DISCARDED}),
    EntryState.UPLOADING: frozenset(
        {
            EntryState.UPLOADED,
            EntryState.READY,
            EntryState.UNCERTAIN,
            EntryState.HELD,
            EntryState.DEAD,
        }
    ),
    EntryState.UNCERTAIN: frozenset({EntryState.UPLOADED, EntryState.READY, EntryState.HELD}),
    EntryState.UPLOADED: frozenset({EntryState.COMPLETED}),
    EntryState.COMPLETED: frozenset(),
    EntryState.DEAD: frozenset({EntryState.READY, EntryState.DISCARDED}),
    EntryState.DISCARDED: frozenset(),
}

# Undelivered: nothing but an acknowledgement or a person's word may remove their files.
UNSETTLED_ENTRIES = UNSENT | BEING_SENT
