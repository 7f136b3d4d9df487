"""Where captures and entries can be, how they may move, and why they wait."""

from enum import StrEnum


class CaptureState(StrEnum):
    """Where a capture is: captured -> analysing -> analysed."""

    CAPTURED = "captured"  # taken in; may be analysed from due_at on
    ANALYSING = "analysing"  # in the hands of the one living daemon
    ANALYSED = "analysed"  # its clips have entries
    SKIPPED = "skipped"  # nobody made an effort in it
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


# What the station has still to do by itself, whoever tells of it.
TO_BE_LOOKED_INTO = (CaptureState.CAPTURED, CaptureState.ANALYSING)
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
    SENT_ANEW = "sent_anew"
    FORGOTTEN = "forgotten"
    FAILS_AT_SERVER = "fails_at_server"
    TOO_LARGE = "too_large"


REASON_TEXTS: dict[Reason, str] = {
    Reason.UNASSIGNED: "nobody was assigned when it was filmed: release it with --user-id",
    Reason.TWO_ATHLETES: "the athlete changed during the take: release it with --user-id",
    Reason.RECORDING_TIME_UNKNOWN: (
        "it cannot be known when it was filmed, so not who is in it: release it with --user-id; "
        "capture.clock_offset_s vouches for the camera's clock"
    ),
    Reason.ANALYSIS_FAILED: "the analysis failed on it: release sends the whole capture",
    Reason.ANALYSIS_HOLD: "the analysis could not decide: look at the clip, then release it",
    Reason.KEY_CANNOT_SEND: "the API key may only send its owner's own clips",
    Reason.OUTCOME_UNKNOWN: (
        "it was sent whole, and the API neither confirms nor denies it: look there, then "
        "release (sends again) or discard; Spotter itself goes on looking, retry looks at once"
    ),
    Reason.RECORD_DAMAGED: (
        "what was last decided about it is lost, and the API does not have it: release sends it, "
        "or discard it"
    ),
    Reason.REFUSED_FOR_ATHLETE: (
        "the API refuses this athlete: retry once that is mended, or release with another --user-id"
    ),
    Reason.ACTIVITY_NOT_IN_PLAN: (
        "the account's plan lacks this activity: retry once that is mended"
    ),
    Reason.CLIP_DAMAGED: (
        "the clip's file is missing or damaged: it is cut again while its capture is there"
    ),
    Reason.CAPTURE_MISSING: "its file is gone: put the same file into the capture folder again",
    Reason.CAPTURE_DAMAGED: "its file is torn: put the whole one into the capture folder again",
    Reason.GREW_AFTER_ADMISSION: "its writer went on after it was taken in: taken in anew",
    Reason.BY_PERSON: "a person discarded it",
    Reason.LOOKED_AGAIN: "its capture was analysed again: the clips of that took its place",
    Reason.GUEST: "its athlete is a guest, not in the account: say who it is, or release it to one",
    Reason.HELD_BY_PERSON: "a person holds it back: release it, or discard it",
    Reason.FILMING_STOPPED: "filmed while filming was stopped: removed unseen",
    Reason.FILMING_MAY_BE_STOPPED: (
        "it may have been filmed while filming was stopped: nobody has looked into it; discard it, "
        "or retry to have it looked into"
    ),
    Reason.STOP_CAN_BE_UNDONE: (
        "it was filmed while filming was stopped, or may have been: nobody looks at it while the "
        "stop can still be undone"
    ),
    Reason.SENT_ANEW: "it was sent again under the right athlete",
    Reason.FORGOTTEN: "its athlete was forgotten",
    Reason.JOINED: "it goes on in the next recording: one clip over both took its place",
    Reason.NEXT_RECORDING: "it may go on in the next recording, which is waited for",
    Reason.SAME_MOMENT: (
        "another clip shows some of the same moment: look at both; release sends this one too, "
        "discard keeps it from being sent"
    ),
    Reason.TOO_LARGE: (
        "the API takes no clip of this size: a smaller rendition is being made; "
        "release sends it as it is"
    ),
    Reason.FAILS_AT_SERVER: (
        "the API failed on it ten times while others passed: tried once a day; retry tries at once"
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
UNSETTLED_ENTRIES = frozenset(
    {
        EntryState.READY,
        EntryState.HELD,
        EntryState.UPLOADING,
        EntryState.UNCERTAIN,
        EntryState.DEAD,
    }
)
