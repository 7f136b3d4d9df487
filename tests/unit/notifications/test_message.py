"""What a change of a clip becomes for those who are told."""

import json
from dataclasses import replace

import pytest

from agent.notifications.message import name_of, notice_of
from agent.outbox.entries import EventKind
from agent.outbox.models import Entry
from agent.outbox.queries import FeedEvent
from agent.outbox.states import EntryState
from tests.factories import NOW_S, an_entry


def happening(
    state: str,
    before: str | None = None,
    *,
    reason: str | None = None,
    entry: Entry | None = None,
    what: EventKind = EventKind.STATE,
) -> FeedEvent:
    return FeedEvent(
        event_id=9,
        at=NOW_S + 0.5,
        state=state,
        before=before,
        reason=reason,
        entry=an_entry() if entry is None else entry,
        what=what,
    )


@pytest.mark.parametrize(
    ("before", "state", "name"),
    [
        (None, "ready", "take.ready"),
        ("held", "ready", "take.ready"),
        ("dead", "ready", "take.ready"),
        ("uploading", "ready", None),  # tried in vain
        ("uncertain", "ready", None),  # looked up, and not there
        (None, "held", "take.held"),
        ("uploading", "held", "take.held"),
        ("uploading", "dead", "take.refused"),
        ("uploading", "uploaded", "take.delivered"),
        ("uncertain", "uploaded", "take.delivered"),
        ("uploaded", "completed", "session.completed"),
        ("ready", "uploading", None),
        ("ready", "discarded", None),
    ],
)
def test_what_is_news_has_a_name(before: str | None, state: str, name: str | None) -> None:
    assert name_of(happening(state, before)) == name


@pytest.mark.parametrize(
    ("state", "name"), [(EntryState.UPLOADED, "session.failed"), (EntryState.DISCARDED, None)]
)
def test_a_session_without_its_analysis_is_news_unless_its_clip_was_discarded(
    state: EntryState, name: str | None
) -> None:
    entry = replace(an_entry(), state=state, session_id="s1")
    change = happening("not_seen", entry=entry, what=EventKind.FOLLOW_UP)

    assert name_of(change) == name


def test_a_notice_is_the_same_whenever_it_is_made() -> None:
    first = notice_of(happening("held", reason="unassigned"), station="p3", numbers={})
    moved = replace(happening("held", reason="unassigned"), event_id=7)  # as after a rebuild

    assert notice_of(moved, station="p3", numbers={}) == first
    assert first.id == "p3-k3x9q2m4pd-take-held-1795000000500"
    document = json.loads(first.body)
    assert (document["id"], document["reason"]) == (first.id, "unassigned")


def test_a_session_is_told_only_of_what_has_one() -> None:
    sent = replace(an_entry(), session_id="s1", title="[k3x9q2m4pd] running", detail="Ann's words")
    ready = json.loads(
        notice_of(happening("ready", entry=sent), station="p", numbers={}).body
    )  # told late: by now it is delivered
    done = json.loads(
        notice_of(happening("uploaded", "uploading", entry=sent), station="p", numbers={}).body
    )

    assert (ready["session_id"], ready["title"], ready["numbers"]) == (None, None, None)
    assert (done["session_id"], done["title"]) == ("s1", "[k3x9q2m4pd] running")
    assert "Ann" not in str(done)


def test_numbers_are_numbers_and_no_text_of_the_api_goes_out() -> None:
    told = {
        "peak_velocity": 1.9,
        "reps": 3,
        "athlete": "Ann Example",
        "video": "https://storage.example/v?signature=x",
        "good": True,
        "broken": float("nan"),
        "endless": 10**400,
        **{f"n{number}": number for number in range(500)},
    }

    made = notice_of(happening("completed", "uploaded"), station="p", numbers=told)

    numbers = json.loads(made.body)["numbers"]
    assert (numbers["peak_velocity"], numbers["reps"]) == (1.9, 3)
    assert not {"athlete", "video", "good", "broken", "endless"} & set(numbers)
    assert len(numbers) == 64
