"""One sentence for everything that can be asked about."""

from dataclasses import replace

import pytest

from agent.outbox.models import Capture, Entry
from agent.outbox.pauses import LaneState
from agent.outbox.results import FollowUp, FollowUpState
from agent.outbox.states import CaptureState, EntryState, FileState, Reason
from agent.station.status import StatusContext, describe_location
from tests.conftest import InZone
from tests.factories import NOW_S, a_capture, an_entry

AROUND = StatusContext(now_s=NOW_S, lane=LaneState(host="api"), runs=True)
PAUSED = LaneState(
    host="api",
    paused_reason="network",
    paused_detail="the API cannot be reached: refused",
    next_probe_at=NOW_S + 60,
)

FOLLOW_UP = FollowUp(
    entry_id=7,
    session_id="abcd1234",
    state=FollowUpState.WAITING,
    detail="HTTP 503",
    fence=1,
    polls=1,
    failures=1,
    absences=0,
    due_at=NOW_S + 80,
    began_at=NOW_S,
    first_asked_at=NOW_S,
    last_asked_at=NOW_S,
    changed_at=NOW_S,
    clip_code="k3x9q2m4pd",
    activity="running",
    filmed_at=NOW_S,
)


def clip(state: EntryState, **changes: object) -> Entry:
    return replace(an_entry(), state=state, **changes)  # type: ignore[arg-type]  # fields of an entry


def capture(state: CaptureState, **changes: object) -> Capture:
    return replace(a_capture(), state=state, **changes)  # type: ignore[arg-type]  # fields of a capture


@pytest.fixture(autouse=True)
def _at_greenwich(in_zone: InZone) -> None:
    in_zone("UTC0")


@pytest.mark.parametrize(
    ("subject", "around", "told"),
    [
        (capture(CaptureState.CAPTURED), AROUND, "is next to be analysed"),
        (capture(CaptureState.CAPTURED), replace(AROUND, ahead=3), "3 before it"),
        (
            capture(CaptureState.CAPTURED),
            replace(AROUND, waits="there is no room to cut its clips"),
            "is waiting for analysis: there is no room to cut its clips",
        ),
        (capture(CaptureState.QUARANTINED, detail="no video in it"), AROUND, "no video in it"),
        (capture(CaptureState.SKIPPED), AROUND, "no take found"),
        (capture(CaptureState.ANALYSED), AROUND, "was analysed at"),
        (
            capture(CaptureState.ANALYSED, file_state=FileState.CLEARED),
            AROUND,
            "was analysed, and its clips are cut",
        ),
        (clip(EntryState.READY, due_at=NOW_S + 12), AROUND, "uploads in 12 s"),
        (clip(EntryState.READY, due_at=NOW_S - 1), replace(AROUND, ahead=2), "2 before it"),
        (clip(EntryState.READY, due_at=NOW_S - 1), replace(AROUND, ahead=1), "1 before it"),
        (clip(EntryState.READY, due_at=NOW_S - 1), AROUND, "is next to upload"),
        (
            clip(EntryState.READY, due_at=NOW_S - 1),
            replace(AROUND, first="e1"),
            "is waiting until e1 has been looked up at the API",
        ),
        (
            clip(EntryState.READY, due_at=NOW_S + 60, failures=2, attempts=3, detail="HTTP 503"),
            AROUND,
            "failed to upload 3 times (HTTP 503); next try at",
        ),
        (clip(EntryState.READY), replace(AROUND, lane=PAUSED), "cannot be reached: refused"),
        (
            clip(EntryState.READY, due_at=NOW_S + 12),
            replace(AROUND, opens_at=NOW_S + 3600),
            "no uploads before 12:06 (delivery.schedule)",
        ),
        (
            clip(EntryState.READY, due_at=NOW_S + 90, failures=2, attempts=3, detail="HTTP 503"),
            replace(AROUND, opens_at=NOW_S + 60),
            "failed to upload 3 times",
        ),
        (clip(EntryState.HELD, reason=Reason.TWO_ATHLETES), AROUND, "changed during the take"),
        (
            clip(EntryState.UNCERTAIN, detail=None),  # the daemon was killed meanwhile
            AROUND,
            "but no response came: it is looked up at the API at",
        ),
        (
            clip(EntryState.UNCERTAIN, detail="no answer"),
            AROUND,
            "only if it is certainly not there",
        ),
        (
            clip(EntryState.UPLOADED, session_id="abcd1234", sent_at=NOW_S - 86400),
            AROUND,
            "was uploaded at 2026-11-17 11:06:40, as session abcd1234",
        ),
        (
            clip(EntryState.UPLOADED, session_id="abcd1234", sent_at=NOW_S),
            replace(AROUND, follow_up=FOLLOW_UP),
            "its analysis is pending (HTTP 503), next check at 11:08:00",
        ),
        (clip(EntryState.COMPLETED), AROUND, "its analysis is complete (spotter session e7)"),
        (clip(EntryState.DEAD, detail="HTTP 422: bad"), AROUND, "HTTP 422: bad"),
        (clip(EntryState.DISCARDED, reason=Reason.JOINED), AROUND, "one clip of both"),
        (
            clip(EntryState.DISCARDED, reason=Reason.SENT_ANEW, detail="as e8"),
            AROUND,
            "resent for the right athlete, as e8",
        ),
    ],
)
def test_it_says_what_is_waited_for(
    subject: Capture | Entry, around: StatusContext, told: str
) -> None:
    assert told in describe_location(subject, around)


@pytest.mark.parametrize("state", EntryState)
def test_there_are_words_for_every_state_of_a_clip(state: EntryState) -> None:
    assert describe_location(clip(state), AROUND)


@pytest.mark.parametrize("state", CaptureState)
def test_there_are_words_for_every_state_of_a_capture(state: CaptureState) -> None:
    assert describe_location(capture(state), AROUND)


def test_what_only_a_running_daemon_moves_says_that_none_runs() -> None:
    stopped = replace(AROUND, runs=False)

    assert "daemon is not running" in describe_location(clip(EntryState.READY), stopped)
    assert "daemon is not running" in describe_location(capture(CaptureState.CAPTURED), stopped)
    assert "daemon" not in describe_location(clip(EntryState.HELD), stopped)
